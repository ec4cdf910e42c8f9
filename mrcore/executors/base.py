"""What every executor offers, and errors on their way from a worker to the caller."""

from __future__ import annotations

from typing import Protocol

from mrcore import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.spec import TaskResult, TaskSpec


class Executor(Protocol):
    """Runs tasks, each once; the first error ends the job.

    The user of an executor enters it as a context: leaving it stops whatever still runs, and
    when it is left no process or thread of it remains.
    """

    workers: int

    def run(
        self, specs: Sequence[TaskSpec], progress: Callable[[int], None], *, ahead: bool = False,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[TaskResult]:  # fmt: skip
        """Runs the tasks and yields results as they come, in any order.

        Args:
            specs: the tasks, started in this order.
            progress: called in this process with bytes of input consumed since the last call.
            ahead: give a worker its next task before it asks, for a caller that is busy
                between results.
            noted: called in this process with what users' functions say: kind and text.

        Raises:
            MrcoreError: what the first failing task raised, or WorkerLostError.
        """
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
