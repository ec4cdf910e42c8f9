"""Splitters decide how even the partitions are, never what the output is."""

import os

import pytest

from mrcore.engine.sampling import plan_splitters
from mrcore.formats.inputs import Input, find_inputs


@pytest.fixture
def inputs(tmp_path, text):
    for index in range(3):
        (tmp_path / f"in-{index}").write_bytes(text[index * 100_000 : (index + 1) * 100_000])
    return find_inputs([os.fsencode(tmp_path)])


@pytest.mark.parametrize("partitions", [2, 3, 16, 64, 10_000])
def test_they_ascend_and_are_fewer_than_the_partitions(inputs, text, partitions):
    splitters = plan_splitters(inputs, partitions, "whitespace", False)
    assert 0 < len(splitters) < partitions
    assert list(splitters) == sorted(set(splitters))
    assert set(splitters) <= set(text.split())


def test_they_part_distinct_words_about_evenly(inputs, text):
    cuts = plan_splitters(inputs, 4, "whitespace", False)
    words = set(text.split())
    borders = zip((b"", *cuts), (*cuts, b"\xff" * 99), strict=True)
    shares = [sum(low <= word < high for word in words) for low, high in borders]
    assert max(shares) < 3 * len(words) / 4


def test_they_are_the_same_every_time(inputs):
    assert len({plan_splitters(inputs, 8, "ascii", True) for _ in range(3)}) == 1


def test_they_are_folded_as_the_keys_are(tmp_path):
    (tmp_path / "in").write_bytes(b"ALPHA Beta gamma DELTA " * 1000)
    splitters = plan_splitters(find_inputs([os.fsencode(tmp_path)]), 4, "whitespace", True)
    assert splitters
    assert all(splitter == splitter.lower() for splitter in splitters)


@pytest.mark.parametrize("content", [b"", b" " * 1000, b"x", b"x" * 100_000])
def test_text_without_words_to_cut_at_has_one_partition(tmp_path, content):
    (tmp_path / "in").write_bytes(content)
    assert plan_splitters(find_inputs([os.fsencode(tmp_path)]), 4, "whitespace", False) == ()


def test_streams_are_not_looked_at():
    assert plan_splitters([Input(b"/dev/zero", None)], 4, "whitespace", False) == ()
