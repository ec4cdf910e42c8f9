"""The n-gram kernel on every CPU path of this machine, against slices of lists of tokens."""
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.kernels import cpu
from mrcore.kernels.ngrams import NGRAMS_MAX, NgramExpander
from mrcore.kernels.table import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference

LANE = 64  # MR_LANE
BLOCK = 4096  # MR_TOKEN_BLOCK
PAGE = mmap.PAGESIZE
ROOM = 1 << 16
MIXED = (b"to be, or not  to be\nthat\tis the QUESTION\n\n\nwhether 'tis\r\n nobler_in a" + b"g" * 70 + b" mind\n \n"
         b"one\n\n\ntwo\n" + b"h" * 20 + b" end of\nit")
RANGES = [(1, 1), (2, 2), (1, 3), (3, 5), (NGRAMS_MAX, NGRAMS_MAX), (1, NGRAMS_MAX)]

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_range = pytest.mark.parametrize(("n_min", "n_max"), RANGES)
each_break = pytest.mark.parametrize("newlines_break", [0, 1, 2, 3])


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


def expand_window(expander: NgramExpander, data: bytes, start: int, stop: int, final: bool,
                  room: int = ROOM) -> tuple[int, bytes]:
    """Expands one window whole, with a larger output when a token's n-grams are larger than it."""
    found, out = b"", bytearray(room)
    while True:
        reached, written = expander.expand(data, start, stop, final, out)
        assert start <= reached <= stop and written <= len(out)
        found += out[:written]
        if not expander.want:
            return reached, found
        assert reached < stop and expander.want > len(out) - written
        if not written:
            out = bytearray(expander.want)
        start = reached


def expand_windows(expander: NgramExpander, data: bytes, window: int, room: int = ROOM) -> bytes:
    """Expands as a map task does: what waits for more text is looked at again, in a larger window if it fills one."""
    found, at, size = b"", 0, window
    while at < len(data):
        stop = min(at + size, len(data))
        reached, more = expand_window(expander, data, at, stop, stop == len(data), room)
        found += more
        size = window if reached > at else 2 * size
        at = reached
    return found


def expected(data: bytes, *rule: object) -> bytes:
    return b"".join(gram + b"\n" for gram in reference.ngrams(data, *rule))


def check(data: bytes, *rule: object, room: int = ROOM) -> None:
    assert expand_window(NgramExpander(*rule), data, 0, len(data), True, room) == (len(data), expected(data, *rule))


# ---- what is an n-gram -------------------------------------------------------------------


@pytest.mark.parametrize(("data", "rule", "grams"), [
    (b"a b c", ("whitespace", 2, 2), [b"a b", b"b c"]),
    (b"a  b\tc", ("whitespace", 2, 2), [b"a b", b"b c"]),
    (b"a b\nc d", ("whitespace", 2, 2), [b"a b", b"c d"]),
    (b"a b\nc d", ("whitespace", 2, 2, False, 0), [b"a b", b"b c", b"c d"]),
    (b"a b\nc\n\nd", ("whitespace", 2, 2, False, 2), [b"a b", b"b c"]),
    (b"a b c", ("whitespace", 1, 2), [b"a", b"a b", b"b", b"b c", b"c"]),
    (b"a b c", ("whitespace", 2, 9), [b"a b", b"a b c", b"b c"]),
    (b"a b c", ("whitespace", 4, 9), []),
    (b"a-b\r\nc", ("ascii", 1, 2), [b"a", b"a b", b"b", b"c"]),
    (b"A-B", ("ascii", 2, 2, True), [b"a b"]),
    (b"a\nb c\n\nd\n", ("lines", 1, 2, False, 2), [b"a", b"a b c", b"b c", b"d"]),
    (b"a\n\nb\n\n\nc", ("lines", 1, 2, False, 3), [b"a", b"a b", b"b", b"c"]),
    (b"a\nb", ("lines", 1, 2), [b"a", b"b"]),
    (b"\n\n\na", ("lines", 1, 1, False, 2), [b"a"]),
])  # fmt: skip
def test_what_is_an_ngram(level: str, data: bytes, rule: tuple, grams: list[bytes]) -> None:
    assert reference.ngrams(data, *rule) == grams
    check(data, *rule)


