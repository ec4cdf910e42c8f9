"""The tokenize kernel on every CPU path of this machine, against bytes.split() and re."""
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


@each_tokenizer
def test_every_byte_value(level: str, tokenizer: str) -> None:
    for value in range(256):
        byte = bytes([value])
        token = bool(reference.tokenize(byte, tokenizer))
        assert tokenize.is_token(tokenizer, value) is token
        for at in (0, 1, 7, 15, 16, 31, 32, 63):  # every register and both ends of them
            check(b"x" * at + byte + b"x" * (LANE - 1 - at), tokenizer)
            check(b" " * at + byte + b" " * (LANE - 1 - at), tokenizer)
    check(bytes(range(256)) * 40, tokenizer)
    check(b" ".join(bytes([value]) for value in range(256)) * 20, tokenizer)


@each_tokenizer
def test_token_and_separator_runs_across_lanes_and_blocks(level: str, tokenizer: str) -> None:
    for border in (LANE, BLOCK, 2 * BLOCK):
        for before in (0, 1, 2, 63):
            for length in (1, 2, 3, LANE, LANE + 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1):
                run = b" " * (border - before) + b"x" * length
                check(run, tokenizer)
                check(run + b" y", tokenizer)
                check(run.translate(bytes.maketrans(b" x", b"x ")), tokenizer)


def test_spans_of_a_token_that_fills_blocks(level: str) -> None:
    size = 2 * BLOCK
    assert tokenize.spans(b"x" * size) == [(0, size)]
    assert tokenize.spans(b"x" * size + b" y") == [(0, size), (size + 1, size + 2)]
    assert tokenize.spans(b" " + b"x" * size + b" ") == [(1, size + 1)]


def test_count_beyond_one_step_without_the_gil(level: str) -> None:
    step = 1 << 24  # count() looks for signals there; a token lies across
    data = b"x" * (step - 3) + b" " + b"y" * 9 + b"\n" + b"z" * 5
    assert tokenize.count(data) == 3


@each_tokenizer
@given(data=st.binary(max_size=3 * LANE) | st.lists(
    st.sampled_from([b"a", b"Z", b"_", b"9", b" ", b"\n", b"-", b"\x00", b"\x85", b"\xa0", b"\xff",
                     b"w" * 61, b" " * 63, b"v" * 64, b"\t" * 129, b"u" * 4093]),
    max_size=40).map(b"".join))
def test_random_bytes_agree_with_the_reference(level: str, tokenizer: str, data: bytes) -> None:
    check(data, tokenizer)


@each_tokenizer
def test_buffer_that_ends_with_its_page_is_not_read_beyond(level: str, tokenizer: str, tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes((b"mapped text, to its end. " * PAGE)[:2 * PAGE])
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


@pytest.mark.parametrize("call", [
    lambda name: tokenize.spans(b"a", name),
    lambda name: tokenize.count(b"a", name),
    lambda name: tokenize.is_token(name, 65),
])
def test_unknown_tokenizer_is_refused_and_the_known_ones_are_named(call: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="'words' is unknown; the known ones are whitespace, ascii"):
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
