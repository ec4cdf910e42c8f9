"""The single door to a task: ``run_task(spec, env)``."""

from __future__ import annotations

from mrcore.engine.map_task import run_map
from mrcore.engine.reduce_task import run_reduce
from mrcore.engine.spec import MapSpec, TaskResult, TaskSpec
from mrcore.errors import BudgetError
from mrcore.kernels.table import CountTable

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
        self._tables: dict[tuple[str, bool], CountTable] = {}

    def take_table(self, tokenizer: str, lower: bool) -> CountTable:
        """An empty table, its memory used before if possible. Give it back only when it is sound."""
        return self._tables.pop((tokenizer, lower), None) or CountTable(tokenizer, lower)

    def give_table(self, tokenizer: str, lower: bool, table: CountTable) -> None:
        """Returns a table for the next task."""
        table.clear()
        self._tables[tokenizer, lower] = table


def run_task(spec: TaskSpec, env: TaskEnv) -> TaskResult:
    """Runs one attempt to its end: its output file is written and synced when this returns.

    On any error the attempt's file is gone and the error is an
    :class:`~mrcore.errors.MrcoreError`, unless it is a bug.
    """
    try:
        return run_map(spec, env) if isinstance(spec, MapSpec) else run_reduce(spec, env)
    except MemoryError as error:
        kind = "map" if isinstance(spec, MapSpec) else "reduce"
        raise BudgetError(f"out of memory: {kind} task {spec.task}: lower -j, or --split") from error
