"""Virtual time: what was asked for happens in order, once, and clocks of nodes are wrong as told."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.clock import Clock, LivelockError, NodeClock
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.faults import ClockFaults

TIMES = st.lists(st.integers(0, 30), max_size=40)


@given(times=TIMES)
def test_timers_fire_in_order_of_time_and_then_of_asking(times):
    clock, fired = Clock(), []
    for number, time_ns in enumerate(times):
        clock.at(time_ns, lambda entry: fired.append((clock.now_ns, *entry)), (time_ns, number))
    assert clock.run() == len(times)
    assert fired == [(time_ns, time_ns, number) for time_ns, number in sorted((t, n) for n, t in enumerate(times))]


@given(times=TIMES, cancelled=st.lists(st.booleans(), min_size=40, max_size=40))
def test_a_cancelled_timer_does_not_fire_and_is_not_counted(times, cancelled):
    clock, fired = Clock(), []
    timers = [clock.at(time_ns, fired.append, number) for number, time_ns in enumerate(times)]
    for timer, gone in zip(timers, cancelled, strict=False):
        if gone:
            timer.cancel()
            timer.cancel()
    left = [number for number in range(len(times)) if not cancelled[number]]
    assert len(clock) == len(left)
    assert clock.run() == len(left)
    assert sorted(fired) == left
    assert len(clock) == 0 and not any(timer.pending for timer in timers)


@given(times=TIMES, until_ns=st.integers(0, 31))
def test_running_until_an_instant_stops_there_and_goes_on_later(times, until_ns):
    clock, fired = Clock(), []
    for time_ns in times:
        clock.at(time_ns, fired.append, time_ns)
    clock.run(until_ns)
    assert clock.now_ns == until_ns
    assert fired == sorted(time_ns for time_ns in times if time_ns <= until_ns)
    clock.run()
    assert fired == sorted(times)


def test_what_a_timer_asks_for_in_the_past_happens_now_behind_what_is_due_now():
    clock, fired = Clock(start_ns=5), []
    clock.at(10, lambda: clock.at(3, lambda: fired.append(("late", clock.now_ns))))
    clock.at(10, fired.append, "first")
    clock.run()
    assert fired == ["first", ("late", 10)]


def test_steps_are_single_events():
    clock, fired = Clock(), []
    clock.at(1, fired.append, 1).cancel()
    clock.at(2, fired.append, 2)
    clock.at(2, fired.append, 3)
    assert [clock.step(), list(fired), clock.now_ns] == [True, [2], 2]
    assert [clock.step(), clock.step(), fired] == [True, False, [2, 3]]


def test_a_world_that_turns_in_a_circle_is_stopped():
    clock = Clock()

    def again():
        clock.after(0, again)

    again()
    with pytest.raises(LivelockError, match="1,000 events"):
        clock.run(events_max=1000)


def test_timers_that_were_cancelled_do_not_pile_up():
    clock, fired = Clock(), []
    for number in range(10_000):
        timer = clock.at(1_000_000 + number, fired.append, number)
        if number % 100:
            timer.cancel()
    assert len(clock) == 100 and len(clock._heap) < 3000
    clock.run()
    assert fired == list(range(0, 10_000, 100))


def test_timers_cancelled_from_inside_a_run_are_dropped_from_it():
    clock, fired = Clock(), []
    timers = [clock.at(5 + number, fired.append, number) for number in range(5000)]
    clock.at(1, lambda: [timer.cancel() for timer in timers[1:]])
    clock.run()
    assert fired == [0]


@given(offset=st.integers(-100, 100), drift=st.integers(-900_000, 900_000), steps=st.lists(st.integers(0, 10**9)))
def test_a_node_clock_without_jumps_never_runs_backward(offset, drift, steps):
    clock = Clock(start_ns=1000)
    node = NodeClock(clock, offset, drift)
    assert node.now_ns == 1000 + offset
    seen = [node.now_ns]
    for step in steps:
        clock.run(clock.now_ns + step)
        seen.append(node.now_ns)
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] == sum(steps) + sum(steps) * drift // 1_000_000


@given(delay=st.integers(0, 10**12), drift=st.integers(-900_000, 900_000), jump=st.integers(-(10**9), 10**9))
def test_a_node_waits_as_long_as_its_own_clock_says_and_jumps_do_not_count(delay, drift, jump):
    clock = Clock()
    node = NodeClock(clock, 10**12, drift)
    before = node.now_ns
    node.after(delay, lambda: None)
    node.jump(jump)
    clock.run()
    assert delay <= node.now_ns - before - jump <= delay + 2


def test_a_clock_set_back_reads_less_but_never_less_than_nothing():
    clock = Clock(start_ns=100)
    node = NodeClock(clock)
    node.jump(-30)
    assert node.now_ns == 70
    node.jump(-300)
    assert node.now_ns == 0


def test_a_clock_that_stands_still_is_refused():
    with pytest.raises(ValueError, match="-1000000 ppm"):
        NodeClock(Clock(), drift_ppm=-1_000_000)


def test_a_tormented_clock_is_skewed_drifts_and_jumps_until_calm():
    clock, coverage = Clock(), Coverage()
    node = NodeClock(clock)
    node.torment(ClockFaults(), random.Random(1), coverage)
    clock.run(until_ns=3600 * 10**9)
    node.calm()
    assert [coverage[f"clock.{kind}"] for kind in ("skew", "drift")] == [1, 1]
    assert min(coverage[f"clock.jump_{way}"] for way in ("forward", "backward")) > 10
    assert len(clock) == 0
    before = node.now_ns
    clock.run(until_ns=clock.now_ns + 10**9)
    assert node.now_ns - before == 10**9
