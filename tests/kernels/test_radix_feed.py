"""Where feeding the sort buffer stops: at an open token, at one for the table, at the end of mapped text."""
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrcore.kernels import cpu
from mrcore.kernels.merge import decode
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference

BLOCK = 4096  # MR_TOKEN_BLOCK
PAGE = mmap.PAGESIZE
KEY_MAX = 2048  # MR_RADIX_KEY_MAX: longer tokens are the table's to count
MIXED = b"a bb ccc\tdddddddd eeeeeeeeeeeeeee\nFFFFFFFFFFFFFFFF  a\0 \xc3\xa9t\xc3\xa9,\n\nbb\n a" + b"g" * 40 + b" end"

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_lower = pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


def pairs_of(buffer: SortBuffer) -> list[list[tuple[bytes, int]]]:
    """The pairs of each partition of the one run that there is, or of none; the buffer is cleared."""
    buffer.begin_run()
    found = [[pair for block in buffer.blocks(p, 1 << 16) for pair in decode(block)] for p in range(buffer.partitions)]
    assert not buffer.begin_run()
    buffer.clear()
    return found


def counts(data: bytes, tokenizer: str, lower: bool = False, partitions: int = 1) -> list[list[tuple[bytes, int]]]:
    return reference.radix(((token, 1) for token in reference.tokenize(data, tokenizer, lower)), sum, partitions)


@each_tokenizer
def test_no_text_and_no_tokens(level: str, tokenizer: str) -> None:
    buffer = SortBuffer(8 << 20, 3, tokenizer=tokenizer)
    for data in (b"", b" ", b"\n", b"\n" * (2 * BLOCK + 1), b" \t\r\n\v\f"):
        assert buffer.feed(data, 0, len(data), True) == len(data)
        assert buffer.tokens == len(reference.tokenize(data, tokenizer))
        assert buffer.empty == (not reference.tokenize(data, tokenizer))
        assert pairs_of(buffer) == counts(data, tokenizer, partitions=3)
    assert not buffer.begin_run()


@each_tokenizer
def test_two_windows_cut_anywhere_are_as_one(level: str, tokenizer: str) -> None:
    buffer = SortBuffer(1 << 20, 2, tokenizer=tokenizer)
    expected = counts(MIXED, tokenizer, partitions=2)
    for cut in range(len(MIXED) + 1):
        at = buffer.feed(MIXED, 0, cut, False)
        assert buffer.tokens == len(reference.tokenize(MIXED[:at], tokenizer))
        assert reference.tokenize(MIXED[at:cut], tokenizer) in ([], [MIXED[at:cut]])  # an open token or nothing
        assert buffer.feed(MIXED, at, len(MIXED), True) == len(MIXED)
        assert pairs_of(buffer) == expected


@each_lower
@each_tokenizer
def test_text_that_ends_with_its_page_is_not_read_beyond(
        level: str, tokenizer: str, lower: bool, tmp_path: Path) -> None:
    """The guard against truncation ends where the window does: a read past that would end the process."""
    buffer = SortBuffer(1 << 20, tokenizer=tokenizer, lower=lower)
    path = tmp_path / "page"
    path.write_bytes((b"Mapped text, sixteen_letters_and_more\nto its\n\nend.\n" * PAGE)[:2 * PAGE])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        os.ftruncate(file.fileno(), PAGE)
        for start in [0, *range(PAGE - 100, PAGE)]:
            with memoryview(pages) as view:
                assert buffer.feed(view, start, PAGE, True) == PAGE
                text = bytes(view[start:PAGE])
            assert pairs_of(buffer) == counts(text, tokenizer, lower)


@pytest.mark.parametrize("length", [KEY_MAX, KEY_MAX + 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("before", [0, 1, BLOCK - KEY_MAX - 1, BLOCK - 1, BLOCK])
def test_a_token_for_the_table_is_pointed_at_with_its_size(level: str, length: int, before: int) -> None:
    buffer = SortBuffer(1 << 20)
    data = b" " * before + b"l" * length + b" x"
    at = buffer.feed(data, 0, len(data), True)
    assert (at, buffer.long_size) == ((before, length) if length > KEY_MAX else (len(data), 0))
    assert not buffer.full
    assert buffer.feed(data, before, before + length, False) == before  # it is still open, and may become longer
    assert buffer.long_size == 0
    assert buffer.feed(data, before + length, len(data), True) == len(data)
