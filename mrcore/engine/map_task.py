"""A map task: the keys of some spans, counted and written as sorted runs of one run file.

A span owns the keys whose first byte lies in it; so a token that crosses a border of
splits is read past the border by one task and skipped by the next. Text is fed in windows
short enough that a call into native code stays below 50 ms.
"""

from __future__ import annotations

import os

from mrcore.engine.combiner import Combiner, Scheme, TokenTooLong
from mrcore.engine.indexer import SAMPLE_BYTES, Indexer
from mrcore.engine.keys import KeyFeed, is_copied, is_plain, table_keys
from mrcore.engine.spec import MapSpec, Span, TaskResult
from mrcore.errors import BudgetError, shown
from mrcore.kernels.fault import TruncatedError
from mrcore.storage.files import reading
from mrcore.storage.mapped import changed, open_bytes, open_input
from mrcore.storage.partfile import PartWriter
from mrcore.storage.runfile import RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcore.engine.task import TaskEnv

STREAM_BUFFER = 1 << 20  # bytes a read of a pipe; fits the L2 cache
EXPANDED_BYTES = 1 << 20  # for the buffers of keys that are written out before they are counted


def run_map(spec: MapSpec, env: TaskEnv) -> TaskResult:
    """Runs a map task; see :func:`mrcore.engine.task.run_task`."""
    if spec.make == "sketch":
        return _run_sketch(spec, env)
    partitions = spec.reducers if spec.splitters is None else len(spec.splitters) + 1
    memory = spec.memory if is_plain(spec.keys) else spec.memory - EXPANDED_BYTES
    scheme = Scheme(*table_keys(spec.keys), partitions, spec.splitters, memory, spec.choose)
    postings = spec.make == "postings"
    sink: Indexer | Combiner = env.take(Indexer, scheme) if postings else env.take(Combiner, scheme)
    feed = KeyFeed(spec.keys, sink)
    kind = "posting" if postings else "sum"
    with RunWriter(spec.output, partitions, kind=kind, sync=spec.sync, disk=env.disk(spec.disk)) as run:
        sink.begin(run)
        if isinstance(sink, Indexer):
            bytes_in = _index(spec, sink, feed, env)
        else:
            bytes_in = sum(feed_span(feed, span, env.progress, copied=is_copied(spec.keys)) for span in spec.spans)
        sink.finish()
    result = TaskResult(
        spec.task, spec.output, bytes_in, run.size, sink.tokens, run.records, run.check, sink.tokens, sink.spills,
        memory=sink.memory_peak, splitters=sink.splitters if isinstance(sink, Combiner) and spec.choose else None,
    )  # fmt: skip
    env.give(sink)
    return result


def _index(spec: MapSpec, sink: Indexer, feed: KeyFeed, env: TaskEnv) -> int:
    left = SAMPLE_BYTES
    sink.begin_sample()
    for span in spec.spans:
        if span.size > 0 and left > 0:
            part = Span(span.path, span.start, min(span.stop, span.start + left), span.size)
            left -= feed_span(feed, part, lambda count: None, copied=is_copied(spec.keys))
    sink.end_sample()
    bytes_in = 0
    for span in spec.spans:
        sink.begin_document(span.document)
        bytes_in += feed_span(feed, span, env.progress, copied=is_copied(spec.keys))
        sink.end_document()
    return bytes_in


def _run_sketch(spec: MapSpec, env: TaskEnv) -> TaskResult:
    from mrcore.engine.sketch import Sketch

    sink = Sketch(*table_keys(spec.keys), spec.memory)
    feed = KeyFeed(spec.keys, sink)
    bytes_in = sum(feed_span(feed, span, env.progress, copied=is_copied(spec.keys)) for span in spec.spans)
    with PartWriter(spec.output, sync=spec.sync) as part:
        part.write(sink.registers)
    return TaskResult(
        spec.task, spec.output, bytes_in, part.size, sink.tokens, 1, part.check, sink.tokens, memory=sink.memory_bytes
    )


def feed_span(feed: KeyFeed, span: Span, progress: Callable[[int], None], *, copied: bool) -> int:
    """Feeds the keys of a span; how many bytes it has.

    Args:
        progress: called with bytes consumed.
        copied: read the file instead of mapping it.

    Raises:
        InputError: the file cannot be read, or is not what it was.
        BudgetError: a token is too long.
    """
    if span.is_stream:
        with open_input(span.path) as fd:
            return _feed_stream(feed, span.path, lambda view, _: os.readv(fd, [view]), progress)
    with open_bytes(span.path, span.size) as data:
        try:
            at = feed.align(data, span.start) if span.start else 0
            stop = feed.align(data, span.stop) if at < span.stop else at  # or one token covers the span
            if not copied:
                _feed_map(feed, data, at, stop, progress)
        except TruncatedError:
            raise changed(span.path) from None
        except TokenTooLong as error:
            raise _too_long(span.path, error, feed) from error
    if copied and at < stop:
        _feed_copies(feed, span, at, stop, progress)
    return max(0, span.stop - span.start)


def _feed_map(feed: KeyFeed, data: object, at: int, stop: int, progress: Callable[[int], None]) -> None:
    window = feed.sink.window
    while at < stop:
        until = min(at + window, stop)
        fed = feed.feed(data, at, until, until == stop)  # type: ignore[arg-type]
        # A token longer than the window: look further, without counting it twice.
        window = feed.sink.window if fed > at else 2 * window
        progress(fed - at)
        at = fed


def _feed_copies(feed: KeyFeed, span: Span, at: int, stop: int, progress: Callable[[int], None]) -> None:
    def read(view: memoryview, total: int) -> int:
        return os.preadv(fd, [view[: stop - at - total]], at + total) if total < stop - at else 0

    with open_input(span.path) as fd:
        if _feed_stream(feed, span.path, read, progress, at, stop - at) < stop - at:
            raise changed(span.path)


def _feed_stream(
    feed: KeyFeed,
    path: bytes,
    read: Callable[[memoryview, int], int],
    progress: Callable[[int], None],
    base: int = 0,
    size: int | None = None,
) -> int:
    """Feeds what ``read(view, bytes read before)`` brings until it is all, or nothing more comes; bytes read."""
    buffer = bytearray(STREAM_BUFFER)
    held = seen = total = 0  # bytes at the buffer's start: of an unfinished token, fed in vain; bytes read
    while True:
        if held == len(buffer):  # one token fills it
            if held > feed.sink.memory // feed.sink.key_share:
                raise _too_long(path, TokenTooLong(base + total - held, held), feed)
            buffer += bytes(len(buffer))
        with reading(path), memoryview(buffer) as view:
            count = read(view[held:], total)
        total += count
        last = not count or total == size
        progress(count)
        held += count
        feed.locate(base + total - held)
        if not last and held < 2 * seen:
            continue  # a long token: fed again when twice as long, so that all feeding is linear
        try:
            fed = feed.feed(buffer, 0, held, last)
        except TokenTooLong as error:
            raise _too_long(path, TokenTooLong(base + total - held + error.at, error.size), feed) from error
        if last:
            return total
        held = seen = held - fed
        buffer[:held] = buffer[fed : fed + held]


def _too_long(path: bytes, error: TokenTooLong, feed: KeyFeed) -> BudgetError:
    memory, fits = feed.sink.memory, feed.sink.memory // feed.sink.key_share
    return BudgetError(
        f"a {feed.unit} of {error.size:,} bytes or more: {shown(path)}, byte {error.at}: a task has {memory:,} bytes "
        f"of memory, and only a {feed.unit} of up to {fits:,} surely fits: raise --memory, or lower -j"
    )
