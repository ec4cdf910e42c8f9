"""Virtual time: a queue of what is to happen when, and clocks of nodes that do not agree.

The world owns one :class:`Clock`; its ``now_ns`` is the truth, in nanoseconds. What happens at the
same nanosecond happens in the order in which it was asked for. A node reads its own
:class:`NodeClock`, which stands apart from the truth by an offset, runs too fast or too slow, and
jumps, also backwards, as one that a time server corrects.

Cost: 1,200,000 events a second where each asks for the next one, 450,000 where 10,000 are pending, and
290,000 where each also renews a lease, which is a timer cancelled and another asked for: as
``benchmarks/simulation/bench_clock.py`` measures in processor time on one core of a shared machine.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from typing import Any

    from mrcore.testing.simulation.coverage import Coverage
    from mrcore.testing.simulation.faults import ClockFaults

EVENTS_MAX = 100_000_000
"""Events of one ``run`` at most: minutes of ours, and far more than a story of ten thousand workers has."""

_COMPACT_MIN = 1024  # a heap smaller than this is not worth rebuilding
_MILLION = 1_000_000


class LivelockError(AssertionError):
    """The world goes on and on: more events than any story needs."""


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("_args", "_callback", "_clock", "time_ns")

    def __init__(self, clock: Clock, time_ns: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.time_ns = time_ns
        self._clock = clock
        self._callback: Callable[..., object] | None = callback
        self._args = args

    @property
    def pending(self) -> bool:
        """Whether it neither happened nor was cancelled."""
        return self._callback is not None

    def cancel(self) -> None:
        """It will not happen. Nothing, if it did already."""
        if self._callback is not None:
            self._callback, self._args = None, ()
            self._clock._forget_one()


class Clock:
    """The world's time, which moves from event to event.

    Args:
        start_ns: the first instant.
    """

    __slots__ = ("_cancelled", "_heap", "_sequence", "now_ns")

    def __init__(self, start_ns: int = 0) -> None:
        self.now_ns = start_ns
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0  # timers of the heap that are

    def __len__(self) -> int:
        """Timers that are pending."""
        return len(self._heap) - self._cancelled

    def at(self, time_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Lets ``callback(*args)`` happen at an instant; one that has passed is now, behind what now already holds."""
        if time_ns < self.now_ns:
            time_ns = self.now_ns
        timer = Timer(self, time_ns, callback, args)
        self._sequence += 1
        heapq.heappush(self._heap, (time_ns, self._sequence, timer))
        return timer

    def after(self, delay_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Lets ``callback(*args)`` happen ``delay_ns`` from now."""
        return self.at(self.now_ns + delay_ns, callback, *args)

    def step(self) -> bool:
        """Lets the next thing happen; False if nothing is pending."""
        return self.run(events_max=1, patient=True) == 1

    def run(self, until_ns: int | None = None, events_max: int = EVENTS_MAX, patient: bool = False) -> int:
        """Lets everything happen up to and including an instant, at which the clock then stands; how many events.

        Args:
            until_ns: the instant; None runs until nothing is pending and leaves the clock at the last event.
            events_max: events at most.
            patient: return after ``events_max`` events, where the clock then is.

        Raises:
            LivelockError: ``events_max`` events happened and more are due, unless ``patient``.
        """
        heap, pop, done = self._heap, heapq.heappop, 0
        while heap and (until_ns is None or heap[0][0] <= until_ns):
            timer = heap[0][2]
            callback = timer._callback
            if callback is None:
                pop(heap)
                self._cancelled -= 1
                continue
            if done == events_max:
                if patient:
                    return done
                raise LivelockError(f"{done:,} events, and still more at {self.now_ns:,} ns")
            self.now_ns = pop(heap)[0]
            timer._callback = None
            done += 1
            callback(*timer._args)
        if until_ns is not None and until_ns > self.now_ns:
            self.now_ns = until_ns
        return done

    def _forget_one(self) -> None:
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap) > _COMPACT_MIN:  # most are leases that were renewed
            self._heap[:] = [entry for entry in self._heap if entry[2].pending]  # in place: run() holds the list
            heapq.heapify(self._heap)
            self._cancelled = 0


class NodeClock:
    """What one node reads when it asks for the time. Never below zero.

    Args:
        clock: the truth.
        offset_ns: how far it stands ahead at first; below zero is behind.
        drift_ppm: microseconds that it gains in a second of the truth; above -1,000,000.
    """

    __slots__ = ("_clock", "_drift_ppm", "_local_ns", "_since_ns", "_timer")

    def __init__(self, clock: Clock, offset_ns: int = 0, drift_ppm: int = 0) -> None:
        if drift_ppm <= -_MILLION:
            raise ValueError(f"a clock that gains {drift_ppm} ppm does not run forward")
        self._clock = clock
        self._since_ns = clock.now_ns
        self._local_ns = clock.now_ns + offset_ns  # what it read at _since_ns
        self._drift_ppm = drift_ppm
        self._timer: Timer | None = None

    @property
    def now_ns(self) -> int:
        """The time, as this node believes."""
        elapsed = self._clock.now_ns - self._since_ns
        return max(0, self._local_ns + elapsed + elapsed * self._drift_ppm // _MILLION)

    def jump(self, delta_ns: int) -> None:
        """Sets it forward, or back when below zero. Timers of :meth:`after` do not move."""
        self._local_ns += delta_ns

    def after(self, delay_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Lets something happen when this clock has run on by ``delay_ns``, jumps apart, as a monotonic timer does."""
        return self._clock.after(-(-delay_ns * _MILLION // (_MILLION + self._drift_ppm)), callback, *args)

    def torment(self, faults: ClockFaults, rng: random.Random, coverage: Coverage) -> None:
        """Sets it wrong, lets it drift, and lets it jump now and then, until :meth:`calm`.

        Counts clock.skew, clock.drift, clock.jump_forward and clock.jump_backward.
        """
        self.calm()
        if faults.offset_ns_max:
            self.jump(rng.randint(-faults.offset_ns_max, faults.offset_ns_max))
            coverage.add("clock.skew")
        if faults.drift_ppm_max:
            self._set_drift(rng.randint(-faults.drift_ppm_max, faults.drift_ppm_max))
            coverage.add("clock.drift")
        if faults.jump_interval_ns:
            self._await_jump(faults, rng, coverage)

    def calm(self) -> None:
        """No more jumps, and from now on it runs at the right speed; its offset stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._set_drift(0)

    def _await_jump(self, faults: ClockFaults, rng: random.Random, coverage: Coverage) -> None:
        delay_ns = rng.randint(1, 2 * faults.jump_interval_ns)
        self._timer = self._clock.after(delay_ns, self._jump_and_await, faults, rng, coverage)

    def _jump_and_await(self, faults: ClockFaults, rng: random.Random, coverage: Coverage) -> None:
        backward = rng.random() < 0.5
        size_ns = rng.randint(1, faults.jump_ns_max)
        self.jump(-size_ns if backward else size_ns)
        coverage.add("clock.jump_backward" if backward else "clock.jump_forward")
        self._await_jump(faults, rng, coverage)

    def _set_drift(self, drift_ppm: int) -> None:
        elapsed = self._clock.now_ns - self._since_ns
        self._local_ns += elapsed + elapsed * self._drift_ppm // _MILLION
        self._since_ns = self._clock.now_ns
        self._drift_ppm = drift_ppm
