"""What happens to a scheduler. Past tense: whoever makes one has seen it happen.

Where an event bears a worker and a generation, it was said under that generation; the scheduler
compares, and nobody before it has to. Lists come from outside, and were bounded and checked there.
"""

from __future__ import annotations

import enum

import msgspec

from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import JobOptions, StageSpec


class FailureClass(enum.Enum):
    """Whose fault the end of an attempt is."""

    USER_CODE = "user_code"  # a user's function raised
    LOST_WORKER = "lost_worker"  # the process that ran it died
    CORRUPT_INPUT = "corrupt_input"  # an output of an earlier stage is missing or damaged; FetchFailed names it
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    BAD_INPUT = "bad_input"  # the job's own input is missing, unreadable or against its format
    DEFECT = "defect"  # of ours
    CANCELLED = "cancelled"  # it was told to stop, and has
    TIMEOUT = "timeout"  # made here: it has read nothing for too long


class LossReason(enum.Enum):
    """What is wrong with an output that should be there."""

    MISSING = "missing"
    CORRUPT = "corrupt"
    UNREACHABLE = "unreachable"  # its holder does not answer


class EndCause(enum.Enum):
    """How it is known that a worker is gone."""

    PROCESS_ENDED = "process_ended"  # it was our child, or its parent says so
    DISCONNECTED = "disconnected"  # its connection broke; it may live on
    GOODBYE = "goodbye"  # it said so


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


class JobSubmitted(Event, frozen=True):
    """Somebody wants a job done. One of a name that is known is a repetition, and nothing."""

    job: str
    stages: tuple[StageSpec, ...]
    options: JobOptions = JobOptions()
    payload: bytes = b""  # the driver's; journaled with the job


class JobCancelled(Event, frozen=True):
    """Somebody wants a job no more."""

    job: str


class WorkerRegistered(Event, frozen=True):
    """A worker wants a lease. It runs nothing."""

    worker: str
    slots: int
    memory_bytes: int
    cpu_milli: int
    host: str = ""
    keeps_outputs: bool = False  # for later stages, on a disk of its own


class HeartbeatReceived(Event, frozen=True):
    """A worker lives. What it runs, each with the bytes of input that the task's own work has consumed.

    Bytes that were only fetched do not count: an attempt that waits for the last input would look nearly done.
    """

    worker: str
    generation: int
    running: tuple[tuple[AttemptId, int], ...] = ()


class WorkerDrained(Event, frozen=True):
    """A worker, or somebody for it, wants that it gets no new attempts."""

    worker: str
    generation: int


class WorkerEnded(Event, frozen=True):
    """A worker is gone."""

    worker: str
    generation: int
    cause: EndCause
    record: bytes = b""  # with PROCESS_ENDED, where known: the record that it was reading
    text: str = ""  # and how it ended


class AttemptFinished(Event, frozen=True):
    """An attempt's output is written and synced."""

    worker: str
    generation: int
    attempt: AttemptId
    output_bytes: int = 0
    output_check: int = 0  # XXH3-64 of all its bytes
    counters: dict[str, int] = {}  # of this attempt
    result: bytes = b""  # the engine's


class AttemptFailed(Event, frozen=True):
    """An attempt ended without an output."""

    worker: str
    generation: int
    attempt: AttemptId
    failure: FailureClass
    text: str = ""
    record: bytes = b""  # where a user's function failed: a name of the record, the same in each attempt


class FetchFailed(Event, frozen=True):
    """An output that should be there cannot be read. An attempt that found out goes on, and waits for another one."""

    worker: str  # that found out; empty: the coordinator did
    generation: int
    output: AttemptId
    reason: LossReason


class TimePassed(Event, frozen=True):
    """Said every ``tick_ns``: leases end, pauses end, slow attempts are looked for."""
