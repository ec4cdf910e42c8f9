"""Tokens by an expression: what re finds in each line, however the text arrives and however small the room is."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.engine.regex import RegexExpander, compile_tokens
from mrcore.errors import UsageError

PATTERNS = ["[a-z]+", "a*", r"\w+", "", ".", "^a|b$", r"\ba", "(?<=a)b", "(?=b)", "(a)(b)?", "(?i)A", r"\s",
            r"[^\n]+", "é", r"\xe9", r"(?m)^.", r"\A.|.\Z", "a|ab", "(?s).*", r"\0"]  # fmt: skip
TEXT = b"ab aB b\nb a\n\n\xc3\xa9 \xe9 \xff\0a\r\nabab\nlast ab"


def tokens_of(text, pattern, lower=False):
    """What is found, line by line, the plain way."""
    found = re.compile(os.fsencode(pattern)).finditer
    return [[m[0] for m in found(line) if m[0]] for line in (text.lower() if lower else text).split(b"\n")]


def expand(expander, pieces, room):
    """Everything that is written, for text in pieces and a buffer of so many bytes."""
    out, written = bytearray(room), b""
    text = b""
    for index, piece in enumerate(pieces):
        text += piece
        at, final = 0, index == len(pieces) - 1
        while True:
            at, size = expander.expand(text, at, len(text), final, out)
            written += out[:size]
            if not size and not expander.want:
                break
            if expander.want:
                assert expander.want > len(out)
                out = bytearray(expander.want)
        text = text[at:]
        if final:
            assert text == b""
        else:
            assert b"\n" not in text, "every whole line was taken"
    return written


def written_for(lines, mark):
    """What the expander writes for the tokens of each line."""
    return (b"\n" if mark else b"").join(b"".join(token + b"\n" for token in tokens) for tokens in lines)


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_writes_what_re_finds_in_each_line(pattern, lower, mark):
    expected = written_for(tokens_of(TEXT, pattern, lower), mark)
    for room in (1, 2, 64, 4096):
        assert expand(RegexExpander(pattern, lower, mark), [TEXT], room) == expected


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("cut", range(len(TEXT)))
def test_the_answer_does_not_depend_on_where_the_text_is_cut(pattern, cut):
    expected = written_for(tokens_of(TEXT, pattern), True)
    assert expand(RegexExpander(pattern, False, True), [TEXT[:cut], TEXT[cut:]], 16) == expected


@given(text=st.lists(st.sampled_from([b"a", b"b", b"\n", b" ", b"\xc3\xa9", b"A", b"\r", b"\0"])).map(b"".join),
       pattern=st.sampled_from(PATTERNS), lower=st.booleans(), mark=st.booleans(), room=st.integers(1, 9),
       cut=st.integers(0, 30))  # fmt: skip
def test_any_text_in_any_pieces(text, pattern, lower, mark, room, cut):
    expected = written_for(tokens_of(text, pattern, lower), mark)
    assert expand(RegexExpander(pattern, lower, mark), [text[:cut], text[cut:]], room) == expected


def test_lines_longer_than_what_is_taken_at_a_time():
    text = b"x " * 100_000 + b"\n" + b"y " * 3 + b"\n" + b"z" * 200_000
    expected = written_for(tokens_of(text, "[a-z]+"), False)
    assert expand(RegexExpander("[a-z]+", False, False), [text], 4096) == expected
    assert expand(RegexExpander("[a-z]+", False, False), [text[:99_999], text[99_999:]], 4096) == expected


def test_no_text_has_no_tokens():
    assert expand(RegexExpander(".", False, True), [b""], 10) == b""


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}", "*", r"\x", "(?u)a", "(?P<a>)(?P<a>)", "(?<=a*)b",
                                     "a{1,99999999999}",
                                     "(" * 3000])  # fmt: skip
def test_what_does_not_parse_is_refused_by_its_text(pattern):
    with pytest.raises(UsageError, match="not a regular expression") as error:
        compile_tokens(pattern)
    assert str(error.value).count("\n") == 0
    assert "see Python's re module" in str(error.value)
