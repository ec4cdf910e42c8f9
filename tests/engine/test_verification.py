"""``verify=True``: counterexamples are found and shown, and whatever keeps its promise passes untouched."""

import functools

import pytest

import mrcore as mr
from mrcore.engine.aggregates import Reduce
from mrcore.engine.context import Context
from mrcore.engine.program import Shuffle
from mrcore.engine.verification import VALUES_MAX, verified
from mrcore.errors import UserCodeError


@pytest.fixture
def ctx():
    return Context(0, "map", lambda kind, text: None)


def combining(function):
    return Shuffle(combine=lambda key, values, ctx: [(key, function(list(values)))])


def own(add, merge, finish=None, zero=0, **promises):
    return Shuffle(mr.Aggregate(zero, add, merge, finish, **promises))


SOUND = {
    "sum": combining(sum), "max": combining(max), "concatenation": combining(lambda values: "".join(map(str, values))),
    "one by one": Shuffle(combine=lambda key, values, ctx: ((key, value) for value in values)),
    "native": Shuffle(mr.Sum()), "none": Shuffle(), "lambda": Shuffle(Reduce(lambda a, b: a + b)),
    "aggregate": own(lambda s, v: s + v, lambda a, b: a + b, commutative=True),
    "set": own(lambda s, v: s | {v}, lambda a, b: a | b, sorted, set, commutative=True, idempotent=True),
    "about": own(lambda s, v: s + v / 3, lambda a, b: a + b, commutative=True, exact=False),
}  # fmt: skip
BROKEN = {  # each with what is said of it
    "mean": (combining(lambda values: sum(values) / len(values)), "combine() is not associative"),
    "count": (combining(len), "combine() is not associative"),
    "minus": (Shuffle(Reduce(lambda a, b: a - b)), "the aggregate is not associative"),
    "merge": (own(lambda s, v: s + v, lambda a, b: a), "the aggregate is not associative"),
    "order": (own(lambda s, v: [*s, v], lambda a, b: a + b, zero=list, commutative=True), "is not commutative"),
    "twice": (own(lambda s, v: s + v, lambda a, b: a + b, commutative=True, idempotent=True), "is not idempotent"),
}  # fmt: skip
VALUES = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize("many", [1, 2, VALUES_MAX - 1, VALUES_MAX, VALUES_MAX + 1, len(VALUES)])
@pytest.mark.parametrize("name", SOUND)
def test_what_keeps_its_promise_gets_all_values_in_their_order(ctx, name, many):
    assert list(verified(SOUND[name], "k", iter(VALUES[:many]), ctx)) == VALUES[:many]


@pytest.mark.parametrize("name", BROKEN)
def test_a_counterexample_is_shown(ctx, name):
    shuffle, said = BROKEN[name]
    with pytest.raises(UserCodeError) as caught:
        verified(shuffle, "the key", iter(VALUES), ctx)
    text = str(caught.value)
    assert said in text and "key 'the key': " in text and text.endswith(": leave it out, or make it so")
    assert "3" in text and "\n" not in text


def test_one_value_can_show_nothing_wrong_but_idempotence(ctx):
    for name, (shuffle, _) in BROKEN.items():
        if name not in ("count", "twice"):
            assert list(verified(shuffle, 1, iter([7]), ctx)) == [7]


def test_values_are_not_changed_by_the_look(ctx):
    def merge(a, b):
        a.extend(b)
        return a

    values = [[1], [2], [3]]
    assert list(verified(Shuffle(Reduce(merge)), 1, iter(values), ctx)) == [[1], [2], [3]]


def test_a_long_value_is_cut_short(ctx):
    shuffle = combining(lambda values: str(len(values)) * 10_000)
    with pytest.raises(UserCodeError) as caught:
        verified(shuffle, 1, iter(["x" * 10_000, "y" * 10_000, "z"]), ctx)
    assert len(str(caught.value)) < 2000


class Counted(mr.MapReduce):
    """Its functions count how often they are called."""

    def map(self, record, ctx):
        yield 1, int(record)

    def combine(self, key, values, ctx):
        ctx.counter("combined").add()
        yield key, sum(values)

    def reduce(self, key, values, ctx):
        ctx.counter("reduced").add()
        yield key, sum(values)


def test_the_jobs_counters_are_the_same_with_and_without(tmp_path):
    (tmp_path / "in").write_text("1\n2\n3\n4\n")
    run = functools.partial(mr.run, Counted, str(tmp_path / "in"), executor=mr.Inline())
    plain, looked = run(), run(verify=True)
    assert list(plain.read()) == list(looked.read()) == [(1, 10)]
    assert plain.counters == looked.counters
