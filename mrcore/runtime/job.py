"""Runs one job: plan, map, reduce, commit.

The data's way: inputs are cut into splits; each map task counts its split's keys into a
run file with sorted segments for each partition; each reduce task merges its partition of all run
files into lines; the sink publishes them. Records never pass through this process, but for the
best lines of each partition where a top is asked for: it hands out specs and renames files.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import time
from typing import NamedTuple

from mrcore.engine.sampling import plan_splitters
from mrcore.engine.spec import Disk, MapSpec, ReduceSpec, TaskResult
from mrcore.executors.inline import Inline
from mrcore.formats.inputs import shown_name
from mrcore.runtime.jobs import IndexJob, Job
from mrcore.runtime.plan import Options, Plan, plan_job, plan_reduce
from mrcore.storage.budget import DiskBudget
from mrcore.storage.documents import write_documents
from mrcore.storage.files import publish
from mrcore.storage.partfile import PartWriter
from mrcore.storage.workdir import default_tmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from mrcore.executors.base import Executor
    from mrcore.runtime.sinks import Sink
    from mrcore.storage.workdir import WorkDir

    class Planned(Protocol):
        """What is known of a job that is about to start."""

        @property
        def input_bytes(self) -> int: ...


class JobResult(NamedTuple):
    """What a job did and where its output is."""

    outputs: tuple[str, ...]
    counters: dict[str, int]
    seconds: dict[str, float]  # by phase: plan, map, reduce, total
    plan: Plan
    parts: tuple[TaskResult, ...]
    used: dict[str, int]  # memory_peak: the most that a task held; tmp_peak: the most bytes of intermediate files
    distinct: int | None = None  # of a DistinctJob

    def read(self) -> Iterator[tuple[bytes, int]]:
        """The ``(word, count)`` pairs of the output files, part after part."""
        for path in self.outputs:
            with open(path, "rb") as file:
                yield from read_lines(file)


class Observer:
    """Told how a job goes; the methods do nothing here."""

    def planned(self, plan: Planned) -> None:
        """The job is about to start."""

    def phase(self, name: str, tasks: int) -> None:
        """A phase begins: ``map`` or ``reduce``."""

    def consumed(self, count: int) -> None:
        """So many more bytes of input were mapped."""

    def noted(self, kind: str, text: str) -> None:
        """A user's function said something: a line for the ``log``, or its ``status``."""

    def finished(self, result: TaskResult) -> None:
        """A task of the current phase is done."""


