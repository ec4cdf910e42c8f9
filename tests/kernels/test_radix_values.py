"""The sort buffer with values: all of a key's are kept, in the order they were added, whatever is spilled when.

Values come in through a drain, the one way that there is from Python.
"""
import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec, decode_values, encode_values
from mrcore.kernels.drain import Drain
from mrcore.kernels.radix import SortBuffer, bytes_min
from mrcore.kernels.table import CountTable
from mrcore.testing import reference

Pair = tuple[bytes, Any]
Part = list[tuple[bytes, list[Any]]]
CHUNK = 4096  # MR_RADIX_CHUNK
SHARED_MAX = 16384  # MR_RECORD_VALUES
REF_LONG = 65535  # MR_REF_LONG


class Sorter:
    """A buffer behind a drain; each run's blocks are kept, by partition."""

    def __init__(self, bytes_max: int = 4 << 20, partitions: int = 1, splitters: list[bytes] | None = None,
                 block_size: int = 1 << 16) -> None:
        self.buffer = SortBuffer(bytes_max, partitions, splitters, kind="values", tag=TAG_INT)
        self.drain = Drain(self, KeyCodec("b"), ValueCodec(None, None), self.buffer)
        self.chain = Chain([], self.drain)
        self.block_size = block_size
        self.runs: list[list[list[bytes]]] = []
        self.largest = False
        self.spills = 0

    def relieve(self) -> None:
        raise AssertionError("there is no table")

    def sampled(self) -> None:
        raise AssertionError("nothing is sampled")

    def spill(self) -> None:
        self.spills += 1
        if self.largest:
            self.buffer.choose_largest()
        self.write()

    def write(self) -> None:
        while self.buffer.begin_run():
            run = []
            for p in range(self.buffer.partitions):
                run.append([bytes(block) for block in self.buffer.blocks(p, self.block_size)])
                records = [record for block in run[-1] for record in reference.decode_bytes_records(block)]
                assert self.buffer.records == len(records)
                assert [key for key, _ in records] == sorted(key for key, _ in records)
            self.runs.append(run)
        self.buffer.clear()

    def take(self, pairs: list[Pair]) -> "Sorter":
        for pair in pairs:
            self.chain.push(pair)
        return self

    def parts(self) -> list[Part]:
        """Keys and values of each partition, runs in their order."""
        self.write()
        found: list[dict[bytes, list[Any]]] = [{} for _ in range(self.buffer.partitions)]
        for run in self.runs:
            for part, blocks in zip(found, run, strict=True):
                for block in blocks:
                    for key, data in reference.decode_bytes_records(block):
                        part.setdefault(key, []).extend(decode_values(data, None))
        return [sorted(part.items()) for part in found]


def expected(pairs: list[Pair], partitions: int = 1, splitters: list[bytes] | None = None) -> list[Part]:
    lists = ((key, [value]) for key, value in pairs)
    return reference.radix(lists, lambda found: list(itertools.chain(*found)), partitions, splitters)


keys = st.sampled_from([b"", b"\0", b"a", b"a" * 6, b"a" * 7, b"a" * 8, b"a" * 9, b"b" * 15, b"b" * 16, b"b" * 17])
some_values = st.integers() | st.binary(max_size=3) | st.sampled_from([b"v" * 126, b"v" * 127, b"v" * 16382])


@given(st.lists(st.tuples(keys, some_values), max_size=40), st.integers(1, 5))
def test_values_of_any_pairs_by_hash_and_by_range(pairs: list[Pair], partitions: int) -> None:
    assert Sorter(partitions=partitions).take(pairs).parts() == expected(pairs, partitions)
    splitters = [b"", b"a" * 7, b"b"][:partitions - 1]
    assert Sorter(splitters=splitters).take(pairs).parts() == expected(pairs, 1, splitters)


def many(count: int, distinct: int, seed: int = 1) -> list[Pair]:
    draw = random.Random(seed)
    return [(b"key %d" % min(draw.randrange(distinct), draw.randrange(distinct)), i) for i in range(count)]


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("partitions", [1, 3])
def test_order_is_kept_through_spills_of_all_or_of_the_largest_range(partitions: int, largest: bool) -> None:
    pairs = [(key, (i, b"x" * (i % 50))) for key, i in many(90_000, 3000)]
    pairs += [(b"frequent", i) for i in range(50_000)] + pairs[:20_000]
    sorter = Sorter(bytes_min(partitions) + (1 << 20), partitions)
    sorter.largest = largest
    sample = CountTable("lines")
    data = b"".join(b"%s\n" % key for key, _ in pairs[:5000])
    sample.feed(data, 0, len(data), True)
    sorter.buffer.aim(sample, 100_000)
    assert sorter.take(pairs).parts() == expected(pairs, partitions)
    assert sorter.spills > 2


