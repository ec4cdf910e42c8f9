"""What the sort buffer gives out: blocks of whole records, in the order of partitions; and calls in a wrong order."""
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.merge import decode
from mrcore.kernels.radix import SortBuffer, bytes_min
from mrcore.kernels.table import CountTable
from mrcore.testing import reference
from mrcore.testing.words import random_words

Pair = tuple[bytes, int]
LENGTHS = [1, 2, 6, 7, 8, 9, 14, 15, 16, 17, 31, 32, 33]
RECORD_MAX = 28  # mr_record.h: what encoding wants for a short key


def table_of(data: bytes) -> CountTable:
    table = CountTable()
    assert table.feed(data, 0, len(data), True) == len(data)
    return table


def filled(data: bytes, partitions: int = 1, splitters: list[bytes] | None = None, kind: str = "sum") -> SortBuffer:
    buffer = SortBuffer(4 << 20, partitions, splitters, kind=kind)
    buffer.take(table_of(data))
    assert buffer.begin_run()
    return buffer


def pairs_of(buffer: SortBuffer, block_size: int = 1 << 16) -> list[list[Pair]]:
    """The pairs of each partition of the one run that there is."""
    assert buffer.begin_run()
    found = [[pair for block in buffer.blocks(p, block_size) for pair in decode(block)]
             for p in range(buffer.partitions)]
    assert not buffer.begin_run()
    buffer.clear()
    return found


KEYS = random_words(5000, [*range(1, 21), 100]) + [b"n" + b"\0" * i for i in range(20)] + [b"L" * 65535]


@pytest.mark.parametrize("partitions", [1, 2, 7, 256, 1000])
def test_partitions_by_hash_are_those_of_the_reference(partitions: int) -> None:
    buffer = SortBuffer(bytes_min(partitions) + (4 << 20), partitions)
    data = b" ".join(KEYS)
    buffer.take(table_of(data))
    assert pairs_of(buffer) == reference.radix(((key, 1) for key in KEYS), sum, partitions)
    assert buffer.empty


def check_range(data: bytes, splitters: list[bytes]) -> None:
    buffer = SortBuffer(4 << 20, splitters=splitters)
    assert buffer.partitions == len(splitters) + 1
    buffer.take(table_of(data))
    if not buffer.empty:
        assert pairs_of(buffer) == reference.radix(((key, 1) for key in data.split()), sum, 1, splitters)


def test_partitions_by_range_with_splitters_around_every_kind_of_key() -> None:
    data, draw = b" ".join(KEYS), random.Random(6)
    for count in (0, 1, 2, 3, 50, 2000):
        some = draw.sample(KEYS, count)
        check_range(data, sorted(set(some)))
        check_range(data, sorted({key + b"\0" for key in some}))
        check_range(data, sorted({key[:-1] for key in some}))
    check_range(data, sorted({b"", b"L" * 65534, b"L" * 65535, b"L" * 65536, b"n\0", b"n" + b"\0" * 7, b"\xff"}))
    check_range(data, [b""])
    check_range(data, [b"\xff" * 70_000])


pieces = st.sampled_from([b"\0", b"a", b"b", b"\xff", b"a" * 6, b"a" * 7, b"a" * 8, b"b" * 30])
some_keys = st.lists(st.lists(pieces, min_size=1, max_size=3).map(b"".join), max_size=30)


@given(tokens=some_keys, splitters=some_keys)
def test_partitions_by_any_range(tokens: list[bytes], splitters: list[bytes]) -> None:
    check_range(b" ".join(tokens), sorted(set(splitters)))


@pytest.mark.parametrize("size", [0, 1, 2, 10, 27, 28, 29, 63, 64, 65, 1000, 1 << 22])
@pytest.mark.parametrize("kind", ["sum", "posting"])
def test_blocks_hold_whole_records_and_no_more_than_their_size(kind: str, size: int) -> None:
    """A record larger than a block stands alone; less than 64 bytes are taken for 64."""
    keys = [b"%d" % i for i in range(300)] + random_words(300, LENGTHS) + [b"1" * 500, b"2" * 70_000, b"3" * 500]
    read = decode if kind == "sum" else reference.decode_bytes_records
    buffer = filled(b" ".join(keys), kind=kind)
    blocks = [bytes(block) for block in buffer.blocks(0, size)]
    pairs = [read(block) for block in blocks]
    assert [key for key, _ in itertools.chain(*pairs)] == sorted(set(keys))
    assert buffer.records == len(set(keys))
    assert all(len(block) <= max(size, 64) or len(inside) == 1 for block, inside in zip(blocks, pairs, strict=True))
    assert all(blocks)
    if size == 1 << 22:
        assert len(blocks) == 1


def test_a_view_of_a_block_is_overwritten_by_the_next_only() -> None:
    buffer = filled(b" ".join(b"key-%04d" % i for i in range(100)))
    blocks = buffer.blocks(0, 200)
    first = next(blocks)
    kept = bytes(first)
    assert bytes(first) == kept
    assert decode(kept)[0] == (b"key-0000", 1)
    assert len(decode(kept)) + sum(len(decode(block)) for block in blocks) == 100


