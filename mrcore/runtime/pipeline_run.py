"""Runs a pipeline of users' functions: stages one after the other, a shuffle at each border.

What stands between two stages is synced and checked like any map output, and removed when the
next stage has read it. The last stage's output goes to the sink as lines, or comes back as
elements.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, NamedTuple

import msgspec

from mrcore.engine.pickling import dumps
from mrcore.engine.program import write_program
from mrcore.engine.spec import Disk, Elements, PythonMapSpec, PythonReduceSpec, TaskResult
from mrcore.errors import UserCodeError, shown
from mrcore.executors.base import Merge, Step
from mrcore.formats.typed_text import read_typed
from mrcore.kernels.codec import encode_values, show_kinds
from mrcore.kernels.merge import encode_bytes_record
from mrcore.runtime.execution import Execution
from mrcore.runtime.job import Clock, Observer
from mrcore.runtime.pipeline import ITEM_TASKS, ItemsSource, Pipeline, PipelinePlan, TextSource, parts_of, plan_pipeline
from mrcore.runtime.pipeline_output import PipelineOutput
from mrcore.storage.runfile import BLOCK_SIZE, RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.program import Program
    from mrcore.engine.spec import Code
    from mrcore.executors.base import Executor
    from mrcore.runtime.identity import Identity
    from mrcore.runtime.plan import Options
    from mrcore.runtime.sinks import Sink


class PipelineResult(NamedTuple):
    """What a pipeline did and where its output is."""

    outputs: tuple[str, ...]
    counters: dict[str, int]  # mrcore's and the functions' own
    seconds: dict[str, float]  # by phase, of all stages
    plan: PipelinePlan
    types: tuple[tuple[str | None, ...], ...]  # of each output's columns
    used: dict[str, int]  # memory_peak: the most that a task held; tmp_peak: the most bytes of intermediate files
    elements: list[Any]  # of a pipeline without output files
    id: str = ""  # of the job in the history (mrcore jobs), if it has one

    def read(self) -> Iterator[Any]:
        """What the job yielded: ``(key, value)`` pairs with their types, part after part."""
        if not self.outputs:
            yield from self.elements
        for path, types in zip(self.outputs, self.types, strict=True):
            yield from read_typed(os.fsencode(path), types)


class LogObserver(Observer):
    """Shows nothing but what users' functions log."""

    def noted(self, kind: str, text: str) -> None:
        """Prints a line for the log to standard error, if that can be written."""
        if kind == "log":
            with contextlib.suppress(OSError, ValueError):
                print(f"mrcore: log: {shown(text)}", file=sys.stderr, flush=True)


def run_pipeline(
    pipeline: Pipeline, options: Options, sink: Sink | None, observer: Observer | None = None, limit: int | None = None
) -> PipelineResult:
    """Runs a pipeline and commits its output to ``sink``; without one its elements are in the result.

    When this raises, nothing of the output stands and no process or work file is left.

    Args:
        limit: so many elements are enough.

    Raises:
        MrcoreError: of the kind that says whose fault it is.
    """
    observer = observer or LogObserver()
    clock = Clock()
    plan = plan_pipeline(pipeline, options)
    observer.planned(plan)
    about = pipeline.describe() | {"inputs": len(plan.inputs), "input_bytes": plan.input_bytes}
    with Execution(about, options, sink, lambda: _identity(pipeline, options, plan), observer.crew) as execution:
        run = _Run(pipeline, options, plan, execution, sink, observer, clock, limit)
        run.prepare()
        streams = any(source.size is None for source in plan.inputs)
        executor = execution.executor(plan.workers, run.tasks_most(), streams=streams, places=run.places)
        clock.lap("plan")
        run.stages(executor)
        outputs = () if sink is None else sink.commit(pipeline.describe() | {"reducers": len(run.output.types)})
        used = {"memory_peak": run.memory_peak, "tmp_peak": execution.disk.peak}
        execution.done(run.counted())
    clock.lap("commit")
    names = tuple(os.fsdecode(path) for path in outputs)
    types = (tuple(run.output.columns),) * len(names) if run.output.ordered else tuple(run.output.types)
    return PipelineResult(
        names, run.counted(), clock.seconds(), plan, types, used, run.output.elements, execution.id
    )