def read_lines(lines: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Parses ``word TAB count`` lines."""
    for line in lines:
        word, _, count = line.rpartition(b"\t")
        yield word, int(count)


def run_job(job: Job, options: Options, sink: Sink, observer: Observer | None = None) -> JobResult:
    """Runs a job and commits its output to ``sink``.

    When this raises, nothing of the output stands and no process or work file is left.

    Raises:
        MrcoreError: of the kind that says whose fault it is.
    """
    observer = observer or Observer()
    clock = Clock()
    plan = plan_job(job, options, ordered=sink.ordered)
    observer.planned(plan)
    with contextlib.ExitStack() as stack:
        stack.push(lambda kind, *_: sink.abandon() if kind else None)  # after the work directory is gone
        work = stack.enter_context(sink.open(options.tmp or default_tmp()))
        disk = stack.enter_context(contextlib.closing(DiskBudget.create(work.file("disk"), plan.tmp_limit)))
        executor = stack.enter_context(executor_for(plan.workers, max(len(plan.splits), plan.partitions)))
        run = _Run(job, plan, work, disk, executor, sink, observer)
        clock.lap("plan")
        maps = run.map()
        plan = run.plan  # the sample may have found fewer keys to part at than were wished for
        clock.lap("map")
        run.plan = plan_reduce(job, options, plan, sum(result.bytes_in for result in maps))
        if run.plan.workers != plan.workers:
            plan = run.plan
            run.executor = stack.enter_context(executor_for(plan.workers, max(len(plan.splits), plan.partitions)))
        parts = run.sketch(maps) if job.make == "sketch" else run.reduce(maps)
        clock.lap("reduce")
        reducers = plan.partitions if job.top is None and job.emit != "nothing" else 1
        outputs = sink.commit(job.describe() | {"reducers": reducers})
        used = {"memory_peak": max((task.memory for task in (*maps, *parts)), default=0), "tmp_peak": disk.peak}
    clock.lap("commit")
    return JobResult(
        tuple(os.fsdecode(path) for path in outputs), run.counters(maps, parts), clock.seconds(), plan, tuple(parts),
        used, run.distinct,
    )  # fmt: skip


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """What passed since the last lap belongs to this phase."""
        now = time.monotonic()
        self._laps[name] = self._laps.get(name, 0.0) + now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """The phases and the total."""
        return self._laps | {"total": self._last - self._start}


def executor_for(workers: int, tasks: int) -> Executor:
    """What runs so many tasks with so many workers at most; 0: this process."""
    if workers == 0:
        return Inline()
    from mrcore.executors.process import ProcessPool

    return ProcessPool(max(1, min(workers, tasks)))


class _Run:
    """One run of a planned job; its phases share what is here."""

    def __init__(
        self, job: Job, plan: Plan, work: WorkDir, disk: DiskBudget, executor: Executor, sink: Sink, observer: Observer
    ) -> None:
        self.job, self.plan, self.work, self.executor, self.sink, self.observer = (
            job, plan, work, executor, sink, observer,
        )  # fmt: skip
        self.distinct: int | None = None
        self._budget = disk
        self._disk = Disk(disk.path, plan.tmp_limit)
        self._merged: dict[str, int] = {}

    def map(self) -> list[TaskResult]:
        """Runs the map tasks; results in task order, their files under their final names."""
        job, plan = self.job, self.plan
        splitters = None
        if plan.ordered and not plan.choose:
            splitters = plan_splitters(plan.inputs, plan.partitions, job.keys)
            self.plan = plan = plan._replace(partitions=len(splitters) + 1)
        specs = [
            MapSpec(
                task, self.work.file(f"map-{task:05d}.attempt-0"), spans, job.keys, plan.partitions, splitters,
                plan.share, job.make, self._disk, choose=plan.choose,
            )
            for task, spans in enumerate(plan.splits)
        ]  # fmt: skip
        self.observer.phase("map", len(specs))
        results = []
        for result in self.executor.run(specs, self.observer.consumed):
            final = self.work.file(f"map-{result.task:05d}.run")
            publish(result.output, final)
            results.append(_moved(result, final))
            self.observer.finished(result)
        if plan.choose:
            self.plan = plan._replace(partitions=len(results[0].splitters or ()) + 1)
        return sorted(results, key=lambda result: result.task)

    def reduce(self, maps: Sequence[TaskResult]) -> list[TaskResult]:
        """Runs the reduce tasks and gives the parts to the sink; in partition order."""
        job, sink = self.job, self.sink
        documents = b""
        if isinstance(job, IndexJob):
            documents = self.work.file("documents")
            write_documents(documents, (shown_name(source.path) for source in self.plan.inputs))
        runs = tuple(result.output for result in maps if result.records_out)
        passed_on = sink.ordered or job.top is not None
        specs = [
            ReduceSpec(
                p, self.work.file(f"part-{p:05d}.attempt-0"), runs, self.plan.share, job.emit, job.min_count, job.top,
                documents, self._disk, passed_on, sync=sink.durable and not passed_on,
            )
            for p in range(self.plan.partitions)
        ]  # fmt: skip
        self.observer.phase("reduce", len(specs))
        results: dict[int, TaskResult] = {}
        taken = 0
        for result in self.executor.run(specs, lambda count: None, ahead=sink.ordered):
            results[result.task] = result
            self.observer.finished(result)
            while job.top is None and job.emit != "nothing" and taken in results:  # in order, as soon as they are there
                self._take(results[taken])
                taken += 1
        parts = [results[p] for p in range(self.plan.partitions)]
        self._merged = {
            "merge_passes": max((part.passes for part in parts), default=0),
            "merged_bytes": sum(part.merged_bytes for part in parts),
        }
        if job.emit == "nothing":
            self.distinct = sum(part.records_out for part in parts)
            return [self._take_number(self.distinct)]
        if job.top is not None:
            parts = [self._top(parts, job.top)]
            sink.take(parts[0])
        return parts

    def sketch(self, maps: Sequence[TaskResult]) -> list[TaskResult]:
        """Merges the tasks' sketches and gives the estimate to the sink."""
        from mrcore.engine.sketch import merge_sketches

        self.distinct = round(merge_sketches(maps).estimate())
        return [self._take_number(self.distinct)]

    def _take(self, part: TaskResult) -> None:
        """Gives a part to the sink; a sink that copies it does not need it any more."""
        self.sink.take(part)
        if self.sink.ordered:
            os.unlink(part.output)
            self._budget.give(part.bytes_out)

    def _take_number(self, number: int) -> TaskResult:
        """Gives a part with one number to the sink."""
        with PartWriter(self.work.file("number"), sync=self.sink.durable) as part:
            part.write(b"%d\n" % number)
        result = TaskResult(0, part.path, 0, part.size, 0, 1, part.check)
        self.sink.take(result)
        return result

    def _top(self, parts: list[TaskResult], top: int) -> TaskResult:
        """The best of each partition's best."""
        best: list[tuple[bytes, int]] = []
        for part in parts:
            with open(part.output, "rb") as file:
                both = heapq.merge(best, read_lines(file), key=lambda pair: (-pair[1], pair[0]))
                best = list(itertools.islice(both, top))
        with PartWriter(self.work.file("top"), sync=self.sink.durable) as written:
            for first in range(0, len(best), 10_000):
                written.write(b"".join(b"%s\t%d\n" % pair for pair in best[first : first + 10_000]))
        read = sum(part.bytes_out for part in parts)
        records = sum(part.records_in for part in parts)
        return TaskResult(0, written.path, read, written.size, records, len(best), written.check)

    def counters(self, maps: Sequence[TaskResult], parts: Sequence[TaskResult]) -> dict[str, int]:
        """What the job did, exactly."""
        return {
            "bytes_in": sum(result.bytes_in for result in maps),
            "tokens": sum(result.tokens for result in maps),
            "map_tasks": len(maps),
            "map_records": sum(result.records_out for result in maps),
            "map_bytes": sum(result.bytes_out for result in maps),
            "spills": sum(result.spills for result in maps),
            "reduce_tasks": 0 if self.job.make == "sketch" else self.plan.partitions,
            **self._merged,
            "records_out": sum(part.records_out for part in parts),
            "bytes_out": sum(part.bytes_out for part in parts),
        }


def _moved(result: TaskResult, output: bytes) -> TaskResult:
    import msgspec

    return msgspec.structs.replace(result, output=output)
