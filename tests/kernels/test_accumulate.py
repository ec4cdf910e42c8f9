"""Sums, minima, maxima and firsts by key, split, spilled and merged at random, against plain Python and math.fsum."""
import itertools
import math
import random
import struct
import sys
from array import array
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mrcore.kernels.accumulate import KINDS, AccumulatorTable, finish, merge_states
from mrcore.testing import reference

INTEGERS = [kind for kind in KINDS if kind.endswith("int64")]
FLOATS = [kind for kind in KINDS if kind.endswith("float64")]
STATE_BYTES = {"sum_int64": 16, "sum_float64": 280, "first_int64": 16, "first_float64": 16}  # and 8
CODE = {kind: "d" if kind in FLOATS else "q" for kind in KINDS}
TINY, LEAST_NORMAL, MOST = 5e-324, sys.float_info.min, sys.float_info.max
SLOTS = 1 << 12  # START_BITS
EDGES = [0.0, -0.0, 1.0, -1.0, TINY, -TINY, LEAST_NORMAL, LEAST_NORMAL - TINY, 2.0**-537, 2.0**52, 2.0**53, 2.0**53 + 2,
         0.1, 1e16, 1e308, -1e308, MOST, -MOST, 2.0**970, 1 + 2.0**-52]

Row = tuple[bytes, float]

each_kind = pytest.mark.parametrize("kind", KINDS)


def bits(value: float) -> bytes:
    """Tells 0.0 from -0.0, and NaN from nothing."""
    return struct.pack("<d", value) if isinstance(value, float) else b"%d" % value


def state_of(kind: str, values: list[float], position: int = 0) -> bytes:
    table = AccumulatorTable(kind)
    table.add([b"k"] * len(values), values, position)
    [(key, state)] = table.drain()
    assert key == b"k" and len(state) == STATE_BYTES.get(kind, 8)
    return state


def outcome(function, *args) -> bytes | type[Exception]:
    try:
        return bits(function(*args))
    except (OverflowError, ValueError) as error:
        return type(error)


def check(kind: str, values: list[float]) -> None:
    found = outcome(finish, kind, state_of(kind, values))
    assert found == outcome(reference.accumulate, kind, list(enumerate(values)))


def numbers(kind: str) -> st.SearchStrategy[float]:
    if kind in INTEGERS:
        small = st.integers(-3, 3) | st.integers(-(2**40), 2**40)
        return small | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1])
    return st.floats(allow_nan=kind == "first_float64") | st.sampled_from(EDGES) | st.floats(-1e3, 1e3)


# ---- values --------------------------------------------------------------------------------


@each_kind
@given(data=st.data())
def test_any_values_have_the_result_of_the_reference(kind: str, data: st.DataObject) -> None:
    check(kind, data.draw(st.lists(numbers(kind), min_size=1, max_size=30)))


@each_kind
@pytest.mark.parametrize("edge", EDGES)
def test_one_value_of_each_kind(kind: str, edge: float) -> None:
    values = [edge] if kind in FLOATS else [int(max(min(edge, 2.0**62), -(2.0**62)))]
    check(kind, values)


@given(values=st.lists(st.floats(allow_infinity=False, allow_nan=False) | st.sampled_from(EDGES), min_size=1))
@example(values=[1e308, 1e308, -1e308])
@example(values=[MOST, 2.0**969])  # rounds down to a finite double
@example(values=[MOST, 2.0**970])  # a tie that would round up to infinity
def test_float_sums_are_those_of_fsum(values: list[float]) -> None:
    """fsum stops where a partial sum is too large; where only the end counts, fractions are asked."""
    state = state_of("sum_float64", values)
    try:
        expected = math.fsum(values)
    except OverflowError:
        assert outcome(finish, "sum_float64", state) == outcome(lambda: float(sum(map(Fraction, values))))
    else:
        assert bits(finish("sum_float64", state)) == bits(expected + 0.0)


def test_float_sums_of_doubles_with_any_bits() -> None:
    draw = random.Random(1997)
    for count in [*range(1, 40), 300, 1000]:
        values = [value for value in struct.unpack(f"<{count}d", draw.randbytes(8 * count)) if math.isfinite(value)]
        if values:
            check("sum_float64", values)
            check("sum_float64", [-value for value in values] + values)  # borrows through every word, back to 0
            check("sum_float64", [*values, 1e-300, *(-value for value in values)])


@pytest.mark.parametrize("exponent", [-1074, -1023, -1022, -1000, -64, -1, 0, 10, 63, 64, 128, 900])
def test_float_sums_round_half_to_even_wherever_they_are(exponent: int) -> None:
    one, ulp = 2.0**exponent, 2.0 ** (exponent - 52)
    for last in (0.0, ulp, 2 * ulp, 3 * ulp):
        for half in (0.0, ulp / 2, ulp / 4, 3 * ulp / 4):
            for rest in (0.0, TINY, -TINY):
                for sign in (1, -1):
                    check("sum_float64", [sign * part for part in (one, last, half, rest)])


