"""Every task is committed once: again only after its output was lost, and never after its job has ended."""

from __future__ import annotations

from mrcore.scheduler.records import AttemptCommitted, JobEnded, OutputLost
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.records import Record


class CommittedOnce(Law):
    """Reads the durable records."""

    def __init__(self) -> None:
        self._committed: dict[tuple[str, int, int], int] = {}
        self._ever: set[tuple[str, int, int, int]] = set()
        self._ended: set[str] = set()

    def on_record_durable(self, record: Record) -> None:
        """A commit, a loss or an end."""
        if isinstance(record, AttemptCommitted):
            task = (record.job, record.stage, record.task)
            if task in self._committed:
                self.broken(f"{task} is committed as attempt {self._committed[task]}, and now as {record.attempt}")
            if (*task, record.attempt) in self._ever:
                self.broken(f"attempt {record.attempt} of {task} is committed for the second time")
            if record.job in self._ended:
                self.broken(f"{task} is committed after its job has ended")
            self._committed[task] = record.attempt
            self._ever.add((*task, record.attempt))
        elif isinstance(record, OutputLost):
            task = (record.job, record.stage, record.task)
            if self._committed.pop(task, None) != record.attempt:
                self.broken(f"attempt {record.attempt} of {task} was lost, and had not been committed")
        elif isinstance(record, JobEnded):
            if record.job in self._ended:
                self.broken(f"{record.job} has ended twice")
            self._ended.add(record.job)
