"""The drain and the feed of records: pairs of users' functions through table and sort buffer, against a dict."""
import pickle
from collections.abc import Iterable
from typing import Any

import pytest

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec, decode_key
from mrcore.kernels.drain import Drain
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
