"""From text to sorted runs inside a budget: the combiner table and the sort buffer at work.

Tokens are counted in a table that stays small enough to be quick. When it is full its keys go
to the sort buffer, which brings equal ones together when it is sorted; when the buffer is full
it is written as a sorted run, and both start again in the same memory. Where most tokens turn
out to be distinct the table is left out for a while: it would miss the cache with every token
and combine nothing. So what is written depends on budgets and paths only in how the same
counts are spread over runs, which the merge adds up again.
"""

from __future__ import annotations

import bisect
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from mrcore.kernels.merge import encode_record
from mrcore.kernels.radix import SortBuffer, bytes_min
from mrcore.kernels.table import CountTable
from mrcore.storage.runfile import BLOCK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mrcore.storage.runfile import RunWriter

TABLE_BYTES = 32 << 20  # a larger table misses more than it combines
BUFFER_BYTES = 144 << 20  # holds a default split of distinct tokens; more would only be more fresh memory
LEAST_BYTES = 4 << 20
KEYS_A_RANGE = 50_000  # distinct keys of the first table, for a partition that is chosen by them
SAMPLE_KEYS = 8192
RECORD_BYTES = 12  # of a token in the buffer, about
GIANT_SHARE = 5  # a token may be a fifth of the memory: it is held by table, buffer, block and merge

WINDOW = 8 << 20  # bytes of text a call: 10-30 ms
FIRST_WINDOW = 1 << 20  # while it is not known whether the table pays
FIRST_TOKENS = 1 << 16  # then it is: of any text, so many tokens are more than three quarters distinct or they are not
FIRST_RATIO = 0.75
DIRECT_RATIO = 0.5  # distinct keys a token from which on the table is left out
DIRECT_BYTES, DIRECT_BYTES_MAX = 16 << 20, 256 << 20  # for so much text, twice as much each time it was right


class Scheme(NamedTuple):
    """What a combiner's parts are made for: they are kept from task to task while it stays the same."""

    tokenizer: str
    lower: bool
    partitions: int
    splitters: tuple[bytes, ...] | None
    memory: int
    choose: bool = False  # splitters for the partitions by the first keys seen


class TokenTooLong(Exception):
    """The token at offset ``at`` has so many bytes, or more, and there is no room for it."""

    def __init__(self, at: int, size: int) -> None:
        self.at, self.size = at, size


def partition_of(key: bytes, partitions: int, splitters: tuple[bytes, ...] | None) -> int:
    """The partition of one key, as the kernels choose it."""
    if splitters is None:
        return xxh3_64_intdigest(key) % partitions
    return bisect.bisect_right(splitters, key)


def least_memory(partitions: int) -> int:
    """Bytes that a combiner cannot do without."""
    return max(LEAST_BYTES, 2 * bytes_min(partitions))


