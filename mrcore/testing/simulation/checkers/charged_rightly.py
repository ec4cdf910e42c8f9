"""What counts against a task is a failure that somebody may have to answer for.

A lost lease, a connection that broke, an attempt that was told to stop or read damaged inputs: no charge. A failure
that was said, a process that died, a time-out: one charge each. A job fails only when a task has used up its attempts,
failed twice on one record, or cannot read the job's input.
"""

from __future__ import annotations

from collections import Counter

from mrcore.scheduler import events as of
from mrcore.scheduler.actions import AppendJournal
from mrcore.scheduler.records import AttemptCharged, JobEnded, RecordSkipped
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.records import Record

_FREE = (of.FailureClass.CORRUPT_INPUT, of.FailureClass.CANCELLED, of.FailureClass.BAD_INPUT)


class ChargedRightly(Law):
    """Compares charges with the events that led to them."""

    def __init__(self) -> None:
        self._charges: Counter[tuple[str, int, int]] = Counter()
        self._records: Counter[tuple[str, int, int, bytes]] = Counter()
        self._attempts: set[tuple[str, int, int, int]] = set()
        self._bad_input: set[str] = set()

    def on_answered(self, event: of.Event, actions: Sequence[Action], now_ns: int) -> None:
        """Is this a reason for a charge?"""
        if isinstance(event, of.AttemptFailed) and event.failure is of.FailureClass.BAD_INPUT:
            self._bad_input.add(event.attempt.job)
        charges = [a.record for a in actions if isinstance(a, AppendJournal) and isinstance(a.record, AttemptCharged)]
        if not charges:
            return
        if isinstance(event, of.AttemptFailed):
            charged = [(charge.job, charge.stage, charge.task, charge.attempt) for charge in charges]
            if event.failure in _FREE or charged != [event.attempt]:
                self.broken(f"{event} is charged to {charges}")
        elif isinstance(event, of.WorkerEnded):
            if event.cause is not of.EndCause.PROCESS_ENDED:
                self.broken(f"{event} is charged to {charges}")
        elif isinstance(event, of.TimePassed):
            jobs = self.cluster.jobs
            if late := [charge for charge in charges if not jobs[charge.job].options.timeout_ns]:
                self.broken(f"charged without a time limit: {late}")
        else:
            self.broken(f"{event} is charged to {charges}")

    def on_record_durable(self, record: Record) -> None:
        """Counts charges, and looks at the reason why a job failed."""
        if isinstance(record, AttemptCharged):
            task = (record.job, record.stage, record.task)
            if (*task, record.attempt) in self._attempts:
                self.broken(f"{record} is charged twice")
            self._attempts.add((*task, record.attempt))
            self._charges[task] += 1
            self._records[(*task, record.record)] += bool(record.record)
        elif isinstance(record, RecordSkipped):
            self._charges[record.job, record.stage, record.task] = 0
            if self._records.pop((record.job, record.stage, record.task, record.record), 0) < 2:
                self.broken(f"skipped, and it did not fail twice: {record}")
        elif isinstance(record, JobEnded) and record.outcome == "failed":
            limit = self.cluster.jobs[record.job].options.attempts_max
            used_up = any(task[0] == record.job and count >= limit for task, count in self._charges.items())
            twice = any(key[0] == record.job and count > 1 for key, count in self._records.items())
            if not (used_up or twice or record.job in self._bad_input):
                self.broken(f"no reason to fail: {record}")
