"""Which task a free slot gets."""

from collections import Counter

from mrcore.scheduler import placement
from mrcore.scheduler.job import StageSpec


def test_free_slots_are_filled_one_of_each_worker_in_turn(told):
    for name in "abc":
        told.worker(name, slots=3)
    told.submit(StageSpec(4))
    assert told.placed() == [("a", 0, 0), ("b", 0, 1), ("c", 0, 2), ("a", 0, 3)]


def test_a_task_goes_where_its_input_is(told):
    told.submit(StageSpec(4, hosts=(("red",), ("blue", "red"), (), ("blue",))))
    told.worker("b", slots=3, host="blue")
    assert told.placed() == [("b", 0, 1), ("b", 0, 3), ("b", 0, 0)]  # and rather far away than not at all
    told.worker("r", slots=3, host="red")
    assert told.placed() == [("r", 0, 2)]


def test_memory_and_processors_bound_what_runs_at_once(told):
    told.worker("small", slots=8, memory_bytes=250, cpu_milli=4000)
    told.submit(StageSpec(9, memory_bytes=100, cpu_milli=1000))
    assert len(told.placed()) == 2
    told.worker("slow", slots=8, memory_bytes=10_000, cpu_milli=3500)
    assert len(told.placed()) == 3
    first = next(iter(told.running))
    told.finish(first)
    assert told.placed() == [("small", 0, 5)]


def test_a_task_that_fits_nowhere_waits_for_a_worker_that_it_fits(told):
    told.worker("small", memory_bytes=10)
    told.submit(StageSpec(1, memory_bytes=11), job="large")
    told.submit(StageSpec(1, memory_bytes=9), job="little")
    assert told.placed() == [("small", 0, 0)]
    told.worker("big", memory_bytes=11)
    assert told.placed() == [("big", 0, 0)]


def test_jobs_share_the_slots_by_their_weights(told):
    told.submit(StageSpec(100), job="one")
    told.submit(StageSpec(100), job="three", weight=3)
    told.worker("w", slots=40)
    assert Counter(attempt.job for attempt in told.running) == {"one": 10, "three": 30}


def test_a_job_that_came_later_gets_its_share_as_slots_become_free(told):
    told.worker("w", slots=4)
    told.submit(StageSpec(100), job="first")
    told.submit(StageSpec(100), job="second")
    for _ in range(2):
        told.finish(next(attempt for attempt in told.running if attempt.job == "first"))
    assert Counter(attempt.job for attempt in told.running) == {"first": 2, "second": 2}


def test_a_task_that_failed_is_kept_from_that_worker_while_there_is_another(told):
    told.worker("bad")
    told.submit(StageSpec(1))
    told.fail(next(iter(told.running)))
    told.worker("good")
    told.wait(1)
    assert told.placed() == [("good", 0, 0)]


def test_a_task_that_failed_on_the_only_worker_runs_there_again(told):
    told.worker("only")
    told.submit(StageSpec(1))
    told.fail(next(iter(told.running)))
    told.wait(1)
    assert told.placed() == [("only", 0, 0)]


def test_a_thousand_idle_workers_are_not_asked_one_by_one_for_what_fits_none(told, monkeypatch):
    for number in range(1000):
        told.worker(f"w{number}", memory_bytes=10)
    for number in range(20):
        told.submit(StageSpec(1, memory_bytes=11), StageSpec(1, (0,)), job=f"large{number}")
        told.submit(StageSpec(1), StageSpec(1, (0,)), job=f"running{number}")
    asked = Counter()
    for name in ("_start_of", "fits"):
        real = getattr(placement, name)
        monkeypatch.setattr(placement, name, lambda *given, name=name, real=real: asked.update([name]) or real(*given))
    told.wait(1)
    assert asked["_start_of"] == 20 and asked["fits"] == 40, "one worker, for all alike, and only for open stages"


def test_who_waits_for_inputs_takes_room_that_nobody_before_it_can_use(told):
    """A map task runs and another one is too large beside it: two readers are small enough to fetch meanwhile."""
    told.worker("w", slots=3, memory_bytes=10)
    told.submit(StageSpec(3, memory_bytes=6), StageSpec(9, (0,), memory_bytes=2, fetch_from_percent=0))
    assert told.placed() == [("w", 0, 0), ("w", 1, 0), ("w", 1, 1)]


def test_who_waits_for_inputs_leaves_the_room_of_those_before_it(told):
    """Two readers would leave 5 bytes and no slot, of which the next map task needs 6 and one."""
    told.worker("w", slots=2, memory_bytes=10)
    told.submit(StageSpec(3, memory_bytes=6), StageSpec(9, (0,), memory_bytes=5, fetch_from_percent=0))
    assert told.placed() == [("w", 0, 0)]
    first = next(iter(told.running))
    told.finish(first)
    assert told.placed() == [("w", 0, 1)]