@each_tokenizer
@each_range
@pytest.mark.parametrize("newlines_break", [0, 1, 2])
def test_sizes_around_lane_and_block(level: str, tokenizer: str, n_min: int, n_max: int, newlines_break: int) -> None:
    rule = (tokenizer, n_min, n_max, True, newlines_break)
    for size in {0, 1, 2, 15, 16, 17} | {unit + off for unit in (LANE, BLOCK, 2 * BLOCK) for off in (-1, 0, 1)}:
        for pattern in (b"Ab c\n", b"x ", b" x", b"x\n", b"\n", b"x", b"a\nb\n\n", b"word Another, longer_word. "):
            if n_max > 5 and size > 2 * LANE and n_min < n_max:
                continue  # 64 n-grams of each token are tested where there are few
            check((pattern * (size // len(pattern) + 1))[:size], *rule)


@each_tokenizer
@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
def test_tokens_of_every_length_and_byte(level: str, tokenizer: str, lower: bool) -> None:
    """Tokens are copied in steps where there is room behind them, and exactly where there is not."""
    tokens = [b"Q" * length for length in range(1, 140)]
    tokens += [b"AZ" + bytes([value]) * 3 + b"az" for value in range(256)]
    for separator in (b" ", b"\n", b"\r\n "):
        data = separator.join(tokens)
        check(data, tokenizer, 2, 2, lower, 0)
        check(data, tokenizer, 1, 3, lower, 0)
        check(data[:2000], tokenizer, 1, 4, lower, 1, room=40)


@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 200_000])
def test_tokens_and_gaps_longer_than_blocks(level: str, length: int, lower: bool) -> None:
    long = (b"Long" * length)[:length]
    gaps = b"c d" + b" " * length + b"e f" + b"\n" * length + b" g"
    data = b" ".join([b"a", long, b"b", long, long[:-1], gaps])
    for newlines_break in (0, 1, 2, length, length + 1, length + 2):
        check(data, "whitespace", 1, 3, lower, newlines_break)
    check(data, "ascii", 3, 3, lower)
    check(data, "lines", 1, 3, lower, 2)


def test_as_many_tokens_as_blocks_can_hold_and_as_can_wait(level: str) -> None:
    data = b"x " * (3 * BLOCK)
    check(data, "whitespace", NGRAMS_MAX, NGRAMS_MAX)
    check(data[1:], "ascii", 1, 2)
    check(b"x\n" * (3 * BLOCK), "lines", NGRAMS_MAX, NGRAMS_MAX, False, 2)
    for waiting in range(NGRAMS_MAX - 2, NGRAMS_MAX + 1):  # before a block that is full of tokens
        head = b"y " * waiting
        check(head + b"z" * (BLOCK - len(head)) + b" x" * BLOCK, "whitespace", NGRAMS_MAX, NGRAMS_MAX)


texts = st.lists(st.sampled_from(
    [b"a", b"B", b"cd", b"_", b"-", b"\xc1", b" ", b" ", b" ", b"\n", b"\n\n", b"\r\n", b"e" * 15, b"F" * 16, b"g" * 70,
     b" " * 60, b"\n" * 40, b"h" * 4090]), max_size=60).map(b"".join) | st.binary(max_size=200)
ranges = st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 4), (5, 7), (NGRAMS_MAX - 1, NGRAMS_MAX)])
rules = st.tuples(st.sampled_from(TOKENIZERS), ranges, st.booleans(), st.integers(0, 3)).map(
    lambda drawn: (drawn[0], *drawn[1], *drawn[2:]))


@given(data=texts, rule=rules)
def test_any_text_has_the_ngrams_of_the_reference(level: str, data: bytes, rule: tuple) -> None:
    check(data, *rule)


# ---- windows -----------------------------------------------------------------------------


@each_tokenizer
@each_break
@pytest.mark.parametrize(("n_min", "n_max"), [(1, 1), (2, 2), (1, 3), (4, 6)])
def test_two_windows_cut_anywhere_are_one(
        level: str, tokenizer: str, n_min: int, n_max: int, newlines_break: int) -> None:
    rule = (tokenizer, n_min, n_max, False, newlines_break)
    expander = NgramExpander(*rule)
    for cut in range(len(MIXED) + 1):
        at, first = expand_window(expander, MIXED, 0, cut, False)
        assert first == expected(MIXED, *rule)[:len(first)]
        reached, rest = expand_window(expander, MIXED, at, len(MIXED), True)
        assert (reached, first + rest) == (len(MIXED), expected(MIXED, *rule))


@each_tokenizer
@pytest.mark.parametrize("window", [1, 2, 3, 7, 16, 64, BLOCK - 1, BLOCK, BLOCK + 1])
def test_windows_of_any_size_are_one(level: str, tokenizer: str, window: int) -> None:
    data = MIXED * (2 if window < 64 else 60) + b"i" * (2 * window + 1) + MIXED
    for rule in ((tokenizer, 1, 3), (tokenizer, 2, 2, True, 0), (tokenizer, 3, 3, False, 2)):
        assert expand_windows(NgramExpander(*rule), data, window) == expected(data, *rule)


@given(data=texts, rule=rules, cuts=st.lists(st.integers(0, 6000), max_size=5), room=st.integers(0, 100))
@settings(max_examples=200)
def test_windows_cut_anywhere_are_one(data: bytes, rule: tuple, cuts: list[int], room: int) -> None:
    expander, at, found = NgramExpander(*rule), 0, b""
    for stop in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        at, more = expand_window(expander, data, at, stop, stop == len(data), room)
        found += more
    assert (at, found) == (len(data), expected(data, *rule))


