"""What every executor offers: steps of tasks in, results out, files under names of the executor's.

A step is a set of tasks, and perhaps a second set that merges what the first one leaves. Who drives a job gives one
step after the other; how often a task is tried, where, and what becomes of one whose process dies is the executor's
affair. The suite :mod:`mrcore.testing.executor_contract` says what all of them keep.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mrcore import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.spec import TaskResult, TaskSpec


class Merge(NamedTuple):
    """The second half of a step: each of its tasks reads what all tasks of the first half wrote.

    Attributes:
        name: for people: ``reduce``.
        tasks: how many there are.
        specs: makes them, of the first half's results in task order. Their ``output`` and ``runs`` are empty: the
            executor fills them in. Called once, in any thread; a MrcoreError that it raises is the step's.
    """

    name: str
    tasks: int
    specs: Callable[[Sequence[TaskResult]], Sequence[TaskSpec]]


class Step(NamedTuple):
    """Tasks to run.

    Attributes:
        name: for people: ``map``.
        tasks: each with another number, their ``output`` empty.
        merge: the second half, if there is one.
        keep: what the first half wrote stays when the step is done, and is the caller's to remove.
    """

    name: str
    tasks: Sequence[TaskSpec]
    merge: Merge | None = None
    keep: bool = False


class Executor(Protocol):
    """Runs steps for one job.

    The user of an executor enters it as a context: leaving it stops whatever still runs, and when it is left nothing
    runs for this job any more. Steps are run one at a time, each to its end, unless the job is over.
    """

    @property
    def workers(self) -> int:
        """Processes at work at a time; 0: only the calling one."""
        ...

    def run(
        self,
        step: Step,
        progress: Callable[[int], None] = lambda count: None,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[tuple[int, TaskResult]]:
        """Runs a step; yields (0, result) of each task, in any order, then (1, result) of each one of its second half.

        Each task is yielded once, from an attempt that counts, and its ``output`` is the file's final name, which no
        other attempt touches.

        Args:
            step: what to run.
            progress: called in the calling thread with bytes of input consumed since the last call, about.
            noted: called in the calling thread with what users' functions say: kind and text.

        Raises:
            MrcoreError: of the failure that ended the job: a task's own error, WorkerLostError, JobCancelledError.
        """
        ...

    def grow(self, workers: int) -> None:
        """Lets it have so many processes from now on, if that is more than it has and it can."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, *error: object) -> None: ...


def error_of(name: str, text: str, traceback: str, user_traceback: str = "") -> errors.MrcoreError:
    """The error that a worker reported, to be raised here."""
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, errors.MrcoreError):
        error = kind(text)
    else:
        error = errors.MrcoreError(f"a task failed by a defect of mrcore: {text}: run again with -v and report it")
    if isinstance(error, errors.UserCodeError):
        error.user_traceback = user_traceback
        error.add_note(user_traceback or traceback)
    else:
        error.add_note(traceback)
    return error
