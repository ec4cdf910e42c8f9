"""Settings of the scheduler. Times are in nanoseconds; the defaults are for one room of machines."""

from __future__ import annotations

import msgspec

_S = 1_000_000_000


class SchedulerConfig(msgspec.Struct, frozen=True):
    """What is the same for all jobs."""

    lease_ns: int = 10 * _S
    """A worker that was silent for so long is lost, and so are its attempts and the outputs that it alone holds."""
    heartbeat_ns: int = 2 * _S
    tick_ns: int = _S // 4
    """How often the driver says that time has passed. Nothing is late by more than this."""
    output_reports_max: int = 3
    """So many failed fetches of an output whose holder does not answer, and it counts as lost; thrice as many if they
    are all one reader's."""
    failures_to_avoid: int = 3
    """So many failures of a worker in a row, of two or more tasks, and it gets no work for a time."""
    avoid_ns: int = 30 * _S
    """How long, the first time; doubled each time it happens again, up to 16 times this."""
    speculation_interval_ns: int = _S
    """Time between two looks for attempts that are slow."""
    speculation_done_min: int = 3
    """Tasks of a stage that have finished before others are compared with them."""
    speculation_done_percent: int = 25
    """And the share of them."""
    speculation_slowness: float = 3.0
    """An attempt is slow once it takes so many times what its peers took."""
    speculation_started_ns: int = _S
    """An attempt younger than this is not slow."""
    speculation_percent: int = 10
    """Of a job's attempts at most this share, or one, are second ones."""
