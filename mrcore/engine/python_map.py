"""A map task of users' functions: records or elements through a chain, into runs or a part of the output."""

from __future__ import annotations

import contextlib

from mrcore.engine.collector import Collector, PairStore, scheme_of
from mrcore.engine.combiner import WINDOW
from mrcore.engine.context import Context
from mrcore.engine.keys import KeyFeed, is_plain, table_keys
from mrcore.engine.map_task import feed_span
from mrcore.engine.pickling import loads
from mrcore.engine.program import read_program
from mrcore.engine.python_output import PythonOutput
from mrcore.engine.record_page import RecordPage, offsets_of
from mrcore.engine.spec import TaskResult
from mrcore.engine.user_code import Enough, raised_by_us, set_up, user_code
from mrcore.errors import BadRecordError, shown
from mrcore.kernels.chain import Chain
from mrcore.kernels.drain import ElementFeed, RecordFeed
from mrcore.kernels.output import elements_of
from mrcore.storage.runfile import RunReader, RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mrcore.engine.batches import BatchFeed
    from mrcore.engine.spec import PythonMapSpec, Span
    from mrcore.engine.task import TaskEnv
    from mrcore.kernels.chain import Taker

RECORD_SHARE = 4  # a record of text may be a quarter of the memory


class _Sink:
    """What :class:`KeyFeed` asks of a sink, over a feed of records.

    Keys that a stage before writes out are not where they were in the text. Their offsets are about
    those of the text, but ascend from key to key of a file, so that each names one of them.
    """

    window = WINDOW
    key_share = RECORD_SHARE
    unit = "record"

    def __init__(self, feed: RecordFeed | BatchFeed, memory: int, written_out: bool) -> None:
        self.records, self.memory, self._written_out = feed, memory, written_out
        self._path, self._next = b"", 0  # of the file at work, the offset that none of its keys has yet

    def open(self, path: bytes) -> None:
        """What is fed next is of this file."""
        if path != self._path:
            self._path, self._next = path, 0

    def locate(self, base: int) -> None:
        """What is fed next begins at this offset of its file."""
        self.records.base = max(base, self._next)

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        fed = self.records.feed(data, start, stop, final)
        if self._written_out:
            self._next = self.records.base = self.records.base + stop
        return fed


class _Task:
    """One map task at work."""

    def __init__(self, spec: PythonMapSpec, env: TaskEnv) -> None:
        self.spec, self.env = spec, env
        self.program = read_program(spec.code)
        self.ctx = Context(spec.task, "map", env.note)
        self.page = env.page or RecordPage.private()
        self.skipped = 0

    def where(self) -> str:
        """The record at work, for an error."""
        at = self.ctx.input
        place = "no record yet" if at.file is None else f"{shown(at.file)}, byte {at.offset}"
        if self.spec.elements and at.file is None:
            place = f"element {at.offset} of its input"
        return f"{place}, map task {self.spec.task}"


def run_python_map(spec: PythonMapSpec, env: TaskEnv) -> TaskResult:
    """Runs a map task of users' functions; see :func:`mrcore.engine.task.run_task`."""
    task = _Task(spec, env)
    program = task.program
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
        counters=task.ctx.counts(), types=taker.types, skipped=task.skipped,
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
        counters=task.ctx.counts(), skipped=task.skipped,
    )  # fmt: skip


def _run_source(task: _Task, taker: Taker) -> tuple[int, int]:
    """Runs everything that the task reads through its functions; bytes and records."""
    program, ctx = task.program, task.ctx
    chain = Chain(program.steps, taker, ctx)
    with user_code(task.where):
        set_up(program.setup, ctx)
    try:
        read = _run_elements(task, chain) if task.spec.elements else _run_text(task, chain)
    finally:
        task.page.close()
    if program.teardown is not None:
        with user_code(task.where, task.spec.memory):
            made = program.teardown(ctx)
            if made is not None:
                Chain((), taker, ctx).push_all(made, "teardown")  # they are made: not to go through map
    return read


def _run_text(task: _Task, chain: Chain) -> tuple[int, int]:
    feed = _feed_of(task, chain)
    sink = _Sink(feed, task.spec.memory, not is_plain(task.spec.keys))
    keys = KeyFeed(task.spec.keys, sink)
    bytes_in = 0
    try:
        for span in task.spec.spans:
            sink.open(span.path)
            bytes_in += _run_span(task, feed, keys, span)
    finally:
        task.skipped = feed.skipped
    return bytes_in, feed.records


def _feed_of(task: _Task, chain: Chain) -> RecordFeed | BatchFeed:
    program = task.program
    tokenizer, lower = table_keys(task.spec.keys)
    if program.batches is not None:
        from mrcore.engine.batches import BatchFeed

        return BatchFeed(program.batches, chain, tokenizer, cell=task.page.cell)
    return RecordFeed(chain, tokenizer, lower, program.encoding, cell=task.page.cell)


def _run_span(task: _Task, feed: RecordFeed | BatchFeed, keys: KeyFeed, span: Span) -> int:
    task.ctx.open(span.path, lambda: feed.offset)
    task.page.open(span.path)
    feed.skip = offsets_of(span.path, task.env.skip)
    with user_code(task.where, task.spec.memory, task.page.read):
        try:
            return feed_span(keys, span, task.env.progress, copied=True)
        except UnicodeDecodeError as error:
            if not raised_by_us(error):
                raise
            bad = BadRecordError(
                f"not {task.program.encoding}: {shown(span.path)}, byte {feed.offset + error.start}: "
                "name another encoding, or leave it out and take bytes"
            )
            bad.record = task.page.read()
            raise bad from error


def _run_elements(task: _Task, chain: Chain) -> tuple[int, int]:
    feed = ElementFeed(chain, cell=task.page.cell)
    bytes_in = 0
    task.ctx.open(None, lambda: feed.offset)
    try:
        for source in task.spec.elements:
            task.page.open(source.path)
            feed.skip = offsets_of(source.path, task.env.skip)
            with RunReader(source.path) as reader:
                for segment in reader.segments(source.partition):
                    for block in reader.blocks(segment):
                        elements = elements_of(block, loads)
                        with user_code(task.where, task.spec.memory, task.page.read):
                            feed.feed(elements)
                        task.env.progress(len(block))
                    bytes_in += segment.size
    finally:
        task.skipped = feed.skipped
    return bytes_in, feed.records
