"""How jobs begin, go on after a crash, and are remembered."""

import pytest

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.job import ATTEMPTS_MAX, STAGES_MAX, StageSpec
from mrcore.scheduler.ledger import ENDED_MAX, decode_ledger


def chain(tasks):
    return [StageSpec(tasks, (index - 1,) if index else ()) for index in range(STAGES_MAX)]


def finish_one(told, **more):
    told.finish(next(iter(told.running)), **more)


def test_the_longest_chain_of_stages_without_tasks_is_done_at_once(told):
    told.submit(*chain(0))
    assert [end.outcome for end in told.said(do.EndJob)] == ["succeeded"]


def test_a_stage_without_tasks_is_done_when_what_it_reads_is(told):
    told.worker("w", slots=2)
    told.submit(StageSpec(2), StageSpec(0, (0,), fetch_from_percent=0))
    finish_one(told)
    assert told.said(do.EndJob) == []
    told.recover()
    assert told.said(do.EndJob) == []
    told.worker("w")
    finish_one(told)
    assert [end.outcome for end in told.said(do.EndJob)] == ["succeeded"]


def test_the_longest_chain_goes_on_after_a_crash(told):
    told.submit(*chain(1))
    told.worker("w")
    for _ in range(STAGES_MAX - 1):
        finish_one(told)
    told.recover()
    told.worker("w")
    assert told.placed() == [("w", STAGES_MAX - 1, 0)]


def test_the_longest_chain_is_made_again_when_its_only_holder_is_lost(told):
    told.submit(*chain(1))
    told.worker("w", keeps_outputs=True)
    for _ in range(STAGES_MAX - 1):
        finish_one(told)
    told.tell(of.WorkerEnded("w", told.workers.pop("w"), of.EndCause.PROCESS_ENDED))
    told.running.clear()
    told.wait(11)
    told.worker("v")
    for _ in range(STAGES_MAX):
        finish_one(told)
    assert [end.outcome for end in told.said(do.EndJob)] == ["succeeded"]


def test_the_job_that_ended_longest_ago_is_forgotten_first(told):
    told.submit(StageSpec(1), job="long")
    for number in range(ENDED_MAX):
        told.submit(StageSpec(0), job=f"short{number}")
    told.worker("w")
    finish_one(told)
    told.submit(StageSpec(1), job="long")
    assert told.actions == [do.EndJob("long", "succeeded")], "it has just ended, and is not run again"
    told.recover()
    assert [action.attempt.job for action in told.said(do.PublishOutput)] == ["long"]
    assert "short0" not in told.scheduler.ledger.jobs


@pytest.mark.parametrize(
    "options",
    [
        {"weight": 0},
        {"weight": 1 << 63},
        {"attempts_max": 0},
        {"attempts_max": ATTEMPTS_MAX + 1},
        {"backoff_ns": -1},
        {"backoff_ns_max": 1 << 63},
        {"skip_bad_max": -1},
        {"timeout_ns": -1},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(told, options):
    told.submit(StageSpec(1), **options)
    assert [type(action) for action in told.actions] == [do.EndJob] and told.actions[0].outcome == "failed"


@pytest.mark.parametrize(
    "numbers",
    [{"memory_bytes": -1}, {"cpu_milli": -1}, {"task_bytes": (1, -1)}, {"task_bytes": 1 << 63}, {"task_bytes": (1,)}],
    ids=str,
)
def test_stages_that_make_no_sense_are_refused(told, numbers):
    told.submit(StageSpec(2, **numbers))
    assert [type(action) for action in told.actions] == [do.EndJob] and told.actions[0].outcome == "failed"


def test_a_sum_of_counters_may_need_more_than_64_bits(told):
    told.worker("w")
    told.submit(StageSpec(5), StageSpec(1, (0,)))
    for _ in range(4):
        finish_one(told, counters={"most": 2**63 - 1, "least": -(2**63)})
    sums = decode_ledger(told.scheduler.snapshot()).jobs["j"].counters
    assert sums == told.scheduler.ledger.jobs["j"].counters == {"most": 2**65 - 4, "least": -(2**65)}


def test_workers_that_held_outputs_are_forgotten_when_no_job_runs(told):
    for number in range(3):
        told.worker(f"w{number}", keeps_outputs=True)
        told.submit(StageSpec(1), StageSpec(1, (0,)), job=f"j{number}")
        finish_one(told)
        assert told.scheduler.ledger.holders == [f"w{number}"]
        finish_one(told)
        told.tell(of.WorkerDrained(f"w{number}", told.workers[f"w{number}"]))
    assert decode_ledger(told.scheduler.snapshot()).holders == told.scheduler.ledger.holders == []


def test_counters_of_ever_new_names_end_the_job_before_they_fill_the_memory(told):
    told.worker("w")
    told.submit(StageSpec(100))
    for number in range(11):
        told.finish(next(iter(told.running)), counters={f"{number}-{name}": 1 for name in range(1000)})
    (ended,) = told.said(do.EndJob)
    assert ended.outcome == "failed" and "more than 10000 names of counters" in ended.error


def test_a_job_that_is_submitted_again_is_treated_as_the_last_word_says(told):
    told.worker("w")
    told.submit(StageSpec(1), attempts_max=1, backoff_ns=0)
    assert told.submit(StageSpec(1), attempts_max=1, backoff_ns=0) == [], "nothing is new"
    told.recover()
    told.submit(StageSpec(1), attempts_max=2, backoff_ns=0)
    told.worker("w")
    told.fail(next(iter(told.running)))
    assert told.said(do.EndJob) == []
    told.recover()
    assert told.scheduler.ledger.jobs["j"].options.attempts_max == 2, "it is in the journal"
    told.submit(StageSpec(1), attempts_max=0)
    assert told.said(do.EndJob) == [], "options that make no sense change nothing"
    assert told.scheduler.ledger.jobs["j"].options.attempts_max == 2
    told.worker("w")
    told.fail(next(iter(told.running)))
    assert [ended.outcome for ended in told.said(do.EndJob)] == ["failed"]


def test_a_held_job_that_is_done_ends_when_it_is_held_no_more(told):
    told.worker("w")
    told.submit(StageSpec(1), hold=True)
    told.finish(next(iter(told.running)))
    told.submit(StageSpec(1))
    assert [ended.outcome for ended in told.said(do.EndJob)] == ["succeeded"]
