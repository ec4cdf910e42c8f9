"""The executor ``process``: worker processes on this machine, driven by a coordinator with a journal.

Each step of a job has a coordinator and a journal of its own, in the job's work directory if that survives a crash,
else in memory. Who drives the job is run again after a crash and asks for the same steps in the same order: what the
journals know, and the disk still has, is not run again (docs/design/0013-steps.md).
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import shutil
import threading
import time
from typing import Any, NamedTuple

from mrcore.engine.spec import PythonMapSpec, PythonReduceSpec
from mrcore.errors import CorruptionError, InputError, MrcoreError, WorkerLostError
from mrcore.executors.unix_socket import listen
from mrcore.executors.worker_process import check_not_worker, environment
from mrcore.runtime.coordinator import Settings
from mrcore.runtime.local_cluster import LocalCluster, Surroundings, local_cluster
from mrcore.runtime.local_crew import Means
from mrcore.runtime.local_step import LocalStep
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.events import LossReason
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.storage.disk import RealDisk
from mrcore.storage.files import publish, writing
from mrcore.storage.memory_disk import MemoryDisk
from mrcore.storage.partfile import file_check
from mrcore.storage.workdir import temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.spec import TaskResult, TaskSpec
    from mrcore.executors.base import Step
    from mrcore.runtime.local_timeline import Timeline
    from mrcore.runtime.plan import Faults
    from mrcore.runtime.step_tasks import StepTasks
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.storage.budget import DiskBudget
    from mrcore.storage.disk import Disk

_MS = 1_000_000
SCHEDULER = SchedulerConfig(
    lease_ns=10_000 * _MS,
    heartbeat_ns=500 * _MS,
    speculation_interval_ns=250 * _MS,
    speculation_started_ns=500 * _MS,
)
"""Of processes of one machine, whose word is never long under way."""

REPAIRS_MAX = 3
"""How often a step is tried again because an output of an earlier one could not be read, and was made again."""

_STOP_S = 5.0
_LOOK_S = 1.0
"""How often who waits for the cluster's thread sees whether it is still there."""


class Place(NamedTuple):
    """Where a job's files are.

    Attributes:
        folder: of its outputs and, if it is durable, its journals; exists.
        tmp: for what does not fit there.
        disk: the budget of intermediate files.
        durable: what is there survives a crash, and is gone on with.
        adopt: finds a final output that a commit of the job had already moved on: its path, by step and task.
    """

    folder: bytes
    tmp: bytes
    disk: DiskBudget | None = None
    durable: bool = False
    adopt: Callable[[str, int], bytes | None] = lambda step, task: None


