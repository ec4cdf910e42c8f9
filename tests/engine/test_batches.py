"""Records in batches: each record once, whatever pieces the text is fed in; and what a function must not give."""

import numpy as np
import pytest

from mrcore.engine import batches
from mrcore.engine.batches import BatchFeed
from mrcore.kernels.chain import Chain, YieldError
from mrcore.kernels.codec import ValueCodec
from mrcore.kernels.output import Output, elements_of
from mrcore.testing import reference

TEXT = b"one two\n\nthree  \xff\0 four\nfive" + b" more words\n" * 50 + b"end"


def feed(function, tokenizer="lines", text=TEXT, step=None, columns=0):
    """The elements that come of a text fed in pieces, and the feed."""
    made = []
    output = Output(
        lambda view: made.extend(elements_of(bytes(view), None)), ValueCodec(None, None), columns=columns, keyed=True
    )
    fed = BatchFeed(function, Chain([], output), tokenizer)
    at, stop = 0, 0
    while stop < len(text):
        stop = len(text) if step is None else min(len(text), stop + step)
        at = fed.feed(text, at, stop, stop == len(text))
    output.finish()
    return made, fed


def records(data, offsets):
    assert offsets.dtype == np.int64 and not data.flags.writeable
    for start, stop in offsets:
        yield bytes(data[start:stop]), 1


@pytest.mark.parametrize("limit", [1, 3, 1 << 16])
@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("tokenizer", ["lines", "whitespace", "ascii"])
def test_each_record_once(monkeypatch, tokenizer, step, limit):
    monkeypatch.setattr(batches, "BATCH_RECORDS", limit)
    made, fed = feed(records, tokenizer, step=step)
    wanted = reference.tokenize(TEXT, tokenizer)
    assert [record for record, _ in made] == wanted
    assert fed.records == len(wanted)


def test_arrays_are_taken_apart_into_pythons_own_numbers():
    made, _ = feed(lambda data, offsets: [(np.arange(3), np.array([0.5, 1, 2])), (7, "x")])
    assert made == [(0, 0.5), (1, 1.0), (2, 2.0), (7, "x")]
    assert {type(part) for pair in made for part in pair} == {int, float, str}


@pytest.mark.parametrize(("made", "said"), [
    (None, "got NoneType"), (np.arange(2), "got ndarray"), ([(np.arange(2), np.arange(3))], "equally long"),
    ([(np.arange(2), 1)], "equally long"), ([(np.zeros((2, 2)), np.zeros((2, 2)))], "equally long"),
], ids=["none", "array", "unequal", "no array", "two dimensions"])  # fmt: skip
def test_what_is_no_pairs_is_refused(made, said):
    with pytest.raises(TypeError, match=said):
        feed(lambda data, offsets: made)


def test_a_key_that_is_none_is_blamed_on_the_users_line():
    def lines(data, offsets):
        yield np.arange(3), np.arange(3)
        yield 5

    with pytest.raises(YieldError) as caught:
        feed(lines, columns=2)
    assert caught.value.place == (__file__, lines.__code__.co_firstlineno + 2, "lines")
    with pytest.raises(YieldError) as caught:
        feed(lambda data, offsets: [5], columns=2)
    assert caught.value.place is None


def test_no_text_no_call():
    assert feed(lambda data, offsets: 1 / 0, text=b"")[0] == []


def test_a_batch_is_named_by_its_first_record_and_passed_over_as_a_whole(monkeypatch):
    monkeypatch.setattr(batches, "BATCH_RECORDS", 2)
    text, cell = b"a\nbb\nc\nd\n\ne", memoryview(bytearray(8)).cast("q")  # at 0, 2, 5, 7, 9, 10
    seen = []

    def function(data, offsets):
        seen.append((cell[0], [bytes(data[start:stop]) for start, stop in offsets]))
        return ()

    every = [100, 105, 109]
    for skip, wanted in ((None, every), ({105}, [100, 109]), ({102, 107}, every), ({109}, [100, 105])):
        seen.clear()
        fed = BatchFeed(function, Chain([], Output(lambda view: None)), "lines", cell=cell)
        fed.base, fed.skip = 100, skip
        fed.feed(text, 0, len(text), True)
        assert [at for at, _ in seen] == wanted
        assert (fed.records, fed.skipped) == (2 * len(wanted), 6 - 2 * len(wanted))
        assert cell[0] == -1
