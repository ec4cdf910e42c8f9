"""Spans of tokens: as many as there is room for, from any window, and on from where the last call ended."""
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.tokenize import fill_spans

BLOCK = 4096  # MR_TOKEN_BLOCK
PATTERNS = {"whitespace": rb"[^\t-\r ]+", "ascii": rb"[A-Za-z0-9_]+", "lines": rb"[^\n]*\n|[^\n]+$"}


def expected(data: bytes, start: int, stop: int, tokenizer: str) -> list[tuple[int, int]]:
    found = [(start + m.start(), start + m.end()) for m in re.finditer(PATTERNS[tokenizer], data[start:stop])]
    if tokenizer != "lines":
        return found
    return [(a, b - data[a:b].endswith(b"\n")) for a, b in found]


def spans(data: bytes, start: int, stop: int, tokenizer: str, rows: int, final: bool = True) -> list[tuple[int, int]]:
    """All spans, in calls for so many rows each; what is behind the last row of a call must not be written."""
    found: list[tuple[int, int]] = []
    out = np.empty((rows, 2), np.int64)
    at = start
    while True:
        out[:] = -7
        count, after = fill_spans(data, at, stop, final, tokenizer, out)
        assert (out[count:] == -7).all()
        assert at <= after <= stop
        found += [(int(a), int(b)) for a, b in out[:count]]
        if count < rows or after == stop:
            return found
        at = after


texts = st.lists(st.sampled_from([b"a", b" ", b"\n", b"word ", b"\n\n", b"x" * 30, b"\xff\0", b"\t\r"]), max_size=60)


@pytest.mark.parametrize("tokenizer", PATTERNS)
@given(texts.map(b"".join), st.integers(1, 9), st.integers(0, 20), st.integers(0, 20))
def test_any_text_any_window_any_rows(tokenizer: str, text: bytes, rows: int, left: int, right: int) -> None:
    start, stop = min(left, len(text)), max(min(left, len(text)), len(text) - right)
    assert spans(text, start, stop, tokenizer, rows) == expected(text, start, stop, tokenizer)


@pytest.mark.parametrize("tokenizer", PATTERNS)
@pytest.mark.parametrize("rows", [1, 2, 3, 700, 5000])
@pytest.mark.parametrize("shift", range(BLOCK - 3, BLOCK + 4))
def test_tokens_at_the_borders_of_blocks(tokenizer: str, rows: int, shift: int) -> None:
    text = b"y" * shift + b" ab\n" + b"z" * (2 * BLOCK) + b"\n" + b"c d\n" * 900 + b"end"
    assert spans(text, 0, len(text), tokenizer, rows) == expected(text, 0, len(text), tokenizer)


@pytest.mark.parametrize("tokenizer", ["whitespace", "lines"])
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_token_that_is_open_at_the_end_waits_unless_it_is_final(tokenizer: str, size: int) -> None:
    text = b"a\n" + b"b" * size
    out = np.empty((10, 2), np.int64)
    count, after = fill_spans(text, 0, len(text), False, tokenizer, out)
    assert (count, after) == (1, 2)
    count, after = fill_spans(text, 0, len(text), True, tokenizer, out)
    assert (count, after) == (1 + (size > 0), len(text))


@pytest.mark.parametrize("text", [b"", b" ", b"\t\n "])
def test_where_there_are_none(text: bytes) -> None:
    assert spans(text, 0, len(text), "whitespace", 3) == []


def test_no_rows_are_no_spans() -> None:
    assert fill_spans(b"a b", 1, 3, True, "whitespace", np.empty((0, 2), np.int64)) == (0, 1)


@pytest.mark.parametrize(("start", "stop", "columns"), [(2, 1, 2), (0, 4, 2), (0, 3, 1), (0, 3, 3)])
def test_windows_outside_of_the_data_and_other_shapes_are_refused(start: int, stop: int, columns: int) -> None:
    with pytest.raises(IndexError, match="of 3 bytes"):
        fill_spans(b"abc", start, stop, True, "lines", np.empty((5, columns), np.int64))
