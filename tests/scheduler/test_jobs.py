"""How jobs begin, go on after a crash, and are remembered."""

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.job import STAGES_MAX, StageSpec
from mrcore.scheduler.ledger import ENDED_MAX


def chain(tasks):
    return [StageSpec(tasks, (index - 1,) if index else ()) for index in range(STAGES_MAX)]


def finish_one(told):
    told.finish(next(iter(told.running)))


def test_the_longest_chain_of_stages_without_tasks_is_done_at_once(told):
    told.submit(*chain(0))
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
