"""Runs one counting job: plan, map, reduce, commit.

The data's way: inputs are cut into splits; each map task counts its split's tokens into a
run file with a sorted segment a partition; each reduce task merges its partition of all run
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

from mrcore import config
from mrcore.engine.sampling import plan_splitters
from mrcore.engine.spec import MapSpec, ReduceSpec, Span, TaskResult
from mrcore.engine.splits import plan_splits
from mrcore.errors import UsageError
from mrcore.executors.inline import Inline
from mrcore.formats.inputs import Input, find_inputs
from mrcore.storage.files import publish
from mrcore.storage.partfile import PartWriter
from mrcore.storage.workdir import default_tmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcore.executors.base import Executor
    from mrcore.runtime.sinks import Sink
    from mrcore.storage.workdir import WorkDir

RANGE_BYTES = 32 * config.MIB  # input bytes a range partition: small enough to start writing early
RANGES_MAX = 64
TASKS_MAX = 1 << 20
COUNT_MAX = (1 << 63) - 1


class CountJob(NamedTuple):
    """What to count."""

    paths: tuple[bytes | str, ...]
    tokenizer: str = "whitespace"
    lower: bool = False
    min_count: int = 1
    top: int | None = None

    def describe(self) -> dict[str, object]:
        """What decides the answer beside the input, for the manifest."""
        return {"verb": "wordcount", "tokenizer": self.tokenizer, "lower": self.lower, "min_count": self.min_count}


class Options(NamedTuple):
    """How to run it; nothing here changes the answer, and only ``reducers`` the part files."""

    workers: int | None = None  # None: one a core, and none at all for small input; 0: this process
    reducers: int | None = None
    split: int | None = None  # bytes; 0: one task a file
    tmp: bytes | None = None


class Plan(NamedTuple):
    """What a job will do, before it does it."""

    inputs: list[Input]
    splits: list[tuple[Span, ...]]
    split_bytes: int  # 0: one task a file
    partitions: int
    ordered: bool  # by key range
    workers: int  # 0: this process

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs whose size is known."""
        return sum(source.bytes for source in self.inputs)


class JobResult(NamedTuple):
    """What a job did and where its output is."""

    outputs: tuple[str, ...]
    counters: dict[str, int]
    seconds: dict[str, float]  # by phase: plan, map, reduce, total
    plan: Plan
    parts: tuple[TaskResult, ...]

    def read(self) -> Iterator[tuple[bytes, int]]:
        """The ``(word, count)`` pairs of the output files, part after part."""
        for path in self.outputs:
            with open(path, "rb") as file:
                yield from read_lines(file)


class Observer:
    """Told how a job goes; the methods do nothing here."""

    def planned(self, plan: Plan) -> None:
        """The job is about to start."""

    def phase(self, name: str, tasks: int) -> None:
        """A phase begins: ``map`` or ``reduce``."""

    def consumed(self, count: int) -> None:
        """So many more bytes of input were mapped."""

    def finished(self, result: TaskResult) -> None:
        """A task of the current phase is done."""


def read_lines(lines: object) -> Iterator[tuple[bytes, int]]:
    """Parses ``word TAB count`` lines."""
    for line in lines:  # type: ignore[attr-defined]
        word, _, count = line.rpartition(b"\t")
        yield word, int(count)


def check_job(job: CountJob, options: Options) -> None:
    """Refuses what makes no sense.

    Raises:
        UsageError: naming the value and what to write instead.
    """
    from mrcore.kernels.tokenize import WORD_TOKENIZERS

    if job.tokenizer not in WORD_TOKENIZERS:
        raise UsageError(f"unknown tokenizer: {job.tokenizer}: choose one of {', '.join(WORD_TOKENIZERS)}")
    if not 1 <= job.min_count <= COUNT_MAX:
        raise UsageError(f"minimum count out of range: {job.min_count}: write 1 to {COUNT_MAX}")
    if job.top is not None and not 1 <= job.top <= COUNT_MAX:
        raise UsageError(f"top out of range: {job.top}: write 1 to {COUNT_MAX}")
    if options.workers is not None and not 0 <= options.workers <= 1024:
        raise UsageError(f"workers out of range: {options.workers}: write 0 to 1024")
    if options.reducers is not None and not 1 <= options.reducers <= config.PARTITIONS_LIMIT:
        raise UsageError(f"reducers out of range: {options.reducers}: write 1 to {config.PARTITIONS_LIMIT}")


