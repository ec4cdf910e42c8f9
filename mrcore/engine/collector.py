"""From pairs that users' functions yield to sorted runs inside a budget.

Where integers are added up, a table stands in front of the sort buffer, as in
:mod:`mrcore.engine.combiner`; all other values go straight into the buffer. A buffer that is full
is written as a sorted run, each group folded by the job's aggregate or combiner on the way.
"""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple

from mrcore.engine.aggregates import Collect
from mrcore.engine.combiner import BUFFER_BYTES, DIRECT_RATIO, TABLE_BYTES
from mrcore.engine.pickling import dumps, loads
from mrcore.engine.user_code import leave_if_forked, shown_value, user_errors
from mrcore.engine.verification import verified
from mrcore.errors import UserCodeError
from mrcore.kernels.chain import YieldError
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec, decode_key
from mrcore.kernels.drain import PREFIX_BYTES, Drain
from mrcore.kernels.fold import Folder, fold_blocks
from mrcore.kernels.radix import SortBuffer, bytes_min
from mrcore.kernels.table import CountTable
from mrcore.storage.runfile import BLOCK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from mrcore.engine.context import Context
    from mrcore.engine.program import Program
    from mrcore.storage.runfile import RunWriter

    Fold: TypeAlias = Folder | Callable[[bytes, Iterable[Any]], Iterable[Any]]

SAMPLE_PAIRS = 20_000  # of the first task, by whose keys the ranges of the sort are chosen
RECORD_BYTES = 24  # of a pair in the buffer, about
DIRECT_PAIRS, DIRECT_PAIRS_MAX = 1 << 20, 1 << 24  # past the table, twice as many each time it was right


class StoreScheme(NamedTuple):
    """What a store's parts are made for."""

    partitions: int
    splitters: tuple[bytes, ...] | None
    memory: int
    table: bool


