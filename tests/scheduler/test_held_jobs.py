"""Jobs that do not end by themselves, outputs that the coordinator finds lost, and how the end of a process is told."""

import pytest

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import StageSpec

S = 1_000_000_000
TWO_STAGES = (StageSpec(2), StageSpec(1, (0,)))


def finish_all(told):
    """Finishes what runs until nothing runs any more; the attempts in their order."""
    done = []
    while told.running:
        attempt = next(iter(told.running))
        told.finish(attempt, output_bytes=7, output_check=9)
        done.append(attempt)
    return done


def lose(told, attempt, reason=of.LossReason.MISSING):
    """The coordinator finds out that an output is gone."""
    return told.tell(of.FetchFailed("", 0, attempt, reason))


@pytest.mark.parametrize("hold", [False, True])
def test_a_job_that_is_held_does_not_end_when_all_is_done(told, hold):
    told.worker("w")
    told.submit(*TWO_STAGES, hold=hold)
    assert len(finish_all(told)) == 3
    assert len(told.said(do.EndJob)) == (not hold)
    assert "j" in told.scheduler.ledger.jobs or not hold


@pytest.mark.parametrize("reason", [of.LossReason.MISSING, of.LossReason.CORRUPT])
def test_a_final_output_of_a_held_job_that_is_lost_is_made_again_with_what_it_reads(told, reason):
    told.worker("w")
    told.submit(*TWO_STAGES, hold=True)
    first, second, last = finish_all(told)
    lose(told, last, reason)
    assert told.said(do.DiscardOutput) == [do.DiscardOutput(last, "")]
    assert finish_all(told) == [AttemptId("j", 1, 0, 1)], "its inputs are there still"
    lose(told, first, reason)
    assert told.running == {}, "nobody reads it"
    lose(told, AttemptId("j", 1, 0, 1), reason)
    assert finish_all(told) == [AttemptId("j", 0, 0, 1), AttemptId("j", 1, 0, 2)]
    assert second not in told.running


def test_a_loss_that_is_told_twice_or_of_an_older_attempt_changes_nothing(told):
    told.worker("w")
    told.submit(StageSpec(1), hold=True)
    (only,) = finish_all(told)
    lose(told, only)
    assert lose(told, only) == []
    again = AttemptId("j", 0, 0, 1)
    assert list(told.running) == [again]
    told.finish(again)
    assert lose(told, only) == []
    assert lose(told, AttemptId("j", 0, 9, 0)) == lose(told, AttemptId("other", 0, 0, 0)) == []


def test_a_held_job_is_held_after_a_recovery(told):
    told.worker("w")
    told.submit(*TWO_STAGES, hold=True)
    done = finish_all(told)
    told.recover()
    assert told.said(do.EndJob) == []
    told.worker("v")
    assert told.running == {}
    lose(told, done[2])
    assert [attempt[:3] for attempt in told.running] == [("j", 1, 0)]


def test_a_held_job_fails_as_others_do(told):
    told.worker("w")
    told.submit(StageSpec(1), hold=True, attempts_max=1)
    told.fail(next(iter(told.running)))
    assert [ended.outcome for ended in told.said(do.EndJob)] == ["failed"]


def end_process(told, worker, text=""):
    generation = told.workers.pop(worker)
    told.running.clear()
    return told.tell(of.WorkerEnded(worker, generation, of.EndCause.PROCESS_ENDED, b"", text))


@pytest.mark.parametrize(("text", "said"), [
    ("pid 7, killed by SIGKILL", "pid 7, killed by SIGKILL"), ("", "the process of worker w died"),
])  # fmt: skip
def test_how_the_last_process_ended_is_why_the_job_failed(told, text, said):
    told.worker("w")
    told.submit(StageSpec(1), attempts_max=1)
    end_process(told, "w", text)
    (ended,) = told.said(do.EndJob)
    assert ended.error == f"j/0/0/0: 1 attempts failed, and no more may: {said}"


def test_a_worker_is_lost_from_the_end_of_its_lease_until_it_comes_back(told_with):
    told = told_with(tick_ns=S, lease_ns=3 * S, heartbeat_ns=S)
    told.worker("w")
    told.worker("v")
    assert not told.scheduler.is_lost("w")
    generation = told.workers.pop("w")
    told.wait(2)
    assert not told.scheduler.is_lost("w")
    told.wait(3)
    assert told.scheduler.is_lost("w")
    assert not told.scheduler.is_lost("v")
    assert not told.scheduler.is_lost("nobody")
    told.tell(of.HeartbeatReceived("w", generation, ()))
    assert told.scheduler.is_lost("w"), "its lease is over, whatever it says"
    told.worker("w")
    assert not told.scheduler.is_lost("w")
