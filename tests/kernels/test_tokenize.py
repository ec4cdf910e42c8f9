"""The tokenize kernel on every CPU path of this machine, against bytes.split() and re.

The texts that part tokens with a blank say little of lines, so these have tests of their own too.
"""
import itertools
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels import cpu, tokenize
from mrcore.testing import reference

LANE = 64  # MR_LANE: bytes that a kernel looks at together
BLOCK = 4096  # MR_TOKEN_BLOCK: bytes of one call
PAGE = mmap.PAGESIZE
BORDER_SIZES = sorted({0, 1, 2, 7, 8, 9, 3 * BLOCK + 17} | {
    unit * times + off for unit in (LANE, BLOCK) for times in (1, 2, 3) for off in (-1, 0, 1)})
SEPARATORS = b"\t\n\v\f\r "

each_tokenizer = pytest.mark.parametrize("tokenizer", tokenize.TOKENIZERS)


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


def check(data: bytes, tokenizer: str) -> None:
    spans = tokenize.spans(data, tokenizer)
    assert [data[start:stop] for start, stop in spans] == reference.tokenize(data, tokenizer)
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(spans))
    assert tokenize.count(data, tokenizer) == len(spans)


@each_tokenizer
@pytest.mark.parametrize("size", BORDER_SIZES)
def test_sizes_around_lane_and_block(level: str, tokenizer: str, size: int) -> None:
    check(b"x" * size, tokenizer)
    check(b" " * size, tokenizer)
    check((b"ab c\n" * (size // 5 + 1))[:size], tokenizer)
    check((b" x" * (size // 2 + 1))[:size], tokenizer)  # the most borders that there can be
    check((b"x " * (size // 2 + 1))[:size], tokenizer)
    check(b" " * (size - 1) + b"x" if size else b"", tokenizer)
    check(b"x" * (size - 1) + b" " if size else b"", tokenizer)


@pytest.mark.parametrize("size", BORDER_SIZES)
def test_lines_at_sizes_around_lane_and_block(level: str, size: int) -> None:
    check(b"\n" * size, "lines")  # the most borders that there can be: every byte is an empty line
    check(b"x\n" * (size // 2) + b"x" * (size % 2), "lines")
    check((b"\nx" * (size // 2 + 1))[:size], "lines")
    check((b"ab c\r\n\n\n" * (size // 8 + 1))[:size], "lines")
    check(b"\n" * (size // 2) + b"x" * (size - size // 2), "lines")
    check(b"x" * (size // 2) + b"\n" * (size - size // 2), "lines")
    for last in (b"\n", b"x"):
        check(b"x" * max(0, size - 1) + last, "lines")
        check(b"\n" * max(0, size - 1) + last, "lines")


@pytest.mark.parametrize("empty", range(LANE + 1))
def test_lanes_with_any_number_of_empty_lines(level: str, empty: int) -> None:
    """Indices are written eight, or half a lane, at a time."""
    lane = b"\n" * empty + b"x" * (LANE - empty)
    for data in (lane, lane[::-1], lane * 2, lane[::-1] * 2, b"y" * (BLOCK - LANE) + lane + lane[::-1], lane * LANE):
        check(data, "lines")


def test_what_is_a_line(level: str) -> None:
    for data, lines in ((b"", []), (b"\n", [b""]), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\n\nb", [b"a", b"", b"b"]),
                        (b"\na", [b"", b"a"]), (b"a\n\n", [b"a", b""]), (b" a\r\nb\0\n", [b" a\r", b"b\0"])):
        assert [data[start:stop] for start, stop in tokenize.spans(data, "lines")] == lines
        assert reference.tokenize(data, "lines") == lines
        assert tokenize.count(data, "lines") == len(lines)


@each_tokenizer
def test_every_byte_value(level: str, tokenizer: str) -> None:
    for value in range(256):
        byte = bytes([value])
        token = reference.tokenize(byte, tokenizer) == [byte]
        assert tokenize.is_token(tokenizer, value) is token
        for at in (0, 1, 7, 15, 16, 31, 32, 63):  # every register and both ends of them
            check(b"x" * at + byte + b"x" * (LANE - 1 - at), tokenizer)
            check(b" " * at + byte + b" " * (LANE - 1 - at), tokenizer)
    check(bytes(range(256)) * 40, tokenizer)
    check(b" ".join(bytes([value]) for value in range(256)) * 20, tokenizer)
    check(b"\n".join(bytes([value]) for value in range(256)) * 20, tokenizer)


@each_tokenizer
def test_token_and_separator_runs_across_lanes_and_blocks(level: str, tokenizer: str) -> None:
    for border in (LANE, BLOCK, 2 * BLOCK):
        for before in (0, 1, 2, 63):
            for length in (1, 2, 3, LANE, LANE + 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1):
                for separator in (b" ", b"\n"):
                    run = separator * (border - before) + b"x" * length
                    check(run, tokenizer)
                    check(run + separator + b"y", tokenizer)
                    check(run.translate(bytes.maketrans(separator + b"x", b"x" + separator)), tokenizer)


def test_spans_of_a_token_that_fills_blocks(level: str) -> None:
    size = 2 * BLOCK
    assert tokenize.spans(b"x" * size) == [(0, size)]
    assert tokenize.spans(b"x" * size + b" y") == [(0, size), (size + 1, size + 2)]
    assert tokenize.spans(b" " + b"x" * size + b" ") == [(1, size + 1)]


def test_count_beyond_one_step_without_the_gil(level: str) -> None:
    step = 1 << 24  # count() looks for signals there; a token lies across
    data = b"x" * (step - 3) + b" " + b"y" * 9 + b"\n" + b"z" * 5
    assert tokenize.count(data) == 3
    assert tokenize.count(data, "lines") == 2
    data = b"x" * (step - 1) + b"\n" + b"\n\ny"  # a line begins where the step does
    assert tokenize.count(data, "lines") == 4


@each_tokenizer
@given(data=st.binary(max_size=3 * LANE) | st.lists(
    st.sampled_from([b"a", b"Z", b"_", b"9", b" ", b"\n", b"-", b"\x00", b"\x85", b"\xa0", b"\xff",
                     b"\n\n", b"\n" * 40, b"w" * 61, b" " * 63, b"v" * 64, b"\t" * 129, b"u" * 4093]),
    max_size=40).map(b"".join))
def test_random_bytes_agree_with_the_reference(level: str, tokenizer: str, data: bytes) -> None:
    check(data, tokenizer)


@each_tokenizer
def test_buffer_that_ends_with_its_page_is_not_read_beyond(level: str, tokenizer: str, tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes((b"mapped text,\nto its end.\n\n" * PAGE)[:2 * PAGE])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        os.ftruncate(file.fileno(), PAGE)  # from here on, reading the second page kills the process
        for start in [*range(0, PAGE, 97), *range(PAGE - 2 * LANE, PAGE + 1)]:
            with memoryview(pages) as view, view[start:PAGE] as rest:
                found = [bytes(rest[first:stop]) for first, stop in tokenize.spans(rest, tokenizer)]
                assert found == reference.tokenize(bytes(rest), tokenizer)
                assert tokenize.count(rest, tokenizer) == len(found)


def test_reference_folds_case_of_ascii_letters_only() -> None:
    assert reference.tokenize(b"Ab \xc4X", "whitespace", lower=True) == [b"ab", b"\xc4x"]


def test_separators_of_whitespace_are_the_six_of_bytes_split() -> None:
    assert bytes(byte for byte in range(256) if not tokenize.is_token("whitespace", byte)) == SEPARATORS


def test_tokenizers_of_words_leave_lines_out() -> None:
    assert (*tokenize.WORD_TOKENIZERS, "lines") == tokenize.TOKENIZERS


@pytest.mark.parametrize("call", [
    lambda name: tokenize.spans(b"a", name),
    lambda name: tokenize.count(b"a", name),
    lambda name: tokenize.is_token(name, 65),
])
def test_unknown_tokenizer_is_refused_and_the_known_ones_are_named(call: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="'words' is unknown; the known ones are whitespace, ascii, lines"):
        call("words")


def test_any_contiguous_buffer_of_bytes_is_read_in_place() -> None:
    data = b"a bc"
    assert tokenize.spans(bytearray(data)) == tokenize.spans(memoryview(data)) == [(0, 1), (2, 4)]
    with pytest.raises(BufferError, match="contiguous"):
        tokenize.spans(memoryview(data)[::2])
    with pytest.raises(ValueError, match="dtype"):
        tokenize.spans(memoryview(data).cast("I"))
    with pytest.raises(TypeError):
        tokenize.spans("a bc")


@pytest.mark.parametrize("value", [-1, 256])
def test_byte_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        tokenize.is_token("ascii", value)
