"""The drain and the feed of records: pairs of users' functions through table and sort buffer, against a dict."""
import pickle
from collections.abc import Iterable
from typing import Any

import pytest

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec, decode_key
from mrcore.kernels.drain import Drain, ElementFeed, RecordFeed
from mrcore.kernels.groups import read_groups
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

I64 = 2**63 - 1
Groups = list[tuple[Any, list[Any]]]


class Owner:
    """Owns a drain as a map task does: spills are kept as runs, each partition's blocks by themselves."""

    def __init__(self, table_bytes: int | None = 1 << 20, buffer_bytes: int = 4 << 20, partitions: int = 1,
                 splitters: list[bytes] | None = None, **how: Any) -> None:
        self.table = None if table_bytes is None else CountTable("lines", False, table_bytes)
        self.buffer = SortBuffer(buffer_bytes, partitions, splitters, kind="values", tag=TAG_INT)
        self.drain = Drain(self, KeyCodec(), ValueCodec(pickle.dumps, pickle.loads), self.buffer, self.table, **how)
        self.chain = Chain([], self.drain)
        self.runs: list[list[list[bytes]]] = []
        self.relieved = self.spills = self.samplings = 0

    def relieve(self) -> None:
        self.relieved += 1
        assert self.table is not None
        self.buffer.take(self.table)
        while self.buffer.full:
            self.spill()
            self.buffer.take(self.table)
        self.table.clear()

    def spill(self) -> None:
        self.spills += 1
        self.buffer.choose_largest()
        self.write()

    def sampled(self) -> None:
        self.samplings += 1

    def write(self) -> None:
        while self.buffer.begin_run():
            self.runs.append([[bytes(block) for block in self.buffer.blocks(p, 1 << 16)]
                              for p in range(self.buffer.partitions)])
        self.buffer.clear()

    def take(self, pairs: Iterable[Any]) -> "Owner":
        for pair in pairs:
            self.chain.push(pair)
        return self

    def groups(self, partition: int = 0, prefix: int = 0) -> Groups:
        """Key and values of all groups of a partition, ascending, those of one key in the order of the runs."""
        self.drain.finish()
        if self.table is not None:
            self.relieve()
        self.write()
        found: dict[bytes, list[Any]] = {}
        for run in self.runs:
            for key, values in read_groups(run[partition], pickle.loads):
                found.setdefault(key, []).extend(values)
        return [(decode_key(key[prefix:], self.drain.keys.type), values) for key, values in sorted(found.items())]

    def sums(self) -> dict[Any, int]:
        return {key: sum(values) for key, values in self.groups()}


