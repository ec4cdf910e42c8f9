"""The combiner table on every CPU path of this machine, against a Counter of the tokens of bytes.split() and re."""
import bisect
import itertools
import mmap
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.kernels import cpu
from mrcore.kernels.table import CountTable
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference
from mrcore.testing.words import random_words

Pair = tuple[bytes, int]
BLOCK = 4096  # MR_TOKEN_BLOCK
PAGE = mmap.PAGESIZE
BORDER_LENGTHS = [1, 2, 6, 7, 8, 9, 14, 15, 16, 17, 31, 32, 33]  # 7, 15: the longest short and middle key
LONG_LENGTHS = [65534, 65535, 65536]  # from 65535 on, the arena keeps a length before the key
WORST_PREFIX = 0xA0761D6478BD642F.to_bytes(8, "little")  # hash_middle() of every key that begins so is 0

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_lower = pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


@pytest.fixture(scope="module")
def tables() -> dict[tuple[str, bool], CountTable]:
    """One table of each kind, for all tests of the module: so each also tests that clear() leaves nothing."""
    return {(tokenizer, lower): CountTable(tokenizer, lower) for tokenizer in TOKENIZERS for lower in (False, True)}


def counted(table: CountTable) -> list[Pair]:
    """The pairs, ascending by token; none twice, which a Counter would hide."""
    return sorted(table.items())


def check_counts(table: CountTable, expected: list[Pair]) -> None:
    assert table.tokens == sum(count for _, count in expected)
    assert table.distinct == len(expected)
    assert counted(table) == expected


def check(table: CountTable, data: bytes, tokenizer: str = "whitespace", lower: bool = False) -> None:
    table.clear()
    assert table.feed(data, 0, len(data), True) == len(data)
    check_counts(table, reference.table(data, tokenizer, lower))


def feed_windows(table: CountTable, data: bytes, window: int) -> None:
    """Feeds as a map task does: an unfinished token is looked at again, in a larger window if it fills one."""
    at, size = 0, window
    while at < len(data):
        stop = min(at + size, len(data))
        fed = table.feed(data, at, stop, stop == len(data))
        assert at <= fed <= stop
        size = window if fed > at else 2 * size
        at = fed


# ---- what is counted ---------------------------------------------------------------------


@each_lower
@each_tokenizer
def test_tokens_of_every_length(level: str, tables: dict, tokenizer: str, lower: bool) -> None:
    """Of each length: a token, the same in the other case, and ones that differ in the first or last byte only."""
    tokens = [token for length in range(1, 41) for head in [b"kEy9" * 10] for token in (
        head[:length], head[:length].swapcase(), b"z" + head[:length - 1], head[:length - 1] + b"q", head[:length])]
    for separator in (b" ", b"\n", b"\r\n\t ", b"\v\f", b"\n\n"):
        data = separator.join(tokens)
        for text in (data, separator + data, data + separator, separator + data + separator):
            check(tables[tokenizer, lower], text, tokenizer, lower)


@each_tokenizer
def test_no_text_and_no_tokens(level: str, tables: dict, tokenizer: str) -> None:
    for data in (b"", b" ", b"\n" * (2 * BLOCK + 1), b" \t\r\n\v\f"):
        check(tables[tokenizer, False], data, tokenizer)


@each_lower
def test_empty_lines_are_a_key(level: str, tables: dict, lower: bool) -> None:
    table = tables["lines", lower]
    for size in (1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK):  # a block can hold as many as it has bytes
        for around in (b"", b"a", b"A\n", b"Long lines have a hash\n"):
            check(table, around + b"\n" * size + around, "lines", lower)
    check(table, b"\n\na\n", "lines", lower)
    assert counted(table) == [(b"", 2), (b"a", 1)]


@each_lower
@each_tokenizer
def test_one_token_at_the_end_of_its_buffer(level: str, tables: dict, tokenizer: str, lower: bool) -> None:
    """The last bytes are loaded differently, so as not to read past the end."""
    for length in range(1, 41):
        for before in (b"", b" ", b"A ", b"ab cdefghij klmnopqrstuvwxyz\n"):
            for after in (b"", b"\n", b"\n\n"):
                check(tables[tokenizer, lower], before + b"Q" * length + after, tokenizer, lower)


