"""Second attempts: for those that are slow, and for nobody else."""

import random

import pytest

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.job import StageSpec

S = 1_000_000_000
BYTES = 1000


def run(told, seconds_of, reports=True):
    """Runs each attempt for its time, with heartbeats all 0.1 s; the second attempts that were started."""
    begun, doubled = {}, []
    for _ in range(4000):
        for attempt in told.running:
            begun.setdefault(attempt, told.now_ns)
        told.now_ns += S // 10
        progress = {}
        for attempt, start in list(told.running.items()):
            share = (told.now_ns - begun[attempt]) / (seconds_of(start) * S)
            if share >= 1:
                told.finish(attempt)
                told.running = {other: run for other, run in told.running.items() if other[:3] != attempt[:3]}
            progress[start.worker] = int(BYTES * share) * reports
        told.beat(**progress)
        doubled += [action.attempt for action in told.said(do.StartAttempt) if action.is_speculative]
        if not told.running:
            return doubled
    raise AssertionError("it does not end")


@pytest.mark.parametrize("reports", [True, False], ids=["progress is reported", "no progress is reported"])
def test_equal_tasks_of_two_to_five_seconds_never_get_a_second_attempt(told, reports):
    rng = random.Random(4)
    for number in range(12):
        told.worker(f"w{number}")
    told.submit(StageSpec(100, task_bytes=BYTES))
    seconds = {task: rng.uniform(2, 5) for task in range(100)}
    assert run(told, lambda start: seconds[start.attempt.task], reports) == []


@pytest.mark.parametrize("reports", [True, False], ids=["progress is reported", "no progress is reported"])
def test_tasks_of_a_slow_worker_get_one_each_and_the_job_ends_early(told, reports):
    for name in ("slow", "b", "c", "d"):
        told.worker(name)
    told.submit(StageSpec(20, task_bytes=BYTES))
    doubled = run(told, lambda start: 60 if start.worker == "slow" else 2, reports)
    assert [attempt[:3] for attempt in doubled] == [("j", 0, 0)]
    assert told.now_ns < 20 * S


def test_a_worker_that_lies_of_its_progress_gets_away_with_it_only_for_so_long(told):
    for name in ("liar", "b", "c"):
        told.worker(name)
    told.submit(StageSpec(9, task_bytes=BYTES))
    for _ in range(200):
        told.now_ns += S // 10
        for attempt, start in list(told.running.items()):
            if start.worker != "liar" and told.now_ns % (2 * S) == 0:
                told.finish(attempt)
        told.beat(liar=BYTES - 1)
    assert told.scheduler.ledger.jobs["j"].outcome == "succeeded"


def slow_task_and_free_worker(told, **options):
    for name in ("slow", "b"):
        told.worker(name)
    told.submit(StageSpec(9), **options)
    while len(told.running) > 1:
        told.now_ns += S
        told.finish(next(attempt for attempt, start in told.running.items() if start.worker == "b"))


def test_the_first_of_two_is_committed_and_the_other_is_told_to_stop(told):
    slow_task_and_free_worker(told)
    told.wait(4)
    first, second = told.running
    assert second[:3] == first[:3]
    told.finish(second)
    (cancelled,) = told.said(do.CancelAttempt)
    assert (cancelled.attempt, cancelled.reason) == (first, do.CancelReason.TWIN_COMMITTED)
    assert told.scheduler.ledger.jobs["j"].outcome == "succeeded"
    told.finish(first)  # it was faster than the word to stop
    assert [type(action) for action in told.actions] == [do.DiscardOutput]


def test_when_one_of_two_fails_the_other_goes_on_and_nothing_waits(told):
    slow_task_and_free_worker(told)
    told.wait(4)
    first, second = told.running
    told.fail(first, of.FailureClass.OUT_OF_MEMORY)
    assert not told.said(do.StartAttempt)
    told.finish(second)
    assert told.scheduler.ledger.jobs["j"].outcome == "succeeded"


def test_a_job_may_go_without(told):
    slow_task_and_free_worker(told, speculate=False)
    told.wait(100)
    assert len(told.running) == 1


def test_after_a_crash_those_that_finished_since_then_are_compared_with(told):
    for name in "abcd":
        told.worker(name)
    told.submit(StageSpec(100))
    for _ in range(90):
        told.now_ns += S
        told.finish(next(iter(told.running)))
    told.recover()
    for name in "abcd":
        told.worker(name)
    slow = next(iter(told.running))
    doubled = run(told, lambda start: 60 if start.attempt == slow else 2, reports=False)
    assert [attempt[:3] for attempt in doubled] == [slow[:3]]


def test_with_nothing_to_compare_with_nothing_is_slow(told_with):
    told = told_with(speculation_done_min=0, speculation_done_percent=0, tick_ns=S)
    told.worker("w", slots=2)
    told.submit(StageSpec(1))
    told.wait(60)
    assert len(told.running) == 1


def test_second_attempts_are_few_and_never_beside_the_first(told):
    for number in range(40):
        told.worker(f"w{number}", slots=2)
    told.submit(StageSpec(80))
    told.now_ns = 2 * S
    for attempt in list(told.running)[:20] + list(told.running)[40:60]:
        told.finish(attempt)
    assert {start.worker for start in told.running.values()} == {f"w{number}" for number in range(20, 40)}
    told.wait(60)
    second = [start for start in told.running.values() if start.is_speculative]
    assert len(second) == 40 * 10 // 100
    assert {start.worker for start in second} <= {f"w{number}" for number in range(20)}


def test_a_slow_attempt_gets_no_second_one_on_its_own_worker(told):
    told.worker("alone", slots=2)
    told.submit(StageSpec(9))
    while len(told.running) > 1:
        told.now_ns += S
        told.finish(max(told.running))
    told.wait(60)
    assert len(told.running) == 1


def test_no_second_attempt_takes_a_slot_from_a_pending_task(told):
    slow_task_and_free_worker(told)
    told.submit(StageSpec(1000), job="other")
    told.wait(9)
    assert {start.is_speculative for start in told.running.values()} == {False}


def test_who_waited_for_inputs_is_not_slow_for_that(told):
    """Three readers have waited for a map task for a minute; they are compared by what they did since."""
    for number in range(6):
        told.worker(f"w{number}")
    told.submit(StageSpec(2), StageSpec(4, (0,), fetch_from_percent=50), speculate=True)
    first, last = (attempt for attempt in told.running if attempt.stage == 0)
    told.finish(first)
    told.wait(60)
    told.finish(last)
    readers = [attempt for attempt in told.running if attempt.stage == 1]
    told.wait(1)
    for attempt in readers[:3]:
        told.finish(attempt)
    told.wait(1)
    assert not told.said(do.StartAttempt)
    told.wait(2)
    assert [attempt for attempt, start in told.running.items() if start.is_speculative], "now it is"
