"""The simulated world's clock: events a second, alone, among many pending ones, and where leases are renewed.

Each event asks for the next one, at a random distance. ``leases`` cancels and asks for one more timer each time, as
a heartbeat does. The digest is that of their number and the last one's time.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/simulation/bench_clock.py
"""

import hashlib
import random

import pytest

from mrcore.testing.simulation.clock import Clock

EVENTS = 100_000
KINDS = {"alone": (1, False), "among 10,000": (10_000, False), "leases": (1000, True)}


def play(pending: int, leases: bool, delays: list[int]) -> tuple[int, int]:
    """Events that happened, and the time of the last one."""
    clock, left = Clock(), iter(delays)
    timers = [clock.at(10**9, int) for _ in range(pending if leases else 0)]

    def happen(node: int) -> None:
        delay = next(left, None)
        if delay is not None:
            clock.after(delay, happen, node)
            if leases:
                timers[node].cancel()
                timers[node] = clock.after(10**9, int)

    for node in range(pending):
        clock.at(node, happen, node)
    return clock.run(), clock.now_ns


@pytest.mark.parametrize("kind", KINDS)
def test_events(kind, benchmark):
    rng = random.Random(1)
    delays = [rng.randrange(1, 20_000) for _ in range(EVENTS)]
    events, last_ns = benchmark.pedantic(play, (*KINDS[kind], delays), rounds=5, warmup_rounds=1)
    digest = hashlib.sha256(f"{events} {last_ns}".encode()).hexdigest()[:16]
    rate = (EVENTS + KINDS[kind][0]) / benchmark.stats.stats.median
    print(f"\n{kind}: {rate:,.0f} events a second, digest {digest}")
