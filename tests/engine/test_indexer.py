"""The indexer: postings of documents in sorted runs, the same however small the memory is."""

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.engine.combiner import Scheme, TokenTooLong, least_memory
from mrcore.engine.indexer import Indexer
from mrcore.storage.runfile import RunReader, RunWriter
from mrcore.testing import reference

MIB = 1 << 20


def scheme(memory=8 * MIB, partitions=1, splitters=None, tokenizer="whitespace", lower=False):
    return Scheme(tokenizer, lower, partitions if splitters is None else len(splitters) + 1, splitters, memory)


def write(indexer, documents, folder, sample=b""):
    """Writes documents (pairs of number and text, of which a number may come again) into a run file."""
    path = os.path.join(folder, b"run")
    with RunWriter(path, indexer.scheme.partitions, kind="posting", sync=False) as run:
        indexer.begin(run)
        indexer.begin_sample()
        indexer.feed(sample, 0, len(sample), True)
        indexer.end_sample()
        for number, text in documents:
            indexer.begin_document(number)
            assert indexer.feed(text, 0, len(text), True) == len(text)
            indexer.end_document()
        indexer.finish()
    return path


def read(path):
    """The runs of each partition: lists of (key, postings)."""
    found = []
    with RunReader(path) as reader:
        for p in range(reader.partitions):
            found.append([])
            for segment in reader.segments(p):
                records, block = [], b"".join(bytes(b) for b in reader.blocks(segment))
                at = 0
                while at < len(block):
                    key, at = take(block, at)
                    value, at = take(block, at)
                    records.append((key, reference.decode_postings(value)))
                found[-1].append(records)
    os.unlink(path)
    return found


def take(block, at):
    """Bytes behind their length."""
    size = shift = 0
    while True:
        byte = block[at]
        at, size, shift = at + 1, size | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return block[at : at + size], at + size


def joined(runs):
    """The postings of each key over all runs, counts of one document added."""
    found = {}
    for run in runs:
        for key, postings in run:
            for document, count in postings:
                found.setdefault(key, Counter())[document] += count
    return found


def expected(documents, tokenizer="whitespace", lower=False):
    found = {}
    for number, text in documents:
        for key in reference.tokenize(text, tokenizer, lower):
            found.setdefault(key, Counter())[number] += 1
    return found


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


DOCUMENTS = [(0, b"b a b"), (3, b""), (4, b"a"), (4, b"a c"), (9, b"c" * 3000 + b" b"), ((1 << 32) - 1, b"a b")]


@pytest.mark.parametrize("partitions", [1, 3, 64])
def test_each_key_has_its_documents_and_counts(folder, partitions):
    indexer = Indexer(scheme(partitions=partitions))
    found = read(write(indexer, DOCUMENTS, folder))
    assert joined(run for runs in found for run in runs) == expected(DOCUMENTS)
    for p, runs in enumerate(found):
        assert all(reference.partition(key, partitions) == p for run in runs for key, _ in run)
    assert indexer.tokens == 10
    assert 0 < indexer.memory_peak <= indexer.memory


def test_key_ranges_part_the_keys(folder):
    splitters = (b"a", b"b\0", b"c")
    found = read(write(Indexer(scheme(splitters=splitters)), DOCUMENTS, folder))
    assert [sorted({key[:1] for run in runs for key, _ in run}) for runs in found] == [[], [b"a", b"b"], [], [b"c"]]


def test_runs_are_sorted_and_documents_ascend_in_each(folder, text):
    documents = [(number, text[number * 1500 : (number + 1) * 1500]) for number in range(200)]
    indexer = Indexer(scheme(least_memory(1)))
    (runs,) = read(write(indexer, documents, folder))
    assert joined(runs) == expected(documents)
    for run in runs:
        assert [key for key, _ in run] == sorted({key for key, _ in run})
        assert all(postings == sorted(dict(postings).items()) for _, postings in run)
    last = {}
    for run in runs:
        for key, postings in run:
            assert last.get(key, -1) <= postings[0][0], "so do the runs"
            last[key] = postings[-1][0]


@pytest.mark.parametrize("memory", [4 * MIB, 64 * MIB])
def test_memory_shows_in_spills_only(folder, memory):
    words = [b"%x" % (i * 2654435761 % (1 << 40)) for i in range(150_000)]
    documents = [(number, b" ".join(words[number * 3000 : (number + 1) * 3000])) for number in range(50)]
    indexer = Indexer(scheme(memory, 2))
    found = read(write(indexer, documents, folder))
    assert joined(run for runs in found for run in runs) == expected(documents)
    assert (indexer.spills > 0) == (memory < 64 * MIB)
    assert indexer.memory_peak <= memory
    assert indexer.tokens == 150_000


