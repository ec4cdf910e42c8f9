"""A map task: the tokens of some spans, counted, sorted and written as one run file.

A span owns the tokens whose first byte lies in it; so a token that crosses a border of
splits is read past the border by one task and skipped by the next. Text is fed in windows
short enough that a call into native code stays below 50 ms.
"""

from __future__ import annotations

import os

from mrcore.engine.spec import MapSpec, Span, TaskResult
from mrcore.errors import BudgetError, shown
from mrcore.kernels.table import CountTable, TruncatedError
from mrcore.storage.files import reading
from mrcore.storage.mapped import changed, open_bytes, open_input
from mrcore.storage.runfile import BLOCK_SIZE, RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.engine.task import TaskEnv

WINDOW = 8 << 20  # bytes a call: 10-30 ms
STREAM_BUFFER = 1 << 20  # bytes a read of a pipe; fits the L2 cache


def run_map(spec: MapSpec, env: TaskEnv) -> TaskResult:
    """Runs a map task; see :func:`mrcore.engine.task.run_task`."""
    table = env.take_table(spec.tokenizer, spec.lower)
    bytes_in = sum(_feed_span(table, span, env) for span in spec.spans)
    splitters = None if spec.splitters is None else list(spec.splitters)
    entries = table.drain(spec.reducers, splitters)
    records = sum(entries.records(p) for p in range(entries.partitions))
    with RunWriter(spec.output, sync=spec.sync) as run:
        for p in range(entries.partitions):
            run.segment(entries.blocks(p, BLOCK_SIZE), entries.records(p))
    result = TaskResult(spec.task, spec.output, bytes_in, run.size, table.tokens, records, tokens=table.tokens)
    env.give_table(spec.tokenizer, spec.lower, table)
    return result


def _feed_span(table: CountTable, span: Span, env: TaskEnv) -> int:
    if span.size < 0:
        return _feed_stream(table, span.path, env)
    with open_bytes(span.path, span.size) as data:
        try:
            at = table.align(data, span.start) if span.start else 0
            stop = table.align(data, span.stop) if at < span.stop else at  # or one token covers the span
            window = WINDOW
            while at < stop:
                until = min(at + window, stop)
                fed = table.feed(data, at, until, until == stop)
                # A token longer than the window: look further, without counting it twice.
                window = WINDOW if fed > at else 2 * window
                env.progress(fed - at)
                at = fed
        except TruncatedError:
            raise changed(span.path) from None
        except MemoryError as error:
            raise BudgetError(f"out of memory: {shown(span.path)}, byte {at}: lower -j, or --split") from error
    return max(0, span.stop - span.start)


def _feed_stream(table: CountTable, path: bytes, env: TaskEnv) -> int:
    buffer = bytearray(STREAM_BUFFER)
    held = seen = total = 0  # bytes at the buffer's start: of an unfinished token, fed in vain; bytes read
    with open_input(path) as fd:
        while True:
            if held == len(buffer):  # one token fills it
                buffer = _larger(buffer, path, total)
            with reading(path), memoryview(buffer) as view:
                count = os.readv(fd, [view[held:]])
            total += count
            env.progress(count)
            held += count
            if count and held < 2 * seen:
                continue  # a long token: fed again when twice as long, so that all feeding is linear
            fed = table.feed(buffer, 0, held, count == 0)
            if not count:
                return total
            held = seen = held - fed
            buffer[:held] = buffer[fed : fed + held]


def _larger(buffer: bytearray, path: bytes, at: int) -> bytearray:
    try:
        return buffer + bytes(len(buffer))
    except MemoryError as error:
        raise BudgetError(f"out of memory: {shown(path)}, byte {at}: a token that is too long ends there") from error
