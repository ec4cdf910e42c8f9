"""Datasets of Python objects are lazy chains: steps make stages, and no step changes the dataset before it."""

import pytest

import mrcore as mr

PAIRS = [("b", 1), ("a", 2), ("b", 3)]


@pytest.fixture
def pairs():
    return mr.from_items(PAIRS)


def fail(*anything):
    raise AssertionError("it was called")


def test_nothing_is_called_before_an_end(pairs):
    chain = pairs.map(fail).filter(fail).flat_map(fail).key_by(fail).reduce_by_key(fail).group_by_key()
    assert "stage" in chain.explain()


def test_steps_leave_the_dataset_before_them_as_it_was(pairs):
    doubled = pairs.map(lambda pair: (pair[0], 2 * pair[1]))
    assert doubled.reduce_by_key(mr.Sum()).collect(mr.Inline()) == [("a", 4), ("b", 8)]
    assert pairs.reduce_by_key(mr.Sum()).collect(mr.Inline()) == [("a", 2), ("b", 4)]
    assert pairs.collect(mr.Inline()) == PAIRS


def test_a_shuffle_is_the_border_of_two_stages(pairs):
    assert len(pairs.map(str).filter(str).stages) == 1
    assert len(pairs.reduce_by_key(mr.Sum()).map(str).stages) == 1
    assert len(pairs.reduce_by_key(mr.Sum()).map(str).key_by(len).group_by_key().stages) == 2


def test_a_function_of_two_values_reduces(pairs):
    assert pairs.reduce_by_key(lambda a, b: a - b if a > b else b - a).collect(mr.Inline()) == [("a", 2), ("b", 2)]


def test_groups_are_lists_in_input_order_where_they_are_collected(pairs):
    assert pairs.group_by_key().collect(mr.Inline()) == [("a", [2]), ("b", [1, 3])]


def test_partitions_are_by_a_function_or_by_hash(pairs):
    placed = pairs.partition_by(2, lambda key, parts: key == "a")
    assert placed.collect(mr.Inline()) == [("b", 1), ("b", 3), ("a", 2)]
    assert sorted(pairs.partition_by(2).collect(mr.Inline())) == sorted(PAIRS)


def test_batches_are_of_text_and_come_first(tmp_path):
    (tmp_path / "in").write_bytes(b"x yy\nz\n")
    text = mr.read_text(tmp_path / "in")

    def sizes(data, offsets):
        yield from ((int(stop - start), 1) for start, stop in offsets)

    assert text.words().map_batches(sizes).reduce_by_key(mr.Sum()).collect(mr.Inline()) == [(1, 2), (2, 1)]
    assert text.map_batches(sizes).reduce_by_key(mr.Sum()).collect(mr.Inline()) == [(1, 1), (4, 1)]
    for late in (text.map(len), text.words(lower=True), mr.from_items([1])):
        with pytest.raises(mr.UsageError, match="map_batches"):
            late.map_batches(sizes)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_take_gives_the_first(pairs, count):
    assert pairs.take(count, mr.Inline()) == PAIRS[:count]
    assert pairs.group_by_key().take(count, mr.Inline()) == [("a", [2]), ("b", [1, 3])][:count]


@pytest.mark.parametrize("count", [-1, "3", 1.0, None, True])
def test_take_of_what_is_no_number_is_refused(pairs, count):
    with pytest.raises(mr.UsageError, match="0 or more"):
        pairs.take(count, mr.Inline())


@pytest.mark.parametrize("made", [mr.Sum, mr.Aggregate, 5, "sum"])
def test_what_is_no_aggregate_is_refused_at_once(pairs, made):
    with pytest.raises(mr.UsageError):
        pairs.reduce_by_key(made)


def test_verify_holds_for_all_stages(pairs):
    wrong = pairs.reduce_by_key(lambda a, b: a - b)
    many = mr.from_items([("k", value) for value in range(64)]).reduce_by_key(lambda a, b: a - b)
    assert wrong.collect(mr.Inline())
    with pytest.raises(mr.UserCodeError, match="associative"):
        many.verify().collect(mr.Inline())


def test_an_element_of_a_third_of_the_memory_is_collected_from_one_part():
    large = mr.from_items([("k", 1)]).group_by_key().map(lambda group: "x" * 3_000_000)
    assert large.collect(mr.Inline(memory="8MiB")) == ["x" * 3_000_000]
