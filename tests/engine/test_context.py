"""What a user's function may ask and tell: counters, notes, and where its record comes from."""

import pytest

from mrcore.engine.context import COUNT_MAX, RESERVED, TEXT_MAX, Context
from mrcore.errors import UsageError


@pytest.fixture
def told():
    return []


@pytest.fixture
def ctx(told):
    return Context(3, "map", lambda kind, text: told.append((kind, text)))


def test_counters_add_up_by_name(ctx):
    for name, numbers in (("b", [5, -2]), ("a", [1]), ("é 1", [])):
        counter = ctx.counter(name)
        assert ctx.counter(name) is counter
        for number in numbers:
            counter.add(number)
    ctx.counter("a").add()
    assert ctx.counts() == (("a", 2), ("b", 3), ("é 1", 0))
    assert (ctx.task, ctx.phase) == (3, "map")


@pytest.mark.parametrize("number", [1.0, True, "1", None])
def test_a_counter_adds_ints_only(ctx, number):
    with pytest.raises(TypeError, match=f"a counter adds ints, not {type(number).__name__}"):
        ctx.counter("n").add(number)
    assert ctx.counts() == (("n", 0),)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_counter_stays_inside_int64(ctx, sign):
    ctx.counter("n").add(sign * COUNT_MAX)
    with pytest.raises(OverflowError):
        ctx.counter("n").add(sign)
    assert ctx.counts() == (("n", sign * COUNT_MAX),)


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", b"a", None, 1])
def test_a_counters_name_is_printable(ctx, name):
    with pytest.raises(UsageError, match="printable text"):
        ctx.counter(name)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_mrcores_own_counters_are_not_taken(ctx, name):
    with pytest.raises(UsageError, match=f"mrcore has a counter of this name: {name}"):
        ctx.counter(name)


def test_notes_are_text_that_fits(ctx, told):
    ctx.log("x" * 10_000)
    ctx.log("a\ud800")
    ctx.status(5)
    assert told == [("log", "x" * TEXT_MAX), ("log", "a\\ud800"), ("status", "5")]


def test_input_is_where_the_record_at_work_begins(ctx):
    at = [0]
    assert ctx.input.file is None
    ctx.open(b"caf\xe9", lambda: at[0])
    at[0] = 7
    assert (ctx.input.file, ctx.input.offset) == ("caf\udce9", 7)
    assert repr(ctx.input) == "caf\udce9, byte 7"
    ctx.open(None, lambda: 1)
    assert (ctx.input.file, ctx.input.offset) == (None, 1)
