"""A map task of users' functions: records or elements through a chain, into runs or a part of the output."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from mrcore.engine.collector import Collector, PairStore, scheme_of
from mrcore.engine.combiner import WINDOW
from mrcore.engine.context import Context
from mrcore.engine.keys import KeyFeed, table_keys
from mrcore.engine.map_task import feed_span
from mrcore.engine.pickling import loads
from mrcore.engine.program import read_program
from mrcore.engine.python_output import PythonOutput
from mrcore.engine.spec import TaskResult
from mrcore.engine.user_code import Enough, raised_by_us, set_up, user_code
from mrcore.errors import BadRecordError, shown
from mrcore.kernels.chain import Chain
from mrcore.kernels.drain import RecordFeed
from mrcore.kernels.output import elements_of
from mrcore.storage.runfile import RunReader, RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mrcore.engine.batches import BatchFeed
    from mrcore.engine.program import Program
    from mrcore.engine.spec import PythonMapSpec
    from mrcore.engine.task import TaskEnv
    from mrcore.kernels.chain import Taker

RECORD_SHARE = 4  # a record of text may be a quarter of the memory


class _Sink:
    """What :class:`KeyFeed` asks of a sink, over a feed of records."""

    window = WINDOW
    key_share = RECORD_SHARE
    unit = "record"

    def __init__(self, feed: RecordFeed | BatchFeed, memory: int) -> None:
        self.records, self.memory = feed, memory

    def locate(self, base: int) -> None:
        """What is fed next begins at this offset of its file."""
        self.records.base = base

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        return self.records.feed(data, start, stop, final)


class _Task(NamedTuple):
    """One map task at work."""

    spec: PythonMapSpec
    program: Program
    ctx: Context
    env: TaskEnv

    def where(self) -> str:
        """The record at work, for an error."""
        at = self.ctx.input
        place = "no record yet" if at.file is None else f"{shown(at.file)}, byte {at.offset}"
        if self.spec.elements and at.file is None:
            place = f"element {at.offset} of its input"
        return f"{place}, map task {self.spec.task}"


def run_python_map(spec: PythonMapSpec, env: TaskEnv) -> TaskResult:
    """Runs a map task of users' functions; see :func:`mrcore.engine.task.run_task`."""
    program = read_program(spec.code)
    task = _Task(spec, program, Context(spec.task, "map", env.note), env)
    if spec.emit == "pairs":
        return _run_pairs(task)
    keyed = spec.emit != "lines"
    with PythonOutput(
        spec.output, columns=program.columns if not keyed else 0, keyed=keyed, sync=spec.sync,
        disk=env.disk(spec.disk) if spec.part_disk else None, limit=spec.limit, types=spec.types,
    ) as output:  # fmt: skip
        taker = output.taker
        bytes_in, records_in = 0, 0
        with contextlib.suppress(Enough):
            bytes_in, records_in = _run_source(task, taker)
        output.finish()
    return TaskResult(
        spec.task, spec.output, bytes_in, output.size, records_in, taker.records, output.check,
        counters=task.ctx.counts(), types=taker.types,
    )  # fmt: skip


def _run_pairs(task: _Task) -> TaskResult:
    spec, env = task.spec, task.env
    scheme = scheme_of(task.program, spec.partitions, spec.memory)
    store = env.take(PairStore, scheme)
    with RunWriter(spec.output, spec.partitions, kind="values", sync=spec.sync, disk=env.disk(spec.disk)) as run:
        collector = Collector(store, task.program, task.ctx, run, task.where)
        bytes_in, records_in = _run_source(task, collector.drain)
        with user_code(task.where, spec.memory):
            collector.finish()
    env.give(store)
    return TaskResult(
        spec.task, spec.output, bytes_in, run.size, records_in, run.records, run.check, collector.drain.pairs,
        collector.spills, memory=collector.memory_peak, key_type=collector.keys.type,
        counters=task.ctx.counts(),
    )  # fmt: skip


def _run_source(task: _Task, taker: Taker) -> tuple[int, int]:
    """Runs everything that the task reads through its functions; bytes and records."""
    program, ctx = task.program, task.ctx
    chain = Chain(program.steps, taker, ctx)
    with user_code(task.where):
        set_up(program.setup, ctx)
    read = _run_elements(task, chain) if task.spec.elements else _run_text(task, chain)
    if program.teardown is not None:
        with user_code(task.where, task.spec.memory):
            made = program.teardown(ctx)
            if made is not None:
                Chain((), taker, ctx).push_all(made, "teardown")  # they are made: not to go through map
    return read


def _run_text(task: _Task, chain: Chain) -> tuple[int, int]:
    spec, program, ctx = task.spec, task.program, task.ctx
    tokenizer, lower = table_keys(spec.keys)
    feed: RecordFeed | BatchFeed
    if program.batches is not None:
        from mrcore.engine.batches import BatchFeed

        feed = BatchFeed(program.batches, chain, tokenizer)
    else:
        feed = RecordFeed(chain, tokenizer, lower, program.encoding)
    keys = KeyFeed(spec.keys, _Sink(feed, spec.memory))
    bytes_in = 0
    for span in spec.spans:
        ctx.open(span.path, lambda: feed.offset)
        with user_code(task.where, spec.memory):
            try:
                bytes_in += feed_span(keys, span, task.env.progress, copied=True)
            except UnicodeDecodeError as error:
                if not raised_by_us(error):
                    raise
                raise BadRecordError(
                    f"not {program.encoding}: {shown(span.path)}, byte {feed.offset + error.start}: "
                    "name another encoding, or leave it out and take bytes"
                ) from error
    return bytes_in, feed.records


def _run_elements(task: _Task, chain: Chain) -> tuple[int, int]:
    at = [0]
    bytes_in = 0
    task.ctx.open(None, lambda: at[0])
    for source in task.spec.elements:
        with RunReader(source.path) as reader:
            for segment in reader.segments(source.partition):
                for block in reader.blocks(segment):
                    _push(task, chain, elements_of(block, loads), at)
                    task.env.progress(len(block))
                bytes_in += segment.size
    return bytes_in, at[0]


def _push(task: _Task, chain: Chain, elements: list[Any], at: list[int]) -> None:
    with user_code(task.where, task.spec.memory):
        for element in elements:
            chain.push(element)
            at[0] += 1
