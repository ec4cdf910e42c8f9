"""What happens in a job, for its history and its progress: a layer over :class:`mrcore.storage.history.JobRecord`.

A job may have no record, because nobody could write it; then only the numbers are kept.
"""

from __future__ import annotations

from mrcore.wire import cluster_messages as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.engine.spec import TaskResult
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.storage.history import JobRecord


class Timeline:
    """The events of a job.

    Args:
        record: where they are written, or None.

    Attributes:
        failed: attempts that failed or were lost.
        seconds: peak memory and the like are the driver's; here is only how long attempts ran.
    """

    def __init__(self, record: JobRecord | None) -> None:
        self._record = record
        self._running: dict[AttemptId, str] = {}
        self._printed: dict[AttemptId, tuple[int, int]] = {}
        self.failed = self.speculative = self.workers = 0
        self.bytes_consumed = 0
        self.tasks: dict[str, tuple[int, int]] = {}  # by phase: done, all
        self._stages: dict[tuple[str, int], str] = {}  # names, by step and half
        self._coming: dict[tuple[str, int], int] = {}  # those of which nothing has begun: their tasks

    def phase_began(self, name: str, step: str, stage: int, tasks: int) -> None:
        """A half of a step: its tasks are to be run; in the history it begins with the first of them."""
        self._stages[step, stage] = name
        self._coming[step, stage] = tasks
        done, known = self.tasks.get(name, (0, 0))
        self.tasks[name] = (done, known + tasks)

    def _begin_phase(self, step: str, stage: int) -> None:
        tasks = self._coming.pop((step, stage), None)
        if tasks is not None:
            self._say("phase", name=self._stages[step, stage], step=step, stage=stage, tasks=tasks)

    def worker_began(self, worker: str, pid: int) -> None:
        """A process has registered."""
        self._say("worker", worker=worker, pid=pid)

    def worker_ended(self, worker: str, attempts: list[AttemptId], how: str, *, wanted: bool) -> None:
        """A process is gone, and with it what it ran; ``wanted``: nobody needed that any more."""
        self._say("worker_ended", worker=worker, how="the step is over" if wanted else how)
        for attempt in attempts:
            self._end(attempt, worker, "cancelled" if wanted else "lost", error="" if wanted else how)
            self.failed += not wanted

    def attempt_began(self, attempt: AttemptId, worker: str, is_speculative: bool) -> None:
        """A worker was told to run it."""
        self._begin_phase(attempt.job, attempt.stage)
        self._running[attempt] = worker
        self.speculative += is_speculative
        self._say("start", attempt=_name(attempt), worker=worker, speculative=is_speculative)

    def attempt_said(
        self, message: wire.AttemptFailed | wire.AttemptFinished, attempt: AttemptId, worker: str, was_stopped: bool
    ) -> None:
        """It has ended; whether it counts is still to be decided if it succeeded."""
        self._printed[attempt] = message.printed
        if isinstance(message, wire.AttemptFailed):
            outcome = "cancelled" if was_stopped else "failed"
            self.failed += not was_stopped
            self._end(attempt, worker, outcome, error=message.text)
        elif was_stopped:
            self._end(attempt, worker, "discarded")

    def committed(self, attempt: AttemptId, result: TaskResult) -> None:
        """Its output is the task's."""
        name = self._stages.get((attempt.job, attempt.stage), "")
        done, known = self.tasks.get(name, (0, 0))
        self.tasks[name] = (done + 1, known)
        self._end(
            attempt, self._running.get(attempt, ""), "committed", bytes_in=result.bytes_in, bytes_out=result.bytes_out,
            records_in=result.records_in, records_out=result.records_out, memory=result.memory, spills=result.spills,
        )  # fmt: skip

    def noted(self, attempt: AttemptId, kind: str, text: str) -> None:
        """A user's function said something."""
        self._say("note", attempt=_name(attempt), kind=kind, text=text)

    def consumed(self, count: int) -> None:
        """So many more bytes of input were mapped."""
        self.bytes_consumed += count

    def tick(self, workers: int) -> None:
        """Time has passed."""
        self.workers = workers
        if self._record is not None:
            self._record.progress(
                workers=workers, failed=self.failed, speculative=self.speculative, bytes_in=self.bytes_consumed,
                tasks={name: list(counts) for name, counts in self.tasks.items()},
            )  # fmt: skip
            self._record.tick()

    def flush(self) -> None:
        """Writes what is there."""
        self.tick(self.workers)

    def log_file(self, worker: str) -> bytes:
        """Where a worker's functions print; empty: nowhere of its own."""
        return b"" if self._record is None else self._record.log_file(worker)

    def cancel_wanted(self) -> bool:
        """Whether somebody wants the job no more."""
        return self._record is not None and self._record.cancel_wanted()

    def _end(self, attempt: AttemptId, worker: str, outcome: str, **fields: object) -> None:
        if self._running.pop(attempt, None) is not None:
            log = self._printed.pop(attempt, None)
            if log is not None:  # an empty one too: else what a later attempt printed, which died, might be this one's
                fields["log"] = list(log)
            self._say("end", attempt=_name(attempt), worker=worker, outcome=outcome, **fields)

    def _say(self, event: str, **fields: object) -> None:
        if self._record is not None:
            self._record.say(event, **fields)


def _name(attempt: AttemptId) -> str:
    return f"{attempt.job}.{attempt.stage}.{attempt.task}.{attempt.attempt}"