@pytest.mark.parametrize("values", [
    [math.nan], [math.inf], [-math.inf], [math.inf, 1.0, math.inf], [math.inf, math.nan], [math.nan, -math.inf, 2.0],
    [math.inf, -math.inf], [math.nan, math.inf, -math.inf], [math.inf, -math.inf, math.nan], [-math.inf, MOST]])
def test_infinities_and_nans_are_summed_as_by_fsum(values: list[float]) -> None:
    """NaN wins over infinity; both infinities have no sum, with or without NaN."""
    assert outcome(finish, "sum_float64", state_of("sum_float64", values)) == outcome(math.fsum, values)
    states = [state_of("sum_float64", [value]) for value in values]
    merged = states[0]
    for state in states[1:]:
        merged = merge_states("sum_float64", state, merged)
    assert merged == state_of("sum_float64", values)


def test_only_the_end_of_an_integer_sum_can_overflow() -> None:
    most = 2**63 - 1
    assert finish("sum_int64", state_of("sum_int64", [most, most, -most, -most - 1, 1])) == 0
    assert finish("sum_int64", state_of("sum_int64", [most, 1, -1])) == most
    assert finish("sum_int64", state_of("sum_int64", [-most - 1, -1, 1])) == -most - 1
    for values in ([most, 1], [-most - 1, -1], [most] * 5):
        with pytest.raises(OverflowError, match="sum_int64: the sum is out of range"):
            finish("sum_int64", state_of("sum_int64", values))


@pytest.mark.parametrize("kind", ["min_float64", "max_float64"])
def test_minus_zero_is_zero_to_an_order(kind: str) -> None:
    for values in ([-0.0], [0.0, -0.0], [-0.0, 0.0]):
        assert bits(finish(kind, state_of(kind, values))) == bits(0.0)


def test_first_keeps_the_bits_of_its_value() -> None:
    assert bits(finish("first_float64", state_of("first_float64", [-0.0, 1.0]))) == bits(-0.0)
    assert math.isnan(finish("first_float64", state_of("first_float64", [math.nan, 1.0])))


# ---- splits, spills and merges ---------------------------------------------------------------


@each_kind
@settings(deadline=None)
@given(data=st.data(), order=st.randoms(use_true_random=False))
def test_any_splits_merged_in_any_order_are_the_whole_byte_for_byte(
        kind: str, data: st.DataObject, order: random.Random) -> None:
    keys = st.sampled_from([b"", b"a", b"a\0", b"b", b"long " * 20])
    rows: list[Row] = data.draw(st.lists(st.tuples(keys, numbers(kind)), max_size=40))
    cuts = sorted({0, len(rows), *data.draw(st.lists(st.integers(0, len(rows)), max_size=5))})
    spilled: dict[bytes, list[bytes]] = {}
    table = AccumulatorTable(kind)
    splits = list(itertools.pairwise(cuts))
    order.shuffle(splits)
    for low, high in splits:
        table.add([key for key, _ in rows[low:high]], [value for _, value in rows[low:high]], low)
        if order.randrange(3):  # spill now, or with the next
            for key, state in table.drain():
                spilled.setdefault(key, []).append(state)
    for key, state in table.drain():
        spilled.setdefault(key, []).append(state)
    whole = AccumulatorTable(kind)
    whole.add([key for key, _ in rows], [value for _, value in rows])
    expected = dict(whole.drain())
    assert spilled.keys() == expected.keys() == {key for key, _ in rows}
    for key, states in spilled.items():
        order.shuffle(states)
        while len(states) > 1:
            states.append(merge_states(kind, states.pop(order.randrange(len(states))), states.pop(0)))
        assert states == [expected[key]]
        own = [(at, value) for at, (one, value) in enumerate(rows) if one == key]
        assert outcome(finish, kind, expected[key]) == outcome(reference.accumulate, kind, own)


@pytest.mark.parametrize("kind", ["first_int64", "first_float64"])
def test_first_is_by_position_and_not_by_arrival(kind: str) -> None:
    late, early = state_of(kind, [1, 2], 2**64 - 2), state_of(kind, [3, 4], 7)
    assert finish(kind, merge_states(kind, late, early)) == finish(kind, merge_states(kind, early, late)) == 3
    table = AccumulatorTable(kind)
    table.add([b"k"], [1], 10)
    table.add([b"k", b"k"], [2, 3], 8)
    table.add([b"k"], [4], 9)
    assert finish(kind, table.drain()[0][1]) == 2


