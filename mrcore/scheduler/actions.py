"""What a scheduler wants done. Imperative: to be carried out in the order of the list.

Nothing behind an ``AppendJournal`` is done before its record is durable. Several may share one sync,
if all that follows any of them waits for it. An action for a worker whose connection is gone is dropped.
"""

from __future__ import annotations

import enum

import msgspec

from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.records import Record


class CancelReason(enum.Enum):
    """Why an attempt is to stop."""

    TWIN_COMMITTED = "twin_committed"
    JOB_ENDED = "job_ended"
    MOVED = "moved"  # its slot is wanted
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"  # it should have ended before


class InputRange(msgspec.Struct, frozen=True, gc=False):
    """Outputs of a stage, by their places in its log: :meth:`mrcore.scheduler.scheduler.Scheduler.outputs`."""

    stage: int
    start: int
    stop: int


class Action(msgspec.Struct, frozen=True, gc=False):
    """Base of all actions."""


class AppendJournal(Action, frozen=True):
    """Make this durable before going on."""

    record: Record


class GrantLease(Action, frozen=True):
    """Tell a worker that registered that it is in."""

    worker: str
    generation: int
    lease_ns: int
    heartbeat_ns: int


class RevokeLease(Action, frozen=True):
    """Tell whoever spoke under this generation that it is over."""

    worker: str
    generation: int


class StartAttempt(Action, frozen=True):
    """Have a worker run a task."""

    worker: str
    generation: int
    attempt: AttemptId
    memory_bytes: int
    is_speculative: bool = False
    inputs: tuple[InputRange, ...] = ()  # of earlier stages, as far as they are there
    inputs_total: int = 0  # how many there are in the end
    skip: tuple[bytes, ...] = ()  # records to pass over


class AddInputs(Action, frozen=True):
    """Tell a running attempt of more inputs, or of new places of inputs that were lost: of one task the last counts."""

    worker: str
    generation: int
    attempt: AttemptId
    inputs: tuple[InputRange, ...]


class CancelAttempt(Action, frozen=True):
    """Have a worker stop an attempt and remove its file. One that it does not run is no error."""

    worker: str
    generation: int
    attempt: AttemptId
    reason: CancelReason


class PublishOutput(Action, frozen=True):
    """Give an output of a stage that nobody reads its final name. May come again after a recovery."""

    attempt: AttemptId


class DiscardOutput(Action, frozen=True):
    """Remove an output that is nobody's: another attempt was committed. One that is not there is no error."""

    attempt: AttemptId
    holder: str  # the worker on whose disk it is; empty: the disk that all share


class EndJob(Action, frozen=True):
    """Tell whoever waits that a job has ended."""

    job: str
    outcome: str  # a final state of the job's table
    error: str = ""
