"""An attempt: one execution of a task by one worker, under one generation of that worker.

An attempt that says it has finished is not yet the task's: its output is, once the journal says so.
When one of two is committed the other is told to stop, and whatever it says after that changes
nothing; its slot is taken until its worker says that it has ended.
"""

from __future__ import annotations

from typing import NamedTuple

from mrcore.scheduler.states import Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.stage import Stage
    from mrcore.scheduler.worker import Worker

TABLE = Table(
    "attempt",
    "running",
    ("committed", "failed", "lost", "stopped"),
    [
        Row("running", "finished", "committed", "the journal names its output"),
        Row("running", "failed", "failed", "it said so, or its process died"),
        Row("running", "lost", "lost", "its worker's lease or connection ended: nobody knows what became of it"),
        Row("running", "vanished", "lost", "its worker has not listed it for the time of a lease"),
        Row("running", "cancelled", "stopping", "its twin was committed, its job ended, or its slot is wanted"),
        Row("running", "timed out", "stopping", "it has read nothing for too long: counts against the limit"),
        Row("stopping", "finished", "stopped", "it was faster than the word to stop; its output is garbage"),
        Row("stopping", "failed", "stopped", "as it was told to, or by itself"),
        Row("stopping", "lost", "stopped", "its worker's lease or connection ended"),
        Row("stopping", "vanished", "stopped", "its worker does not list it any more"),
    ],
)
RUN, STOPPING = map(TABLE.state, ("running", "stopping"))
FINISHED, FAILED, LOST, VANISHED, CANCELLED, TIMED_OUT = map(
    TABLE.event, ("finished", "failed", "lost", "vanished", "cancelled", "timed out")
)

ATTEMPTS_PER_EPOCH = 1000
"""Attempts of one task while one coordinator lives; the next one counts on from the next thousand, so that no two
attempts ever have one number, though none of them was journaled before it ended."""


class AttemptId(NamedTuple):
    """One execution of one task."""

    job: str
    stage: int  # of the job, from 0
    task: int  # of the stage, from 0
    attempt: int  # of the task; rises, with gaps

    def __str__(self) -> str:
        return f"{self.job}/{self.stage}/{self.task}/{self.attempt}"


class Attempt:
    """An attempt that has not ended.

    Attributes:
        id: its name.
        stage: of its task.
        worker: that runs it.
        state: RUN or STOPPING.
        started_ns: when it was started.
        listed_ns: when its worker last said that it runs, or ``started_ns``.
        progress_bytes: of input, as its worker says.
        progress_ns: when that number last rose, or ``started_ns``.
        is_speculative: another attempt ran when it was started.
        cursors: for each stage that it reads, how much of that stage's log of outputs it was told of.
    """

    __slots__ = (
        "cursors", "id", "is_speculative", "listed_ns", "progress_bytes", "progress_ns", "stage", "started_ns",
        "state", "worker",
    )  # fmt: skip

    def __init__(self, name: AttemptId, stage: Stage, worker: Worker, now_ns: int, is_speculative: bool) -> None:
        self.id, self.stage, self.worker = name, stage, worker
        self.state = RUN
        self.started_ns = self.listed_ns = self.progress_ns = now_ns
        self.progress_bytes = 0
        self.is_speculative = is_speculative
        self.cursors: list[int] | None = None