def expected_sums(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    sums: dict[Any, int] = {}
    for key, value in pairs:
        sums[key] = sums.get(key, 0) + value
    return sums


def test_a_key_that_waits_is_not_lost_when_one_before_it_leaves_int64() -> None:
    """Passing the batch on, with a sum that goes past the table, must leave alone the key that comes next."""
    pairs = [(7, I64), (7, 1), *((i, 1) for i in range(1000, 1600))]
    assert Owner().take(pairs).sums() == expected_sums(pairs)


def test_an_error_of_the_function_that_chooses_partitions_is_passed_on_as_it_is() -> None:
    def place(key: int, partitions: int) -> int:
        raise ValueError("no place")

    with pytest.raises(ValueError, match="no place"):
        Owner(place=place, partitions=3).take([(1, 1)])


@pytest.mark.parametrize("first", [1.5, "x", 2**70])
def test_none_behind_a_value_that_went_past_the_table_is_not_taken_for_a_number(first: Any) -> None:
    owner = Owner()
    owner.chain.push_all([(b"a", first), (b"b", None), (b"b", 5)], "map")
    assert owner.drain.added == 2


# ---- feeds: the cell, and what is passed over ----------------------------------------------------------------


def cell_of(value: int = -7) -> memoryview:
    cell = memoryview(bytearray(8)).cast("q")
    cell[0] = value
    return cell


@pytest.mark.parametrize("step", [None, 1, 3])
def test_the_cell_says_where_each_record_begins_and_nothing_between_two_texts(step: int | None) -> None:
    text, cell = b"ab\n\ncdefgh\ni", cell_of()
    seen: list[tuple[bytes, int, int]] = []
    feed = RecordFeed(Chain([("map", lambda record: seen.append((record, cell[0], feed.offset)) or (0, 0))],
                            Owner().drain), "lines", cell=cell)
    feed.base = at = stop = 0
    while stop < len(text):
        stop = len(text) if step is None else min(len(text), stop + step)
        at = feed.feed(text, at, stop, stop == len(text))
        assert cell[0] == -1
    assert seen == [(b"ab", 0, 0), (b"", 3, 3), (b"cdefgh", 4, 4), (b"i", 11, 11)]


@pytest.mark.parametrize("skip", [{0}, {1000}, {5, 0}, {0, 3, 4, 5, 7}, set(), None])
def test_records_at_the_offsets_to_skip_are_neither_decoded_nor_run(skip: set[int] | None) -> None:
    text = b"\xffa\nb\n\ncc\nd"  # at 0, 3, 5, 6, 9; the first is no UTF-8
    wanted = [(at, line) for at, line in [(0, "bad"), (3, "b"), (5, ""), (6, "cc"), (9, "d")]
              if at + 100 not in {100 + offset for offset in skip or ()}]
    seen: list[str] = []
    feed = RecordFeed(Chain([("map", lambda record: seen.append(record) or (0, 0))], Owner().drain), "lines",
                      encoding="utf-8")
    feed.base = 100
    feed.skip = None if skip is None else {100 + offset for offset in skip}
    if wanted[0][1] == "bad":
        with pytest.raises(UnicodeDecodeError):
            feed.feed(text, 0, len(text), True)
        assert (feed.offset, feed.records, feed.skipped, seen) == (100, 1, 0, [])
        return
    feed.feed(text, 0, len(text), True)
    assert seen == [line for _, line in wanted]
    assert (feed.records, feed.skipped) == (len(wanted), 5 - len(wanted))


def test_after_an_error_the_cell_still_says_at_which_record() -> None:
    cell = cell_of()
    feed = RecordFeed(Chain([("map", lambda record: 1 // len(record))], Owner().drain), "lines", cell=cell)
    with pytest.raises(ZeroDivisionError):
        feed.feed(b"\n", 0, 1, True)
    assert cell[0] == 0
    elements = ElementFeed(Chain([("map", lambda element: (1 // element, 0))], Owner().drain), cell=cell)
    elements.feed([1, 2])
    with pytest.raises(ZeroDivisionError):
        elements.feed([3, 0, 4])
    assert (cell[0], elements.offset) == (3, 3)


def test_elements_are_counted_over_all_lists_and_passed_over_by_their_index() -> None:
    cell = cell_of()
    seen: list[tuple[str, int]] = []
    feed = ElementFeed(Chain([("map", lambda element: seen.append((element, cell[0])) or (0, 0))], Owner().drain),
                       cell=cell)
    feed.skip = {1, 3, 9}
    for elements in (["a", "b", "c"], [], ["d"], ["e"]):
        feed.feed(elements)
        assert cell[0] == -1
    assert seen == [("a", 0), ("c", 2), ("e", 4)]
    assert (feed.offset, feed.records, feed.skipped) == (5, 3, 2)


@pytest.mark.parametrize("cell", [b"readonly", bytearray(8), memoryview(bytearray(0)).cast("q")], ids=type)
def test_what_is_no_cell_is_refused(cell: Any) -> None:
    for kind in (RecordFeed, ElementFeed):
        with pytest.raises((BufferError, ValueError, IndexError)):
            kind(Chain([], Owner().drain), cell=cell)
