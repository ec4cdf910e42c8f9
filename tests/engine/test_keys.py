"""From text to keys: expanders in a row, however the text is cut, and how little the buffers between them are."""

import itertools
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.engine import keys as keys_module
from mrcore.engine.combiner import TokenTooLong
from mrcore.engine.keys import KeyFeed, border_tokenizer, is_copied, is_plain, table_keys
from mrcore.engine.spec import Keys
from mrcore.kernels.tokenize import spans
from mrcore.testing import reference

TOKENIZERS = ["whitespace", "ascii", "unicode", "lines", "regex:[a-z]+|é"]
ALL = [
    Keys(tokenizer, lower, *sizes, cross)
    for tokenizer, lower, sizes, cross in itertools.product(
        TOKENIZERS, (False, True), ((1, 1), (2, 2), (1, 3)), (False, True)
    )
    if sizes == (1, 1) or tokenizer != "lines"
]
TEXT = "to be\r\n\nor Not  to bé, É\tthat_is\n \n\x00 x\x0by z\n".encode() + b"\xff\xc3 q\xe9r end of it"


class Collector:
    """Takes keys into a list, as a table would find them."""

    window = 1 << 20

    def __init__(self, keys, memory=1 << 30):
        self.memory = memory
        self.tokenizer, self.lower = table_keys(keys)
        self.keys = []

    def feed(self, data, start, stop, final):
        text = bytes(memoryview(data)[start:stop])
        if not final:  # what a table leaves for later: the token at the end, or the unfinished line
            end = (
                text.rfind(b"\n") + 1
                if self.tokenizer == "lines"
                else max([0, *(b for _, b in spans(text, "whitespace"))])
            )
            cut = max((a for a, _ in spans(text[:end], "whitespace")), default=0) if self.tokenizer != "lines" else end
            text = text[:cut]
        self.keys += reference.tokenize(text, self.tokenizer, self.lower)
        return start + len(text)


def keys_of(text, keys):
    """The keys of a text in plain Python, in no particular order."""

    def tokens(piece):
        if keys.tokenizer == "unicode":
            return reference.unicode(piece, keys.lower).split(b"\n")[:-1]
        if is_copied(keys):
            found = re.compile(keys.tokenizer[6:].encode()).findall
            return [t for line in (piece.lower() if keys.lower else piece).split(b"\n") for t in found(line)]
        return reference.tokenize(piece, keys.tokenizer, keys.lower)

    if not keys.ngrams:
        return tokens(text)
    found = []
    for piece in [text] if keys.cross_lines else text.split(b"\n"):
        words = tokens(piece)
        for n in range(keys.n_min, keys.n_max + 1):
            found += [b" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    return found


def feed_all(feed, text, cuts=()):
    """Feeds a text that arrives in pieces."""
    at = 0
    for stop in (*sorted(cuts), len(text)):
        at = feed.feed(text, at, stop, stop == len(text))
    assert at == len(text)


@pytest.mark.parametrize("keys", ALL, ids=str)
def test_they_are_the_keys(keys):
    sink = Collector(keys)
    feed_all(KeyFeed(keys, sink), TEXT)
    assert Counter(sink.keys) == Counter(keys_of(TEXT, keys))


@pytest.mark.parametrize("keys", [keys for keys in ALL if not is_plain(keys)], ids=str)
@pytest.mark.parametrize("room", [1, 2, 7, 64])
def test_the_buffers_between_the_stages_may_have_any_size(keys, room, monkeypatch):
    monkeypatch.setattr(keys_module, "LINES_BYTES", room)
    sink = Collector(keys)
    feed_all(KeyFeed(keys, sink), TEXT * 3)
    assert Counter(sink.keys) == Counter(keys_of(TEXT * 3, keys))


@pytest.mark.parametrize("keys", [keys for keys in ALL if not is_plain(keys)], ids=str)
def test_text_may_arrive_in_any_pieces(keys):
    expected = Counter(keys_of(TEXT, keys))
    for cut in range(len(TEXT)):
        sink = Collector(keys)
        feed_all(KeyFeed(keys, sink), TEXT, [cut, min(cut + 3, len(TEXT) - 1)])
        assert Counter(sink.keys) == expected


pieces = st.lists(
    st.sampled_from([b"a", b"Bc", b" ", b"\n", b"\n\n", "é".encode(), b"\xc3", b"\r", b"\0", b"_", b"9"])
).map(b"".join)


@given(text=pieces, keys=st.sampled_from(ALL), cuts=st.lists(st.integers(0, 40), max_size=3))
@settings(max_examples=300)
def test_any_text(text, keys, cuts):
    sink = Collector(keys)
    feed_all(KeyFeed(keys, sink), text, [cut for cut in cuts if cut < len(text) and not is_plain(keys)])
    assert Counter(sink.keys) == Counter(keys_of(text, keys))


@given(text=pieces, keys=st.sampled_from([keys for keys in ALL if not keys.cross_lines]), cut=st.integers(0, 40))
@settings(max_examples=300)
def test_text_that_is_cut_where_it_may_be_has_the_same_keys(text, keys, cut):
    sink = Collector(keys)
    at = KeyFeed(keys, sink).align(text, min(cut, len(text)))
    assert min(cut, len(text)) <= at <= len(text)
    for piece in (text[:at], text[at:]):
        feed_all(KeyFeed(keys, sink), piece)
    assert Counter(sink.keys) == Counter(keys_of(text, keys))


def test_a_feed_is_used_again_for_the_next_file():
    for keys in ALL:
        sink = Collector(keys)
        feed = KeyFeed(keys, sink)
        for _ in range(3):
            feed_all(feed, TEXT)
        assert Counter(sink.keys) == Counter(keys_of(TEXT, keys) * 3), keys


@pytest.mark.parametrize(
    "keys", [Keys("unicode"), Keys("regex:x+"), Keys(n_max=2), Keys("unicode", n_min=2, n_max=2)], ids=str
)
def test_a_key_that_needs_more_than_a_fifth_of_the_memory_is_refused(keys):
    sink = Collector(keys, memory=1 << 20)
    text = b"a b\n" + b"x" * 300_000 + b" c\n"
    with pytest.raises(TokenTooLong) as error:
        feed_all(KeyFeed(keys, sink), text)
    assert error.value.at <= 4
    assert error.value.size >= 1 << 18
    feed_all(KeyFeed(keys, Collector(keys, memory=1 << 22)), text)


def test_what_is_plain_what_is_copied_and_where_text_may_be_cut():
    assert [t for t in TOKENIZERS if is_plain(Keys(t))] == ["whitespace", "ascii", "lines"]
    assert [t for t in TOKENIZERS if is_copied(Keys(t))] == ["regex:[a-z]+|é"]
    assert not any(is_plain(Keys(t, n_max=2)) for t in TOKENIZERS)
    assert {border_tokenizer(Keys(t, n_max=2)) for t in TOKENIZERS} == {"lines"}
    assert [border_tokenizer(Keys(t)) for t in TOKENIZERS] == ["whitespace", "ascii", "whitespace", "lines", "lines"]
    assert table_keys(Keys("ascii", True)) == ("ascii", True)
    assert table_keys(Keys("unicode", True)) == table_keys(Keys("ascii", True, 2, 2)) == ("lines", False)
