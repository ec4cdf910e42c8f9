"""The sort buffer against sorted partitions of plain Python: fed, taken from tables, aimed, spilled many times.

Whatever was spilled, all runs of a partition merged are the partition.
"""
import functools
import itertools
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.kernels import cpu
from mrcore.kernels.merge import Merge, decode
from mrcore.kernels.radix import SortBuffer, bytes_min
from mrcore.kernels.table import CountTable
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference
from mrcore.testing.words import random_words

Pair = tuple[bytes, int]
Posting = tuple[int, int]
BLOCK = 4096  # MR_TOKEN_BLOCK
CHUNK = 4096  # MR_RADIX_CHUNK
KEY_MAX = 2048  # MR_RADIX_KEY_MAX: longer tokens are the table's to count
LENGTHS = [1, 2, 6, 7, 8, 9, 14, 15, 16, 17, 31, 32, 33]
LONG_LENGTHS = [KEY_MAX - 1, KEY_MAX, KEY_MAX + 1, CHUNK - 60, CHUNK, CHUNK + 1, 3 * CHUNK,
                65534, 65535, 65536, 200_000]  # from 65535 on, a length stands before the key
SPLITTERS = [b"", b"a", b"a\0", b"aaaaaaa", b"aaaaaaaa", b"b" * 20, b"c", b"m", b"x" * 70_000, b"\xff"]
WAYS: list[tuple[int, list[bytes] | None]] = [(1, None), (2, None), (7, None), (1, []), (1, SPLITTERS)]

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_lower = pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
each_way = pytest.mark.parametrize(("partitions", "splitters"), WAYS, ids=["one", "two", "seven", "no cut", "cuts"])


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


def table_of(data: bytes, tokenizer: str = "whitespace", lower: bool = False) -> CountTable:
    table = CountTable(tokenizer, lower)
    assert table.feed(data, 0, len(data), True) == len(data)
    return table


class Spills:
    """A sort buffer, spilled when it is full as a map task does, and the runs that came out."""

    def __init__(self, bytes_max: int, partitions: int = 1, splitters: list[bytes] | None = None, *,
                 tokenizer: str = "whitespace", lower: bool = False, kind: str = "sum") -> None:
        self.buffer = SortBuffer(bytes_max, partitions, splitters, tokenizer=tokenizer, lower=lower, kind=kind)
        self.bytes_max, self.tokenizer, self.kind = bytes_max, tokenizer, kind
        self.long = CountTable(tokenizer, lower)
        self.runs: list[list[list[bytes]]] = [[] for _ in range(self.buffer.partitions)]
        self.times = 0

    def feed(self, data: bytes, window: int | None = None) -> None:
        at, size = 0, window or len(data)
        while at < len(data):
            stop = min(at + size, len(data))
            fed = self.buffer.feed(data, at, stop, stop == len(data))
            assert at <= fed <= stop
            size = 2 * size if fed == at and not self.buffer.full else window or len(data)
            at = fed
            if self.buffer.full:
                self.spill()
            elif long := self.buffer.long_size:
                assert long > KEY_MAX
                at = self.long.feed(data, at, at + long, True)
                at += self.tokenizer == "lines" and at < len(data)  # its LF would be a line of its own

    def take(self, table: CountTable, document: int = 0) -> None:
        self.buffer.take(table, document)
        while self.buffer.full:
            self.spill()
            self.buffer.take(table, document)

    def spill(self, block_size: int = 1 << 16) -> None:
        self.buffer.choose_largest()
        self.write(block_size)

    def write(self, block_size: int = 1 << 16) -> None:
        """Writes what is in the buffer, or the bucket that was chosen."""
        assert self.buffer.memory_bytes <= self.bytes_max
        self.times += 1
        while self.buffer.begin_run():
            for p, runs in enumerate(self.runs):
                blocks = [bytes(block) for block in self.buffer.blocks(p, block_size)]
                pairs = [pair for block in blocks for pair in self.decode(block)]
                assert self.buffer.records == len(pairs)
                assert all(left[0] < right[0] for left, right in itertools.pairwise(pairs))  # combined
                if blocks:
                    runs.append(blocks)
        self.buffer.clear()

    def decode(self, block: bytes) -> list:
        return decode(block) if self.kind == "sum" else reference.decode_bytes_records(block)

    def found(self) -> list[list]:
        """The pairs of each partition, of everything that was added."""
        if self.long.distinct:
            self.take(self.long)
        while not self.buffer.empty:
            self.write()
        merged = [b"".join(map(bytes, Merge(runs, emit="records", kind=self.kind))) for runs in self.runs]
        self.runs = [[] for _ in self.runs]
        self.long.clear()
        pairs = [self.decode(block) for block in merged]
        if self.kind == "sum":
            return pairs
        return [[(key, reference.decode_postings(value)) for key, value in part] for part in pairs]


