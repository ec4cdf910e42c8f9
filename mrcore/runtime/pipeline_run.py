"""Runs a pipeline of users' functions: stages one after the other, a shuffle at each border.

What stands between two stages is synced and checked like any map output, and removed when the
next stage has read it. The last stage's output goes to the sink as lines, or comes back as
elements.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

import msgspec

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.engine.pickling import dumps, loads
from mrcore.engine.program import write_program
from mrcore.engine.spec import Disk, Elements, PythonMapSpec, PythonReduceSpec, TaskResult
from mrcore.errors import UserCodeError
from mrcore.formats.typed_text import read_typed
from mrcore.kernels.codec import encode_values, show_kinds
from mrcore.kernels.merge import encode_bytes_record
from mrcore.kernels.output import elements_of, lines_of
from mrcore.runtime.job import Clock, Observer, executor_for
from mrcore.runtime.pipeline import ITEM_TASKS, ItemsSource, Pipeline, PipelinePlan, TextSource, parts_of, plan_pipeline
from mrcore.storage.budget import DiskBudget
from mrcore.storage.files import publish
from mrcore.storage.partfile import PartWriter
from mrcore.storage.runfile import BLOCK_SIZE, RunReader, RunWriter
from mrcore.storage.workdir import default_tmp, temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mrcore.engine.program import Program
    from mrcore.engine.spec import Code
    from mrcore.executors.base import Executor
    from mrcore.runtime.plan import Options
    from mrcore.runtime.sinks import Sink
    from mrcore.storage.workdir import WorkDir

PIECE_BYTES = 64 << 20  # of merged lines that are handed to the sink at once
OPEN_RUNS = 256  # files that the last merge opens


class PipelineResult(NamedTuple):
    """What a pipeline did and where its output is."""

    outputs: tuple[str, ...]
    counters: dict[str, int]  # mrcore's and the functions' own
    seconds: dict[str, float]  # by phase, of all stages
    plan: PipelinePlan
    types: tuple[tuple[str | None, ...], ...]  # of each output's columns
    used: dict[str, int]  # memory_peak: the most that a task held; tmp_peak: the most bytes of intermediate files
    elements: list[Any]  # of a pipeline without output files

    def read(self) -> Iterator[Any]:
        """What the job yielded: ``(key, value)`` pairs with their types, part after part."""
        if not self.outputs:
            yield from self.elements
        for path, types in zip(self.outputs, self.types, strict=True):
            yield from read_typed(os.fsencode(path), types)


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
    observer = observer or Observer()
    clock = Clock()
    plan = plan_pipeline(pipeline, options)
    observer.planned(plan)
    with contextlib.ExitStack() as stack:
        tmp = options.tmp or default_tmp()
        if sink is not None:
            stack.push(lambda kind, *_: sink.abandon() if kind else None)  # after the work directory is gone
        work = stack.enter_context(temporary(tmp) if sink is None else sink.open(tmp))
        disk = stack.enter_context(contextlib.closing(DiskBudget.create(work.file("disk"), plan.tmp_limit)))
        run = _Run(pipeline, options, plan, work, disk, sink, observer, clock, limit)
        run.prepare()
        executor = stack.enter_context(executor_for(plan.workers, run.tasks_most()))
        clock.lap("plan")
        run.stages(executor)
        outputs = () if sink is None else sink.commit(pipeline.describe() | {"reducers": len(run.types)})
        used = {"memory_peak": run.memory_peak, "tmp_peak": disk.peak}
    clock.lap("commit")
    names = tuple(os.fsdecode(path) for path in outputs)
    types = tuple(run.types) if sink is not None and not sink.ordered else (tuple(run.columns),) * len(names)
    return PipelineResult(names, run.counters, clock.seconds(), plan, types, used, run.elements)


class _Run:
    """One run of a planned pipeline."""

    def __init__(
        self, pipeline: Pipeline, options: Options, plan: PipelinePlan, work: WorkDir, disk: DiskBudget,
        sink: Sink | None, observer: Observer, clock: Clock, limit: int | None,
    ) -> None:  # fmt: skip
        self.pipeline, self.options, self.plan, self.work, self.sink = pipeline, options, plan, work, sink
        self.observer, self.clock, self.limit = observer, clock, limit
        self._budget, self._disk = disk, Disk(disk.path, plan.tmp_limit)
        self._codes: list[Code] = []
        self._read: list[Elements] = []  # what the next stage reads
        self._bytes = plan.input_bytes  # that the next stage reads
        self.counters: dict[str, int] = {}
        self.types: list[tuple[str | None, ...]] = []  # of the output files
        self.columns: list[str | None] = [None, None]  # of one output made of several parts
        self.elements: list[Any] = []
        self.memory_peak = 0

    # ---- before the first stage ---------------------------------------------------------

    def prepare(self) -> None:
        """Writes what the tasks will read: the functions, and items from the program."""
        for index, program in enumerate(self.pipeline.stages):
            code = write_program(self.work.file(f"program-{index}"), program)
            self._codes.append(msgspec.structs.replace(code, ceiling=self.plan.ceiling))
        if isinstance(self.pipeline.source, ItemsSource):
            self._write_items(self.pipeline.source.items)

    def _write_items(self, items: tuple[Any, ...]) -> None:
        path = self.work.file("items")
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

    def tasks_most(self) -> int:
        """Tasks of the first stage: no more workers than these are needed, unless later stages have more."""
        return max(len(self.plan.splits), len(self._read), 1) if len(self.pipeline.stages) == 1 else 1 << 20

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
                self._remove(path)

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
                task, self.work.file(f"map-{index}-{task:05d}.attempt-0"), self._codes[index], self.plan.share,
                partitions=partitions, emit=emit, disk=self._disk, part_disk=not kept, sync=kept,
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
            found += self._run(executor, specs[first : first + many], "map")
            first += many
            if self.limit is not None and sum(part.records_out for part in found) >= self.limit:
                break
        self._count(found, "map")
        self.clock.lap("map")
        if lines:
            for part in self._agreed(executor, specs, found, "map"):
                self._take(part)
        else:
            self._keep(found, last, merged=False)
        self.clock.lap("reduce")

    def _shuffle(self, executor: Executor, index: int, program: Program, last: bool) -> None:
        """The stage's map tasks, then its reduce tasks."""
        files = last and self.sink is not None and not self.sink.ordered
        known = all(source.size is not None for source in self.plan.inputs)
        wished = self.pipeline.partitions[index] if index < len(self.pipeline.partitions) else None
        partitions = parts_of(self._bytes, self.options, wished, files=files, known=known)
        self.limit, limit = None, self.limit  # of what the reduce tasks make, not these
        maps = [self._publish(result) for result in self._run(executor, self._map_specs(index, "pairs", partitions))]
        self._count(maps, "map")
        self.clock.lap("map")
        key_type = _key_type(maps)
        self.limit = limit
        runs = tuple(result.output for result in maps if result.records_out)
        lines = last and self.sink is not None
        emit = "elements" if not lines else "lines" if files or partitions == 1 else "keyed lines"
        specs = [
            PythonReduceSpec(
                p, self.work.file(f"part-{index}-{p:05d}.attempt-0"), runs, self._codes[index], self.plan.share,
                key_type, emit, self._disk, not files, sync=files,
            )
            for p in range(partitions)
        ]  # fmt: skip
        parts = self._run(executor, specs, "reduce")
        if lines:
            parts = self._agreed(executor, specs, parts, "reduce")
        self._count(parts, "reduce")
        for result in maps:
            self._remove(result.output)
        if emit == "lines":
            for part in parts:
                self._take(part)
        elif emit == "keyed lines":
            self._merge_lines(parts)
        else:
            self._keep(parts, last, merged=last)
        self.clock.lap("reduce")

    def _run(self, executor: Executor, specs: Sequence[Any], phase: str = "map") -> list[TaskResult]:
        """Results in task order."""
        self.observer.phase(phase, len(specs))
        found = []
        for result in executor.run(specs, self.observer.consumed, noted=self.observer.noted):
            found.append(result)
            self.observer.finished(result)
        return sorted(found, key=lambda result: result.task)

    def _agreed(
        self, executor: Executor, specs: Sequence[Any], parts: list[TaskResult], phase: str
    ) -> list[TaskResult]:
        """Parts of one file have the same types of columns: where the first values differ, some are made again."""
        assert self.sink is not None
        columns = max((len(part.types) for part in parts), default=0)
        for column in range(columns):
            self.columns[column] = next((part.types[column] for part in parts if part.types[column]), None)
        del self.columns[columns:]
        if not self.sink.ordered:
            return parts
        wanted = tuple(self.columns)
        others = [part for part in parts if any(a and a != b for a, b in zip(part.types, wanted, strict=True))]
        again = [msgspec.structs.replace(specs[part.task], types=wanted) for part in others]
        for part in others:
            self._remove(part.output)
        made = {part.task: part for part in self._run(executor, again, phase)} if again else {}
        return [made.get(part.task, part) for part in parts]

    def _publish(self, result: TaskResult) -> TaskResult:
        """A map output under its final name."""
        final = result.output.removesuffix(b".attempt-0") + b".run"
        publish(result.output, final)
        return msgspec.structs.replace(result, output=final)

    def _count(self, found: Sequence[TaskResult], phase: str) -> None:
        """Adds what the tasks did to the counters."""
        self.memory_peak = max([self.memory_peak, *(result.memory for result in found)])
        counts = {f"{phase}_tasks": len(found)}
        if phase == "map":
            counts["bytes_in"] = sum(result.bytes_in for result in found)
            counts["records_in"] = sum(result.records_in for result in found)
            counts["map_pairs"] = sum(result.tokens for result in found)
            counts["spills"] = sum(result.spills for result in found)
        else:
            counts["merged_bytes"] = sum(result.merged_bytes for result in found)
            counts["merge_passes"] = max((result.passes for result in found), default=0)
        for result in found:
            for name, value in result.counters.items():
                counts[name] = counts.get(name, 0) + value
        for name, value in counts.items():
            self.counters[name] = self.counters.get(name, 0) + value

    # ---- what comes of a stage ----------------------------------------------------------

    def _take(self, part: TaskResult) -> None:
        """Gives a part of lines to the sink."""
        assert self.sink is not None
        self._count_out(part.records_out, part.bytes_out)
        self.types.append(part.types)
        self.sink.take(part)
        if self.sink.ordered:
            self._remove(part.output)

    def _merge_lines(self, parts: Sequence[TaskResult]) -> None:
        """Merges keyed lines of all partitions and gives them to the sink in pieces."""
        assert self.sink is not None
        piece, pending, size = 0, list[bytes](), 0
        records = sum(part.records_out for part in parts)
        with self._merging(parts) as merging:
            for chunk in merging.final("records", None):
                pending.append(lines_of(chunk))
                size += len(pending[-1])
                if size >= PIECE_BYTES:
                    self._take_piece(piece, pending)
                    piece, pending, size = piece + 1, [], 0
        self._take_piece(piece, pending)
        self._count_out(records, 0)
        for part in parts:
            self._remove(part.output)

    def _take_piece(self, piece: int, texts: list[bytes]) -> None:
        assert self.sink is not None
        with PartWriter(self.work.file(f"piece-{piece}"), sync=False, disk=self._budget) as written:
            for text in texts:
                written.write(text)
        self._count_out(0, written.size)
        self.sink.take(TaskResult(piece, written.path, 0, written.size, 0, 0, written.check))
        self._remove(written.path)

    def _merging(self, parts: Sequence[TaskResult]) -> Merging:
        runs = find_runs(tuple(part.output for part in parts), 0)
        return Merging(runs, Limits(self.plan.share, OPEN_RUNS), self.work.file("final"), kind="values",
                       disk=self._budget)  # fmt: skip

    def _keep(self, parts: Sequence[TaskResult], last: bool, *, merged: bool) -> None:
        """Keeps elements for the next stage, or reads them for the caller."""
        self._read = [Elements(part.output, 0) for part in parts]
        self._bytes = sum(part.bytes_out for part in parts)
        if not last:
            return
        for element in self._merged_elements(parts) if merged else self._elements_in_order(parts):
            if len(self.elements) == self.limit:
                break
            self.elements.append(element)
        self._count_out(len(self.elements), 0)

    def _merged_elements(self, parts: Sequence[TaskResult]) -> Iterator[Any]:
        with self._merging(parts) as merging:
            for chunk in merging.final("records", None):
                yield from elements_of(chunk, loads)

    def _elements_in_order(self, parts: Sequence[TaskResult]) -> Iterator[Any]:
        for part in parts:
            with RunReader(part.output) as reader:
                for segment in reader.segments(0):
                    for block in reader.blocks(segment):
                        yield from elements_of(block, loads)

    def _count_out(self, records: int, size: int) -> None:
        self.counters["records_out"] = self.counters.get("records_out", 0) + records
        self.counters["bytes_out"] = self.counters.get("bytes_out", 0) + size

    def _remove(self, path: bytes) -> None:
        """Removes an intermediate file and gives its bytes back."""
        with contextlib.suppress(FileNotFoundError):
            size = os.path.getsize(path)
            os.unlink(path)
            self._budget.give(size)


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
