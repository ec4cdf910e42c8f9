"""How often things go wrong: profiles of rates, drawn from by the clocks, the network and the disks.

A rate is a chance between 0 and 1 each time that the thing could happen; an interval is a mean time
between two of them, and 0 is never. The defaults are a bad day, on which every kind is reached within
some seeds. :meth:`Faults.swarm` switches kinds off for one seed: a story in which everything breaks
at once never gets far enough for the rarer ones (swarm testing: Groce and others, ISSTA 2012).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import random

_MS = 1_000_000
_S = 1_000 * _MS


@dataclasses.dataclass(frozen=True, slots=True)
class ClockFaults:
    """How wrong a node's clock is."""

    offset_ns_max: int = 2 * _S
    """It is set wrong by as much, either way."""
    drift_ppm_max: int = 500
    """It gains or loses as many microseconds a second; quartz is within 100."""
    jump_interval_ns: int = 60 * _S
    jump_ns_max: int = 30 * _S
    """A jump's size, forward or backward."""


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkFaults:
    """What a network does to connections. Rates are for each delivery of some bytes, ``refuse`` for each connect."""

    delay_ns_min: int = 50_000
    delay_ns_max: int = 500_000
    """How long bytes take on a good network; not a fault."""
    refuse: float = 0.02
    """The connection does not come about."""
    cut: float = 0.2
    """Only the first of the bytes arrive now, cut anywhere."""
    slow: float = 0.05
    """The bytes take up to ``slow_ns_max``."""
    slow_ns_max: int = 200 * _MS
    clog: float = 0.01
    """Nothing moves in this direction for up to ``clog_ns_max``."""
    clog_ns_max: int = 5 * _S
    break_lost: float = 0.002
    """The connection breaks, and what was on its way is gone."""
    break_delivered: float = 0.002
    """The connection breaks after what was on its way in this direction has arrived; the sender cannot know."""
    half_open: float = 0.002
    """The connection breaks, what was on its way is gone, and one side learns of it up to ``silence_ns_max`` later."""
    late: float = 0.002
    """The sender learns of a break now; its bytes, then the break, reach the receiver up to ``late_ns_max`` later."""
    silence_ns_max: int = 60 * _S
    late_ns_max: int = 10 * _S
    partition_interval_ns: int = 60 * _S
    partition_ns_max: int = 20 * _S
    """How long a partition stands."""


@dataclasses.dataclass(frozen=True, slots=True)
class DiskFaults:
    """What a disk does to files."""

    full: float = 0.001
    """A write finds no space, though the budget has some; a part of it is written."""
    sync_fails: float = 0.001
    """A sync fails, and what it should have written may be gone, though it looks to be there."""
    flip: float = 0.0005
    """A read finds that a bit has flipped in what is on the disk."""


Profile = TypeVar("Profile", ClockFaults, NetworkFaults, DiskFaults)

SWITCHES: dict[type, tuple[str, ...]] = {
    ClockFaults: ("offset_ns_max", "drift_ppm_max", "jump_interval_ns"),
    NetworkFaults: (
        "refuse", "cut", "slow", "clog", "break_lost", "break_delivered", "half_open", "late", "partition_interval_ns",
    ),
    DiskFaults: ("full", "sync_fails", "flip"),
}  # fmt: skip
"""The fields that are 0 when their kind of fault is off; the others say how bad it is."""


def calm(profile: Profile) -> Profile:
    """The profile with every kind switched off."""
    return dataclasses.replace(profile, **dict.fromkeys(SWITCHES[type(profile)], 0))


def some(profile: Profile, rng: random.Random) -> Profile:
    """The profile with each kind switched off by the toss of a coin."""
    off = [name for name in SWITCHES[type(profile)] if rng.random() < 0.5]
    return dataclasses.replace(profile, **dict.fromkeys(off, 0))


CALM_NETWORK = calm(NetworkFaults())
CALM_DISK = calm(DiskFaults())


@dataclasses.dataclass(frozen=True, slots=True)
class Faults:
    """The profile of one story."""

    clock: ClockFaults = ClockFaults()
    network: NetworkFaults = NetworkFaults()
    disk: DiskFaults = DiskFaults()

    def swarm(self, rng: random.Random) -> Faults:
        """The profile of one seed: each kind is in it or not."""
        return Faults(some(self.clock, rng), some(self.network, rng), some(self.disk, rng))


CALM = Faults(calm(ClockFaults()), CALM_NETWORK, CALM_DISK)
"""Nothing goes wrong."""