@pytest.mark.parametrize(("data", "rule", "reached", "written"), [
    (b"ab cd", ("whitespace", 1, 1), 3, b"ab\n"),  # more of the token may come
    (b"ab cd ", ("whitespace", 1, 1), 6, b"ab\ncd\n"),
    (b"ab cd ", ("whitespace", 1, 2), 3, b"ab\nab cd\n"),
    (b"ab cd ", ("whitespace", 1, 3), 0, b""),
    (b"ab cd ef", ("whitespace", 2, 2), 3, b"ab cd\n"),
    (b"ab cd\n", ("whitespace", 2, 2), 6, b"ab cd\n"),  # the line ended
    (b"ab cd\n", ("whitespace", 3, 3), 6, b""),
    (b"ab cd\n", ("whitespace", 2, 2, False, 0), 3, b"ab cd\n"),
    (b"ab cd\n", ("whitespace", 2, 2, False, 2), 3, b"ab cd\n"),
    (b"ab cd\ne", ("whitespace", 3, 3), 6, b""),
    (b"ab\n \n", ("whitespace", 2, 2, False, 2), 5, b""),
    (b"ab\n\ncd", ("lines", 1, 2, False, 2), 4, b"ab\n"),
    (b"  \n", ("whitespace", 2, 2), 3, b""),
])  # fmt: skip
def test_a_token_waits_until_no_text_can_add_to_its_ngrams(
        level: str, data: bytes, rule: tuple, reached: int, written: bytes) -> None:
    assert expand_window(NgramExpander(*rule), data, 0, len(data), False) == (reached, written)


# ---- room --------------------------------------------------------------------------------


@each_tokenizer
@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
def test_any_room_is_enough_in_the_end(level: str, tokenizer: str, lower: bool) -> None:
    for room in range(130):
        check(MIXED, tokenizer, 1, 3, lower, room=room)


def test_a_token_has_all_its_ngrams_written_or_none() -> None:
    data, expander, whole = b"a bb ccc\n", NgramExpander("whitespace", 1, 3), b"a\na bb\na bb ccc\n"
    for room in range(60):
        out = bytearray(room)
        reached, written = expander.expand(data, 0, len(data), True, out)
        if room < len(whole):
            assert (reached, written, expander.want) == (0, 0, len(whole))
        elif room < len(whole) + len(b"bb\nbb ccc\n"):
            assert (reached, out[:written], expander.want) == (2, whole, len(b"bb\nbb ccc\n"))
    assert (reached, out[:written], expander.want) == (len(data), whole + b"bb\nbb ccc\nccc\n", 0)


def test_no_ngrams_need_no_room() -> None:
    expander = NgramExpander("whitespace", 4, 4)
    assert expander.expand(b"a b c\nd e f", 0, 11, True, bytearray()) == (11, 0)
    assert expander.expand(b"", 0, 0, True, bytearray()) == (0, 0)
    assert expander.want == 0


# ---- the buffers -------------------------------------------------------------------------


@each_tokenizer
@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
def test_text_that_ends_with_its_page_is_not_read_beyond(
        level: str, tokenizer: str, lower: bool, tmp_path: Path) -> None:
    """The guard against truncation ends where the window does: a read past that would end the process."""
    path = tmp_path / "page"
    path.write_bytes((b"Mapped text,\nto its\n\nEnd_and_no_further.\n" * PAGE)[:2 * PAGE])
    expander = NgramExpander(tokenizer, 1, 2, lower)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        os.ftruncate(file.fileno(), PAGE)
        for start in [0, *range(PAGE - 100, PAGE)]:
            out = bytearray(ROOM)
            reached, written = expander.expand(pages, start, PAGE, True, out)
            assert (reached, expander.want) == (PAGE, 0)
            assert out[:written] == expected(pages[start:PAGE], tokenizer, 1, 2, lower)
        with pytest.raises(TruncatedError):
            expander.expand(pages, 0, 2 * PAGE, True, bytearray(ROOM))
        assert expander.expand(b"a", 0, 1, True, bytearray(9)) == (1, 2)


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (2, 1), (4, 4), (2**63, 2**63)])
def test_a_window_outside_of_the_data_is_refused(start: int, stop: int) -> None:
    with pytest.raises(IndexError, match="of 3 bytes"):
        NgramExpander("whitespace", 1, 1).expand(b"abc", start, stop, True, bytearray(9))


def test_an_output_that_cannot_be_written_is_refused() -> None:
    for out in (bytes(9), memoryview(bytearray(9))[::2], None):
        with pytest.raises((BufferError, ValueError, TypeError)):
            NgramExpander("whitespace", 1, 1).expand(b"abc", 0, 3, True, out)


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown tokenizer 'words': one of whitespace, ascii, lines"):
        NgramExpander("words", 1, 1)
    for n_min, n_max in ((0, 1), (2, 1), (1, NGRAMS_MAX + 1)):
        with pytest.raises(ValueError, match=f"n-grams of {n_min} to {n_max} tokens"):
            NgramExpander("ascii", n_min, n_max)
    for numbers in ((-1, 1), (1, 2**32), (1, 1, False, -1)):
        with pytest.raises(OverflowError):
            NgramExpander("ascii", *numbers)
