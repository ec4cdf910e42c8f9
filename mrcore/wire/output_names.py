"""The name of the file that an attempt writes: the attempt's own, and no other's.

``JOB.STAGE.TASK.ATTEMPT``; once the attempt is committed and nobody but the job's user reads it, ``JOB.STAGE.TASK``.
"""

from __future__ import annotations

from typing import Protocol


class Attempt(Protocol):
    """What names an attempt, here and in the scheduler."""

    @property
    def job(self) -> str: ...

    @property
    def stage(self) -> int: ...

    @property
    def task(self) -> int: ...

    @property
    def attempt(self) -> int: ...


def output_name(attempt: Attempt) -> str:
    """The name of the file that an attempt writes."""
    return f"{attempt.job}.{attempt.stage}.{attempt.task}.{attempt.attempt}"


def published_name(job: str, stage: int, task: int) -> str:
    """The name of a task's output that is committed, whichever attempt wrote it."""
    return f"{job}.{stage}.{task}"