def added(records: Iterable[Pair], partitions: int = 1, splitters: list[bytes] | None = None) -> list[list[Pair]]:
    return reference.radix(records, sum, partitions, splitters)


def ones(data: bytes, tokenizer: str = "whitespace", lower: bool = False) -> list[Pair]:
    return [(token, 1) for token in reference.tokenize(data, tokenizer, lower)]


# ---- feeding -----------------------------------------------------------------------------

ODD = [b"n" + b"\0" * nuls for nuls in range(20)] + [b"\0", b"\xff" * 7, b"\xff" * 8, b"A\xc1[@`z", b"a", b"aa"]
MIXED = b"a bb ccc\tdddddddd eeeeeeeeeeeeeee\nFFFFFFFFFFFFFFFF  a\0 \xc3\xa9t\xc3\xa9,\n\nbb\n a" + b"g" * 40 + b" end"


@each_way
@each_lower
@each_tokenizer
def test_tokens_of_every_length_are_sorted_and_added_in_their_partition(
        level: str, tokenizer: str, lower: bool, partitions: int, splitters: list[bytes] | None) -> None:
    tokens = random_words(1500, [*range(1, 41), 100], letters=b"abAB") + random_words(30, LONG_LENGTHS) + ODD * 2
    data = b"\n".join(tokens) + b"\n\n\n" + b" ".join(tokens[::3])
    spills = Spills(8 << 20, partitions, splitters, tokenizer=tokenizer, lower=lower)
    spills.feed(data)
    assert spills.found() == added(ones(data, tokenizer, lower), partitions, splitters)
    spills.feed(b"again")  # nothing is left
    assert [part for part in spills.found() if part] == [[(b"again", 1)]]


@each_lower
@each_tokenizer
@pytest.mark.parametrize("off", [-17, -16, -15, -8, -1, 0, 1])
def test_tokens_around_the_border_of_blocks_and_at_the_end(level: str, tokenizer: str, lower: bool, off: int) -> None:
    """A token at the end, or one that crosses blocks, is copied apart, so as not to read past the end."""
    spills = Spills(1 << 20, tokenizer=tokenizer, lower=lower)
    for length in [*LENGTHS, KEY_MAX, KEY_MAX + 1]:
        for after in (b"", b" ", b"\n", b" B", b" next" * 20):
            data = b" " * (BLOCK + off) + b"Q" * length + after
            for text in (data, data.replace(b" ", b"\n")):
                spills.feed(text)
                assert spills.found() == added(ones(text, tokenizer, lower))


