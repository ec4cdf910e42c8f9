"""From text to postings inside a budget: which keys each document has, and how often.

The keys of one document are counted in a small table; at its end they go to the sort buffer as
(key, document, count), and the buffer is written as a sorted run when it is full. Documents come
in ascending order, so the postings of a key in a run ascend, and so do the runs.
"""

from __future__ import annotations

from mrcore.engine.combiner import WINDOW, Scheme, TokenTooLong, partition_of
from mrcore.kernels.merge import encode_bytes_record
from mrcore.kernels.postings import encode
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable
from mrcore.storage.runfile import BLOCK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mrcore.storage.runfile import RunWriter

TABLE_BYTES = 16 << 20
BUFFER_BYTES = 144 << 20
SAMPLE_BYTES = 1 << 20
TOKENS_MAX = 1 << 31  # in a document before its counts are passed on: the buffer holds counts of 32 bits
KEY_SHARE = 12  # a key may be a twelfth of the memory: the merge holds two runs' and joins their postings
RECORD_BYTES = 16  # of a posting in the buffer, about


class Indexer:
    """Collects postings into a run file.

    Args:
        scheme: how. ``memory`` is at least :func:`mrcore.engine.combiner.least_memory`.
    """

    window = WINDOW
    key_share = KEY_SHARE

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.memory = scheme.memory
        self._table_bytes = min(TABLE_BYTES, scheme.memory * 2 // 5)
        self._buffer_bytes = min(BUFFER_BYTES, scheme.memory - self._table_bytes - (scheme.memory >> 4))
        splitters = None if scheme.splitters is None else list(scheme.splitters)
        self._table = self._new_table(self._table_bytes)
        self._buffer = SortBuffer(self._buffer_bytes, scheme.partitions, splitters, kind="posting")
        self._run: RunWriter | None = None
        self._document = 0
        self._sampling = False
        self.tokens = self.spills = self.memory_peak = 0

    def _new_table(self, bytes_max: int) -> CountTable:
        return CountTable(self.scheme.tokenizer, self.scheme.lower, bytes_max, small=True)

    def begin(self, run: RunWriter) -> None:
        """Starts a task whose runs go to ``run``."""
        self._run = run
        self.tokens = self.spills = 0

    def begin_sample(self) -> None:
        """What is fed from here on is a sample, for the key ranges of the sort."""
        self._sampling = True

    def end_sample(self) -> None:
        """Chooses the key ranges by the sample and forgets it."""
        self._sampling = False
        if self._table.distinct:
            self._buffer.aim(self._table, self._buffer_bytes // RECORD_BYTES)
        self._table.clear()

    def begin_document(self, document: int) -> None:
        """What is fed from here on belongs to a document, which is not before the last one."""
        self._document = document

    def end_document(self) -> None:
        """The document's keys are complete, or those of a part of it."""
        self.tokens += self._table.tokens
        self._buffer.take(self._table, self._document)
        while self._buffer.full:
            self.spills += 1
            self._write_runs()
            self._buffer.take(self._table, self._document)
        self._table.clear()

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """Counts keys; as :meth:`mrcore.engine.combiner.Combiner.feed`."""
        at = start
        while True:
            at = self._table.feed(data, at, stop, final)
            if not self._table.full:
                if self._table.tokens > TOKENS_MAX:
                    self.end_document()
                return at
            if self._sampling:
                return stop
            if self._table.distinct:
                self.end_document()
            elif (after := self._feed_giant(data, at, stop, final)) > at:
                at = after
            else:
                return at

    def finish(self) -> None:
        """Writes what is left and starts again empty."""
        self._write_runs()

    def _feed_giant(self, data: Buffer, at: int, stop: int, final: bool) -> int:
        """One key for which the empty table is too small becomes a run of its own."""
        end = min(self._table.align(data, at + 1), stop) if at + 1 < stop else stop
        if end - at > self.scheme.memory // KEY_SHARE:
            raise TokenTooLong(at, end - at)
        if end == stop and not final:
            return at
        self.spills += 1
        self._write_runs()
        self._buffer.release()
        # A new table, since its room doubles and may become four times the key, and a new one afterwards.
        self._table = self._new_table(self.scheme.memory)
        self._table.feed(data, at, end, True)
        if self._table.full:
            raise TokenTooLong(at, end - at)
        self.memory_peak = max(self.memory_peak, self._table.memory_bytes + self._buffer.memory_bytes)
        self.tokens += self._table.tokens
        assert self._run is not None
        pairs = self._table.items()
        self._table = self._new_table(self._table_bytes)
        for key, count in pairs:
            record = encode_bytes_record(key, encode([(self._document, count)]))
            partition = partition_of(key, self.scheme.partitions, self.scheme.splitters)
            self._run.segment(partition, [record], lambda: 1)
        return end

    def _write_runs(self) -> None:
        run, buffer = self._run, self._buffer
        assert run is not None
        self.memory_peak = max(self.memory_peak, self._table.memory_bytes + buffer.memory_bytes)
        while buffer.begin_run():
            for p in range(buffer.partitions):
                run.segment(p, buffer.blocks(p, BLOCK_SIZE), lambda: buffer.records)
        buffer.clear()
