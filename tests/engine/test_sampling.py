"""Splitters decide how even the partitions are, never what the output is."""

import os

import pytest

from mrcore.engine.sampling import plan_splitters
from mrcore.engine.spec import Keys
from mrcore.formats.inputs import Input, find_inputs


@pytest.fixture
def inputs(tmp_path, text):
    for index in range(3):
        (tmp_path / f"in-{index}").write_bytes(text[index * 100_000 : (index + 1) * 100_000])
    return find_inputs([os.fsencode(tmp_path)])


@pytest.mark.parametrize("partitions", [2, 3, 16, 64, 10_000])
def test_they_ascend_and_are_fewer_than_the_partitions(inputs, text, partitions):
    splitters = plan_splitters(inputs, partitions, Keys())
    assert 0 < len(splitters) < partitions
    assert list(splitters) == sorted(set(splitters))
    assert all(splitter in text and not splitter.split()[1:] for splitter in splitters), "words, or pieces of words"


def test_they_part_distinct_words_about_evenly(inputs, text):
    cuts = plan_splitters(inputs, 4, Keys())
    words = set(text.split())
    borders = zip((b"", *cuts), (*cuts, b"\xff" * 99), strict=True)
    shares = [sum(low <= word < high for word in words) for low, high in borders]
    assert max(shares) < 3 * len(words) / 4


def test_they_are_the_same_every_time(inputs):
    assert len({plan_splitters(inputs, 8, Keys("ascii", True)) for _ in range(3)}) == 1


def test_they_are_folded_as_the_keys_are(tmp_path):
    (tmp_path / "in").write_bytes(b"ALPHA Beta gamma DELTA " * 1000)
    splitters = plan_splitters(find_inputs([os.fsencode(tmp_path)]), 4, Keys(lower=True))
    assert splitters
    assert all(splitter == splitter.lower() for splitter in splitters)


@pytest.mark.parametrize("content", [b"", b" " * 1000])
def test_text_without_words_has_one_partition(tmp_path, content):
    (tmp_path / "in").write_bytes(content)
    assert plan_splitters(find_inputs([os.fsencode(tmp_path)]), 4, Keys()) == ()


@pytest.mark.parametrize("content", [b"x", b"x" * 100_000, b"x y"])
def test_text_of_few_words_has_few_partitions(tmp_path, content):
    (tmp_path / "in").write_bytes(content)
    assert len(plan_splitters(find_inputs([os.fsencode(tmp_path)]), 1000, Keys())) <= 2


@pytest.mark.parametrize("keys", [
    Keys("unicode", True), Keys("regex:[a-f]+"), Keys("whitespace", n_max=3), Keys("unicode", n_min=2, n_max=2),
    Keys("lines"), Keys("ascii", True, 2, 3, True), Keys("regex:.", n_max=8, cross_lines=True),
], ids=str)  # fmt: skip
def test_every_kind_of_key_is_sampled(inputs, keys):
    splitters = plan_splitters(inputs, 16, keys)
    assert 0 < len(splitters) < 16
    assert list(splitters) == sorted(set(splitters))
    assert not any(b"\n" in splitter for splitter in splitters)


def test_streams_are_not_looked_at():
    assert plan_splitters([Input(b"/dev/zero", None)], 4, Keys()) == ()