@each_tokenizer
@pytest.mark.parametrize("window", [1, 2, 3, 7, 16, 64, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_windows_of_any_size_are_as_one(level: str, tokenizer: str, window: int) -> None:
    data = MIXED * (3 if window < 64 else 200) + b"h" * (2 * window + 1) + MIXED
    spills = Spills(2 << 20, tokenizer=tokenizer)
    spills.feed(data, window)
    assert spills.found() == added(ones(data, tokenizer))


# ---- taking a table's keys ---------------------------------------------------------------


@each_way
def test_keys_of_a_table_go_to_their_partition_with_their_counts(
        partitions: int, splitters: list[bytes] | None) -> None:
    tokens = random_words(4000, [*range(1, 41)], letters=b"abc") + random_words(20, LONG_LENGTHS) * 2 + ODD * 3
    data = b"\n\n".join(tokens)
    spills = Spills(4 << 20, partitions, splitters)
    for _ in range(3):
        spills.take(table_of(data, "lines"))
    assert spills.buffer.tokens == 0
    expected = added([(key, 3) for key, _ in ones(data, "lines")], partitions, splitters)
    assert any(key == b"" for part in expected for key, _ in part)
    assert spills.found() == expected


def test_a_table_larger_than_the_buffer_is_taken_in_many_calls() -> None:
    tokens = random_words(120_000, LENGTHS, seed=5) + random_words(40, LONG_LENGTHS, seed=5)
    table = table_of(b" ".join(tokens))
    for partitions, splitters in WAYS:
        spills = Spills(bytes_min(7), partitions, splitters)
        spills.buffer.aim(table, 10_000)
        spills.take(table)
        assert spills.times >= 5
        spills.take(table_of(b"and another"))  # from its own beginning
        expected = [*((token, 1) for token in tokens), (b"and", 1), (b"another", 1)]
        assert spills.found() == added(expected, partitions, splitters)


def test_a_key_larger_than_the_whole_buffer_is_an_error_that_the_next_table_does_not_feel() -> None:
    spills = Spills(bytes_min(1))
    table = table_of(b"a b c " + b"k" * (1 << 20))
    with pytest.raises(MemoryError, match="a key needs 1052672 bytes"):
        spills.take(table)
    spills.buffer.clear()
    spills.take(table_of(b"d e f"))
    assert spills.found() == [[(b"d", 1), (b"e", 1), (b"f", 1)]]


def counted(postings: list[Posting]) -> list[Posting]:
    documents = dict.fromkeys((document for document, _ in postings), 0)
    for document, count in postings:
        documents[document] += count
    return list(documents.items())


@pytest.mark.parametrize("bytes_max", [bytes_min(7), 32 << 20])
@each_way
def test_postings_of_many_documents_and_a_document_in_pieces(
        partitions: int, splitters: list[bytes] | None, bytes_max: int) -> None:
    """A document's table may be taken in pieces: then it stands twice in a list, or once where a run has both."""
    spills = Spills(bytes_max, partitions, splitters, kind="posting")
    records: list[tuple[bytes, list[Posting]]] = []
    documents = [0, 0, 1, 2, 2, 2, 127, 128, 130, 16_384, 2**31, 2**32 - 2, 2**32 - 1, 2**32 - 1]
    for number, document in enumerate(documents):
        tokens = [b"every", b"seventh"] * 200 + random_words(3000, [*LENGTHS, 400], seed=number, letters=b"abc")
        if document % 2 == 0:
            tokens += random_words(3, LONG_LENGTHS, seed=number // 4)
        spills.take(table_of(b" ".join(tokens)), document)
        records += [(token, [(document, 1)]) for token in tokens]
    expected = reference.radix(records, lambda lists: counted([one for many in lists for one in many]),
                               partitions, splitters)
    assert spills.found() == expected
    assert (spills.times > 1) == (bytes_max < 1 << 20)


# ---- spilling ----------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("aimed", [False, True], ids=["one range", "ranges"])
def test_a_small_buffer_is_full_many_times_and_its_runs_are_the_whole(
        level: str, aimed: bool, partitions: int, splitters: list[bytes] | None) -> None:
    data = many_words()
    spills = Spills(bytes_min(7), partitions, splitters)
    if aimed:
        spills.buffer.aim(table_of(data[:200_000]), 100_000)
    spills.feed(data, 100_000)
    assert spills.times > 5
    assert sum(map(len, spills.runs)) >= spills.times  # a bucket may be more than is sorted at once
    assert spills.found() == many_words_added(partitions, None if splitters is None else tuple(splitters))


@functools.cache
def many_words() -> bytes:
    return b" ".join(random_words(150_000, [*LENGTHS, 100], seed=8, letters=b"ab"))


@functools.cache
def many_words_added(partitions: int, splitters: tuple[bytes, ...] | None) -> list[list[Pair]]:
    return added(ones(many_words()), partitions, None if splitters is None else list(splitters))


def test_a_hot_key_is_spilled_alone_and_the_others_go_on_filling() -> None:
    draw = random.Random(3)
    rare = random_words(40_000, [5, 9, 20], seed=3)
    data = b" ".join(b"hottest" if draw.random() < 0.9 else draw.choice(rare) for _ in range(400_000))
    for partitions in (1, 4):
        spills = Spills(bytes_min(4), partitions)
        spills.buffer.aim(table_of(b" ".join(rare)), 1_000_000)
        at = spills.buffer.feed(data, 0, len(data), True)
        spills.spill()
        assert spills.buffer.full is False and not spills.buffer.empty
        keys = {key for runs in spills.runs for blocks in runs for block in blocks for key, _ in decode(block)}
        assert b"hottest" in keys and len(keys) < len(rare) / 4
        spills.feed(data[at:])
        assert spills.found() == added(ones(data), partitions)


def test_an_empty_buffer_whose_chunks_were_given_back_one_by_one_can_be_released() -> None:
    """The chain of spare chunks stands in the memory that is released."""
    spills = Spills(bytes_min(2), 2)
    data = b"same " * 50_000
    spills.feed(data)
    spills.spill()
    assert spills.times == 1 and spills.buffer.empty
    spills.buffer.release()
    released = spills.buffer.memory_bytes
    tokens = random_words(20_000, LENGTHS)
    spills.feed(b" ".join(tokens))
    assert spills.buffer.memory_bytes > released
    assert spills.found() == added([*ones(data), *((token, 1) for token in tokens)], 2)


def test_a_key_of_many_chunks_finds_room_after_single_chunks_were_given_back() -> None:
    """Only at the pool's front do chunks stand side by side."""
    spills = Spills(bytes_min(1), 2)
    giant = table_of(b"G" * 100_000)
    records: list[Pair] = []
    for _ in range(6):
        spills.feed(b"same " * 120_000)
        spills.take(giant)
        records += [(b"same", 120_000), (b"G" * 100_000, 1)]
    assert spills.times > 2
    assert spills.found() == added(records, 2)


# ---- aiming ------------------------------------------------------------------------------

SAMPLES = {
    "nothing": [],
    "one key": [b"one"] * 100,
    "equal words": [b"all the same, and then %d" % i for i in range(3000)],
    "two words": [b"the first %d" % i for i in range(3000)] + [b"the other"],
    "the same two bytes": [b"ht%x" % (i * 7919) for i in range(9000)],
    "skewed": [b"e%d" % (i % 9) for i in range(20_000)] + random_words(500, LENGTHS),
    "fair": random_words(20_000, LENGTHS, seed=12),
    "edges": [bytes([i]) for i in range(33, 256)] + [b"\xff" * 9, b"\0", b"\0" * 8, b"\xff\xff\xff"],
}


@pytest.mark.parametrize("partitions", [1, 3])
def test_any_ranges_give_the_same_and_may_be_chosen_anew_of_an_empty_buffer(partitions: int) -> None:
    spills = Spills(6 << 20, partitions)
    text = random_words(6000, [*LENGTHS, 3], seed=13) + SAMPLES["equal words"] + SAMPLES["the same two bytes"]
    data = b" ".join(text + SAMPLES["edges"])
    expected = added(ones(data), partitions)
    for records in (0, 1, 10_000, 10**6, 2**64 - 1):
        for sample in SAMPLES.values():
            spills.buffer.aim(table_of(b"\n".join(sample), "lines"), records)
            spills.feed(data)
            spills.take(table_of(data))
            assert spills.found() == [[(key, 2 * count) for key, count in part] for part in expected]


def test_ranges_stand_while_the_buffer_holds_records() -> None:
    spills = Spills(6 << 20)
    low, high = table_of(b" ".join(b"a%d" % i for i in range(9000))), table_of(b" ".join(random_words(9000, LENGTHS)))
    spills.buffer.aim(low, 10**6)
    data = b" ".join(random_words(50_000, LENGTHS, seed=14))
    spills.feed(data)
    with pytest.raises(ValueError, match="holds records"):
        spills.buffer.aim(high, 10**6)
    spills.feed(data)
    assert spills.found() == [[(key, 2 * count) for key, count in added(ones(data))[0]]]


@pytest.mark.parametrize("bytes_max", [bytes_min(4096), 2 * bytes_min(4096)])
def test_as_many_as_4096_partitions(bytes_max: int) -> None:
    tokens = random_words(30_000, LENGTHS, seed=15)
    data = b" ".join(tokens)
    spills = Spills(bytes_max, 4096)
    spills.buffer.aim(table_of(data), 10**8)
    spills.feed(data)
    spills.take(table_of(data))
    assert spills.found() == [[(key, 2 * count) for key, count in part] for part in added(ones(data), 4096)]


pieces = st.sampled_from([b"\0", b"a", b"B", b"\xff", b"a" * 6, b"a" * 7, b"a" * 8, b"b" * 30, b"c" * 2049])
tokens_drawn = st.lists(st.lists(pieces, min_size=1, max_size=3).map(b"".join), max_size=30)


@given(tokens=tokens_drawn, more=tokens_drawn, cuts=tokens_drawn, by_range=st.booleans(), partitions=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_any_tokens_in_any_partitions_and_ranges(
        tokens: list[bytes], more: list[bytes], cuts: list[bytes], by_range: bool, partitions: int) -> None:
    splitters = sorted(set(cuts)) if by_range else None
    spills = Spills(bytes_min(5), partitions, splitters)
    spills.buffer.aim(table_of(b" ".join(cuts)), 2**40)
    spills.feed(b" ".join(tokens))
    spills.spill(100)
    spills.take(table_of(b" ".join(more)))
    assert spills.found() == added([(token, 1) for token in tokens + more], partitions, splitters)
