"""Aggregates: what each makes of values, against plain Python, in whatever grouping a job folds them."""

import fractions
import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mrcore as mr
from mrcore.engine.aggregates import Reduce, check_aggregate
from mrcore.engine.pickling import dumps, loads
from mrcore.errors import UsageError
from mrcore.kernels.chain import Chain, YieldError
from mrcore.kernels.codec import KeyCodec, ValueCodec, encode_values
from mrcore.kernels.fold import Folder, fold_blocks
from mrcore.kernels.groups import read_groups
from mrcore.kernels.output import Output, elements_of
from mrcore.kernels.reduce import Reducer
from mrcore.testing import reference

NUMBERS = st.one_of(st.integers(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False, allow_infinity=False))


class Counter:
    records = 0


def block_of(values):
    """A block with one group: a record for every two values."""
    pieces = [values[at : at + 2] for at in range(0, len(values), 2)]
    return reference.encode_bytes_records([(b"key", encode_values(piece, dumps)) for piece in pieces])


def by_python(aggregate):
    return lambda key, values: aggregate.fold(values)


def states_of(aggregate, values):
    """What a map task writes for a group: a block."""
    codec = ValueCodec(dumps, loads)
    fold = Folder(aggregate.native, codec) if aggregate.native else by_python(aggregate)
    return b"".join(map(bytes, fold_blocks([block_of(values)], 1 << 16, fold, codec, Counter())))


def result_of(aggregate, blocks):
    """What a reduce task makes of a group's blocks."""
    made, codec = [], ValueCodec(dumps, loads)
    output = Output(lambda view: made.extend(elements_of(bytes(view), loads)), codec, columns=0, keyed=True)
    fold = Folder(aggregate.native, codec) if aggregate.native else aggregate.finish
    reducer = Reducer(blocks, KeyCodec("b"), codec, Chain([], output), output, fold=fold)
    while reducer.run(100):
        pass
    output.finish()
    ((key, value),) = made
    assert key == b"key"
    return value


def aggregated(aggregate, values, cuts=()):
    """The aggregate of values that are folded in the parts that the cuts make, of which some are empty."""
    if aggregate.ones:
        values = [1] * len(values)
    borders = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    parts = [values[a:b] for a, b in itertools.pairwise(borders) if a < b]
    return result_of(aggregate, [states_of(aggregate, part) for part in parts])


def same(a, b):
    return type(a) is type(b) and (a == b or (a != a and b != b))


def exact_sum(values):
    """The sum as it is documented: of ints exact, with floats the nearest float, beyond all of them an infinity."""
    if all(type(value) is int for value in values):
        return sum(values)
    total = sum(map(fractions.Fraction, values))
    return rounded(total)


def rounded(total):
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def exact_mean(values):
    return rounded(sum(map(fractions.Fraction, values)) / len(values))


AGGREGATES = {
    "Sum": (mr.Sum(), exact_sum), "Count": (mr.Count(), len), "Mean": (mr.Mean(), exact_mean), "Min": (mr.Min(), min),
    "Max": (mr.Max(), max), "First": (mr.First(), lambda values: values[0]), "Collect": (mr.Collect(), list),
    "TopK": (mr.TopK(3), lambda values: sorted(values, reverse=True)[:3]),
    "TopK by key": (mr.TopK(2, key=abs), lambda values: sorted(values, key=abs, reverse=True)[:2]),
    "Reduce": (Reduce(max), max),
    "Aggregate": (mr.Aggregate(list, lambda s, v: [*s, v], lambda a, b: a + b, tuple), tuple),
}  # fmt: skip


@pytest.mark.parametrize("name", AGGREGATES)
def test_any_grouping_gives_what_plain_python_does(name):
    aggregate, wanted = AGGREGATES[name]

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(st.lists(NUMBERS, min_size=1, max_size=12), st.lists(st.integers(0, 12), max_size=4))
    def check(values, cuts):
        found, expected = aggregated(aggregate, values, cuts), wanted(values)
        assert same(found, expected), (values, cuts)

    check()


