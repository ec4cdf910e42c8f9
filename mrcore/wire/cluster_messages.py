"""What coordinator and workers say to each other once the handshake is over.

A worker registers, gets a lease under a *generation*, and keeps it by heartbeats. Every message after that
bears the generation under which it was written: a message of another generation is stale, and whoever
gets it ignores it. So a worker that was thought dead and comes back can finish, but what it says of
its old attempts changes nothing.

Numbers that grow (bytes of progress, the sequence of heartbeats) are totals, not differences: a message
that comes twice, late or not at all does no harm. What must come once is fenced by attempt and generation.

A spec and a result are opaque bytes here. Compatibility: fields are only ever added at the end, with a
default, and readers ignore fields that they do not know; new messages may be added, and readers skip
messages that they do not know from a newer peer. So a newer side sends an older one nothing new
that must not be missed (:attr:`mrcore.wire.handshake.Peer.version`). All else, such as another value of
an enumeration, needs a new major version.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mrcore.wire.cluster_fields import (
    COUNTER_NAME_MAX,
    FILES_MAX,
    INPUTS_MAX,
    INPUTS_TOTAL_MAX,
    RESULT_BYTES_MAX,
    SKIPS_MAX,
    SLOTS_MAX,
    SPEC_BYTES_MAX,
    Addresses,
    AttemptId,
    Bytes,
    CancelReason,
    Check,
    Count,
    Counters,
    DurationNs,
    FailureClass,
    Generation,
    HeldFile,
    InputFile,
    LossReason,
    Name,
    NoteKind,
    RecordPosition,
    RunningAttempt,
    Text,
    Traceback,
)
from mrcore.wire.frames import FRAME_MAX
from mrcore.wire.payloads import Codec

FROM_WORKER_BYTES_MAX = 4 << 20
"""Bytes of a message of a worker: what the bounds of its fields allow. A coordinator has many workers."""

FROM_COORDINATOR_BYTES_MAX = FRAME_MAX

Files = Annotated[tuple[HeldFile, ...], msgspec.Meta(max_length=FILES_MAX)]
FileNames = Annotated[tuple[Name, ...], msgspec.Meta(max_length=FILES_MAX)]
Running = Annotated[tuple[RunningAttempt, ...], msgspec.Meta(max_length=SLOTS_MAX)]
Inputs = Annotated[tuple[InputFile, ...], msgspec.Meta(max_length=INPUTS_MAX)]
Slots = Annotated[int, msgspec.Meta(ge=1, le=SLOTS_MAX)]
HostName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
ErrorName = Annotated[str, msgspec.Meta(max_length=COUNTER_NAME_MAX)]
Result = Annotated[bytes, msgspec.Meta(max_length=RESULT_BYTES_MAX)]
Spec = Annotated[bytes, msgspec.Meta(max_length=SPEC_BYTES_MAX)]
Skip = Annotated[tuple[RecordPosition, ...], msgspec.Meta(max_length=SKIPS_MAX)]
Printed = tuple[Bytes, Bytes]
InputsTotal = Annotated[int, msgspec.Meta(ge=0, le=INPUTS_TOTAL_MAX)]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of all messages: an array of the tag and the fields in their order."""


# Of a worker.


class Register(_Message, frozen=True, tag="register"):
    """The first message of a worker, and again after LeaseLost: it runs nothing and wants a lease."""

    worker: Name  # the same after a reconnection, unlike any other worker's
    generation: Count  # that it held last; 0: none
    slots: Slots  # attempts that it runs at once
    memory_bytes: Bytes  # that its attempts may hold, together
    host: HostName  # for locality: workers of one host share its disks
    addresses: Addresses  # where other workers fetch its files; empty: they are in a shared file system


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """I live; renews the lease. After Registered, the first ones add all files that the worker holds."""

    generation: Generation
    sequence: Count  # from 1, one more with each heartbeat of a generation
    running: Running  # every attempt that runs
    free_memory_bytes: Bytes  # of the machine, available to new attempts
    files_added: Files = ()  # held, and in no heartbeat of this generation before
    files_dropped: FileNames = ()  # said to be held, and no more


class AttemptProgress(_Message, frozen=True, tag="attempt_progress"):
    """How far an attempt is, between heartbeats."""

    attempt: AttemptId
    generation: Generation
    progress_bytes: Bytes  # of input consumed, since the attempt began


class AttemptNoted(_Message, frozen=True, tag="attempt_noted"):
    """A user's function said something."""

    attempt: AttemptId
    generation: Generation
    kind: NoteKind
    text: Text


