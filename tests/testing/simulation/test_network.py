"""Connections: a prefix arrives whatever happens, nothing crosses a partition, and both sides learn in the end."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation import stream
from mrcore.testing.simulation.clock import Clock
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.faults import CALM_NETWORK, NetworkFaults
from mrcore.testing.simulation.network import CONNECT_TIMEOUT_NS, DELIVERY_KINDS, Network

MS, S = 10**6, 10**9
HARSH = dataclasses.replace(NetworkFaults(), **dict.fromkeys(DELIVERY_KINDS, 0.1), refuse=0.1, partition_interval_ns=S)


class Side:
    """Remembers what it was told and when, and answers as told by the test."""

    def __init__(self, clock):
        self.clock, self.received, self.times, self.closed = clock, b"", [], []
        self.end, self.connected = None, False

    def accept(self, end):
        self.end = end
        return self

    def on_connected(self, end):
        self.connected = True

    def on_bytes(self, end, data):
        assert data and not self.closed and end.open
        self.received += data
        self.times.append(self.clock.now_ns)

    def on_closed(self, end, why):
        assert not self.closed and not end.open
        self.closed.append(why)
        self.times.append(self.clock.now_ns)


class Pair:
    """Nodes a and b, of which a connects to b."""

    def __init__(self, faults=CALM_NETWORK, seed=0):
        self.clock, self.coverage = Clock(), Coverage()
        self.network = Network(self.clock, random.Random(seed), self.coverage, faults)
        self.near, self.far = Side(self.clock), Side(self.clock)
        self.network.listen("b", self.far.accept)
        self.near.end = self.network.connect("a", "b", self.near)

    def run_ms(self, duration_ms):
        self.clock.run(self.clock.now_ns + duration_ms * MS)


def test_bytes_go_both_ways_and_a_close_follows_them():
    pair = Pair()
    pair.near.end.send(b"early, ")
    pair.run_ms(5)
    assert pair.near.connected and not pair.far.connected
    pair.near.end.send(b"late")
    pair.far.end.send(b"answer")
    pair.run_ms(5)
    pair.near.end.send(b" and last")
    pair.near.end.close()
    pair.run_ms(5)
    assert (pair.far.received, pair.near.received) == (b"early, late and last", b"answer")
    assert (pair.far.closed, pair.near.closed) == (["closed"], [])
    assert len(pair.clock) == 0


def test_an_abort_drops_what_has_not_arrived():
    pair = Pair()
    pair.run_ms(5)
    pair.near.end.send(b"x")
    assert pair.near.end.unsent_bytes == 1
    pair.near.end.abort()
    pair.run_ms(5)
    assert (pair.far.received, pair.far.closed) == (b"", ["reset"])


def test_sending_on_a_connection_known_to_be_over_is_an_error():
    pair = Pair()
    pair.run_ms(5)
    pair.near.end.close()
    with pytest.raises(BrokenPipeError, match="connection 1 of a with b is over"):
        pair.near.end.send(b"x")
    pair.run_ms(5)
    with pytest.raises(BrokenPipeError):
        pair.far.end.send(b"x")


def test_where_nobody_listens_a_connection_is_refused():
    pair = Pair()
    pair.network.crash("b")
    pair.run_ms(5)
    assert pair.near.closed == ["refused"]


@given(
    seed=st.integers(0, 2**32), sizes=st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=30),
    ending=st.sampled_from(["", "close", "abort", "crash", "silent"]), faulty=st.booleans(),
)  # fmt: skip
def test_what_arrives_is_a_prefix_of_what_was_sent(seed, sizes, ending, faulty):
    pair, rng = Pair(HARSH if faulty else CALM_NETWORK, seed), random.Random(seed)
    pair.network.torment()
    sent = dict.fromkeys((pair.near, pair.far), b"")
    pair.run_ms(2)
    for from_near, size in sizes:
        side = pair.near if from_near else pair.far
        if side.end is not None and side.end.open:
            data = rng.randbytes(size)
            side.end.send(data)
            sent[side] += data
        pair.run_ms(rng.choice([0, 0, 1, 1000]))
        for receiver, sender in ((pair.far, pair.near), (pair.near, pair.far)):
            assert sent[sender].startswith(receiver.received)
    if ending in ("crash", "silent"):
        pair.network.crash("a", silent=ending == "silent")
    elif ending and pair.near.end.open:
        getattr(pair.near.end, ending)()
    pair.network.calm()
    pair.clock.run()
    assert sent[pair.near].startswith(pair.far.received) and sent[pair.far].startswith(pair.near.received)
    if not faulty and ending in ("", "close", "crash"):
        assert pair.far.received == sent[pair.near]
    if ending and pair.far.end is not None:
        assert len(pair.far.closed) == 1, "in the end the other side learns"


@given(
    seed=st.integers(0, 2**32), both_ways=st.booleans(), faulty=st.booleans(),
    lasts_ms=st.integers(1, 5000), late=st.integers(0, 3),
)  # fmt: skip
def test_nothing_is_delivered_across_a_partition_and_what_it_held_up_arrives_after(
    seed, both_ways, faulty, lasts_ms, late
):
    faults = dataclasses.replace(NetworkFaults(), cut=0.5, slow=0.5, clog=0.2) if faulty else CALM_NETWORK
    pair = Pair(dataclasses.replace(faults, refuse=0, break_lost=0, break_delivered=0, half_open=0, late=0), seed)
    pair.run_ms(2)
    pair.near.end.send(b"to b " * 10)
    pair.far.end.send(b"to a " * 10)
    pair.clock.run(pair.clock.now_ns + late * MS // 4)
    start = pair.clock.now_ns
    partition = pair.network.partition(["a"], ["b"], both_ways)
    pair.near.end.send(b"more to b")
    pair.far.end.send(b"more to a")
    pair.run_ms(lasts_ms)
    stop = pair.clock.now_ns
    assert not [time_ns for time_ns in pair.far.times if start < time_ns <= stop]
    if both_ways:
        assert not [time_ns for time_ns in pair.near.times if start < time_ns <= stop]
    pair.network.heal(partition)
    pair.network.heal(partition)
    pair.clock.run()
    assert pair.far.received == b"to b " * 10 + b"more to b"
    assert pair.near.received == b"to a " * 10 + b"more to a"
    assert pair.coverage["network.heal"] == 1


def test_partitions_overlap_and_the_last_one_to_heal_lets_bytes_through():
    pair = Pair()
    pair.run_ms(5)
    one, other = pair.network.partition(["a"], ["b"]), pair.network.partition(["b", "c"], ["a"])
    pair.near.end.send(b"x")
    pair.run_ms(5)
    pair.network.heal(one)
    pair.run_ms(5)
    assert pair.far.received == b""
    pair.network.heal(other)
    pair.run_ms(5)
    assert pair.far.received == b"x"


@pytest.mark.parametrize("sources", [["a"], ["b"]])
def test_connecting_needs_both_ways(sources):
    pair = Pair()
    pair.network.partition(sources, ["b"] if sources == ["a"] else ["a"], both_ways=False)
    pair.run_ms(5)
    assert not pair.near.connected and not pair.near.closed
    pair.run_ms(CONNECT_TIMEOUT_NS // MS)
    assert pair.near.closed == ["timeout"] and pair.far.end is None
    assert pair.coverage["network.unreachable"] == 1


def test_a_late_connection_delivers_after_its_sender_has_gone_on_with_another():
    pair = Pair()
    pair.run_ms(5)
    pair.near.end.send(b"old")
    pair.near.end._out._break("late")
    assert pair.near.closed == ["reset"]
    near, far = Side(pair.clock), Side(pair.clock)
    pair.network.listen("b", far.accept)
    pair.network.connect("a", "b", near).send(b"new")
    pair.clock.run()
    assert (pair.far.received, pair.far.closed, far.received) == (b"old", ["reset"], b"new")
    assert pair.far.times[0] > far.times[0], "the seed gives the old one more than a millisecond"


def test_a_half_open_connection_lives_on_for_one_side_and_swallows_what_it_sends():
    seen = set()
    for seed in range(20):
        pair = Pair(seed=seed)
        pair.run_ms(5)
        pair.near.end._out._break("half_open")
        pair.run_ms(1)
        believing = [side for side in (pair.near, pair.far) if side.end.open]
        for side in believing:
            side.end.send(b"into the void")
            seen.add("near" if side is pair.near else "far")
        pair.clock.run()
        assert pair.near.received == pair.far.received == b""
        assert sorted(pair.near.closed + pair.far.closed) == ["reset", "timeout"]
    assert seen == {"near", "far"}


def test_a_break_may_come_before_or_behind_the_last_bytes():
    for kind, arrives in (("break_lost", b""), ("break_delivered", b"x" * 100)):
        pair = Pair()
        pair.run_ms(5)
        pair.near.end.send(b"x" * 100)
        pair.far.end.send(b"the other way nothing does")
        pair.near.end._out._break(kind)
        pair.clock.run()
        assert (pair.far.received, pair.near.received) == (arrives, b"")
        assert len(pair.near.closed) == len(pair.far.closed) == 1


def test_a_node_that_died_hears_nothing_and_its_last_words_arrive():
    pair = Pair()
    pair.run_ms(5)
    pair.near.end.send(b"last words")
    pair.far.end.send(b"unheard")
    pair.network.crash("a")
    assert not pair.near.end.open
    pair.clock.run()
    assert (pair.far.received, pair.far.closed) == (b"last words", ["reset"])
    assert (pair.near.received, pair.near.closed) == (b"", [])


def test_the_death_of_a_machine_is_learned_late_if_at_all_by_what_it_says():
    times = []
    for seed in range(20):
        pair = Pair(seed=seed)
        pair.run_ms(5)
        pair.network.crash("a", silent=True)
        pair.clock.run()
        assert pair.far.closed == ["timeout"]
        times.append(pair.far.times[-1])
    assert max(times) > 30 * S


def test_a_sender_that_runs_far_ahead_is_cut_off(monkeypatch):
    monkeypatch.setattr(stream, "BUFFER_BYTES_MAX", 100)
    pair = Pair()
    pair.run_ms(5)
    pair.near.end.send(b"x" * 100)
    assert pair.near.end.unsent_bytes == 100
    pair.near.end.send(b"x")
    pair.clock.run()
    assert pair.coverage["network.overflow"] == 1
    assert pair.far.received == b"" and pair.near.closed and pair.far.closed


def test_tormented_networks_divide_and_heal_and_calm_ones_are_whole():
    clock, coverage = Clock(), Coverage()
    network = Network(clock, random.Random(3), coverage, NetworkFaults())
    for node in "abc":
        network.listen(node, Side(clock).accept)
    network.torment()
    clock.run(3600 * S)
    network.calm()
    assert coverage["network.partition"] > 10 and coverage["network.partition_one_way"] > 10
    assert coverage["network.heal"] == coverage["network.partition"] + coverage["network.partition_one_way"]
    assert not any(network.blocked(source, target) for source in "abc" for target in "abc")
    clock.run()
    assert len(clock) == 0