class Combiner:
    """Counts tokens into a run file.

    Args:
        scheme: how. ``memory`` is at least :func:`least_memory`.
    """

    key_share = GIANT_SHARE + 1  # of a stream the text is held too

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.memory = scheme.memory
        least = bytes_min(scheme.partitions if scheme.splitters is None else 1)
        self._table_bytes = min(TABLE_BYTES, scheme.memory * 2 // 5)
        self._buffer_bytes = min(max(BUFFER_BYTES, least), scheme.memory - self._table_bytes - (scheme.memory >> 4))
        self._table = self._new_table(self._table_bytes)
        self.splitters = () if scheme.choose else scheme.splitters
        self._buffer = self._make_buffer()
        self._chosen = not scheme.choose
        self._looked = False
        self._direct = 0  # bytes of text still to go past the table
        self._stretch = DIRECT_BYTES
        self._run: RunWriter | None = None
        self.tokens = self.spills = self.memory_peak = 0

    def _make_buffer(self) -> SortBuffer:
        scheme = self.scheme
        splitters = None if self.splitters is None else list(self.splitters)
        return SortBuffer(
            self._buffer_bytes, scheme.partitions, splitters, tokenizer=scheme.tokenizer, lower=scheme.lower
        )

    def _choose_splitters(self, last: bool) -> None:
        """Parts the table's keys evenly, before anything is in the buffer; in few parts if these are all of them."""
        self._chosen = True
        parts = self.scheme.partitions
        if last:
            parts = min(parts, self._table.distinct // KEYS_A_RANGE + 1)
        keys = sorted(self._table.sample(SAMPLE_KEYS)) if parts > 1 else []
        self.splitters = tuple(sorted({keys[len(keys) * p // parts] for p in range(1, parts)} if keys else ()))
        self._buffer = self._make_buffer()

    def _new_table(self, bytes_max: int) -> CountTable:
        return CountTable(self.scheme.tokenizer, self.scheme.lower, bytes_max)

    @property
    def window(self) -> int:
        """Bytes of text to feed at a time."""
        return WINDOW if self._looked else FIRST_WINDOW

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory in use."""
        return self._table.memory_bytes + self._buffer.memory_bytes

    def begin(self, run: RunWriter) -> None:
        """Starts a task whose runs go to ``run``."""
        self._run = run
        self.tokens = self.spills = 0

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """Counts the tokens of ``data[start:stop]``; as :meth:`mrcore.kernels.table.CountTable.feed`.

        Raises:
            TokenTooLong: at the token there.
            TruncatedError: a mapped file became shorter.
            DiskFullError, BudgetError, OutputExistsError: what was full could not be written.
        """
        at = start
        while not self._direct:
            at = self._table.feed(data, at, stop, final)
            if not self._table.full:
                self._look()
                return at
            if self._table.distinct:
                self._relieve()
            elif (after := self._feed_giant(data, at, stop, final)) > at:
                at = after
            else:
                return at
        return self._feed_direct(data, at, stop, final)

    def finish(self) -> None:
        """Writes what is left and starts again empty."""
        self._empty_table(last=True)
        self._write_runs()

    def _look(self) -> None:
        if not self._looked and self._table.tokens >= FIRST_TOKENS:
            self._looked = True
            if self._table.distinct > FIRST_RATIO * self._table.tokens:
                self._relieve()

    def _relieve(self) -> None:
        """Empties the full table, and decides whether it pays to go on with it."""
        if self._table.distinct > DIRECT_RATIO * self._table.tokens:
            self._direct = self._stretch
            self._stretch = min(2 * self._stretch, DIRECT_BYTES_MAX)
        else:
            self._stretch = DIRECT_BYTES
        self._empty_table()

    def _empty_table(self, *, last: bool = False) -> None:
        self.tokens += self._table.tokens
        if not self._chosen:
            self._choose_splitters(last)
        if self._buffer.empty and self._table.distinct:
            more = 0 if last else self._buffer_bytes // RECORD_BYTES
            self._buffer.aim(self._table, max(self._table.distinct, more))
        self._buffer.take(self._table)
        while self._buffer.full:
            self._spill()
            self._buffer.take(self._table)
        self.memory_peak = max(self.memory_peak, self.memory_bytes)
        self._table.clear()

    def _feed_direct(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        at, tokens = start, self._buffer.tokens
        while True:
            at = self._buffer.feed(data, at, stop, final)
            self.tokens += self._buffer.tokens - tokens
            if self._buffer.full:
                self._spill()
            elif self._buffer.long_size:
                end = min(self._table.align(data, at + 1), stop)  # of a line: behind its separator
                self._count_apart(data, at, end)
                at = end
            else:
                break
            tokens = self._buffer.tokens  # a spill may have emptied the buffer
        self._direct = max(0, self._direct - (at - start))
        return at

    def _count_apart(self, data: Buffer, start: int, stop: int) -> None:
        """Counts one token that is too long for the buffer's short records."""
        self._table.feed(data, start, stop, True)
        if self._table.full and self._table.distinct:
            self._empty_table()
            self._table.feed(data, start, stop, True)
        if self._table.full:
            self._feed_giant(data, start, stop, True)

    def _feed_giant(self, data: Buffer, at: int, stop: int, final: bool) -> int:
        """Counts the one token at ``at``, for which the empty table was too small, into a run of its own.

        Returns ``at`` again if the token does not end before ``stop``.
        """
        self._chosen = True  # a run of its own needs a partition now
        limit = self.scheme.memory // GIANT_SHARE
        end = min(self._table.align(data, at + 1), stop) if at + 1 < stop else stop
        if end - at > limit:
            raise TokenTooLong(at, end - at)
        if end == stop and not final:
            return at
        while not self._buffer.empty:  # a spill may write the largest bucket alone
            self._spill()
        self._buffer.release()
        # A new table, since its room doubles and may become four times the token, and a new one afterwards.
        self._table = self._new_table(self.scheme.memory)
        self._table.feed(data, at, end, True)
        if self._table.full:
            raise TokenTooLong(at, end - at)
        self.memory_peak = max(self.memory_peak, self.memory_bytes)
        self.tokens += self._table.tokens
        assert self._run is not None
        pairs = self._table.items()
        self._table = self._new_table(self._table_bytes)
        for key, count in pairs:
            partition = partition_of(key, self.scheme.partitions, self.splitters)
            self._run.segment(partition, [encode_record(key, count)], lambda: 1)
        return end

    def _spill(self) -> None:
        self.spills += 1
        self._buffer.choose_largest()
        tokens, written = self._buffer.tokens, self._write_runs()
        if self._direct and written < DIRECT_RATIO * tokens:  # they were not that distinct after all
            self._direct, self._stretch = 0, DIRECT_BYTES

    def _write_runs(self) -> int:
        """Writes the buffer and clears it; how many records that were."""
        run, buffer, written = self._run, self._buffer, 0
        assert run is not None
        self.memory_peak = max(self.memory_peak, self.memory_bytes)
        while buffer.begin_run():
            for p in range(buffer.partitions):
                run.segment(p, buffer.blocks(p, BLOCK_SIZE), lambda: buffer.records)
                written += buffer.records
        buffer.clear()
        return written