# ---- the table -----------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, SLOTS * 66 // 100 - 1, SLOTS * 66 // 100, SLOTS * 66 // 100 + 1])
def test_distinct_keys_around_blocks_and_around_the_growth_of_slots(kind: str, count: int) -> None:
    keys = [b"key %d" % i for i in range(count)]
    table = AccumulatorTable(kind)
    for _ in range(2):  # drain() leaves nothing behind
        table.add_array(keys, array(CODE[kind], range(count)))
        table.add_array(keys, array(CODE[kind], range(count)), count)
        assert len(table) == count
        drained = table.drain()
        assert [key for key, _ in drained] == sorted(keys)
        factor = 2 if kind.startswith("sum") else 1
        assert all(finish(kind, state) == factor * int(key.split()[1]) for key, state in drained)
        assert (len(table), table.drain()) == (0, [])


def test_many_keys_of_many_lengths_grow_slots_and_arena() -> None:
    draw = random.Random(5)
    keys = [draw.randbytes(draw.choice([0, 1, 7, 8, 9, 16, 100, 2000])) for _ in range(30_000)] + [b"x" * (1 << 20)]
    expected: dict[bytes, int] = {}
    for key in keys:
        expected[key] = expected.get(key, 0) + len(key)
    table = AccumulatorTable("sum_int64")
    before = table.memory_bytes
    table.add(keys, [len(key) for key in keys])
    assert sum(map(len, expected)) < table.memory_bytes - before < 6 * sum(map(len, expected))
    assert [(key, finish("sum_int64", state)) for key, state in table.drain()] == sorted(expected.items())


def test_rows_of_more_than_one_step() -> None:
    count = (1 << 16) * 2 + 3  # ADD_STEP
    table = AccumulatorTable("first_int64")
    table.add_array([b"%d" % (i % 1000) for i in range(count)], array("q", range(count)), 5)
    assert table.drain() == sorted((b"%d" % i, struct.pack("<Qq", i + 5, i)) for i in range(1000))


def test_keys_of_nuls_are_keys_of_their_own() -> None:
    table = AccumulatorTable("sum_int64")
    table.add([b"\0" * i for i in (0, 1, 2, 1, 0)], [1, 2, 4, 8, 16])
    assert [(key, finish("sum_int64", state)) for key, state in table.drain()] == [(b"", 17), (b"\0", 10), (b"\0\0", 4)]


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["min_float64", "max_float64"])
def test_a_nan_has_no_place_in_an_order(kind: str) -> None:
    table = AccumulatorTable(kind)
    for nan in (math.nan, -math.nan):
        with pytest.raises(ValueError, match=f"value 2 is NaN.* {kind}"):
            table.add([b"a", b"b", b"c"], [1.0, math.inf, nan])
    assert table.drain() == []  # not even the rows before it


@each_kind
def test_a_batch_that_is_refused_adds_nothing(kind: str) -> None:
    table = AccumulatorTable(kind)
    right = array(CODE[kind], [1, 2])
    other = array("q" if CODE[kind] == "d" else "d", [1, 2])
    for keys, values, position, error in [
            ([b"a"], right, 0, ValueError), ([b"a"] * 3, right, 0, ValueError), ([b"a", "b"], right, 0, TypeError),
            ([b"a", None], right, 0, TypeError), ([b"a", b"b"], other, 0, ValueError),
            ([b"a", b"b"], right, 2**64 - 1, ValueError), ([b"a", b"b"], right, 2**64, OverflowError)]:
        with pytest.raises(error):
            table.add_array(keys, values, position)
    for values in (["1", "2"], [None, None], [1j, 1j]):
        with pytest.raises(TypeError):
            table.add([b"a", b"b"], values)
    with pytest.raises(OverflowError):
        table.add([b"a", b"b"], [0, 10**400 if CODE[kind] == "d" else 2**63])
    assert len(table) == 0
    table.add_array([b"a", b"b"], right, 2**64 - 2)
    assert [key for key, _ in table.drain()] == [b"a", b"b"]


@each_kind
def test_bytes_that_are_no_state_are_refused(kind: str) -> None:
    state = state_of(kind, [1])
    wrong = [b"", state[:-1], state + b"\0", state * 2]
    if kind in ("min_float64", "max_float64"):
        wrong += [struct.pack("<d", value) for value in (math.nan, -0.0)]
    if kind == "sum_float64":
        wrong += [state[:-8] + flags for flags in (b"\x08" + bytes(7), bytes(7) + b"\x80")]
    for broken in wrong:
        for call in (lambda b: finish(kind, b), lambda b: merge_states(kind, b, state),
                     lambda b: merge_states(kind, state, b)):
            with pytest.raises(ValueError, match=f"{len(broken)} bytes that are no state of {kind}"):
                call(broken)


def test_an_unknown_kind_is_refused() -> None:
    for call in (AccumulatorTable, lambda kind: finish(kind, b""), lambda kind: merge_states(kind, b"", b"")):
        with pytest.raises(ValueError, match="unknown kind 'mean': one of sum_int64,"):
            call("mean")
