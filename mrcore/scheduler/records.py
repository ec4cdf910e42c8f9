"""Records of the journal: all that a scheduler must know after a crash.

The state that survives is what :meth:`mrcore.scheduler.ledger.Ledger.apply` makes of them, one after the
other, and the ledger is changed in no other way. Fields are only ever added at the end, with a default.
"""

from __future__ import annotations

import msgspec

from mrcore.scheduler.job import JobOptions, StageSpec


class _Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Base of all records."""


class EpochBegan(_Record, frozen=True, tag="epoch"):
    """A coordinator started. Generations of workers and numbers of attempts begin with it, so none is given twice."""

    epoch: int


class JobAdmitted(_Record, frozen=True, tag="job"):
    """A job is to be done."""

    job: str
    stages: tuple[StageSpec, ...]
    options: JobOptions
    payload: bytes


class OptionsChanged(_Record, frozen=True, tag="options"):
    """A job that runs is treated otherwise from now on."""

    job: str
    options: JobOptions


class AttemptCommitted(_Record, frozen=True, tag="commit"):
    """This attempt's output is the task's."""

    job: str
    stage: int
    task: int
    attempt: int
    holder: str  # the worker on whose disk it is; empty: the disk that all share
    output_bytes: int
    output_check: int
    counters: dict[str, int]
    result: bytes


class OutputLost(_Record, frozen=True, tag="lost"):
    """The output of a committed attempt is gone; the task has none."""

    job: str
    stage: int
    task: int
    attempt: int


class AttemptCharged(_Record, frozen=True, tag="charge"):
    """An attempt failed, and it counts."""

    job: str
    stage: int
    task: int
    attempt: int
    record: bytes = b""  # that it failed on


class RecordSkipped(_Record, frozen=True, tag="skip"):
    """Attempts of this task pass over a record from now on."""

    job: str
    stage: int
    task: int
    record: bytes


class JobEnded(_Record, frozen=True, tag="end"):
    """A job is over."""

    job: str
    outcome: str
    error: str = ""


Record = (
    EpochBegan
    | JobAdmitted
    | OptionsChanged
    | AttemptCommitted
    | OutputLost
    | AttemptCharged
    | RecordSkipped
    | JobEnded
)

_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
_ENCODER = msgspec.msgpack.Encoder()


def encode_record(record: Record) -> bytes:
    """The bytes of a record."""
    return _ENCODER.encode(record)


def decode_record(data: bytes) -> Record:
    """The record of bytes.

    Raises:
        msgspec.DecodeError: these are none of a record.
    """
    return _DECODER.decode(data)
