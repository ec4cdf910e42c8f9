"""Nothing is done before the record that it follows from is durable."""

from __future__ import annotations

from mrcore.scheduler.actions import (
    AddInputs,
    CancelAttempt,
    CancelReason,
    EndJob,
    GrantLease,
    PublishOutput,
    StartAttempt,
)
from mrcore.scheduler.attempt import ATTEMPTS_PER_EPOCH
from mrcore.scheduler.leases import EPOCH_SHIFT
from mrcore.scheduler.records import AttemptCommitted, EpochBegan, JobAdmitted, JobEnded, RecordSkipped
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.records import Record


class JournaledFirst(Law):
    """Remembers what is durable, and asks before each action."""

    def __init__(self) -> None:
        self._epoch = 0
        self._jobs: set[str] = set()
        self._ended: dict[str, str] = {}
        self._committed: set[tuple[str, int, int, int]] = set()
        self._outputs: dict[tuple[str, int], int] = {}  # commits of a stage so far
        self._tasks: set[tuple[str, int, int]] = set()  # of these
        self._skipped: set[tuple[str, int, int, bytes]] = set()

    def on_record_durable(self, record: Record) -> None:
        """From now on it may be acted upon."""
        if isinstance(record, EpochBegan):
            self._epoch = record.epoch
        elif isinstance(record, JobAdmitted):
            self._jobs.add(record.job)
        elif isinstance(record, JobEnded):
            self._ended[record.job] = record.outcome
        elif isinstance(record, RecordSkipped):
            self._skipped.add((record.job, record.stage, record.task, record.record))
        elif isinstance(record, AttemptCommitted):
            self._committed.add((record.job, record.stage, record.task, record.attempt))
            self._tasks.add((record.job, record.stage, record.task))
            stage = (record.job, record.stage)
            self._outputs[stage] = self._outputs.get(stage, 0) + 1

    def on_action(self, action: Action, now_ns: int) -> None:
        """Does it follow from what is durable?"""
        if isinstance(action, PublishOutput):
            self._check(action.attempt in self._committed, action)
        elif isinstance(action, EndJob):
            self._check(self._ended.get(action.job) == action.outcome, action)
        elif isinstance(action, GrantLease):
            self._check(action.generation >> EPOCH_SHIFT == self._epoch, action)
        elif isinstance(action, CancelAttempt):
            job, stage, task, _ = action.attempt
            if action.reason is CancelReason.TWIN_COMMITTED:
                self._check((job, stage, task) in self._tasks, action)
            elif action.reason is CancelReason.JOB_ENDED:
                self._check(job in self._ended, action)
        elif isinstance(action, StartAttempt | AddInputs):
            self._check_start(action, action.attempt)

    def _check_start(self, action: StartAttempt | AddInputs, attempt: AttemptId) -> None:
        self._check(attempt.job in self._jobs and attempt.attempt // ATTEMPTS_PER_EPOCH == self._epoch - 1, action)
        for inputs in action.inputs:
            self._check(inputs.stop - inputs.start <= self._outputs.get((attempt.job, inputs.stage), 0), action)
        if isinstance(action, StartAttempt):
            for record in action.skip:
                self._check((*attempt[:3], record) in self._skipped, action)

    def _check(self, follows: bool, action: Action) -> None:
        if not follows:
            self.broken(f"done before what it follows from is durable: {action}")