@each_lower
@each_tokenizer
def test_every_byte_value_at_every_position_of_a_token(level: str, tables: dict, tokenizer: str, lower: bool) -> None:
    """Only A-Z fold, with no carry from byte to byte; 0xC1 is not A, and 0x5B is not a letter."""
    for length in (1, 7, 8, 15, 16, 20):
        tokens = [b"A" * at + bytes([value]) + b"Z" * (length - 1 - at) for value in range(256) for at in range(length)]
        check(tables[tokenizer, lower], b" ".join(tokens), tokenizer, lower)
        check(tables[tokenizer, lower], b"\n".join(tokens), tokenizer, lower)


@each_lower
def test_keys_padded_with_nuls_are_keys_of_their_own(level: str, tables: dict, lower: bool) -> None:
    tokens = [head + b"\0" * nuls for head in (b"", b"a", b"A", b"a" * 6, b"a" * 7, b"a" * 8, b"a" * 14, b"a" * 15)
              for nuls in range(20) if head or nuls]
    data = b" ".join(tokens + tokens[::-2])
    check(tables["whitespace", lower], data, "whitespace", lower)
    check(tables["whitespace", lower], b"a a\0 a\0\0 a\0 a\0\0 a\0\0", "whitespace", lower)
    assert counted(tables["whitespace", lower]) == [(b"a", 1), (b"a\0", 2), (b"a\0\0", 3)]


