"""Laws that the scheduler's own assertions keep a mutant from breaking are broken here, by what they are told."""

from types import SimpleNamespace

import pytest

from mrcore.scheduler.records import AttemptCommitted, JobEnded, OutputLost
from mrcore.testing.simulation.checkers.committed_once import CommittedOnce
from mrcore.testing.simulation.checkers.law import BrokenLawError
from mrcore.testing.simulation.checkers.room import Room
from mrcore.testing.simulation.checkers.same_output import SameOutput


def commit(attempt, task=0):
    return AttemptCommitted("j", 0, task, attempt, "", 1, 1, {}, b"")


LOST = OutputLost("j", 0, 0, 0)
END = JobEnded("j", "succeeded")


@pytest.mark.parametrize(
    "records, why",
    [
        ([commit(0), commit(1)], "committed as attempt 0, and now as 1"),
        ([commit(0), LOST, commit(0)], "for the second time"),
        ([END, commit(0)], "after its job has ended"),
        ([END, END], "ended twice"),
        ([LOST], "had not been committed"),
        ([commit(1), LOST], "had not been committed"),
    ],
)
def test_a_task_is_committed_once(records, why):
    law = CommittedOnce()
    for record in records[:-1]:
        law.on_record_durable(record)
    with pytest.raises(BrokenLawError, match=why) as error:
        law.on_record_durable(records[-1])
    assert error.value.law == "committed_once"


def test_what_may_be_committed():
    law = CommittedOnce()
    for record in (commit(0), commit(0, task=1), LOST, commit(1), END):
        law.on_record_durable(record)


@pytest.mark.parametrize("found, holds", [(b"right", True), (b"wrong", False)])
def test_outputs_are_the_oracles(found, holds):
    story = SimpleNamespace(
        outcomes={"j": "succeeded", "failed": "failed"},
        published=lambda job: {(0, 0): found},
        cluster=SimpleNamespace(jobs={"j": SimpleNamespace(outputs={(0, 0): b"right"})}),
    )
    if holds:
        SameOutput().on_end(story)
    else:
        with pytest.raises(BrokenLawError, match="j/0/0"):
            SameOutput().on_end(story)


def test_room_is_counted_when_an_attempt_starts():
    process = SimpleNamespace(name="w", runs=[1, 2], plan=SimpleNamespace(slots=2))
    Room().on_attempt_started(process, None)
    process.runs.append(3)
    with pytest.raises(BrokenLawError, match="3 attempts in 2 slots"):
        Room().on_attempt_started(process, None)
