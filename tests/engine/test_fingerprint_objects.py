"""Fingerprints of objects and functions of many kinds: what of them counts, and what does not."""

import collections
import datetime
import decimal
import functools
import itertools
import json
import operator
import re
import sys
import threading
import types
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

from mrcore.engine import fingerprint as module
from mrcore.engine.fingerprint import fingerprint_of


class Mine:
    """With attributes."""

    def __init__(self, held=None):
        self.held = held

    def method(self):
        return self.held


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b=None):
        self.a = a
        if b is not None:
            self.b = b


class SlottedAndMore(Slotted):
    def __init__(self, a, more):
        super().__init__(a)
        self.more = more


class Fields(NamedTuple):
    one: Any
    two: Any


class Travels:
    """Leaves something behind."""

    def __init__(self, kept, left):
        self.kept, self.left = kept, left

    def __getstate__(self):
        return {"kept": self.kept}


class Raises:
    """Cannot be pickled."""

    def __init__(self, held):
        self.held = held

    def __reduce_ex__(self, protocol):
        raise ZeroDivisionError


class Words(set):
    """A set of one's own."""


class Numbers(list):
    """A list of one's own."""


PAIRS = {
    "attributes": (Mine(1), Mine(2)),
    "classes": (Mine(1), Raises(1)),
    "methods": (Mine(1).method, Mine(2).method),
    "slots": (Slotted(1), Slotted(2)),
    "a slot": (Slotted(1), Slotted(1, 2)),
    "slots and more": (SlottedAndMore(1, 2), SlottedAndMore(1, 3)),
    "fields": (Fields(1, 2), Fields(1, 3)),
    "attributes without a pickle": (Raises(1), Raises(2)), "sets of one's own": (Words("abc"), Words("abd")),
    "lists of one's own": (Numbers([1, 2]), Numbers([2, 1])), "a set and one's own": ({1}, Words({1})),
    "ranges": (range(3), range(4)),
    "slices": (slice(1, 2), slice(2)),
    "ellipsis": (..., NotImplemented),
    "numbers": (1, True),
    "zeros": (0.0, -0.0),
    "text": ("1", b"1"),
    "bytes": (bytearray(b"a"), bytearray(b"b")),
    "views": (memoryview(b"a"), memoryview(b"b")),
    "keys": ({1: 2}.keys(), {1: 2}.values()),
    "patterns": (re.compile("a"), re.compile("a", re.I)),
    "partials": (functools.partial(max, 1), functools.partial(max, 2)),
    "keywords": (functools.partial(max, key=len), functools.partial(max, key=abs)),
    "built in functions": (len, max),
    "built in methods": ([1].append, [2].append),
    "methods of types": (str.upper, str.lower),
    "library functions": (json.dumps, json.loads),
    "getters": (operator.itemgetter(1), operator.itemgetter(2)),
    "dates": (datetime.date(2000, 1, 1), datetime.date(2000, 1, 2)),
    "decimals": (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    "modules": (json, re),
    "types": (int, float),
    "generic types": (list[int], list[str]),
    "unions": (int | str, int | None),
    "counters": (collections.Counter("aab"), collections.Counter("abb")),
    "tables with a default": (collections.defaultdict(list), collections.defaultdict(dict)),
    "ordered tables": (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    "queues": (collections.deque([1], 3), collections.deque([1], 4)),
    "counting": (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
    "read-only tables": (types.MappingProxyType({1: 2}), types.MappingProxyType({1: 3})),
    "arrays": (np.arange(6), np.arange(6.0)),
    "shapes": (np.arange(6), np.arange(6).reshape(2, 3)),
    "contents": (np.arange(6), np.arange(1, 7)),
    "empty arrays": (np.zeros((0, 2)), np.zeros((2, 0))),
    "arrays of objects": (np.array(["a", None], object), np.array(["b", None], object)),
    "arrays of times": (np.array(["2020"], "M8[Y]"), np.array(["2021"], "M8[Y]")),
    "records": (np.array([(1, 2.0)], "i1,f8"), np.array([(1, 3.0)], "i1,f8")),
    "record names": (np.zeros(1, [("a", "i4")]), np.zeros(1, [("b", "i4")])),
    "array scalars": (np.int64(3), np.int64(4)),
    "array types": (np.dtype("i4"), np.dtype(">i4")),
    "ufuncs": (np.add, np.subtract),
    "cells": (types.CellType(1), types.CellType(2)),
    "empty cells": (types.CellType(), types.CellType(None)),
    "class methods": (classmethod(len), staticmethod(len)),
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS)
def test_two_that_differ_in(pair):
    one, other = (fingerprint_of(value) for value in PAIRS[pair])
    assert one != other
    assert one == fingerprint_of(PAIRS[pair][0])


def test_the_order_in_which_attributes_were_set_does_not_show():
    one, other = Mine(1), Mine.__new__(Mine)
    one.later = 2
    other.later, other.held = 2, 1
    assert list(vars(one)) != list(vars(other))
    assert fingerprint_of(one) == fingerprint_of(other)


def test_what_an_object_leaves_behind_when_it_is_pickled_does_not_count():
    assert fingerprint_of(Travels(1, 2)) == fingerprint_of(Travels(1, 3)) != fingerprint_of(Travels(2, 2))


def test_a_set_of_ones_own_has_no_order():
    members = [*map(str, range(50)), ("a", 1)]
    assert fingerprint_of(Words(members)) == fingerprint_of(Words(reversed(members)))


def test_a_set_of_many_objects_counts_by_all_of_them():
    some = [Fields(number, "x") for number in range(8000)]
    others = [*some[:-1], Fields(7999, "y")]
    assert fingerprint_of({*some}) == fingerprint_of({*reversed(some)}) != fingerprint_of({*others})


def test_an_array_counts_by_its_values_however_they_lie_in_memory():
    array = np.arange(12).reshape(3, 4)
    same = [np.asfortranarray(array), np.repeat(array, 2, 1)[:, ::2], array[::-1].copy()[::-1], array + 0]
    assert {fingerprint_of(one) for one in same} == {fingerprint_of(array)}
    padded = np.zeros(2, np.dtype([("a", "i1"), ("b", "i8")], align=True))
    other = np.frombuffer(bytearray(b"\xff" * padded.nbytes), padded.dtype).copy()
    other["a"], other["b"] = 0, 0
    assert fingerprint_of(padded) == fingerprint_of(other)


def without_a_pickle():
    thing = Mine()
    return {
        "lock": threading.Lock(), "generator": (x for x in ()), "file": sys.__stdout__, "reference": weakref.ref(thing),
        "proxy": weakref.proxy(thing), "frame": sys._getframe(), "local": threading.local(),
        "weak set": weakref.WeakSet([thing]), "weak table": weakref.WeakValueDictionary({1: thing}),
        "object": object(), "iterator": iter([1]), "coroutine type": types.CoroutineType, "thread": threading.Thread(),
    }, thing  # fmt: skip


def test_what_has_no_pickle_counts_by_its_type_and_never_by_its_address():
    first, one = without_a_pickle()
    del first["thread"]  # has a name with a number
    kept = [object() for _ in range(1000)]
    second, other = without_a_pickle()
    assert one is not other and kept
    for name, value in first.items():
        assert fingerprint_of([value]) == fingerprint_of([second[name]]), name
    assert len({fingerprint_of(value) for value in first.values()}) == len(first)


def test_a_long_chain_of_objects_does_not_exhaust_the_stack():
    def chain(last):
        thing = Mine(last)
        for _ in range(50_000):
            thing = Mine(thing)
        return thing

    assert fingerprint_of(chain(1)) == fingerprint_of(chain(1)) != fingerprint_of(chain(2))


def test_an_object_that_makes_ever_new_ones_has_an_end(monkeypatch):
    class Endless:
        def __init__(self, number):
            self.number = number

        def __reduce__(self):
            return Endless, (Endless(self.number + 1),)

    monkeypatch.setattr(module, "OBJECTS_MAX", 100)
    assert fingerprint_of(Endless(1)) == fingerprint_of(Endless(1))


def test_an_error_of_the_users_while_a_value_is_taken_apart_is_no_error_here():
    class Meta(type):
        pass

    class Strange(metaclass=Meta):
        @property
        def __dict__(self):
            raise ZeroDivisionError

        def __reduce_ex__(self, protocol):
            yield 1

        def __getattr__(self, name):
            raise RuntimeError(name)

    class Bad:
        def __reduce__(self):
            return len, (), None, itertools.chain([1], (1 / 0 for _ in range(1)))

    nameless = types.ModuleType("nameless")
    del nameless.__name__
    known = {"nameless": nameless, "gone": weakref.proxy(Bad())}
    odd = types.FunctionType(compile("nameless, gone", "", "eval"), known)
    vars(odd)[1] = 2
    for value in (Strange(), Bad(), Strange, [Strange(), Bad()], {Bad(), Strange()}, nameless, odd):
        assert fingerprint_of(value) == fingerprint_of(value)


# ---- functions ------------------------------------------------------------------------------


def test_functions_that_name_themselves_and_each_other():
    def pair(step):
        def one(n):
            return n and other(n - step)

        def other(n):
            return n and one(n - 1)

        return one, other

    assert fingerprint_of(pair(1)) == fingerprint_of(pair(1)) != fingerprint_of(pair(2))
    assert fingerprint_of(pair(1)[0]) != fingerprint_of(pair(1)[1])


def test_two_closures_of_one_code_count_by_what_they_hold():
    def made(count):
        return [lambda x, n=n: x + n for n in range(count)]

    assert len({fingerprint_of(function) for function in made(3)}) == 3
    assert fingerprint_of(made(1)[0]) == fingerprint_of(made(2)[0])


def test_attributes_of_functions_count():
    def function():
        return 0

    found = [fingerprint_of(function)]
    for function.mark in (1, 2):
        found.append(fingerprint_of(function))
    assert len(set(found)) == 3


def test_where_an_exception_is_caught_counts():
    def function():
        try:
            return 1 / 0
        except ZeroDivisionError:
            return 0

    without = types.FunctionType(function.__code__.replace(co_exceptiontable=b""), globals())
    without.__qualname__ = function.__qualname__
    assert fingerprint_of(without) != fingerprint_of(function)


def test_the_class_of_a_class_counts():
    class Meta(type):
        pass

    def made(meta):
        return types.new_class("Made", (), {"metaclass": meta})

    assert fingerprint_of(made(Meta)) == fingerprint_of(made(Meta)) != fingerprint_of(made(type))


def test_what_a_function_defined_in_a_library_wraps_counts():
    from contextlib import contextmanager

    def made(text):
        @contextmanager
        def inside():
            yield text

        return inside

    assert fingerprint_of(made("a")) == fingerprint_of(made("a")) != fingerprint_of(made("b"))


def test_a_version_of_a_library_counts(monkeypatch):
    before = fingerprint_of(np.linalg.norm), fingerprint_of(np), fingerprint_of(json.dumps)
    monkeypatch.setattr(np, "__version__", "9.9")
    after = fingerprint_of(np.linalg.norm), fingerprint_of(np), fingerprint_of(json.dumps)
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


def test_calls_that_fill_a_cache_do_not_count():
    @functools.lru_cache
    def cached(x):
        return x

    @functools.singledispatch
    def shown(x):
        return x

    shown.register(collections.abc.Sized, len)
    before = fingerprint_of([cached, shown])
    collections.abc.Sized.register(Slotted)  # after which every such function looks again
    cached(5), shown("x"), shown(5)
    assert fingerprint_of([cached, shown]) == before


def test_a_module_of_the_users_counts_by_what_the_code_may_take_from_it(monkeypatch):
    inside = types.ModuleType("some_own.inside")
    own = types.ModuleType("some_own")
    own.inside, own.self, own.value, own.unused, inside.value = inside, own, 1, 1, 1
    monkeypatch.setitem(sys.modules, "some_own", own)
    monkeypatch.setitem(sys.modules, "some_own.inside", inside)
    by_global = eval("lambda: (some_own.value, some_own.inside.value, some_own.self)", {"some_own": own})

    def by_import():
        import some_own

        return some_own.value, some_own.inside.value

    def by_closure(some_own=own):
        return lambda: (some_own.value, some_own.inside.value)

    for function in (by_global, by_import, by_closure()):
        before = fingerprint_of(function)
        for changed, name, counts in ((own, "unused", False), (own, "value", True), (inside, "value", True)):
            with monkeypatch.context() as patch:
                patch.setattr(changed, name, 2)
                assert (fingerprint_of(function) != before) == counts
        assert fingerprint_of(function) == before
