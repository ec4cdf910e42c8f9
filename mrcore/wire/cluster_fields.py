"""Fields that messages between coordinator and workers share: each a type with its bounds.

Bounds are looked at while a message is decoded, before anything is allocated by them. Lengths of texts are
in characters, of which one is at most four bytes.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

INT64_MAX = (1 << 63) - 1
SLOTS_MAX = 4096  # of one worker, and so attempts that run in it
FILES_MAX = 4096  # files in one heartbeat; a worker with more says the others in the next ones
INPUTS_MAX = 1 << 16  # in one message; AddInputs brings more
INPUTS_TOTAL_MAX = 1 << 30
ADDRESSES_MAX = 4
SPEC_BYTES_MAX = 128 << 20
COUNTERS_MAX = 2048  # of one attempt
COUNTER_NAME_MAX = 256
TEXT_MAX = 8 << 10
TRACEBACK_MAX = 64 << 10
RESULT_BYTES_MAX = 1 << 20
PATH_BYTES_MAX = 1 << 16
SKIPS_MAX = 256  # records that one attempt is told to pass over

# An identifier: of a worker, a job, a file. It can stand in a path or a line of a log as it is.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]  # a number of them
Index = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
Generation = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
DurationNs = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
Check = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]  # XXH3-64, big-endian as its hexadecimal digits
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=264, pattern=r"\A[!-~]+\Z")]  # HOST:PORT
Addresses = Annotated[tuple[Address, ...], msgspec.Meta(max_length=ADDRESSES_MAX)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
Traceback = Annotated[str, msgspec.Meta(max_length=TRACEBACK_MAX)]
CounterName = Annotated[str, msgspec.Meta(max_length=COUNTER_NAME_MAX)]
CounterValue = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
Counters = Annotated[dict[CounterName, CounterValue], msgspec.Meta(max_length=COUNTERS_MAX)]


class Field(msgspec.Struct, frozen=True, array_like=True):
    """Base of the structs inside of messages."""


class AttemptId(Field, frozen=True):
    """One execution of one task."""

    job: Name
    stage: Index  # of the job, from 0
    task: Index  # of the stage, from 0
    attempt: Index  # of the task, from 0

    def __str__(self) -> str:
        return f"{self.job}/{self.stage}/{self.task}/{self.attempt}"


class RunningAttempt(Field, frozen=True):
    """What a worker is at."""

    attempt: AttemptId
    progress_bytes: Bytes  # of input consumed, since the attempt began


class HeldFile(Field, frozen=True):
    """A finished output that a worker can give to others."""

    name: Name
    size_bytes: Bytes
    check: Check  # of all its bytes


class InputFile(Field, frozen=True):
    """A file that an attempt reads, and who has it."""

    name: Name
    size_bytes: Bytes
    check: Check
    addresses: Addresses  # of workers that hold it, the best first; empty: it is in the file system that all share


class RecordPosition(Field, frozen=True):
    """The record that a user's function failed on."""

    path: Annotated[bytes, msgspec.Meta(max_length=PATH_BYTES_MAX)]
    offset: Bytes  # of its first byte in the file


class FailureClass(enum.Enum):
    """Whose fault the end of an attempt is. The scheduler decides by it; texts are for people."""

    USER_CODE = "user_code"  # a user's function raised, or made what cannot be taken
    LOST_WORKER = "lost_worker"  # the process that ran it died, or the one that it read from
    CORRUPT_INPUT = "corrupt_input"  # an intermediate file is missing or fails its checksum; OutputLost names it
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    BAD_INPUT = "bad_input"  # the job's own input is missing, unreadable or against its format
    DEFECT = "defect"  # a bug of mrcore
    CANCELLED = "cancelled"  # it was told to stop, and has
    TIMEOUT = "timeout"  # it has read nothing for too long


class NoteKind(enum.Enum):
    """What a user's function wants with a text."""

    LOG = "log"  # a line for the job's log
    STATUS = "status"  # what the task is at


class LossReason(enum.Enum):
    """What is wrong with an output that should be there."""

    MISSING = "missing"
    CORRUPT = "corrupt"  # size or checksum differ
    UNREACHABLE = "unreachable"  # its holder does not answer


class CancelReason(enum.Enum):
    """Why an attempt is to stop."""

    TWIN_COMMITTED = "twin_committed"  # another attempt of the task was faster
    JOB_ENDED = "job_ended"  # it was cancelled, or failed
    MOVED = "moved"  # its slot is wanted, or its worker is avoided
    TIMED_OUT = "timed_out"  # it has read nothing for too long
    UNKNOWN = "unknown"  # the coordinator does not know it, or no more


def clipped(text: str, length_max: int) -> str:
    """A text that fits: of one that is too long, its beginning and its end, where errors say what happened."""
    if len(text) <= length_max:
        return text
    cut = "\n[...]\n"
    head = (length_max - len(cut)) // 2
    return text[:head] + cut + text[len(text) - (length_max - len(cut) - head) :]
