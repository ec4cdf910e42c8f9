"""Splits: every byte of every input in exactly one task, in input order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.engine import splits
from mrcore.engine.spec import Span
from mrcore.engine.splits import plan_splits
from mrcore.formats.inputs import Input

sizes = st.lists(st.none() | st.integers(0, 60), max_size=12)


def inputs_of(sizes):
    return [Input(b"%d" % index, size) for index, size in enumerate(sizes)]


@given(sizes=sizes, split=st.integers(1, 40), per_file=st.booleans(), taper=st.booleans())
def test_every_byte_is_covered_once_and_in_order(sizes, split, per_file, taper):
    inputs = inputs_of(sizes)
    spans = [span for task in plan_splits(inputs, split, per_file=per_file, taper=taper) for span in task]
    covered = [(span.path, at) for span in spans for at in range(span.start, span.stop)]
    assert covered == [(source.path, at) for source in inputs for at in range(source.size or 0)]
    assert [span.path for span in spans if span.size < 0] == [source.path for source in inputs if source.size is None]


@given(sizes=sizes, split=st.integers(1, 40))
def test_no_task_is_empty_or_larger_than_a_split(sizes, split):
    for task in plan_splits(inputs_of(sizes), split):
        assert task
        assert sum(span.stop - span.start for span in task) <= split


@given(sizes=st.lists(st.integers(1, 60), max_size=12), split=st.integers(1, 40))
def test_small_files_are_packed_as_tightly_as_their_order_allows(sizes, split):
    tasks = [sum(span.stop - span.start for span in task) for task in plan_splits(inputs_of(sizes), split)]
    firsts = [task[0].stop - task[0].start for task in plan_splits(inputs_of(sizes), split)]
    assert all(size + following > split for size, following in zip(tasks, firsts[1:], strict=False))


def test_a_large_file_is_cut_at_multiples_of_the_split():
    assert plan_splits(inputs_of([25]), 10) == [
        (Span(b"0", 0, 10, 25),), (Span(b"0", 10, 20, 25),), (Span(b"0", 20, 25, 25),),
    ]  # fmt: skip


def test_tapered_splits_are_halved_from_three_quarters_of_the_bytes_on():
    tasks = plan_splits(inputs_of([50, 30]), 10, taper=True)
    assert [[(span.path, span.start, span.stop) for span in task] for task in tasks] == [
        *([(b"0", at, at + 10)] for at in range(0, 50, 10)), [(b"1", 0, 10)],
        *([(b"1", at, at + 5)] for at in range(10, 30, 5)),
    ]  # fmt: skip


def test_one_task_a_file_even_for_eight_small_ones():
    tasks = plan_splits(inputs_of([5, 0, 7, 1, 2, 3, 4, 900]), 1, per_file=True)
    assert [(len(task), task[0].stop) for task in tasks] == [(1, n) for n in (5, 0, 7, 1, 2, 3, 4, 900)]


def test_a_stream_is_a_task_of_its_own():
    tasks = plan_splits(inputs_of([3, None, 3]), 100)
    assert [[span.path for span in task] for task in tasks] == [[b"0"], [b"1"], [b"2"]]
    assert tasks[1] == (Span(b"1", 0, 0, -1, 1),)


def test_names_in_one_task_are_limited(monkeypatch):
    monkeypatch.setattr(splits, "FILES_MAX", 3)
    assert [len(task) for task in plan_splits(inputs_of([1] * 7), 100)] == [3, 3, 1]


@pytest.mark.parametrize("inputs", [[], inputs_of([0, 0])])
def test_no_bytes_no_tasks(inputs):
    assert plan_splits(inputs, 10) == []