def test_more_records_than_are_sorted_at_once_make_several_runs_in_order() -> None:
    pairs = [(b"k%d" % (i % 3), i) for i in range(200_000)]
    sorter = Sorter(16 << 20)
    assert sorter.take(pairs).parts() == expected(pairs)
    assert sorter.spills == 0
    assert len(sorter.runs) > 1


@pytest.mark.parametrize("size", [REF_LONG - 1, REF_LONG, REF_LONG + 1, 200_000])
def test_long_keys(size: int) -> None:
    pairs = [(b"k" * size + tail, value) for value in range(3) for tail in (b"", b"a", b"b")] + [(b"k", 7)]
    assert Sorter(8 << 20).take(pairs).parts() == expected(pairs)


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, CHUNK - 60, CHUNK - 50, CHUNK - 20, CHUNK, CHUNK + 1,
                                  SHARED_MAX - 1, SHARED_MAX, SHARED_MAX + 1, 65536, 500_000])  # fmt: skip
def test_values_of_all_sizes(size: int) -> None:
    pairs = [(b"k%d" % (i % 2), b"%d" % i + b"v" * size) for i in range(5)] + [(b"k0", 1)]
    assert Sorter(8 << 20).take(pairs).parts() == expected(pairs)


@pytest.mark.parametrize("block_size", [0, 63, 64, 1000, SHARED_MAX, 1 << 16, 1 << 20])
def test_blocks_hold_whole_records_and_no_more_than_their_size(block_size: int) -> None:
    pairs = [*many(20_000, 500), *((b"large", b"v" * 30_000) for _ in range(3))]
    sorter = Sorter(block_size=block_size)
    assert sorter.take(pairs).parts() == expected(pairs)
    for block in (block for run in sorter.runs for blocks in run for block in blocks):
        assert block
        assert len(block) <= max(block_size, 64) or len(reference.decode_bytes_records(block)) == 1


@pytest.mark.parametrize(
    "sizes", [[100] * 400, [SHARED_MAX - 3, 1], [SHARED_MAX, 1, 1], [1, SHARED_MAX, 1], [5000] * 9]
)
def test_values_of_a_key_share_records_up_to_a_size(sizes: list[int]) -> None:
    """Few records, so that there are few keys to compare; none so large that it needs more than a block."""
    pairs = [(b"key", b"v" * size) for size in sizes]
    sorter = Sorter()
    assert sorter.take(pairs).parts() == expected(pairs)
    records = [data for block in sorter.runs[0][0] for _, data in reference.decode_bytes_records(block)]
    assert all(len(data) <= SHARED_MAX or len(decode_values(data, None)) == 1 for data in records)
    for a, b in itertools.pairwise(records):
        first = encode_values(decode_values(b, None)[:1], None)
        assert len(a) + len(first) > SHARED_MAX


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 100, 70_000])
def test_a_tables_keys_come_with_their_counts_as_encoded_ints(size: int) -> None:
    table = CountTable("lines")
    data = (b"k" * size + b"\n") * 1000 + b"other\n"
    table.feed(data, 0, len(data), True)
    sorter = Sorter()
    sorter.take([(b"k" * size, -5)])
    sorter.buffer.take(table)
    assert sorter.take([(b"k" * size, 2**70)]).parts() == [sorted([(b"k" * size, [-5, 1000, 2**70]), (b"other", [1])])]


def test_text_is_not_fed_and_blocks_stay_within_the_memory() -> None:
    buffer = SortBuffer(4 << 20, kind="values")
    with pytest.raises(ValueError, match="for other values"):
        buffer.feed(b"text", 0, 4, True)
    sorter = Sorter(bytes_min(1) + (1 << 20))
    sorter.take(many(200_000, 1000))
    assert sorter.spills > 0
    assert sorter.buffer.memory_bytes <= bytes_min(1) + (1 << 20)