@each_lower
@pytest.mark.parametrize("length", [*LONG_LENGTHS, 3 * BLOCK - 1, 3 * BLOCK, 3 * BLOCK + 1, 200_000])
def test_tokens_longer_than_blocks_and_than_a_reference_holds(
        level: str, tables: dict, length: int, lower: bool) -> None:
    long = (b"Long" * (length // 4 + 1))[:length]
    others = [long.swapcase(), long[:-1] + b"!", b"!" + long[1:], long[:-1], long + b"x"]
    for gap in (b" ", b" short middle-sized " * 5):
        check(tables["whitespace", lower], gap.join([long, *others, long, b"x", long]), "whitespace", lower)


@each_lower
@each_tokenizer
@pytest.mark.parametrize("off", [-17, -16, -9, -8, -2, -1, 0, 1])
def test_tokens_around_the_border_of_blocks(level: str, tables: dict, tokenizer: str, lower: bool, off: int) -> None:
    for length in BORDER_LENGTHS:
        for after in (b"", b" ", b" B", b" next " * 20):
            for separator in (b" ", b"\n"):
                data = (b" " * (BLOCK + off) + b"Q" * length + after).replace(b" ", separator)
                check(tables[tokenizer, lower], data, tokenizer, lower)
    for most in (b"x ", b"x\n", b"\n"):  # tokens in a block
        check(tables[tokenizer, lower], (most * (3 * BLOCK))[:3 * BLOCK + off], tokenizer, lower)


def test_middle_keys_that_all_hash_to_one_slot(level: str, tables: dict) -> None:
    tokens = [WORST_PREFIX + b"%d" % i for i in range(1500)]
    check(tables["whitespace", False], b" ".join(tokens * 2))


texts = st.binary(max_size=200) | st.lists(st.sampled_from(
    [b"a", b"B", b"ab", b"\0", b"_", b"-", b"\xc1", b" ", b" ", b"\n", b"\n" * 70, b"w" * 6, b"W" * 7, b"v" * 8,
     b"u" * 15, b"T" * 16, b"s" * 100, b" " * 60, b"r" * 4090]), max_size=60).map(b"".join)


@each_lower
@each_tokenizer
@given(data=texts)
@settings(max_examples=60)
def test_any_text_has_the_counts_of_the_reference(
        level: str, tables: dict, tokenizer: str, lower: bool, data: bytes) -> None:
    check(tables[tokenizer, lower], data, tokenizer, lower)


# ---- windows -----------------------------------------------------------------------------

MIXED = b"a bb ccc\tdddddddd eeeeeeeeeeeeeee\nFFFFFFFFFFFFFFFF  a\0 \xc3\xa9t\xc3\xa9,\n\nbb\n a" + b"g" * 40 + b" end"


@each_tokenizer
def test_two_windows_cut_anywhere_count_as_one(level: str, tables: dict, tokenizer: str) -> None:
    table = tables[tokenizer, False]
    expected = reference.table(MIXED, tokenizer)
    for cut in range(len(MIXED) + 1):
        table.clear()
        at = table.feed(MIXED, 0, cut, False)
        assert reference.tokenize(MIXED[at:cut], tokenizer) in ([], [MIXED[at:cut]])  # an open token or nothing
        assert table.tokens == len(reference.tokenize(MIXED[:at], tokenizer))
        assert table.feed(MIXED, at, len(MIXED), True) == len(MIXED)
        check_counts(table, expected)


@each_tokenizer
@pytest.mark.parametrize("window", [1, 2, 3, 7, 16, 64, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_windows_of_any_size_count_as_one(level: str, tables: dict, tokenizer: str, window: int) -> None:
    data = MIXED * (3 if window < 64 else 200) + b"h" * (2 * window + 1) + MIXED
    tables[tokenizer, False].clear()
    feed_windows(tables[tokenizer, False], data, window)
    check_counts(tables[tokenizer, False], reference.table(data, tokenizer))


@given(data=texts, cuts=st.lists(st.integers(0, 6000), max_size=5), tokenizer=st.sampled_from(TOKENIZERS))
def test_windows_cut_anywhere_count_as_one(tables: dict, data: bytes, cuts: list[int], tokenizer: str) -> None:
    table = tables[tokenizer, True]
    table.clear()
    at = 0
    for stop in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        at = table.feed(data, at, stop, stop == len(data))
    check_counts(table, reference.table(data, tokenizer, True))


def test_only_final_counts_the_token_that_reaches_the_end(tables: dict) -> None:
    table = tables["whitespace", False]
    table.clear()
    assert table.feed(b"ab cd", 0, 5, False) == 3
    assert counted(table) == [(b"ab", 1)]
    assert table.feed(b"ab cd", 3, 5, True) == 5
    assert counted(table) == [(b"ab", 1), (b"cd", 1)]
    assert table.feed(b"ab cd ", 3, 6, False) == 6  # the separator ends it
    assert table.feed(b"open", 0, 4, False) == 0
    assert table.feed(b"", 0, 0, True) == table.feed(b"open", 4, 4, False) - 4 == 0
    assert counted(table) == [(b"ab", 1), (b"cd", 2)]


def test_a_line_is_open_until_its_newline_and_none_is_open_after_it(tables: dict) -> None:
    table = tables["lines", False]
    table.clear()
    assert table.feed(b"ab\n\ncd", 0, 6, False) == 4
    assert table.feed(b"ab\n\ncd\n", 4, 7, False) == 7
    assert table.feed(b"ab\n\ncd\n", 7, 7, True) == 7  # no empty line at the end
    assert counted(table) == [(b"", 1), (b"ab", 1), (b"cd", 1)]


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (2, 1), (4, 4), (2**63, 2**63)])
def test_a_window_outside_of_the_data_is_refused(start: int, stop: int) -> None:
    with pytest.raises(IndexError, match="of 3 bytes"):
        CountTable().feed(b"abc", start, stop, True)


@each_lower
@each_tokenizer
def test_text_that_ends_with_its_page_is_not_read_beyond(
        level: str, tables: dict, tokenizer: str, lower: bool, tmp_path: Path) -> None:
    """The guard against truncation ends where the window does: a read past that would end the process."""
    table = tables[tokenizer, lower]
    path = tmp_path / "page"
    path.write_bytes((b"Mapped text, sixteen_letters_and_more\nto its\n\nend.\n" * PAGE)[:2 * PAGE])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        os.ftruncate(file.fileno(), PAGE)
        for start in [0, *range(PAGE - 100, PAGE)]:
            table.clear()
            with memoryview(pages) as view:
                assert table.feed(view, start, PAGE, True) == PAGE
                expected = reference.table(bytes(view[start:PAGE]), tokenizer, lower)
            check_counts(table, expected)


# ---- memory ------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "lengths"), [("short", [5, 6, 7]), ("middle", [8, 12, 15]), ("long", [16, 20, 40])])
@each_lower
def test_each_part_grows_and_is_used_again(part: str, lengths: list[int], lower: bool) -> None:
    """100,000 keys of one kind are more than any part's first slots, and long ones than the first chunk."""
    table = CountTable(lower=lower)
    tokens = random_words(100_000, lengths)
    data = b" ".join(tokens + tokens[:1000])
    small = table.memory_bytes
    feed_windows(table, data, 50_000)
    assert table.memory_bytes > small
    check(table, data, "whitespace", lower)
    large = table.memory_bytes
    check(table, data, "whitespace", lower)
    assert table.memory_bytes <= large + (4 << 20)  # slots are kept; the arena begins with its last chunk
    check(table, b"few short middle-sized and-one-long-one", "whitespace", lower)


def test_growing_in_the_middle_of_tokens_that_cross_blocks() -> None:
    """A block that has no room is fed again from the token that was open before it."""
    table = CountTable()
    tokens = random_words(60_000, [1, 5, 7, 8, 15, 16, 100, 700], seed=3, letters=bytes(range(33, 127)))
    check(table, b" ".join(tokens))


def test_a_token_longer_than_a_chunk_of_the_arena() -> None:
    table = CountTable()
    token = random.Random(4).randbytes(3 << 19).hex().encode()  # 3 MiB
    check(table, b" ".join([b"a", token, token[:-1], b"b", token, b"c"]))


def test_a_token_longer_than_the_largest_chunk_takes_a_few_chunks_not_thousands() -> None:
    table = CountTable()
    token = b"x" * (66 << 20)
    assert table.feed(token, 0, len(token), True) == len(token)
    assert (table.tokens, table.distinct) == (1, 1)
    assert table.memory_bytes < 8 * len(token)


def test_clear_forgets_everything(tables: dict) -> None:
    table = CountTable()
    check(table, b" ".join(random_words(1000, BORDER_LENGTHS)))
    table.clear()
    assert (table.tokens, table.distinct, table.items()) == (0, 0, [])
    check(table, b"again")


# ---- splits ------------------------------------------------------------------------------


@each_tokenizer
@pytest.mark.parametrize("data", [MIXED, b"", b"x", b" ", b"one", b" a", b"a ", b"a" * 300 + b" " * 300 + b"b" * 300,
                                  b"-a--bb-- c", b"\n", b"\n\n", b"\na\n\nb", b"a\n" + b"\n" * 130 + b"c\n"],
                         ids=lambda data: repr(data[:8]))
def test_any_two_splits_own_each_token_once(level: str, tables: dict, tokenizer: str, data: bytes) -> None:
    table = tables[tokenizer, False]
    expected = reference.tokenize(data, tokenizer)
    borders = [table.align(data, cut) for cut in range(len(data) + 2)]
    assert borders == sorted(borders)
    assert borders[0] == 0 and borders[-1] == len(data)
    for cut, border in enumerate(borders):
        assert border >= min(cut, len(data))
        assert reference.tokenize(data[:border], tokenizer) + reference.tokenize(data[border:], tokenizer) == expected
        # The token that is skipped began before the cut: it belongs to the split on the left.
        skipped = data[cut:border].removesuffix(b"\n") if tokenizer == "lines" else data[cut:border]
        assert reference.tokenize(data[cut:border], tokenizer) in ([], [skipped])
        if tokenizer == "lines":
            assert border in (0, len(data)) or data[border - 1:border] == b"\n"


@given(data=texts, cuts=st.lists(st.integers(0, 7000), max_size=6), tokenizer=st.sampled_from(TOKENIZERS))
def test_any_splits_own_each_token_once_and_by_its_first_byte(
        tables: dict, data: bytes, cuts: list[int], tokenizer: str) -> None:
    table = tables[tokenizer, False]
    cuts = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    begins = []
    at = 0
    for token in reference.tokenize(data, tokenizer):
        at = data.index(token, at)
        begins.append((at, token))
        at += len(token) + 1  # at least one separator
    for low, high in itertools.pairwise(cuts):
        first, last = (bisect.bisect_left(begins, (cut, b"")) for cut in (low, high))
        table.clear()
        start, stop = table.align(data, low), table.align(data, high)
        table.feed(data, start, stop, True)
        check_counts(table, sorted(Counter(token for _, token in begins[first:last]).items()))


def test_align_looks_past_its_step_for_the_end_of_a_token(level: str, tables: dict) -> None:
    step = 32 << 20  # SKIP_STEP: signals are looked at there
    for size in (step - 1, step, step + 1):
        data = b"x" * (size + 1) + b" y"
        assert tables["whitespace", False].align(data, 1) == size + 1
    for newline in (step - 1, step, step + 1):
        data = b"x" * newline + b"\ny"
        assert tables["lines", False].align(data, 1) == newline + 1
        assert tables["lines", False].align(data[:-1], 1) == newline + 1  # nothing is behind it
