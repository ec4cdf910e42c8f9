"""One map task's pairs: through table and buffer into runs, folded on the way, whatever is full when."""

import os
import random
from collections import defaultdict

import numpy as np
import pytest

from mrcore.engine.aggregates import Collect, Count, Max, Mean, Sum
from mrcore.engine.collector import Collector, PairStore, scheme_of, value_of
from mrcore.engine.context import Context
from mrcore.engine.pickling import loads
from mrcore.engine.program import Program, Shuffle
from mrcore.errors import UserCodeError
from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import decode_key
from mrcore.kernels.groups import read_groups
from mrcore.storage.runfile import RunReader, RunWriter

LEAST = 4 << 20


class Taken:
    """Runs a collector over pairs and reads back what it wrote."""

    def __init__(self, path, shuffle, pairs, *, partitions=1, memory=LEAST, store=None, verify=False):
        program = Program(shuffle=shuffle, verify=verify)
        self.ctx = Context(0, "map", lambda kind, text: None)
        self.store = store or PairStore(scheme_of(program, partitions, memory))
        with RunWriter(path, partitions, kind="values", sync=False, disk=None) as run:
            self.collector = Collector(self.store, program, self.ctx, run, lambda: "here")
            Chain([], self.collector.drain).push_all(pairs, "test")
            self.collector.finish()
        self.parts = []
        with RunReader(path) as reader:
            self.segments = reader.check_footer()
            for p in range(partitions):
                found = defaultdict(list)
                for segment in reader.segments(p):
                    for key, values in read_groups(reader.blocks(segment), loads):
                        found[key] += values
                self.parts.append(found)

    def groups(self):
        """Key and values, of all partitions."""
        kinds = self.collector.keys.type
        return {decode_key(key, kinds): values for part in self.parts for key, values in part.items()}


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def numbers(count, keys, seed=1):
    draw = random.Random(seed)
    return [(f"key {draw.randrange(keys)}", draw.randrange(-9, 9)) for _ in range(count)]


def sums(pairs):
    found = defaultdict(int)
    for key, value in pairs:
        found[key] += value
    return found


@pytest.mark.parametrize(("count", "keys"), [(0, 1), (1, 1), (1000, 10), (300_000, 100), (400_000, 200_000)])
def test_sums_through_the_table(path, count, keys):
    pairs = numbers(count, keys)
    taken = Taken(path, Shuffle(aggregate=Sum()), pairs)
    assert {key: sum(values) for key, values in taken.groups().items()} == sums(pairs)
    assert (taken.collector.spills > 0) == (keys == 200_000)


def test_what_one_walk_over_the_table_wrote_has_each_key_once(path):
    pairs = numbers(100_000, 5000)
    taken = Taken(path, Shuffle(aggregate=Sum()), pairs)
    assert taken.collector.drain.added == 0
    assert {key: len(values) for key, values in taken.groups().items()} == dict.fromkeys(sums(pairs), 1)


def test_values_past_the_table_are_folded_with_those_of_the_table(path):
    """Of each key there is one state, though its values came in two ways."""
    large = 1 << 70
    pairs = [(key, value) for key in "abc" for value in (1, large, 2, large)]
    taken = Taken(path, Shuffle(aggregate=Sum()), pairs)
    assert taken.collector.drain.added == 6
    assert len(taken.segments) == 1
    assert taken.groups() == {key: [3 + 2 * large] for key in "abc"}


def test_a_store_serves_task_after_task(path, tmp_path):
    first = Taken(path, Shuffle(aggregate=Sum()), [("a", 1), ("b", 2.5)])
    second = Taken(os.fsencode(tmp_path / "next"), Shuffle(aggregate=Sum()), [("a", 5)], store=first.store)
    assert second.groups() == {"a": [5]}


@pytest.mark.parametrize("aggregate", [Count(), Max(), Mean(), Collect()], ids=repr)
def test_each_run_has_one_state_of_a_key_or_its_values(path, aggregate):
    pairs = numbers(2000, 20)
    taken = Taken(path, Shuffle(aggregate=aggregate), pairs)
    counted = {key: sum(1 for other, _ in pairs if other == key) for key in sums(pairs)}
    for key, values in taken.groups().items():
        assert len(values) == (counted[key] if isinstance(aggregate, Collect) else 1)


def test_without_an_aggregate_values_stand_in_their_order_through_spills(path):
    pairs = [(f"key {i % 700}", (i, "x" * (i % 50))) for i in range(120_000)]
    taken = Taken(path, Shuffle(), pairs)
    assert taken.collector.spills > 0
    wanted = defaultdict(list)
    for key, value in pairs:
        wanted[key].append(value)
    assert taken.groups() == wanted


def test_a_combiner_is_called_for_each_key_of_a_run(path):
    calls = []

    def combine(key, values, ctx):
        calls.append(key)
        yield key, sum(values)

    pairs = numbers(5000, 30)
    taken = Taken(path, Shuffle(combine=combine), pairs)
    assert {key: sum(values) for key, values in taken.groups().items()} == sums(pairs)
    assert sorted(calls) == sorted(sums(pairs))


def test_a_function_chooses_the_partition(path):
    pairs = numbers(5000, 30)
    taken = Taken(path, Shuffle(place=lambda key, parts: len(key) + 7), pairs, partitions=5)
    for p, part in enumerate(taken.parts):
        assert all((len(key) - 2 + 7) % 5 == p for key in part)
    assert sum(len(values) for part in taken.parts for values in part.values()) == 5000


def test_a_partition_that_is_no_int_is_refused(path):
    for place in ("1", 1.0, None):
        with pytest.raises(TypeError, match=f"an int, not {type(place).__name__}"):
            Taken(path, Shuffle(place=lambda key, parts, place=place: place), [("a", 1)], partitions=2)


@pytest.mark.parametrize("place", [True, np.int64(-1), np.uint8(3), 2**200 + 1])
def test_whatever_counts_as_an_int_is_a_partition(path, place):
    taken = Taken(path, Shuffle(place=lambda key, parts: place), [("a", 1)], partitions=2)
    assert [list(part) for part in taken.parts] == [[], [b"\0\1a"]]


def test_verify_looks_at_groups_on_their_way(path):
    def last(key, values, ctx):
        yield key, next(iter(values)) - sum(values)

    with pytest.raises(UserCodeError, match="associative"):
        Taken(path, Shuffle(combine=last), [("a", value) for value in (5, 1, 2, 7)], verify=True)


@pytest.mark.parametrize("pair", [None, ("a",), ("a", 1, 2), ["a", 1]])
def test_what_a_combiner_yields_is_a_pair(pair):
    with pytest.raises(TypeError, match="yield \\(key, value\\) pairs"):
        value_of(pair, "a")


@pytest.mark.parametrize("key", ["b", b"a", 1, ("a",)])
def test_a_combiner_keeps_the_key(key):
    with pytest.raises(ValueError, match="a combiner keeps the key"):
        value_of((key, 1), "a")
    assert value_of(("a", 1), "a") == 1