class LocalExecutor:
    """See :class:`mrcore.executors.base.Executor`.

    Args:
        workers: processes at a time.
        place: where files are.
        faults: what is done about failures.
        memory_bytes: that an attempt may hold, for placement; 0: not told.
        cpu: processors that an attempt takes.
        timeline: that is told what happens.
        changed: called in the calling thread with processes at work, and attempts that failed so far.
    """

    def __init__(
        self, workers: int, place: Place, faults: Faults, timeline: Timeline, *, memory_bytes: int = 0, cpu: float = 1,
        changed: Callable[[int, int], None] = lambda workers, failed: None,
    ) -> None:  # fmt: skip
        check_not_worker()
        self.workers = workers
        self._place, self._faults, self._timeline = place, faults, timeline
        self._memory_bytes, self._cpu, self._changed = memory_bytes, cpu, changed
        self._cluster: LocalCluster = local_cluster()
        self._token = os.urandom(32)
        self._stack = contextlib.ExitStack()
        self._steps: list[tuple[str, Step]] = []  # those that are done
        self._memory: dict[str, MemoryDisk] = {}  # their journals, where these are not on the disk
        self._skipped: dict[str, int] = {}  # records that were passed over, by step
        self._current: LocalStep | None = None
        self._socket_folder = b""
        self._listener: Any = None

    def __enter__(self) -> LocalExecutor:
        with contextlib.ExitStack() as undo:
            try:
                self._listener = listen(self._place.folder)
                self._socket_folder = self._place.folder
            except OSError:  # a file system without sockets
                work = undo.enter_context(temporary(self._place.tmp))
                with writing(work.path):
                    self._listener = listen(work.path)
                self._socket_folder = work.path
            undo.callback(self._listener.close)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._leave(kill=True)
        except Exception:
            if error[0] is None:  # else what is on its way says more
                raise
        finally:
            self._stack.close()
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._socket_folder, b"socket"))

    def grow(self, workers: int) -> None:
        """See :meth:`mrcore.executors.base.Executor.grow`."""
        self.workers = max(self.workers, workers)

    def run(
        self,
        step: Step,
        progress: Callable[[int], None] = lambda count: None,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[tuple[int, TaskResult]]:
        """See :meth:`mrcore.executors.base.Executor.run`."""
        number = len(self._steps)
        told: set[tuple[int, int]] = set()
        for repair in range(REPAIRS_MAX + 1):
            name = f"p{number}" + (f"r{repair}" if repair else "")
            try:
                for stage, result in self._run(name, step, progress, noted):
                    if (stage, result.task) not in told:
                        told.add((stage, result.task))
                        yield stage, result
                self._steps.append((name, step))
                return
            except (CorruptionError, InputError):  # damaged, or gone: perhaps of an earlier step
                if repair == REPAIRS_MAX or not self._repair():
                    raise

    def _repair(self) -> bool:
        """Has outputs of earlier steps made again that cannot be read; whether there were any."""
        found = False
        for name, step in self._steps:
            opened = self._open(name, step)
            try:
                lost = self._lost_outputs(opened)
            finally:
                opened.stop(kill=True)
            if lost:
                found = True
                for _ in self._run(name, step, lambda count: None, lambda kind, text: None):
                    pass
        return found

    # ---- one step ---------------------------------------------------------------------------

    def _run(
        self, name: str, step: Step, progress: Callable[[int], None], noted: Callable[[str, str], None]
    ) -> Iterator[tuple[int, TaskResult]]:
        current = self._current = self._open(name, step)
        coordinator, tasks = current.coordinator, current.tasks
        ledger = coordinator.scheduler.ledger
        try:
            self._begin(current, step)
            left = len(step.tasks) + (step.merge.tasks if step.merge is not None else 0)
            if tasks.is_done(ledger):  # of the first half only what is remembered may be left
                left = len(tasks.results)
            else:
                processes = self._processes(step)
                self._cluster.soon(lambda: current.start(self._listener, processes))
            while left:
                kind, what = self._hear(current)
                match kind, what:
                    case "result", (stage, result):
                        left -= 1
                        yield stage, result
                    case "consumed", count:
                        progress(count)
                    case "noted", (note, text):
                        noted(note, text)
                    case "crew", (workers, failed):
                        self._changed(workers, failed)
                    case "failed", error:
                        raise error
        except BaseException:
            with contextlib.suppress(Exception):  # what is on its way says more
                self._leave(kill=True)
            raise
        self._skipped[name] = ledger.jobs[name].skipped
        self._leave(kill=False)
        if not step.keep:
            self._remove(tasks.inputs_left())

    def _begin(self, current: LocalStep, step: Step) -> None:
        """Has the coordinator know the step, and what of it is lost; tells what is done."""
        coordinator, tasks = current.coordinator, current.tasks
        now_ns = time.monotonic_ns()
        for attempt, why in self._lost_outputs(current):
            coordinator.report_lost(attempt, why, now_ns)
        # Who goes on may want more attempts than who began.
        coordinator.submit(tasks.name, self._stages(step), self._options(tasks), b"", now_ns)
        coordinator.flush(now_ns)
        self._timeline.phase_began(step.name, tasks.name, 0, len(step.tasks))
        if step.merge is not None:
            self._timeline.phase_began(step.merge.name, tasks.name, 1, step.merge.tasks)
        tasks.tell_known(coordinator.scheduler.ledger)

    def _open(self, name: str, step: Step) -> LocalStep:
        """The step with its journal, in which it may be known."""
        means = Means(
            self._place.folder, self._socket_folder, self._token, self._memory_bytes, math.ceil(self._cpu),
            Surroundings(environment(), _places(step)), self._timeline,
        )  # fmt: skip
        settings = Settings(
            self._token, lambda: os.urandom(32), int.from_bytes(os.urandom(8), "big"), SCHEDULER, strangers_max=1024
        )
        disk: Disk = self._memory.setdefault(name, MemoryDisk())
        if self._place.durable:
            folder = os.path.join(self._place.folder, b"journal-" + name.encode())
            with writing(folder):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700)
                disk = RealDisk(folder)
        opened = LocalStep(self._cluster, means, name, step, self._place.disk, disk, settings)
        if not opened.is_given_up:
            self._sweep(name, {result.output for result in opened.tasks.results.values()})
            return opened
        opened.stop(kill=True)
        self._memory.pop(name)
        if self._place.durable:
            shutil.rmtree(folder)
        return self._open(name, step)

    def _processes(self, step: Step) -> int:
        most = max(len(step.tasks), step.merge.tasks if step.merge is not None else 0)
        return max(1, min(self.workers, most))

    def _stages(self, step: Step) -> tuple[StageSpec, ...]:
        memory, cpu = self._memory_bytes, int(self._cpu * 1000)
        sizes = tuple([_bytes_of(spec) for spec in step.tasks])
        stages = [StageSpec(len(step.tasks), (), memory, cpu, sizes)]
        if step.merge is not None:
            stages.append(StageSpec(step.merge.tasks, (0,), memory, cpu))
        return tuple(stages)

    def _options(self, tasks: StepTasks) -> JobOptions:
        faults = self._faults
        return JobOptions(
            attempts_max=faults.attempts_max,
            backoff_ns=200 * _MS,
            backoff_ns_max=10_000 * _MS,
            skip_bad_max=max(0, faults.skip_bad - sum(self._skipped.values())),
            speculate=faults.speculate and not tasks.is_stream,  # a second attempt would have nothing to read
            timeout_ns=int(faults.timeout_s * 1e9),
            hold=True,
        )

    def _lost_outputs(self, current: LocalStep) -> list[tuple[AttemptId, LossReason]]:
        """Committed outputs that are not there any more, or not what they were. Reads them all."""
        lost = []
        for attempt, path, size, check in current.tasks.outputs(current.coordinator.scheduler.ledger):
            if not check and not size:
                continue  # a number that stands in the result
            if not os.path.lexists(path):
                moved = self._place.adopt(attempt.job, attempt.task)
                if moved is not None and _is_as_written(moved, size, check):
                    publish(moved, path)
            if not os.path.lexists(path):
                lost.append((attempt, LossReason.MISSING))
            elif not _is_as_written(path, size, check):
                lost.append((attempt, LossReason.CORRUPT))
        return lost

    def _leave(self, *, kill: bool) -> None:
        """Has the step's processes stopped or set free, and waits for that."""
        current = self._current
        if current is None:
            return
        done = threading.Event()
        wrong: list[Exception] = []

        def stop() -> None:
            try:
                current.stop(kill=kill)
            except Exception as error:  # a defect: of this job, and not of others that live on the thread
                wrong.append(error)
            finally:
                done.set()

        self._cluster.soon(stop)
        until = time.monotonic() + _STOP_S
        while not done.wait(_LOOK_S) and self._cluster.is_alive:  # a slow disk may take its time, where nothing failed
            if kill and time.monotonic() > until:
                self._current = None
                raise WorkerLostError("worker processes do not end: the system does not end them: see ps")
        self._current = None  # not before: a signal may have come while we waited, and who leaves then waits again
        if wrong:
            raise wrong[0]

    def _hear(self, current: LocalStep) -> tuple[str, Any]:
        """What the step says next.

        Raises:
            MrcoreError: there is no thread any more that could say something.
        """
        while True:
            is_alive = self._cluster.is_alive
            try:
                return current.inbox.get(timeout=_LOOK_S)
            except queue.Empty:
                if not is_alive:
                    raise MrcoreError("the thread that minds worker processes has ended: run the job again") from None

    def _remove(self, paths: Sequence[bytes]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                size = os.path.getsize(path)
                os.unlink(path)
                if self._place.disk is not None:
                    self._place.disk.give(size)

    def _sweep(self, name: str, known: set[bytes]) -> None:
        """Files of a step that its journal does not know are nobody's: of attempts that a crash cut off."""
        start, folder = name.encode() + b".", self._place.folder
        found = [os.path.join(folder, entry) for entry in os.listdir(folder) if entry.startswith(start)]
        self._remove([path for path in found if path not in known])


def _is_as_written(path: bytes, size: int, check: int) -> bool:
    try:
        return os.path.getsize(path) == size and file_check(path) == (size, f"{check:016x}")
    except (OSError, InputError):
        return False


def _bytes_of(spec: TaskSpec) -> int:
    return sum(max(0, span.stop - span.start) for span in getattr(spec, "spans", ()))


def _places(step: Step) -> tuple[bytes, ...] | None:
    """Where users' modules come from; None if there is no function of theirs."""
    for spec in step.tasks:
        if isinstance(spec, PythonMapSpec | PythonReduceSpec):
            return spec.code.places
    return None
