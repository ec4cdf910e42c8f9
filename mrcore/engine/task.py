"""The single door to a task: ``run_task(spec, env)``."""

from __future__ import annotations

from mrcore.engine.map_task import run_map
from mrcore.engine.reduce_task import run_reduce
from mrcore.engine.spec import Disk, MapSpec, PythonMapSpec, PythonReduceSpec, ReduceSpec, TaskResult, TaskSpec
from mrcore.errors import BudgetError
from mrcore.storage.budget import DiskBudget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Protocol, TypeVar

    from mrcore.engine.record_page import Record, RecordPage

    class Kept(Protocol):
        """What holds memory that the next task can use, if its scheme is the same."""

        @property
        def scheme(self) -> object: ...

    K = TypeVar("K", bound=Kept)
    S = TypeVar("S")


class TaskEnv:
    """What a process keeps from task to task, and whom a task tells how far it is.

    Args:
        progress: called with bytes of input consumed, at least every few MiB; may raise to
            stop the task.
        note: called with a kind, ``log`` or ``status``, and a text of the user's function.
        skip: the names of records that a task of users' functions passes over (:mod:`mrcore.engine.record_page`).
        page: where such a task names the record at work.

    Attributes:
        skip, page: may be set before each task.
        slot: the process's, in the disk budgets of its jobs (:mod:`mrcore.storage.budget`).
    """

    def __init__(
        self,
        progress: Callable[[int], None] = lambda count: None,
        note: Callable[[str, str], None] = lambda kind, text: None,
        skip: Collection[Record] = (),
        page: RecordPage | None = None,
    ) -> None:
        self.progress, self.note, self.skip, self.page = progress, note, skip, page
        self._kept: Kept | None = None
        self.slot = 0
        self._budgets: dict[tuple[bytes, int], DiskBudget] = {}

    def take(self, kind: Callable[[S], K], scheme: S) -> K:
        """An empty combiner or the like, its memory used before if possible. Give it back only when it is sound."""
        kept, self._kept = self._kept, None
        if kept is not None and type(kept) is kind and kept.scheme == scheme:
            return kept  # type: ignore[return-value]  # it is a K: `kind` is its class
        del kept  # before another one takes as much
        return kind(scheme)

    def give(self, sink: Kept) -> None:
        """Returns one for the next task."""
        self._kept = sink

    def drop(self) -> None:
        """Lets the memory of map tasks go: a reduce task begins."""
        self._kept = None

    def disk(self, disk: Disk | None) -> DiskBudget | None:
        """The job's disk budget."""
        if disk is None:
            return None
        at = disk.counter, self.slot
        if at not in self._budgets:
            self._budgets[at] = DiskBudget(disk.counter, disk.limit, self.slot)
        return self._budgets[at]


def run_task(spec: TaskSpec, env: TaskEnv) -> TaskResult:
    """Runs one attempt to its end: its output file is written and synced when this returns.

    On any error the attempt's file is gone and the error is an
    :class:`~mrcore.errors.MrcoreError`, unless it is a bug.
    """
    if (disk := env.disk(spec.disk)) is not None:
        disk.begin()
    try:
        return _run(spec, env)
    except MemoryError as error:
        kind = "map" if isinstance(spec, MapSpec | PythonMapSpec) else "reduce"
        raise BudgetError(f"out of memory: {kind} task {spec.task}: lower --memory or -j") from error


def _run(spec: TaskSpec, env: TaskEnv) -> TaskResult:
    if isinstance(spec, MapSpec):
        return run_map(spec, env)
    if isinstance(spec, ReduceSpec):
        return run_reduce(spec, env)
    if isinstance(spec, PythonMapSpec):  # loaded for those who want it: a native job's start is a figure
        from mrcore.engine.python_map import run_python_map

        return run_python_map(spec, env)
    assert isinstance(spec, PythonReduceSpec)
    from mrcore.engine.python_reduce import run_python_reduce

    return run_python_reduce(spec, env)
