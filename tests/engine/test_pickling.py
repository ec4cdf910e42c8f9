"""Pickles of users' code and values: what travels, and which part is blamed where something cannot."""

import functools
import threading
from typing import Any, NamedTuple

import pytest

import mrcore as mr
from mrcore.engine.pickling import dump_by_name, dump_program, dumps, load_program, loads
from mrcore.engine.program import Program
from mrcore.errors import SerializationError

LOCK = threading.Lock()


class Fields(NamedTuple):
    one: Any
    two: Any


class Holder:
    def __init__(self, **parts):
        vars(self).update(parts)

    def method(self, x):
        return x


def uses_global(x):
    return LOCK, x


def closure_of(part):
    return lambda x: (part, x)


@pytest.mark.parametrize("function", [
    len, str.upper, lambda x: x + 1, closure_of(3), functools.partial(max, 1), Holder(a=1).method,
], ids=["built in", "method", "lambda", "closure", "partial", "bound"])  # fmt: skip
def test_functions_travel_and_do_the_same_there(function):
    class Local:
        made = 5

        def __call__(self, x):
            return self.made, function(x) if function not in (len, str.upper) else x

    program = load_program(dump_program(Program((("map", Local()), ("map", function)))))
    assert program.steps[0][1](2) == Local()(2)
    argument = "a" if function in (len, str.upper) else 2
    there, here = program.steps[1][1](argument), function(argument)
    assert there == here or there[1] == here[1]


CULPRITS = {
    ".held": Holder(fine=1, held=LOCK), ".held[1]": Holder(held=[1, LOCK]), ".held['k']": Holder(held={"k": LOCK}),
    ".held.two": Holder(held=Fields(1, LOCK)), ".held.deep.lock": Holder(held=Holder(deep=Holder(lock=LOCK))),
    "'s part": closure_of(LOCK), "'s part.x": closure_of(Holder(x=LOCK)),
}  # fmt: skip


@pytest.mark.parametrize("where", CULPRITS)
def test_the_attribute_that_cannot_travel_is_named(where):
    for dump in (dump_program, dumps):
        with pytest.raises(SerializationError) as caught:
            dump(CULPRITS[where])
        said = str(caught.value)
        assert said.startswith("cannot be pickled: ") and f"{where}, of type _thread.lock: TypeError: " in said
        assert said.endswith(": make it inside setup() or the function that uses it")


def test_a_global_of_a_function_that_travels_by_value_is_named():
    function = eval("lambda x: (LOCK, x)", {"LOCK": LOCK})
    with pytest.raises(SerializationError, match=r"the job.* -> global LOCK, of type _thread.lock"):
        dump_program(Program((("map", function),)))


@pytest.mark.parametrize(
    "value", [None, 1 << 99, "\udc80", {"a": [1.5, {2}]}, range(3), Fields(1, b"2"), ...], ids=repr
)
def test_values_travel(value):
    assert loads(dumps(value)) == value and type(loads(dumps(value))) is type(value)


def test_values_that_python_itself_cannot_pickle_travel_by_value():
    class Local:
        x = 7

    assert loads(dumps(lambda x: x + 1))(1) == 2
    assert loads(dumps(Local())).x == 7


def test_each_copy_is_a_fresh_one():
    shared = [1]
    data = dump_program(Program((("map", shared.append), ("map", shared.extend))))
    first, second = load_program(data), load_program(data)
    first.steps[0][1](2)
    first.steps[1][1]([3])
    assert first.steps[0][1].__self__ is first.steps[1][1].__self__ == [1, 2, 3]
    assert (second.steps[0][1].__self__, shared) == ([1], [1])


def test_a_module_that_is_missing_is_named(tmp_path, monkeypatch):
    import sys

    (tmp_path / "beside_only.py").write_text("def double(x): return 2 * x\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        import beside_only

        data = dump_program(Program((("map", beside_only.double),)))
        del sys.modules["beside_only"]
        assert load_program(data).steps[0][1](2) == 4
        del sys.modules["beside_only"]
    with pytest.raises(SerializationError, match="missing in the worker: beside_only: put it beside the job's file"):
        load_program(data)


class Ends:
    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        next(iter(()))


def test_a_value_that_raises_stop_iteration_when_it_is_loaded_does_not_end_its_group():
    pairs = mr.from_items([("a", 1), ("a", 2)]).map(lambda pair: (pair[0], Ends()))
    for grouped in (pairs.group_by_key(), pairs.reduce_by_key(mr.Collect())):
        with pytest.raises(mr.UserCodeError, match=r"StopIteration when it was loaded: .*key 'a'"):
            grouped.collect(mr.Inline())


@pytest.mark.parametrize("held", [
    lambda some: some, frozenset, lambda some: [(1, some)], lambda some: {"a": some},
    lambda some: {(frozenset(some), 1)},
], ids=["set", "frozen", "in a tuple", "in a dict", "in a set"])  # fmt: skip
def test_a_set_has_the_same_bytes_however_it_was_put_together(held):
    one, other = set(range(0, 48, 8)), set(range(40, -8, -8))
    assert one == other
    assert list(one) != list(other)
    assert dump_by_name(held(one)) == dump_by_name(held(other))
    assert loads(dump_by_name(held(one))) == held(other)


def test_what_holds_itself_or_shares_its_parts_stays_so():
    shared = ["a"]
    loop = [shared, shared, {1, 2}]
    loop.append(loop)
    back = loads(dump_by_name([shared, shared]))
    assert back[0] is back[1]
    again = loads(dump_by_name(loop))
    assert again[:3] == [["a"], ["a"], {1, 2}]
    assert again[0] is again[1]