def test_a_group_of_postings_stands_in_one_block_with_counts_of_a_document_added() -> None:
    buffer = SortBuffer(4 << 20, kind="posting")
    for document in (*range(3000), 2999):
        buffer.take(table_of(b"all all" + b" few" * (document % 1000 == 0)), document)
    assert buffer.begin_run()
    blocks = [bytes(block) for block in buffer.blocks(0, 100)]
    found = {key: reference.decode_postings(value) for block in blocks
             for key, value in reference.decode_bytes_records(block)}
    assert len(blocks) == 2
    assert found == {b"all": [*((d, 2) for d in range(2999)), (2999, 4)], b"few": [(0, 1), (1000, 1), (2000, 1)]}


# ---- a wrong order -----------------------------------------------------------------------


@pytest.mark.parametrize("partition", [2, 3, 2**31, 2**32 - 1])
@pytest.mark.parametrize("splitters", [None, [b"m"]])
def test_a_partition_that_is_not_there_is_refused(splitters: list[bytes] | None, partition: int) -> None:
    buffer = filled(b"some words", 2, splitters)
    with pytest.raises(IndexError, match="of 2"):
        next(buffer.blocks(partition, 100))
    with pytest.raises(OverflowError):
        buffer.blocks(-1, 100)
    with pytest.raises(IndexError):
        next(SortBuffer(1 << 20).blocks(1, 100))


@pytest.mark.parametrize("splitters", [None, [b"m"]])
def test_blocks_that_were_left_are_not_lost_in_silence(splitters: list[bytes] | None) -> None:
    buffer = filled(b" ".join(KEYS), 2, splitters)
    assert next(buffer.blocks(0, 100))
    with pytest.raises(ValueError, match="not all blocks"):
        next(buffer.blocks(1, 100))
    with pytest.raises(ValueError, match="not all blocks"):
        buffer.begin_run()
    buffer.clear()
    buffer.feed(b"anew", 0, 4, True)
    assert [part for part in pairs_of(buffer) if part] == [[(b"anew", 1)]]


def test_what_holds_records_is_not_released() -> None:
    buffer = filled(b"a b")
    with pytest.raises(ValueError, match="holds records"):
        buffer.release()
    assert pairs_of(buffer) == [[(b"a", 1), (b"b", 1)]]
    buffer.release()


def test_choosing_the_largest_of_an_empty_buffer_or_of_equals_chooses_none() -> None:
    buffer = SortBuffer(4 << 20, 16)
    buffer.choose_largest()
    assert not buffer.begin_run()
    buffer.clear()
    buffer.take(table_of(b" ".join(KEYS)))
    buffer.choose_largest()
    assert sum(map(len, pairs_of(buffer))) == len(set(KEYS))
    assert buffer.empty


@pytest.mark.parametrize("partitions", [1, 10, 33, 500])
@pytest.mark.parametrize("kind", ["sum", "posting"])
def test_memory_stays_inside_the_limit(partitions: int, kind: str) -> None:
    tables = [table_of(b" ".join(random_words(60_000, LENGTHS, seed=seed))) for seed in range(4)]
    for bytes_max in (bytes_min(partitions), 2 * bytes_min(partitions)):
        buffer = SortBuffer(bytes_max, partitions, kind=kind)
        buffer.aim(tables[0], 10**9)
        for document, table in enumerate(tables * 8):
            buffer.take(table, document)
            if buffer.full:
                break
        assert buffer.full
        while buffer.begin_run():
            for p in range(partitions):
                assert all(len(block) <= 1 << 16 for block in buffer.blocks(p, 1 << 16))
        assert bytes_max - (1 << 20) < buffer.memory_bytes <= bytes_max
        buffer.clear()
        assert buffer.memory_bytes <= bytes_max


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SortBuffer(1 << 20, 0)
    with pytest.raises(OverflowError):
        SortBuffer(1 << 20, -1)
    for partitions in (1, 1000):
        with pytest.raises(ValueError, match=f"at least {bytes_min(partitions)}"):
            SortBuffer(bytes_min(partitions) - 1, partitions)
    with pytest.raises(ValueError, match="at least"):
        SortBuffer(1 << 30, 2**32 - 1)
    with pytest.raises(ValueError):
        SortBuffer(1 << 20, tokenizer="words")
    with pytest.raises(ValueError):
        SortBuffer(1 << 20, kind="product")
    with pytest.raises(TypeError):
        SortBuffer(1 << 20, splitters=["text"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        SortBuffer(1 << 20).feed("text", 0, 1, True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="text is fed to be counted"):
        SortBuffer(1 << 20, kind="posting").feed(b"text", 0, 4, True)


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (2, 1), (4, 4), (2**63, 2**63)])
def test_a_window_outside_of_the_data_is_refused(start: int, stop: int) -> None:
    with pytest.raises(IndexError, match="of 3 bytes"):
        SortBuffer(1 << 20).feed(b"abc", start, stop, True)