class PairStore:
    """A table and a sort buffer, whose memory is kept from task to task."""

    def __init__(self, scheme: StoreScheme) -> None:
        self.scheme = scheme
        table_bytes = min(TABLE_BYTES, scheme.memory * 2 // 5) if scheme.table else 0
        least = bytes_min(scheme.partitions if scheme.splitters is None else 1)
        self.buffer_bytes = min(max(BUFFER_BYTES, least), scheme.memory - table_bytes - (scheme.memory >> 4))
        self.table = CountTable("lines", False, table_bytes) if scheme.table else None
        splitters = None if scheme.splitters is None else list(scheme.splitters)
        self.buffer = SortBuffer(self.buffer_bytes, scheme.partitions, splitters, kind="values", tag=TAG_INT)
        self.aimed = False  # the buffer's key ranges were chosen

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory in use."""
        return self.buffer.memory_bytes + (self.table.memory_bytes if self.table is not None else 0)


def scheme_of(program: Program, partitions: int, memory: int) -> StoreScheme:
    """The store that a stage's pairs need."""
    shuffle = program.shuffle
    assert shuffle is not None
    adds = shuffle.aggregate is not None and shuffle.aggregate.native == "sum"
    if shuffle.place is None:
        return StoreScheme(partitions, None, memory, adds)
    splitters = tuple(p.to_bytes(PREFIX_BYTES, "big") for p in range(1, partitions))
    return StoreScheme(partitions, splitters, memory, adds)


class Collector:
    """One map task's pairs; the owner of its :class:`mrcore.kernels.drain.Drain`."""

    def __init__(
        self, store: PairStore, program: Program, ctx: Context, run: RunWriter, where: Callable[[], str]
    ) -> None:
        assert program.shuffle is not None
        self.store, self.shuffle, self.ctx, self.run = store, program.shuffle, ctx, run
        self._where, self._pid = where, os.getpid()
        self.keys, self.values = KeyCodec(), ValueCodec(dumps, loads)
        aggregate = self.shuffle.aggregate
        self.drain = Drain(
            self, self.keys, self.values, store.buffer, store.table,
            ones=aggregate is not None and aggregate.ones,
            place=self._place if self.shuffle.place is not None else None, partitions=store.scheme.partitions,
        )  # fmt: skip
        self._verify = program.verify
        self._passes = self._added = 0  # see _is_folded()
        self._stretch = DIRECT_PAIRS
        self._sample: CountTable | None = None
        if not store.aimed and store.table is None:
            self._sample = CountTable("lines", small=True)
            self.drain.sample(self._sample, SAMPLE_PAIRS)
        self.spills = self.memory_peak = self.records = 0

    def _place(self, key: Any, partitions: int) -> int:
        assert self.shuffle.place is not None
        place = self.shuffle.place(key, partitions)
        if not hasattr(place, "__index__"):  # which bool and NumPy's ints have too
            raise TypeError(f"the partition of a key is an int, not {type(place).__name__}")
        return operator.index(place)

    def relieve(self) -> None:
        """The table is full: its keys go to the buffer."""
        table = self.store.table
        assert table is not None
        if table.distinct > DIRECT_RATIO * table.tokens:
            self.drain.direct = self._stretch
            self._stretch = min(2 * self._stretch, DIRECT_PAIRS_MAX)
        else:
            self._stretch = DIRECT_PAIRS
        self._empty_table(self.store.buffer_bytes // RECORD_BYTES)

    def _empty_table(self, records: int) -> None:
        table, buffer = self.store.table, self.store.buffer
        if table is None or not table.distinct:
            return
        if buffer.empty:
            self._passes, self._added = 0, self.drain.added
            buffer.aim(table, max(table.distinct, records))
            self.store.aimed = True
        self._passes += 1
        buffer.take(table)
        while buffer.full:
            self.spill()
            buffer.take(table)
        self.memory_peak = max(self.memory_peak, self.store.memory_bytes)
        table.clear()

    def spill(self) -> None:
        """The buffer is full: it becomes a run, or its largest part does."""
        self.spills += 1
        self.store.buffer.choose_largest()
        self._write()

    def sampled(self) -> None:
        """The first pairs' keys are known: they choose the ranges of the sort, after those pairs were written."""
        assert self._sample is not None
        self._write()
        self.store.buffer.aim(self._sample, self.store.buffer_bytes // RECORD_BYTES)
        self.store.aimed = True
        self._sample = None

    def finish(self) -> None:
        """Writes what is left."""
        self.drain.finish()
        self._empty_table(0)
        self._write()

    def _write(self) -> None:
        leave_if_forked(self._pid)
        buffer = self.store.buffer
        self.memory_peak = max(self.memory_peak, self.store.memory_bytes)
        fold = None if self._is_folded() else self._fold()
        try:
            while buffer.begin_run():
                for p in range(buffer.partitions):
                    self._write_segment(p, fold)
        except YieldError as error:  # long after its record was read
            if error.key is None:
                raise
            raise UserCodeError(f"{error}: key {shown_value(self._key(error.key))}, map task {self.ctx.task}") from None
        buffer.clear()

    def _is_folded(self) -> bool:
        """Is all that the buffer holds of one walk over the table, so that no key stands in it twice?"""
        return self._passes == 1 and self._added == self.drain.added

    def _write_segment(self, partition: int, fold: Fold | None) -> None:
        buffer = self.store.buffer
        self.records = 0
        if fold is None:
            self.run.segment(partition, buffer.blocks(partition, BLOCK_SIZE), lambda: buffer.records)
        else:
            blocks = fold_blocks(buffer.blocks(partition, BLOCK_SIZE), BLOCK_SIZE, fold, self.values, self)
            self.run.segment(partition, blocks, lambda: self.records)

    def _fold(self) -> Fold | None:
        """What a group is folded by before it is written."""
        aggregate: Any = self.shuffle.aggregate
        if aggregate is None:
            return None if self.shuffle.combine is None else self._combine
        if isinstance(aggregate, Collect):  # its states are the values
            return None
        if aggregate.native:
            return Folder(aggregate.native, self.values)
        return self._aggregate

    def _key(self, data: bytes) -> Any:
        return decode_key(data[PREFIX_BYTES:] if self.shuffle.place is not None else data, self.keys.type)

    def _aggregate(self, data: bytes, values: Iterable[Any]) -> Iterator[Any]:
        aggregate = self.shuffle.aggregate
        assert aggregate is not None
        try:
            if self._verify:
                values = verified(self.shuffle, self._key(data), values, self.ctx)
            for state in aggregate.fold(values):
                try:
                    yield state
                except GeneratorExit:  # it could not be written: no error of the function's
                    return
        except BaseException:  # a context for each group would take longer than the fold of most
            with user_errors(lambda: f"{aggregate!r} of key {shown_value(self._key(data))}, {self._where()}"):
                raise

    def _combine(self, data: bytes, values: Iterable[Any]) -> Iterator[Any]:
        key, combine = self._key(data), self.shuffle.combine
        assert combine is not None
        try:
            if self._verify:
                values = verified(self.shuffle, key, values, self.ctx)
            for pair in combine(key, values, self.ctx):
                value = value_of(pair, key)
                try:
                    yield value
                except GeneratorExit:  # as above
                    return
        except BaseException:
            with user_errors(lambda: f"combine() of key {shown_value(key)}, {self._where()}"):
                raise


def value_of(pair: Any, key: Any) -> Any:
    """The value of a pair that a combiner yielded.

    Raises:
        TypeError, ValueError: it is no pair, or not of the group's key.
    """
    if type(pair) is not tuple or len(pair) != 2:
        raise TypeError(f"combine() yielded {type(pair).__name__}: yield (key, value) pairs")
    if pair[0] != key or type(pair[0]) is not type(key):
        raise ValueError(
            f"combine() yielded the key {shown_value(pair[0])} in the group of {shown_value(key)}: "
            "a combiner keeps the key"
        )
    return pair[1]
