"""Runs tasks in the calling process, one after the other."""

from __future__ import annotations

import os

from mrcore.engine.task import TaskEnv, run_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.spec import TaskResult, TaskSpec


class Inline:
    """No worker processes: for small input, for debugging, and as the contract's yardstick."""

    workers = 0

    def run(
        self, specs: Sequence[TaskSpec], progress: Callable[[int], None], *, ahead: bool = False,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[TaskResult]:  # fmt: skip
        """See :meth:`mrcore.executors.base.Executor.run`."""
        env = TaskEnv(progress, noted)
        own = os.getpid()
        for spec in specs:
            try:
                result = run_task(spec, env)
            finally:
                if os.getpid() != own:  # a user's function forked, and its child came back out of it
                    os._exit(1)
            yield result

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: object) -> None:
        return None