def test_a_document_larger_than_the_table_is_counted_in_parts(folder):
    big = b" ".join(b"%x" % (i * 2654435761 % (1 << 40)) for i in range(300_000)) + b" again" * 10
    found = read(write(Indexer(scheme(4 * MIB)), [(0, b"again"), (1, big), (1, b"again"), (2, b"again")], folder))
    postings = joined(found[0])
    assert postings[b"again"] == {0: 1, 1: 11, 2: 1}
    assert len(postings) == 300_001


@pytest.mark.parametrize("size", [3000, 70_000, 700_000])
@pytest.mark.parametrize("tokenizer", ["whitespace", "ascii", "lines"])
def test_long_keys_keep_their_documents(folder, size, tokenizer):
    key = b"k" * size
    documents = [(0, b"a\n" + key + b"\nb\n"), (1, key), (2, b"a\n"), (2, key + b"\n" + key)]
    found = read(write(Indexer(scheme(6 * MIB, tokenizer=tokenizer)), documents, folder))
    assert joined(found[0]) == expected(documents, tokenizer)


@pytest.mark.parametrize("before", [b"", b"some words before it "])
@pytest.mark.parametrize("memory", range(4 * MIB, 24 * MIB, 3 * MIB))
def test_a_giant_key_is_counted_or_refused_where_it_is_and_never_lost(folder, memory, before):
    text = before + b"g" * 2_000_000 + b" after"
    indexer = Indexer(scheme(memory))
    try:
        found = read(write(indexer, [(5, text)], folder))
    except TokenTooLong as error:
        assert memory < 6 * 2_000_000 + MIB
        assert (error.at, error.size) == (len(before), 2_000_000)
    else:
        assert joined(found[0]) == expected([(5, text)])
        assert indexer.memory_peak <= memory


def test_a_key_that_goes_on_behind_what_is_fed_is_left(folder):
    indexer = Indexer(scheme())
    with RunWriter(os.path.join(folder, b"run"), 1, kind="posting", sync=False) as run:
        indexer.begin(run)
        indexer.begin_document(0)
        assert indexer.feed(b"ab cd ef", 0, 7, False) == 6
        assert indexer.feed(b"ab cd ef", 6, 8, True) == 8
        indexer.end_document()
        indexer.finish()
    assert joined(read(run.path)[0]) == {b"ab": {0: 1}, b"cd": {0: 1}, b"ef": {0: 1}}


@pytest.mark.parametrize("sample", [b"", b"a", b"a b c d" * 100, b"x" * 3_000_000, b"%x " * 400_000])
def test_a_sample_is_not_counted(folder, sample):
    found = read(write(Indexer(scheme(4 * MIB)), DOCUMENTS, folder, sample))
    assert joined(found[0]) == expected(DOCUMENTS)


def test_one_indexer_serves_task_after_task(folder):
    indexer = Indexer(scheme(partitions=2))
    for turn in range(3):
        documents = [(turn, b"a b %d" % turn)]
        found = read(write(indexer, documents, folder, b"a b c"))
        assert joined(run for runs in found for run in runs) == expected(documents)
        assert (indexer.tokens, indexer.spills) == (3, 0)


@given(texts=st.lists(st.lists(st.sampled_from([b"a", b"A", b"bb", b" ", b"\n", b"\0", b"\xff"])).map(b"".join),
                      max_size=6),
       steps=st.lists(st.integers(0, 2), min_size=6, max_size=6),
       tokenizer=st.sampled_from(["whitespace", "ascii", "lines"]),
       lower=st.booleans(), partitions=st.integers(1, 4))  # fmt: skip
@settings(max_examples=100)
def test_any_documents(tmp_path_factory, texts, steps, tokenizer, lower, partitions):
    numbers = [sum(steps[: index + 1]) for index in range(len(texts))]
    documents = list(zip(numbers, texts, strict=True))
    indexer = Indexer(scheme(partitions=partitions, tokenizer=tokenizer, lower=lower))
    found = read(write(indexer, documents, os.fsencode(tmp_path_factory.mktemp("any"))))
    assert joined(run for runs in found for run in runs) == expected(documents, tokenizer, lower)
