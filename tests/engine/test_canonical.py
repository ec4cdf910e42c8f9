"""The canonical walk: equal values, equal digests; others, others. Cycles, sharing, depth, and sets."""

import copy
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.engine import canonical
from mrcore.engine.canonical import BULK_ITEMS, BYTES_LARGE, SetTooLargeError, Walk
from mrcore.engine.fingerprint import fingerprint_of

DEEP = 30_000  # some three times what C's stack holds

ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(allow_nan=False), st.text(max_size=3),
    st.binary(max_size=3), st.sampled_from([1, 1.0, True, "1", b"1", 1 + 0j, 0.0, -0.0, ..., "\udc80"]),
)  # fmt: skip
CONSTANTS = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=8
)
VALUES = st.recursive(
    CONSTANTS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.sets(CONSTANTS, max_size=3),
        st.dictionaries(CONSTANTS, inner, max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


class Thing:
    """Compared and hashed by identity."""

    def __init__(self, name=None):
        self.name = name


def spelled(value) -> str:
    """A text that says a value exactly, its sets in an order of their own."""
    inside = value
    if isinstance(value, dict):
        inside = [pair for item in value.items() for pair in item]
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({sorted(map(spelled, value))})"
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__}({[spelled(part) for part in inside]})"
    return repr(value)


@given(VALUES, VALUES)
def test_two_values_have_one_digest_where_they_are_the_same_and_only_there(one, other):
    assert (Walk().walk(one) == Walk().walk(other)) == (spelled(one) == spelled(other))


@given(VALUES)
def test_it_does_not_show_whether_equal_constants_are_one_object(value):
    assert Walk().walk([value, copy.deepcopy(value)]) == Walk().walk([copy.deepcopy(value), value])
    assert Walk().walk(copy.deepcopy(value)) == Walk().walk(value)
    assert fingerprint_of(value) == Walk().walk(value)


@given(st.lists(CONSTANTS, max_size=4).map(tuple))
def test_a_constant_twice_is_as_two_equal_ones(value):
    assert Walk().walk((value, value, [])) == Walk().walk((value, copy.deepcopy(value), []))
    assert Walk().walk([value, value]) == Walk().walk([value, (*value,)])


@given(st.permutations([(1, frozenset({"a"})), "b", 2.5, (), ("c", ((),)), None]))
def test_the_order_in_which_a_set_was_filled_does_not_show(members):
    assert Walk().walk(set(members)) == Walk().walk({members[-1], *members})
    one = Walk().walk(frozenset(members))
    assert one == Walk().walk(frozenset(reversed(members)))
    assert one != Walk().walk(set(members))


@pytest.mark.parametrize("size", [0, 1, BULK_ITEMS - 1, BULK_ITEMS, BULK_ITEMS + 1, 3 * BULK_ITEMS])
def test_long_sequences(size):
    values = list(range(size))
    digests = {
        Walk().walk(one)
        for one in (values, tuple(values), values[1:], [*values, 0], [*values, []], dict.fromkeys(values), set(values))
    }
    assert len(digests) == (6 if size == 0 else 7)


@pytest.mark.parametrize("size", [BYTES_LARGE - 1, BYTES_LARGE, BYTES_LARGE + 1, 1 << 20])
def test_long_text_and_bytes(size):
    values = ["é" * size, "é" * (size - 1) + "e", b"x" * size, b"x" * (size - 1), "x" * size, "\udc80" * size]
    assert len({Walk().walk(value) for value in values}) == len(values)
    assert Walk().walk("é" * size) == Walk().walk("".join(["é"] * size))


def test_what_marshal_will_not_write_at_once_is_written_apart(monkeypatch):
    real = canonical.dumps

    def dumps(value, version):
        if isinstance(value, list):
            raise ValueError("unmarshallable object")
        return real(value, version)

    monkeypatch.setattr(canonical, "dumps", dumps)
    values = [1, "a", ("b", 2)]
    digests = [Walk().walk(one) for one in (values, [1, "a", ("b", 3)], [1, "a", "b", 2])]
    assert len(set(digests)) == 3
    assert Walk().walk(copy.copy(values)) == digests[0]


# ---- sharing, cycles, depth -------------------------------------------------------------


def test_what_is_shared_and_can_change_is_other_than_two_equal_ones():
    shared = []
    assert Walk().walk([shared, shared]) != Walk().walk([[], []])
    pair = (shared, 1)
    assert Walk().walk([pair, pair]) == Walk().walk([pair, pair])
    assert Walk().walk([pair, pair]) != Walk().walk([([], 1), ([], 1)])


def loops():
    """Values that lead back to themselves, each another."""
    one = []
    one.append(one)
    two = [[]]
    two[0].append(two)
    table = {}
    table["self"] = table
    inside = []
    pair = (inside, 1)
    inside.append(pair)
    return {"list": one, "two": two, "dict": table, "tuple": pair, "list with a tuple": inside}


def test_cycles_end_and_are_told_apart():
    digests = {name: Walk().walk(value) for name, value in loops().items()}
    assert len(set(digests.values())) == len(digests)
    assert digests == {name: Walk().walk(value) for name, value in loops().items()}


@pytest.mark.parametrize(("wrap", "depth"), [
    (lambda inner: [inner], DEEP), (lambda inner: (inner, None), DEEP), (lambda inner: {"k": inner}, DEEP),
    (lambda inner: frozenset({inner}), DEEP // 5), (lambda inner: frozenset({(inner, 1)}), DEEP // 5),
], ids=["list", "tuple", "dict", "frozenset", "both"])  # fmt: skip
def test_depth_does_not_exhaust_the_stack(wrap, depth):
    def deep(bottom):
        value = bottom
        for _ in range(depth):
            value = wrap(value)
        return value

    limit = sys.getrecursionlimit()
    assert Walk().walk(deep("x")) == Walk().walk(deep("x")) != Walk().walk(deep("y"))
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("wrap", [lambda x: (x, x), lambda x: [x, x], lambda x: frozenset({(x, 1), (x, 2)})])
@pytest.mark.parametrize("bottom", [(1,), frozenset({2})])
def test_what_would_be_walked_a_trillion_times_is_walked_once(wrap, bottom):
    value = bottom
    for _ in range(40):
        value = wrap(value)
    assert len(Walk().walk(value)) == 32


def test_a_type_that_is_not_known_is_refused():
    with pytest.raises(TypeError, match="no canonical form"):
        Walk().walk([object()])


# ---- sets of what is not constant ------------------------------------------------------------


def things(names, order):
    made = {name: Thing(name) for name in order}
    return {made[name] for name in names}


@given(st.permutations("abcdef"))
def test_sets_of_objects_have_no_order(order):
    assert fingerprint_of(things("abc", order)) == fingerprint_of(things("cba", "abcdef"))
    assert fingerprint_of(things("abc", order)) != fingerprint_of(things("abd", order))


def test_a_frozenset_of_objects_is_one_thing_and_not_the_next_that_equals_it():
    one, other = frozenset({Thing(1), "x"}), frozenset({Thing(1), "x"})
    assert fingerprint_of([one, one]) != fingerprint_of([one, other])


def test_what_holds_a_class_is_written_alike_whether_a_set_had_it_before_or_not():
    pairs = [(Thing, number) for number in range(3)]
    equal = [(Thing, number) for number in range(3)]
    assert fingerprint_of([set(pairs), *pairs]) == fingerprint_of([set(equal), *pairs])


def ring(names):
    """Things that hold the set that holds them."""
    made = things(names, names)
    for thing in made:
        thing.all = made
        thing.pair = frozenset({thing, "x"})
    return made


def test_sets_that_lead_back_to_themselves():
    assert fingerprint_of(ring("abc")) == fingerprint_of(ring("cab")) != fingerprint_of(ring("abd"))


def test_a_class_whose_set_holds_its_own_instances():
    def made(names):
        class Known:
            found: set = set()  # noqa: RUF012 - shared by all, which is the point

            def __init__(self, name):
                self.name = name

        class Other(Known):
            found: set = set()  # noqa: RUF012

        Known.found |= {Known(name) for name in names} | {Other(name) for name in names}
        Other.found |= {Known(name) for name in names}
        return Known

    assert fingerprint_of(made("ab")) == fingerprint_of(made("ba")) != fingerprint_of(made("ac"))
    both = {made("ab"), made("ab")}
    assert fingerprint_of(both) == fingerprint_of({made("ba"), made("ab")})


def test_where_sets_reach_too_much_types_are_what_counts(monkeypatch):
    monkeypatch.setattr(canonical, "SET_STEPS_MAX", 100)

    def net(size, last):
        nodes = [Thing(number) for number in range(size)]
        nodes[-1].name = last
        for node in nodes:
            node.near = set(nodes[:3])
            node.all = nodes
        return nodes

    with pytest.raises(SetTooLargeError):
        type("Short", (Walk,), {"other": lambda self, value: self.is_met(value)})().walk({*map(Thing, range(200))})
    assert fingerprint_of(net(30, "x")) == fingerprint_of(net(30, "x"))
    assert fingerprint_of(net(30, "x")) != fingerprint_of(net(30, "y")), "what is not in the sets counts still"
    assert fingerprint_of({*map(Thing, range(200))}) == fingerprint_of({*map(Thing, range(1, 201))})
    assert fingerprint_of({*map(Thing, range(200))}) != fingerprint_of({*map(Thing, range(201))})
