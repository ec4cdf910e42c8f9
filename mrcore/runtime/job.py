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
from mrcore.executors.base import Merge, Step
from mrcore.formats.inputs import shown_name
from mrcore.runtime.execution import Execution
from mrcore.runtime.jobs import IndexJob, Job
from mrcore.runtime.plan import Options, Plan, plan_job, plan_reduce
from mrcore.storage.documents import write_documents
from mrcore.storage.partfile import PartWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    from mrcore.executors.base import Executor
    from mrcore.runtime.identity import Identity
    from mrcore.runtime.sinks import Sink

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
    id: str = ""  # of the job in the history (mrcore jobs), if it has one

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

    def crew(self, workers: int, failed: int) -> None:
        """So many processes are at work, and so many attempts have failed so far."""


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
    about = job.describe() | {"inputs": len(plan.inputs), "input_bytes": plan.input_bytes}
    with Execution(about, options, sink, lambda: _identity(job, options, plan), observer.crew) as execution:
        streams = any(source.size is None for source in plan.inputs)
        executor = execution.executor(plan.workers, max(len(plan.splits), plan.partitions), streams=streams)
        run = _Run(job, plan, options, execution, executor, sink, observer)
        clock.lap("plan")
        maps, parts = run.run(clock)
        plan = run.plan
        reducers = plan.partitions if job.top is None and job.emit != "nothing" else 1
        outputs = sink.commit(job.describe() | {"reducers": reducers})
        peak = execution.disk.peak
        used = {"memory_peak": max((task.memory for task in (*maps, *parts)), default=0), "tmp_peak": peak}
        counters = run.counters(maps, parts)
        execution.done(counters)
    clock.lap("commit")
    return JobResult(
        tuple(os.fsdecode(path) for path in outputs), counters, clock.seconds(), plan, tuple(parts), used, run.distinct,
        execution.id,
    )  # fmt: skip


def _identity(job: Job, options: Options, plan: Plan) -> Identity:
    from mrcore.runtime.identity import identity_of

    about = {"reducers": options.reducers, "split": options.split}
    return identity_of(job.describe(), about, [source.path for source in plan.inputs])


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


