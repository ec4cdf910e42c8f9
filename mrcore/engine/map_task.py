"""A map task: the tokens of some spans, counted and written as sorted runs of one run file.

A span owns the tokens whose first byte lies in it; so a token that crosses a border of
splits is read past the border by one task and skipped by the next. Text is fed in windows
short enough that a call into native code stays below 50 ms.
"""

from __future__ import annotations

import os

from mrcore.engine.combiner import Scheme, TokenTooLong
from mrcore.engine.spec import MapSpec, Span, TaskResult
from mrcore.errors import BudgetError, shown
from mrcore.kernels.fault import TruncatedError
from mrcore.storage.files import reading
from mrcore.storage.mapped import changed, open_bytes, open_input
from mrcore.storage.runfile import RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.engine.combiner import Combiner
    from mrcore.engine.task import TaskEnv

STREAM_BUFFER = 1 << 20  # bytes a read of a pipe; fits the L2 cache


def run_map(spec: MapSpec, env: TaskEnv) -> TaskResult:
    """Runs a map task; see :func:`mrcore.engine.task.run_task`."""
    partitions = spec.reducers if spec.splitters is None else len(spec.splitters) + 1
    scheme = Scheme(spec.tokenizer, spec.lower, partitions, spec.splitters, spec.memory)
    combiner = env.take_combiner(scheme)
    with RunWriter(spec.output, partitions, sync=spec.sync, disk=env.disk(spec.disk)) as run:
        combiner.begin(run)
        bytes_in = sum(_feed_span(combiner, span, env) for span in spec.spans)
        combiner.finish()
    result = TaskResult(
        spec.task, spec.output, bytes_in, run.size, combiner.tokens, run.records, tokens=combiner.tokens,
        spills=combiner.spills, memory=combiner.memory_peak,
    )  # fmt: skip
    env.give_combiner(combiner)
    return result


def _feed_span(combiner: Combiner, span: Span, env: TaskEnv) -> int:
    if span.size < 0:
        return _feed_stream(combiner, span.path, env)
    with open_bytes(span.path, span.size) as data:
        try:
            at = combiner.align(data, span.start) if span.start else 0
            stop = combiner.align(data, span.stop) if at < span.stop else at  # or one token covers the span
            window = combiner.window
            while at < stop:
                until = min(at + window, stop)
                fed = combiner.feed(data, at, until, until == stop)
                # A token longer than the window: look further, without counting it twice.
                window = combiner.window if fed > at else 2 * window
                env.progress(fed - at)
                at = fed
        except TruncatedError:
            raise changed(span.path) from None
        except TokenTooLong as error:
            raise _too_long(span.path, error.at, error.size, combiner) from error
    return max(0, span.stop - span.start)


def _feed_stream(combiner: Combiner, path: bytes, env: TaskEnv) -> int:
    buffer = bytearray(STREAM_BUFFER)
    held = seen = total = 0  # bytes at the buffer's start: of an unfinished token, fed in vain; bytes read
    with open_input(path) as fd:
        while True:
            if held == len(buffer):  # one token fills it
                if 2 * held > combiner.scheme.memory // 3:
                    raise _too_long(path, total - held, held, combiner)
                buffer += bytes(len(buffer))
            with reading(path), memoryview(buffer) as view:
                count = os.readv(fd, [view[held:]])
            total += count
            env.progress(count)
            held += count
            if count and held < 2 * seen:
                continue  # a long token: fed again when twice as long, so that all feeding is linear
            try:
                fed = combiner.feed(buffer, 0, held, count == 0)
            except TokenTooLong as error:
                raise _too_long(path, total - held + error.at, error.size, combiner) from error
            if not count:
                return total
            held = seen = held - fed
            buffer[:held] = buffer[fed : fed + held]


def _too_long(path: bytes, at: int, size: int, combiner: Combiner) -> BudgetError:
    return BudgetError(
        f"a token of {size:,} bytes or more: {shown(path)}, byte {at}: a task has {combiner.scheme.memory:,} bytes of "
        "memory, and a token may take a fifth of that: raise --memory, or lower -j"
    )