def _identity(pipeline: Pipeline, options: Options, plan: PipelinePlan) -> Identity:
    from mrcore.engine.fingerprint import fingerprint, fingerprint_of
    from mrcore.runtime.identity import identity_of

    about: dict[str, object] = {"reducers": options.reducers, "split": options.split}
    about |= {"skip_bad": options.faults.skip_bad, "partitions": list(pipeline.partitions)}
    if isinstance(pipeline.source, ItemsSource):
        about["items"] = fingerprint_of(pipeline.source.items)
    code = tuple(fingerprint(program) for program in pipeline.stages)
    paths = [source.path for source in plan.inputs]
    return identity_of(pipeline.describe(), about, paths, code, options.job_file)


class _Run:
    """One run of a planned pipeline."""

    def __init__(
        self, pipeline: Pipeline, options: Options, plan: PipelinePlan, execution: Execution, sink: Sink | None,
        observer: Observer, clock: Clock, limit: int | None,
    ) -> None:  # fmt: skip
        work, disk = execution.work, execution.disk
        self.pipeline, self.options, self.plan, self.work, self.sink = pipeline, options, plan, work, sink
        self.observer, self.clock, self.limit = observer, clock, limit
        self._budget, self._disk = disk, Disk(disk.path, plan.tmp_limit)
        self.output = PipelineOutput(sink, work, disk, plan.share, limit)
        self._codes: list[Code] = []
        self._read: list[Elements] = []  # what the next stage reads
        self._bytes = plan.input_bytes  # that the next stage reads
        self.counters: dict[str, int] = {}
        self.memory_peak = 0

    # ---- before the first stage ---------------------------------------------------------

    def prepare(self) -> None:
        """Writes what the tasks will read: the functions, and items from the program."""
        for index, program in enumerate(self.pipeline.stages):
            path = self.work.file(f"program-{index}")
            with contextlib.suppress(FileNotFoundError):  # of a run that this one goes on with
                os.unlink(path)
            code = write_program(path, program)
            self._codes.append(msgspec.structs.replace(code, ceiling=self.plan.ceiling))
        if isinstance(self.pipeline.source, ItemsSource):
            self._write_items(self.pipeline.source.items)

    def _write_items(self, items: tuple[Any, ...]) -> None:
        path = self.work.file("items")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        chunk = max(1, -(-len(items) // ITEM_TASKS))
        starts = range(0, len(items), chunk)
        with RunWriter(path, max(1, len(starts)), kind="values", sync=False, disk=self._budget) as file:
            for partition, start in enumerate(starts):
                file.begin()
                records = 0
                for data in _encoded(items[start : start + chunk]):
                    file.block(encode_bytes_record(b"", data))
                    records += 1
                file.end(partition, _constant(records))
        self._read = [Elements(path, partition) for partition in range(len(starts))]
        self._bytes = file.size

    @property
    def places(self) -> tuple[bytes, ...]:
        """Where the functions' modules come from."""
        return self._codes[0].places

    def tasks_most(self) -> int:
        """Tasks of the first stage: no more workers than these are needed, unless later stages have more."""
        if len(self.pipeline.stages) > 1:
            return 1 << 20
        program, wished = self.pipeline.stages[0], self.pipeline.partitions[:1]
        files = self.sink is not None and not self.sink.ordered
        known = all(source.size is not None for source in self.plan.inputs)
        partitions = parts_of(self._bytes, self.options, wished[0] if wished else None, files=files, known=known)
        return max(len(self.plan.splits), len(self._read), partitions if program.shuffle is not None else 1)

    @property
    def _survives(self) -> bool:
        """Whether what tasks write may be needed after a crash."""
        return self.sink is not None and not self.sink.ordered and self.plan.workers > 0

    # ---- the stages ---------------------------------------------------------------------

    def stages(self, executor: Executor) -> None:
        """Runs all stages."""
        for index, program in enumerate(self.pipeline.stages):
            last = index + 1 == len(self.pipeline.stages)
            before = {elements.path for elements in self._read}
            if program.shuffle is None:
                self._map_only(executor, index, last)
            else:
                self._shuffle(executor, index, program, last)
            for path in sorted(before):
                self.output.remove(path)

    def _map_specs(self, index: int, emit: str, partitions: int = 1, *, kept: bool = True) -> list[PythonMapSpec]:
        """One task for each split of the first stage, or each part of the stage before."""
        source = self.pipeline.source
        keys = source.keys if isinstance(source, TextSource) else TextSource(()).keys
        inputs: list[dict[str, Any]]
        if index == 0 and isinstance(source, TextSource):
            inputs = [{"spans": spans, "keys": keys} for spans in self.plan.splits]
        else:
            inputs = [{"elements": (elements,)} for elements in self._read]
        return [
            PythonMapSpec(
                task, b"", self._codes[index], self.plan.share,
                partitions=partitions, emit=emit, disk=self._disk, part_disk=not kept, sync=self._survives,
                limit=self.limit, **read,
            )
            for task, read in enumerate(inputs)
        ]  # fmt: skip

    def _map_only(self, executor: Executor, index: int, last: bool) -> None:
        """The stage's map tasks make its output: parts in input order."""
        lines = last and self.sink is not None
        durable = lines and self.sink is not None and not self.sink.ordered
        specs = self._map_specs(index, "lines" if lines else "elements", kept=durable)
        found: list[TaskResult] = []
        first = 0
        while first < len(specs):  # with a limit a few at first: perhaps they make enough
            many = len(specs) if self.limit is None else max(1, first)
            found += self._run(executor, Step("map", specs[first : first + many]))[0]
            first += many
            if self.limit is not None and sum(part.records_out for part in found) >= self.limit:
                break
        self._count(found, "map")
        self.clock.lap("map")
        if lines:
            self.output.take(self._agreed(executor, specs, found))
        else:
            self._keep(found, last, merged=False)
        self.clock.lap("reduce")

    def _shuffle(self, executor: Executor, index: int, program: Program, last: bool) -> None:
        """The stage's map tasks, then its reduce tasks."""
        files = last and self.sink is not None and not self.sink.ordered
        known = all(source.size is not None for source in self.plan.inputs)
        wished = self.pipeline.partitions[index] if index < len(self.pipeline.partitions) else None
        partitions = parts_of(self._bytes, self.options, wished, files=files, known=known)
        if last and not files and wished is None and program.shuffle is not None and program.shuffle.place is not None:
            partitions = 1  # the whole is sorted by key, not by partition first
        self.limit, limit = None, self.limit  # of what the reduce tasks make, not these
        lines = last and self.sink is not None
        emit = "elements" if not lines else "lines" if files or partitions == 1 else "keyed lines"
        specs: list[PythonReduceSpec] = []

        def reduce_specs(maps: Sequence[TaskResult]) -> list[PythonReduceSpec]:
            key_type = _key_type(maps)
            specs[:] = [
                PythonReduceSpec(
                    p, b"", (), self._codes[index], self.plan.share, key_type, emit, self._disk, not files, sync=files
                )
                for p in range(partitions)
            ]
            return specs

        merge = Merge("reduce", partitions, reduce_specs)
        again = lines and self.output.ordered  # perhaps parts have to be made again
        step = Step("map", self._map_specs(index, "pairs", partitions), merge, keep=again)
        self.limit = limit
        maps, parts = self._run(executor, step)
        self._count(maps, "map")
        if lines:
            runs = tuple(result.output for result in maps if result.records_out)
            parts = self._agreed(executor, specs, parts, runs)
        for result in maps if again else ():
            self.output.remove(result.output)
        self._count(parts, "reduce")
        if emit == "lines":
            self.output.take(parts)
        elif emit == "keyed lines":
            self.output.merge_lines(parts)
        else:
            self._keep(parts, last, merged=last and partitions > 1)  # one part is in order, whatever its records take
        self.clock.lap("reduce")

    def _run(self, executor: Executor, step: Step) -> tuple[list[TaskResult], list[TaskResult]]:
        """Results of both halves, in task order."""
        self.observer.phase(step.name, len(step.tasks))
        found: tuple[list[TaskResult], list[TaskResult]] = ([], [])
        for stage, result in executor.run(step, self.observer.consumed, self.observer.noted):
            found[stage].append(result)
            self.observer.finished(result)
            if stage == 0 and len(found[0]) == len(step.tasks):
                self.clock.lap("map")
                if step.merge is not None:
                    self.observer.phase(step.merge.name, step.merge.tasks)
        for half in found:
            half.sort(key=lambda result: result.task)
        return found

    def _agreed(
        self, executor: Executor, specs: Sequence[Any], parts: list[TaskResult], runs: tuple[bytes, ...] = ()
    ) -> list[TaskResult]:
        """The parts; those whose columns differ in type from the others' of the same file are made again."""
        others = self.output.differing(parts)
        more: dict[str, Any] = {"types": tuple(self.output.columns)} | ({"runs": runs} if runs else {})
        again = [msgspec.structs.replace(specs[part.task], **more) for part in others]
        for part in others:
            self.output.remove(part.output)
        made = {part.task: part for part in self._run(executor, Step("again", again))[0]} if again else {}
        return [made.get(part.task, part) for part in parts]

    def counted(self) -> dict[str, int]:
        """All counters."""
        return self.counters | {"records_out": self.output.records, "bytes_out": self.output.bytes}

    def _keep(self, parts: Sequence[TaskResult], last: bool, *, merged: bool) -> None:
        """Keeps elements for the next stage, or reads them for the caller."""
        self._read = [Elements(part.output, 0) for part in parts]
        self._bytes = sum(part.bytes_out for part in parts)
        if last:
            self.output.keep(parts, merged=merged)

    def _count(self, found: Sequence[TaskResult], phase: str) -> None:
        """Adds what the tasks did to the counters."""
        self.memory_peak = max([self.memory_peak, *(result.memory for result in found)])
        counts = {f"{phase}_tasks": len(found)}
        if phase == "map" and "bytes_in" not in self.counters:  # of the first stage: what is read from outside
            counts["bytes_in"] = sum(result.bytes_in for result in found)
            counts["records_in"] = sum(result.records_in for result in found)
        if phase == "map":
            counts["map_pairs"] = sum(result.tokens for result in found)
            counts["spills"] = sum(result.spills for result in found)
            counts["map_bytes"] = sum(result.bytes_out for result in found)
            counts["combined_records"] = sum(max(0, result.tokens - result.records_out) for result in found)
        else:
            counts["merged_bytes"] = sum(result.merged_bytes for result in found)
            counts["fetched_bytes"] = sum(result.bytes_in for result in found)
            counts["merge_passes"] = max((result.passes for result in found), default=0)
        counts["records_skipped"] = sum(result.skipped for result in found)
        for result in found:
            for name, value in result.counters:
                counts[name] = counts.get(name, 0) + value
        for name, value in counts.items():
            self.counters[name] = self.counters.get(name, 0) + value


def _constant(number: int) -> Callable[[], int]:
    return lambda: number


def _encoded(items: tuple[Any, ...]) -> Iterator[bytes]:
    """The items in pieces of about a block."""
    pending, size = list[bytes](), 0
    for item in items:
        data = encode_values([item], dumps)
        pending.append(data)
        size += len(data)
        if size >= BLOCK_SIZE:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


def _key_type(maps: Sequence[TaskResult]) -> str:
    """The type of the keys that the map tasks made.

    Raises:
        UserCodeError: two types.
    """
    typed = [result for result in maps if result.key_type]
    for result in typed:
        if result.key_type != typed[0].key_type:
            raise UserCodeError(
                f"keys of two types: {show_kinds(typed[0].key_type)} in map task {typed[0].task}, "
                f"{show_kinds(result.key_type)} in map task {result.task}: the keys of a job are of one type"
            )
    return typed[0].key_type if typed else ""