class _Run:
    """One run of a planned job; its phases share what is here."""

    def __init__(
        self, job: Job, plan: Plan, options: Options, execution: Execution, executor: Executor, sink: Sink,
        observer: Observer,
    ) -> None:  # fmt: skip
        self.job, self.plan, self.options, self.executor = job, plan, options, executor
        self.work, self.sink, self.observer = execution.work, sink, observer
        self.distinct: int | None = None
        self._budget = execution.disk
        self._disk = Disk(execution.disk.path, plan.tmp_limit)
        self._merged: dict[str, int] = {}
        self._more_workers: Callable[[int, int], Executor] = execution.executor

    def run(self, clock: Clock) -> tuple[list[TaskResult], list[TaskResult]]:
        """Runs all tasks and gives the parts to the sink; results of map tasks and of reduce tasks, in order."""
        if self.job.make == "sketch":
            maps = [result for _, result in self._results(Step("map", self._map_specs()))]
            clock.lap("map")
            parts = self.sketch(maps)
            clock.lap("reduce")
        elif self.plan.choose:
            maps, parts = self._run_stream(clock)
        else:
            if self.plan.ordered:
                splitters = plan_splitters(self.plan.inputs, self.plan.partitions, self.job.keys)
                self.plan = self.plan._replace(partitions=len(splitters) + 1)
                specs = self._map_specs(tuple(splitters))
            else:
                specs = self._map_specs()
            merge = Merge("reduce", self.plan.partitions, lambda maps: self._reduce_specs(()))
            maps, parts = self._collect(self._results(Step("map", specs, merge)), clock)
        return sorted(maps, key=lambda result: result.task), parts

    def _run_stream(self, clock: Clock) -> tuple[list[TaskResult], list[TaskResult]]:
        """Of a stream nothing is known before: its one map task chooses the partitions; perhaps it turns out long."""
        maps = [result for _, result in self._results(Step("map", self._map_specs()))]
        clock.lap("map")
        self.plan = self.plan._replace(partitions=len(maps[0].splitters or ()) + 1)
        self.plan = plan_reduce(self.job, self.options, self.plan, maps[0].bytes_in)
        if self.plan.workers and not self.executor.workers:
            self.executor = self._more_workers(self.plan.workers, self.plan.partitions)
        self.executor.grow(min(self.plan.workers, self.plan.partitions))
        runs = tuple(result.output for result in maps if result.records_out)
        results = self._results(Step("reduce", self._reduce_specs(runs)))
        _, parts = self._collect(((1, result) for _, result in results), clock)
        self._drop(maps)
        return maps, parts

    def _results(self, step: Step) -> Iterator[tuple[int, TaskResult]]:
        """Runs a step, and says how it goes."""
        self.observer.phase(step.name, len(step.tasks))
        left = len(step.tasks)
        for stage, result in self.executor.run(step, self.observer.consumed, self.observer.noted):
            self.observer.finished(result)
            yield stage, result
            left -= 1
            if not left and step.merge is not None:
                self.observer.phase(step.merge.name, step.merge.tasks)

    def _map_specs(self, splitters: tuple[bytes, ...] | None = None) -> list[MapSpec]:
        job, plan = self.job, self.plan
        return [
            MapSpec(
                task, b"", spans, job.keys, plan.partitions, splitters, plan.share, job.make, self._disk,
                sync=self._survives, choose=plan.choose,
            )
            for task, spans in enumerate(plan.splits)
        ]  # fmt: skip

    def _reduce_specs(self, runs: tuple[bytes, ...]) -> list[ReduceSpec]:
        job, sink = self.job, self.sink
        documents = b""
        if isinstance(job, IndexJob):
            documents = self.work.file("documents")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(documents)
            write_documents(documents, (shown_name(source.path) for source in self.plan.inputs))
        passed_on = sink.ordered or job.top is not None
        return [
            ReduceSpec(
                p, b"", runs, self.plan.share, job.emit, job.min_count, job.top, documents, self._disk, passed_on,
                sync=sink.durable and not passed_on,
            )
            for p in range(self.plan.partitions)
        ]  # fmt: skip

    @property
    def _survives(self) -> bool:
        """Whether what map tasks write may be needed after a crash."""
        return not self.sink.ordered and self.executor.workers > 0

    def _collect(
        self, results: Iterable[tuple[int, TaskResult]], clock: Clock
    ) -> tuple[list[TaskResult], list[TaskResult]]:
        """Takes results as they come, and gives parts to the sink in order, as soon as they are there."""
        job = self.job
        maps: list[TaskResult] = []
        found: dict[int, TaskResult] = {}
        taken = 0
        for stage, result in results:
            if stage == 0:
                maps.append(result)
                if len(maps) == len(self.plan.splits):
                    clock.lap("map")
                continue
            found[result.task] = result
            while job.top is None and job.emit != "nothing" and taken in found:
                self._take(found[taken])
                taken += 1
        parts = [found[p] for p in range(self.plan.partitions)]
        self._merged = {
            "merge_passes": max((part.passes for part in parts), default=0),
            "merged_bytes": sum(part.merged_bytes for part in parts),
            "fetched_bytes": sum(part.bytes_in for part in parts),
        }
        if job.emit == "nothing":
            self.distinct = sum(part.records_out for part in parts)
            parts = [self._take_number(self.distinct)]
        elif job.top is not None:
            parts = [self._top(parts, job.top)]
            self.sink.take(parts[0])
        clock.lap("reduce")
        return maps, parts

    def _drop(self, maps: Iterable[TaskResult]) -> None:
        """Removes files that nobody reads any more."""
        for result in maps:
            os.unlink(result.output)
            self._budget.give(result.bytes_out)

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
        with self._own_part("number") as part:
            part.write(b"%d\n" % number)
        result = TaskResult(0, part.path, 0, part.size, 0, 1, part.check)
        self.sink.take(result)
        return result

    def _own_part(self, name: str) -> PartWriter:
        """A part that this process writes."""
        path = self.work.file(name)
        with contextlib.suppress(FileNotFoundError):  # of a run that this one goes on with
            os.unlink(path)
        return PartWriter(path, sync=self.sink.durable)

    def _top(self, parts: list[TaskResult], top: int) -> TaskResult:
        """The best of each partition's best."""
        best: list[tuple[bytes, int]] = []
        for part in parts:
            with open(part.output, "rb") as file:
                both = heapq.merge(best, read_lines(file), key=lambda pair: (-pair[1], pair[0]))
                best = list(itertools.islice(both, top))
        with self._own_part("top") as written:
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
            "combined_records": sum(max(0, result.tokens - result.records_out) for result in maps),
            "spills": sum(result.spills for result in maps),
            "reduce_tasks": 0 if self.job.make == "sketch" else self.plan.partitions,
            **self._merged,
            "records_out": sum(part.records_out for part in parts),
            "bytes_out": sum(part.bytes_out for part in parts),
        }