class AttemptFinished(_Message, frozen=True, tag="attempt_finished"):
    """The attempt's output is written and synced under its own name. The coordinator commits it, or another's."""

    attempt: AttemptId
    generation: Generation
    output: Name  # the name of the attempt's file
    output_bytes: Bytes  # its size
    output_check: Check  # XXH3-64 of all its bytes
    counters: Counters  # of this attempt; they count if it is committed
    result: Result = b""  # more that the engine says; opaque
    printed: Printed = (0, 0)  # where in its worker's log stands what it printed: from, to


class AttemptFailed(_Message, frozen=True, tag="attempt_failed"):
    """The attempt ended without an output. Long texts are clipped by the sender."""

    attempt: AttemptId
    generation: Generation
    failure: FailureClass
    error: ErrorName  # name of a class in mrcore.errors; empty: a defect
    text: Text  # one line: what, where, what to do
    user_traceback: Traceback = ""  # the user's own frames, if a function of theirs raised
    traceback: Traceback = ""  # ours
    record: RecordPosition | None = None  # being read when a user's function failed, if that is known
    printed: Printed = (0, 0)  # where in its worker's log stands what it printed: from, to


class OutputLost(_Message, frozen=True, tag="output_lost"):
    """An output that should be there cannot be read. Its task runs again, and only that."""

    generation: Generation  # of the worker that found out
    name: Name  # of the file
    reason: LossReason
    holder: Name | None = None  # the worker that should have given it; none: it was on a disk of ours


# Of a coordinator.


class Registered(_Message, frozen=True, tag="registered"):
    """The worker has a lease. It counts from when it sent its last Register or Heartbeat, the coordinator from when
    that arrived: so the worker gives up first."""

    generation: Generation  # above all that this worker ever held
    lease_ns: DurationNs  # without a heartbeat for so long, all its attempts are given to others
    heartbeat_ns: DurationNs  # time between two heartbeats; shorter than the lease

    def __post_init__(self) -> None:
        if self.heartbeat_ns >= self.lease_ns:
            raise ValueError(f"a lease of {self.lease_ns} ns with heartbeats each {self.heartbeat_ns} ns")


class LeaseLost(_Message, frozen=True, tag="lease_lost"):
    """The generation is over: the worker kills its attempts, tells nothing of them, and registers again."""

    generation: Generation


class StartAttempt(_Message, frozen=True, tag="start_attempt"):
    """Run one attempt in a free slot. A second one with the same id is a duplicate."""

    attempt: AttemptId
    generation: Generation  # the fence: the worker runs it under this one only
    spec: Spec  # of the task; opaque
    memory_bytes: Bytes  # that it may hold
    inputs: Inputs = ()  # to fetch before they are read, as far as they are known
    inputs_total: InputsTotal = 0  # how many there are in the end; AddInputs brings those that are missing
    is_speculative: bool = False  # another attempt of the task may run
    skip: Skip = ()  # records to pass over: user's functions failed on them

    def __post_init__(self) -> None:
        if self.inputs_total < len(self.inputs):
            raise ValueError(f"{len(self.inputs)} inputs of {self.inputs_total}")


class AddInputs(_Message, frozen=True, tag="add_inputs"):
    """More inputs of a running attempt, or new places of inputs that it could not fetch: of one task, which the name of
    an output says, the last counts."""

    attempt: AttemptId
    generation: Generation
    inputs: Inputs


class CancelAttempt(_Message, frozen=True, tag="cancel_attempt"):
    """Stop an attempt and remove its file: one that runs ends with AttemptFailed (CANCELLED). One that ended or never
    began is no error, and no answer is due."""

    attempt: AttemptId
    generation: Generation
    reason: CancelReason


# Of either.


class Drain(_Message, frozen=True, tag="drain"):
    """No new attempts for this worker: those that run may end within the time, then it says Goodbye."""

    generation: Generation
    patience_ns: DurationNs  # after which what still runs is killed


class Goodbye(_Message, frozen=True, tag="goodbye"):
    """The sender's last message: it closes the connection, and its lease is over."""

    generation: Count  # 0: it never had one
    reason: Text = ""


FromWorker = (
    Register
    | Heartbeat
    | AttemptProgress
    | AttemptNoted
    | AttemptFinished
    | AttemptFailed
    | OutputLost
    | Drain
    | Goodbye
)
FromCoordinator = Registered | LeaseLost | StartAttempt | AddInputs | CancelAttempt | Drain | Goodbye

FROM_WORKER: Codec[FromWorker] = Codec(FromWorker, FROM_WORKER_BYTES_MAX)
FROM_COORDINATOR: Codec[FromCoordinator] = Codec(FromCoordinator, FROM_COORDINATOR_BYTES_MAX)
