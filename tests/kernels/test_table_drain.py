"""What comes out of the combiner table: partitions by hash and by range, each sorted, in blocks of records."""
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.merge import decode
from mrcore.kernels.table import CountTable
from mrcore.testing import reference

Pair = tuple[bytes, int]
LENGTHS = [1, 2, 6, 7, 8, 9, 14, 15, 16, 17, 31, 32, 33]  # 7, 15: the longest short and middle key


def drained(table: CountTable, partitions: int = 1, splitters: list[bytes] | None = None,
            block_size: int = 1 << 16) -> list[list[Pair]]:
    """The pairs of each partition."""
    entries = table.drain(partitions, splitters)
    found = []
    for p in range(entries.partitions):
        found.append([pair for block in entries.blocks(p, block_size) for pair in decode(block)])
        assert entries.records(p) == len(found[p])
    return found


def words(count: int, lengths: list[int], seed: int = 1, letters: bytes = b"abcXYZ019_") -> list[bytes]:
    draw = random.Random(seed)
    return [bytes(draw.choices(letters, k=draw.choice(lengths))) for _ in range(count)]


@pytest.fixture(scope="module")
def filled() -> CountTable:
    table = CountTable()
    data = b" ".join(words(5000, [*range(1, 21), 100]) + [b"n" + b"\0" * i for i in range(20)] + [b"L" * 65535])
    table.feed(data, 0, len(data), True)
    return table


@pytest.fixture(scope="module")
def used() -> CountTable:
    """Cleared and filled by each example."""
    return CountTable()


@pytest.mark.parametrize("partitions", [1, 2, 7, 256, 10_000])
def test_partitions_by_hash_are_those_of_the_reference(filled: CountTable, partitions: int) -> None:
    whole = drained(filled)[0]
    expected: list[list[Pair]] = [[] for _ in range(partitions)]
    for pair in whole:  # ascending, so each partition is
        expected[reference.partition(pair[0], partitions)].append(pair)
    assert drained(filled, partitions) == expected
    assert len(whole) == filled.distinct


def test_partitions_of_folded_keys_are_those_of_the_folded_bytes() -> None:
    table = CountTable(lower=True)
    data = b" ".join(b"KEY%d" % i * times for i in range(300) for times in (1, 2, 4))
    table.feed(data, 0, len(data), True)
    for p, pairs in enumerate(drained(table, 7)):
        assert {reference.partition(key, 7) for key, _ in pairs} == {p}
        assert all(key.islower() for key, _ in pairs)


def check_range(table: CountTable, splitters: list[bytes]) -> None:
    expected: list[list[Pair]] = [[] for _ in range(len(splitters) + 1)]
    for pair in drained(table)[0]:
        expected[reference.partition_range(pair[0], splitters)].append(pair)
    assert drained(table, splitters=splitters) == expected


def test_partitions_by_range_with_splitters_around_every_kind_of_key(filled: CountTable) -> None:
    keys = [key for key, _ in drained(filled)[0]]
    draw = random.Random(6)
    for count in (0, 1, 2, 3, 50, 2000):
        some = draw.sample(keys, count)
        check_range(filled, sorted(set(some)))
        check_range(filled, sorted({key + b"\0" for key in some}))
        check_range(filled, sorted({key[:-1] for key in some}))
    check_range(filled, sorted({b"", b"L" * 65534, b"L" * 65535, b"L" * 65536, b"n\0", b"n" + b"\0" * 7, b"\xff"}))
    check_range(filled, [b""])
    check_range(filled, [b"\xff" * 70_000])


pieces = st.sampled_from([b"\0", b"a", b"b", b"\xff", b"a" * 6, b"a" * 7, b"a" * 8, b"b" * 30])
some_keys = st.lists(st.lists(pieces, min_size=1, max_size=3).map(b"".join), max_size=30)


@given(tokens=some_keys, splitters=some_keys)
def test_partitions_by_any_range(used: CountTable, tokens: list[bytes], splitters: list[bytes]) -> None:
    data = b" ".join(tokens)
    used.clear()
    used.feed(data, 0, len(data), True)
    check_range(used, sorted(set(splitters)))


@pytest.mark.parametrize("size", [1, 2, 10, 27, 28, 29, 64, 1000, 1 << 22])
def test_blocks_hold_whole_records_and_no_more_than_their_size(size: int) -> None:
    """A record larger than a block stands alone; with the room that encoding wants, 28 bytes are a small one."""
    table = CountTable()
    data = b" ".join([b"%d" % i for i in range(300)] + words(300, LENGTHS) + [b"1" * 500, b"2" * 70_000])
    table.feed(data, 0, len(data), True)
    entries = table.drain()
    blocks = [bytes(block) for block in entries.blocks(0, size)]
    pairs = [decode(block) for block in blocks]
    assert list(itertools.chain(*pairs)) == reference.table(data, "whitespace")
    assert all(len(block) <= max(size, 28) or len(inside) == 1 for block, inside in zip(blocks, pairs, strict=True))
    if size == 1 << 22:
        assert len(blocks) == 1


def test_a_view_of_a_block_is_overwritten_by_the_next_only() -> None:
    table = CountTable()
    data = b" ".join(b"key-%04d" % i for i in range(100))
    table.feed(data, 0, len(data), True)
    entries = table.drain()
    blocks = entries.blocks(0, 200)
    first = next(blocks)
    kept = bytes(first)
    del table
    assert bytes(first) == kept
    assert decode(kept)[0] == (b"key-0000", 1)
    assert len(decode(kept)) + sum(len(decode(block)) for block in blocks) == 100


@pytest.mark.parametrize("partition", [2, 3, 2**63])
def test_a_partition_that_is_not_there_is_refused(partition: int) -> None:
    entries = CountTable().drain(2)
    with pytest.raises(IndexError):
        entries.records(partition)
    with pytest.raises(IndexError):
        next(entries.blocks(partition, 100))


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown tokenizer 'words': one of whitespace, ascii"):
        CountTable("words")
    with pytest.raises(ValueError, match="at least 1"):
        CountTable().drain(0)
    with pytest.raises(OverflowError):
        CountTable().drain(-1)
    with pytest.raises(TypeError):
        CountTable().feed("text", 0, 1, True)  # type: ignore[arg-type]


def test_entries_do_not_outlive_the_next_feed():
    table = CountTable()
    text = b"middle-keys in-slots"
    table.feed(text, 0, len(text), True)
    entries = table.drain()
    table.feed(text, 0, len(text), True)
    with pytest.raises(ValueError, match="gone"):
        list(entries.blocks(0, 100))