@pytest.mark.parametrize("name", AGGREGATES)
def test_many_values_in_many_parts(name):
    aggregate, wanted = AGGREGATES[name]
    rng = random.Random(5)
    values = [rng.choice([rng.randrange(-9, 9), rng.getrandbits(80), rng.uniform(-1e18, 1e18)]) for _ in range(500)]
    for many in (0, 1, 20):
        cuts = [at * 497 // max(1, many) for at in range(many)]
        assert same(aggregated(aggregate, values, cuts), wanted(values))


@pytest.mark.parametrize("value", [0, -1, (1 << 63) - 1, 1 << 63, -(1 << 200), 0.1, -0.0, True, math.inf, -math.inf])
def test_one_value(value):
    assert aggregated(mr.Sum(), [value]) == value
    for name in ("Min", "Max", "First"):
        assert same(aggregated(AGGREGATES[name][0], [value]), value)
    assert same(aggregated(mr.Mean(), [value]), rounded(fractions.Fraction(value)) if abs(value) < math.inf else value)
    assert (aggregated(mr.Count(), [value]), aggregated(mr.Collect(), [value])) == (1, [value])


LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(("values", "total"), [
    ([0.1] * 10, 1.0), ([1e308, 1e308, -1e308], 1e308), ([LARGEST, LARGEST], math.inf), ([-LARGEST] * 3, -math.inf),
    ([1 << 53, 1.0, 1], float((1 << 53) + 2)), ([1e-320] * 3, 3e-320), ([(1 << 63) - 1, 1], 1 << 63),
    ([1 << 2000, 0.5, -(1 << 2000)], 0.5), ([1 << 2000, 0.5], math.inf), ([math.inf, 1], math.inf),
    ([math.inf, -math.inf], math.nan), ([math.nan, 1], math.nan), ([1e16, 1.0, -1e16], 1.0), ([-0.0, -0.0], 0.0),
    ([1 << 2000, math.inf], math.inf), ([math.inf, -(1 << 2000)], math.inf),
], ids=str)  # fmt: skip
def test_sums_at_the_edges_of_numbers(values, total):
    for order in (values, values[::-1]):
        for cuts in ([], range(1, len(values))):
            assert same(aggregated(mr.Sum(), order, list(cuts)), total)


@pytest.mark.parametrize(("values", "mean"), [
    ([1, 2], 1.5), ([(1 << 62), (1 << 62) + 2], float((1 << 62) + 1)), ([LARGEST, LARGEST], LARGEST),
    ([LARGEST, LARGEST, -LARGEST], LARGEST / 3), ([0.1] * 3, 0.1), ([math.inf, 1], math.inf), ([math.nan], math.nan),
    ([math.inf, -math.inf], math.nan), ([1 << 2000, 1 << 2000], math.inf), ([5e-324, 0], 0.0), ([True, False], 0.5),
], ids=str)  # fmt: skip
def test_means_at_the_edges_of_numbers(values, mean):
    for cuts in ([], range(1, len(values))):
        assert same(aggregated(mr.Mean(), values, list(cuts)), mean)


@pytest.mark.parametrize("aggregate", [mr.Min(), mr.Max()])
@pytest.mark.parametrize("values", [[math.nan], [1.0, math.nan], [math.nan, 1.0]], ids=str)
def test_nan_has_no_place_in_an_order(aggregate, values):
    with pytest.raises(YieldError, match="NaN"):
        aggregated(aggregate, values)


def test_of_equal_values_the_first_one():
    for cuts in ([], [1], [1, 2]):
        for aggregate in (mr.Min(), mr.Max()):
            assert type(aggregated(aggregate, [1, 1.0, True], cuts)) is int
            assert type(aggregated(aggregate, [1.0, 1, True], cuts)) is float
    assert aggregated(mr.TopK(2, key=len), ["aa", "bb", "cc"]) == ["aa", "bb"]
    assert aggregated(mr.First(), [None, 1], [1]) is None


def test_least_and_largest_of_what_is_no_number():
    for values in (["b", "a", "c", "a\0"], [b"\xff", b"", b"a"], [(1, "a"), (0, "z"), (1, "")], [[2], [1], [1, 0]]):
        assert aggregated(mr.Min(), values, [1]) == min(values)
        assert aggregated(mr.Max(), values, [1]) == max(values)


@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Mean()])
@pytest.mark.parametrize("values", [["a"], [1, None], [1, "a"], [(1,)], [1j]], ids=str)
def test_what_cannot_be_added_is_refused_by_its_type(aggregate, values):
    with pytest.raises(YieldError, match=f"of a value of type {type(values[-1]).__name__}"):
        aggregated(aggregate, values)


def test_the_parts_of_a_group_are_not_told_from_its_values_by_their_look():
    """A user's tuple like the state of a mean stays a value."""
    with pytest.raises(YieldError):
        aggregated(mr.Mean(), [(2, 3)])
    assert aggregated(mr.First(), [(2, 3), 1]) == (2, 3)


def test_no_groups_have_no_results():
    for aggregate, _ in AGGREGATES.values():
        codec = ValueCodec(dumps, loads)
        fold = Folder(aggregate.native, codec) if aggregate.native else by_python(aggregate)
        assert list(fold_blocks([], 100, fold, codec, Counter())) == []
    assert list(read_groups([], loads)) == []


def test_a_zero_that_is_no_function_is_not_shared():
    own = mr.Aggregate([], lambda state, value: state.append(value) or state, lambda a, b: a + b)
    assert [aggregated(own, [1, 2], [1]), aggregated(own, [3])] == [[1, 2], [3]]
    assert own.zero == []


@pytest.mark.parametrize(("made", "said"), [
    (lambda: mr.TopK(0), "TopK of 0: write 1 or more"), (lambda: check_aggregate(mr.Sum), "write mr.Sum()"),
    (lambda: check_aggregate(sum), "not an aggregate: <built-in function sum>: write mr.Sum()"),
    (lambda: mr.Aggregate(0, 1, max), "Aggregate(add=...) is not a function: 1"),
    (lambda: mr.Aggregate(0, max, None), "Aggregate(merge=...) is not a function: None"),
], ids=["k", "class", "function", "add", "merge"])  # fmt: skip
def test_what_is_no_aggregate_is_refused(made, said):
    with pytest.raises(UsageError) as caught:
        made()
    assert said in str(caught.value)


def test_aggregates_say_what_they_are():
    names = ["mr.Sum()", "mr.Count()", "mr.Mean()", "mr.Min()", "mr.Max()", "mr.First()", "mr.Collect()", "mr.TopK(3)"]
    assert [repr(AGGREGATES[name][0]) for name in list(AGGREGATES)[:8]] == names
    assert repr(Reduce(max)) == "reduce_by_key(max)"
    assert repr(mr.Aggregate(0, max, max)) == "mr.Aggregate(add=max)"


@pytest.mark.parametrize("aggregate", [mr.TopK(1), mr.TopK(3), mr.TopK(2, key=lambda value: -value)])
def test_the_largest_of_nan_are_refused_as_their_order_would_be_that_of_the_splits(aggregate):
    with pytest.raises(YieldError, match="TopK of NaN"):
        aggregate.fold([2.0, math.nan, 1.0])
    assert aggregate.fold([2.0, math.inf]) == sorted([2.0, math.inf], key=aggregate.key, reverse=True)[: aggregate.k]