def plan_job(job: CountJob, options: Options, *, ordered: bool) -> Plan:
    """Decides splits, partitions and workers from the inputs' names and sizes.

    Raises:
        UsageError, InputError: see :func:`check_job` and :func:`mrcore.formats.inputs.find_inputs`.
    """
    check_job(job, options)
    inputs = find_inputs(job.paths)
    total = sum(source.bytes for source in inputs)
    split = config.split_size(total) if options.split is None else options.split
    if split and total // split > TASKS_MAX:
        raise UsageError(f"too many map tasks: {total // split:,} splits of {split:,} bytes: write a larger --split")
    splits = plan_splits(inputs, split or 1, per_file=split == 0, taper=options.split is None)
    streams = any(source.size is None for source in inputs)
    workers = options.workers
    if workers is None:
        alone = len(splits) == 1 if streams else total <= config.SMALL_INPUT
        workers = 0 if alone else config.cores()
    if ordered and job.top is None:
        small = workers == 0 and total <= config.SMALL_INPUT
        partitions = 1 if small else min(RANGES_MAX, max(1, total // RANGE_BYTES))
    elif job.top is not None:  # no part files: only as many as keep the workers busy
        partitions = min(RANGES_MAX, config.reducers(total))
    else:
        partitions = options.reducers or config.reducers(total)
    return Plan(inputs, splits, split, partitions, ordered and job.top is None, workers)


def run_job(job: CountJob, options: Options, sink: Sink, observer: Observer | None = None) -> JobResult:
    """Runs a job and commits its output to ``sink``.

    When this raises, nothing of the output stands and no process or work file is left.

    Raises:
        MrcoreError: of the kind that says whose fault it is.
    """
    observer = observer or Observer()
    clock = _Clock()
    plan = plan_job(job, options, ordered=sink.ordered)
    observer.planned(plan)
    with contextlib.ExitStack() as stack:
        stack.push(lambda kind, *_: sink.abandon() if kind else None)  # after the work directory is gone
        work = stack.enter_context(sink.open(options.tmp or default_tmp()))
        executor = stack.enter_context(_executor(plan))
        run = _Run(job, plan, work, executor, sink, observer)
        clock.lap("plan")
        maps = run.map()
        plan = run.plan  # the sample may have found fewer keys to part at than were wished for
        clock.lap("map")
        parts = run.reduce([result.output for result in maps])
        clock.lap("reduce")
        description = job.describe() | {"top": job.top, "reducers": plan.partitions if job.top is None else 1}
        outputs = sink.commit(description)
    clock.lap("commit")
    counters = {
        "bytes_in": sum(result.bytes_in for result in maps),
        "tokens": sum(result.tokens for result in maps),
        "map_tasks": len(maps),
        "map_records": sum(result.records_out for result in maps),
        "map_bytes": sum(result.bytes_out for result in maps),
        "reduce_tasks": plan.partitions,
        "records_out": sum(part.records_out for part in parts),
        "bytes_out": sum(part.bytes_out for part in parts),
    }
    return JobResult(tuple(os.fsdecode(path) for path in outputs), counters, clock.seconds(), plan, tuple(parts))


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._laps[name] = now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        return self._laps | {"total": self._last - self._start}


def _executor(plan: Plan) -> Executor:
    if plan.workers == 0:
        return Inline()
    from mrcore.executors.process import ProcessPool

    return ProcessPool(max(1, min(plan.workers, max(len(plan.splits), plan.partitions))))


class _Run:
    """One run of a planned job; its phases share what is here."""

    def __init__(
        self, job: CountJob, plan: Plan, work: WorkDir, executor: Executor, sink: Sink, observer: Observer
    ) -> None:
        self.job, self.plan, self.work, self.executor, self.sink, self.observer = (
            job, plan, work, executor, sink, observer,
        )  # fmt: skip

    def map(self) -> list[TaskResult]:
        """Runs the map tasks; results in task order, their files under their final names."""
        job, plan = self.job, self.plan
        splitters = None
        if plan.ordered:
            splitters = plan_splitters(plan.inputs, plan.partitions, job.tokenizer, job.lower)
            self.plan = plan = plan._replace(partitions=len(splitters) + 1)
        specs = [
            MapSpec(
                task, self.work.file(f"map-{task:05d}.attempt-0"), spans, job.tokenizer, job.lower, plan.partitions,
                splitters, 2 << 30,
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
        return sorted(results, key=lambda result: result.task)

    def reduce(self, runs: Sequence[bytes]) -> list[TaskResult]:
        """Runs the reduce tasks and gives the parts to the sink; in partition order."""
        job, sink = self.job, self.sink
        specs = [
            ReduceSpec(
                p, self.work.file(f"part-{p:05d}.attempt-0"), tuple(runs), 2 << 30, job.min_count, job.top, sync=sink.durable,
            )
            for p in range(self.plan.partitions)
        ]  # fmt: skip
        self.observer.phase("reduce", len(specs))
        results: dict[int, TaskResult] = {}
        taken = 0
        for result in self.executor.run(specs, lambda count: None, ahead=sink.ordered):
            results[result.task] = result
            self.observer.finished(result)
            while job.top is None and taken in results:  # parts in order, as soon as they are there
                sink.take(results[taken])
                if sink.ordered:
                    os.unlink(results[taken].output)
                taken += 1
        parts = [results[p] for p in range(self.plan.partitions)]
        if job.top is not None:
            parts = [self._top(parts, job.top)]
            sink.take(parts[0])
        return parts

    def _top(self, parts: list[TaskResult], top: int) -> TaskResult:
        """The best of each partition's best."""
        count = 0
        with contextlib.ExitStack() as stack:
            best = stack.enter_context(PartWriter(self.work.file("top"), sync=self.sink.durable))
            files = [read_lines(stack.enter_context(open(part.output, "rb"))) for part in parts]
            merged = itertools.islice(heapq.merge(*files, key=lambda pair: (-pair[1], pair[0])), top)
            while lines := [b"%s\t%d\n" % pair for pair in itertools.islice(merged, 10_000)]:
                best.write(b"".join(lines))
                count += len(lines)
        first, read = parts[0], sum(part.bytes_out for part in parts)
        return TaskResult(0, best.path, read, best.size, first.records_in, count, best.check)


def _moved(result: TaskResult, output: bytes) -> TaskResult:
    import msgspec

    return msgspec.structs.replace(result, output=output)
