"""Runs tasks in the calling process, one after the other."""

from __future__ import annotations

import contextlib
import os
from collections import Counter

from mrcore.engine.spec import placed
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import BadRecordError, UserCodeError
from mrcore.wire.output_names import published_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mrcore.engine.spec import TaskResult, TaskSpec
    from mrcore.executors.base import Step
    from mrcore.storage.budget import DiskBudget


class Inline:
    """No worker processes: for small input, for debugging, and as the contract's yardstick.

    A task is tried once, or where a record may be skipped as often as that takes. Nothing survives the process.

    Args:
        folder: where outputs go.
        disk: the budget that they are counted in.
        skip_bad: records of the job that may be passed over once they have failed twice.
    """

    workers = 0

    def __init__(self, folder: bytes, disk: DiskBudget | None = None, *, skip_bad: int = 0) -> None:
        self._folder, self._disk = folder, disk
        self._skips_left = skip_bad
        self._steps = 0

    def run(
        self,
        step: Step,
        progress: Callable[[int], None] = lambda count: None,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[tuple[int, TaskResult]]:
        """See :meth:`mrcore.executors.base.Executor.run`."""
        name, self._steps = f"i{self._steps}", self._steps + 1
        env = TaskEnv(progress, noted)
        first: list[TaskResult] = []
        for spec in step.tasks:
            first.append(self._run(spec, self._path(name, 0, spec.task), (), env))
            yield 0, first[-1]
        if step.merge is None:
            return
        runs = tuple(result.output for result in first)
        for spec in step.merge.specs(first):
            yield 1, self._run(spec, self._path(name, 1, spec.task), runs, env)
        for result in first if not step.keep else ():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(result.output)
            if self._disk is not None:
                self._disk.give(result.bytes_out)

    def _run(self, spec: TaskSpec, path: bytes, runs: tuple[bytes, ...], env: TaskEnv) -> TaskResult:
        failed: Counter[tuple[bytes, int]] = Counter()
        env.skip = ()
        while True:
            try:
                return run_task(placed(spec, path, runs), env)
            except (UserCodeError, BadRecordError) as error:
                if error.record is None or not self._skips_left:
                    raise
                failed[error.record] += 1
                if failed[error.record] > 1:
                    env.skip = (*env.skip, error.record)
                    self._skips_left -= 1

    def _path(self, name: str, stage: int, task: int) -> bytes:
        return os.path.join(self._folder, published_name(name, stage, task).encode())

    def grow(self, workers: int) -> None:
        """It has none."""

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: object) -> None:
        return None
