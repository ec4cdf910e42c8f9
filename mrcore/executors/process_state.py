"""What a process is in, beside its memory: users' functions may change it, and the next job must not inherit that."""

from __future__ import annotations

import os
import resource
import signal
from typing import NamedTuple

_LIMITS = tuple(sorted(value for name, value in vars(resource).items() if name.startswith("RLIMIT_")))
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(signal.valid_signals()))


class ProcessState(NamedTuple):
    """Equal where nothing was changed.

    Attributes:
        variables: of the environment.
        umask: of files that are made.
        limits: soft and hard ones; of data the hard one, because the soft one is set for each task.
        handlers: of signals, as Python knows them.
    blocked: signals.
    timers: that will send signals.
        priority, processors: where and how urgently it runs.
    """

    variables: dict[str, str]
    umask: int
    limits: tuple[tuple[int, int], ...]
    handlers: tuple[object, ...]
    blocked: frozenset[int]
    timers: tuple[tuple[float, float], ...]
    priority: int
    processors: frozenset[int]


def process_state() -> ProcessState:
    """That of this process, now. No other thread may make files meanwhile. Cost: some 25 system calls."""
    umask = os.umask(0o077)
    os.umask(umask)
    limits = {number: resource.getrlimit(number) for number in _LIMITS}
    limits[resource.RLIMIT_DATA] = (0, limits[resource.RLIMIT_DATA][1])
    return ProcessState(
        dict(os.environ),
        umask,
        tuple(limits.values()),
        tuple(signal.getsignal(number) for number in _SIGNALS),
        frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        tuple(signal.getitimer(which) for which in _TIMERS),
        os.getpriority(os.PRIO_PROCESS, 0),
        frozenset(os.sched_getaffinity(0)),
    )
