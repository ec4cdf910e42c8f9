"""The single door to a task: ``run_task(spec, env)``."""

from __future__ import annotations

from mrcore.engine.combiner import Combiner, Scheme
from mrcore.engine.indexer import Indexer
from mrcore.engine.map_task import run_map
from mrcore.engine.reduce_task import run_reduce
from mrcore.engine.spec import Disk, MapSpec, TaskResult, TaskSpec
from mrcore.errors import BudgetError
from mrcore.storage.budget import DiskBudget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class TaskEnv:
    """What a process keeps from task to task, and whom a task tells how far it is.

    Args:
        progress: called with bytes of input consumed, at least every few MiB; may raise to
            stop the task.
    """

    def __init__(self, progress: Callable[[int], None] = lambda count: None) -> None:
        self.progress = progress
        self._kept: Combiner | Indexer | None = None
        self._budgets: dict[bytes, DiskBudget] = {}

    def take(self, kind: type[Combiner] | type[Indexer], scheme: Scheme) -> Combiner | Indexer:
        """An empty combiner or indexer, its memory used before if possible. Give it back only when it is sound."""
        kept, self._kept = self._kept, None
        return kept if isinstance(kept, kind) and kept.scheme == scheme else kind(scheme)

    def give(self, sink: Combiner | Indexer) -> None:
        """Returns one for the next task."""
        self._kept = sink

    def drop(self) -> None:
        """Lets the memory of map tasks go: a reduce task begins."""
        self._kept = None

    def disk(self, disk: Disk | None) -> DiskBudget | None:
        """The job's disk budget."""
        if disk is None:
            return None
        if disk.counter not in self._budgets:
            self._budgets[disk.counter] = DiskBudget(disk.counter, disk.limit)
        return self._budgets[disk.counter]


def run_task(spec: TaskSpec, env: TaskEnv) -> TaskResult:
    """Runs one attempt to its end: its output file is written and synced when this returns.

    On any error the attempt's file is gone and the error is an
    :class:`~mrcore.errors.MrcoreError`, unless it is a bug.
    """
    try:
        return run_map(spec, env) if isinstance(spec, MapSpec) else run_reduce(spec, env)
    except MemoryError as error:
        kind = "map" if isinstance(spec, MapSpec) else "reduce"
        raise BudgetError(f"out of memory: {kind} task {spec.task}: lower --memory or -j") from error
