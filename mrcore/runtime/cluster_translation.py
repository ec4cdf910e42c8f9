"""What workers say as events of the scheduler, and what the scheduler wants as messages to workers.

Pure functions; :mod:`mrcore.runtime.coordinator` calls them. An event bears the generation that its message bears: the
scheduler compares, and nobody before it does.

A record is named by its path and offset on the wire and by opaque bytes in the scheduler: ``offset:u64 path``,
big-endian, which is one name for one place.
"""

from __future__ import annotations

import re

from mrcore.errors import ProtocolError, UsageError
from mrcore.scheduler import actions, events
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import check_job
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.output_names import output_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcore.scheduler.job import JobOptions, StageSpec

JOB_NAME_MAX = 90
"""Characters of a job's name: an output's name has 128, of which its three numbers and dots may take 33."""

_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_OUTPUT_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_INDEX_MAX = (1 << 31) - 1
_CPU_MILLI = 1000  # a slot is a processor


def check_submission(job: str, stages: tuple[StageSpec, ...], options: JobOptions) -> None:
    """Looks at what a user submits.

    Raises:
        UsageError: the name cannot be part of a file's name, or the stages are none that can be run.
    """
    if len(job) > JOB_NAME_MAX or not _JOB_NAME.fullmatch(job):
        raise UsageError(f"a job named {job!r}: take 1 to {JOB_NAME_MAX} letters, digits, _ and -")
    wrong = check_job(stages, options)
    if wrong is not None:
        raise UsageError(wrong)
    for index, stage in enumerate(stages):
        if sum(stages[read].tasks for read in stage.reads) > fields.INPUTS_TOTAL_MAX:
            raise UsageError(f"tasks of stage {index} read more than {fields.INPUTS_TOTAL_MAX} outputs")


def parse_output_name(name: str) -> AttemptId:
    """Whose output a file is.

    Raises:
        ProtocolError: nobody's.
    """
    found = _OUTPUT_NAME.fullmatch(name)
    if found is None or len(found[1]) > JOB_NAME_MAX:
        raise ProtocolError(f"{name!r} is not the name of an output")
    numbers = [int(text) for text in found.groups()[1:]]
    if max(numbers) > _INDEX_MAX:
        raise ProtocolError(f"{name!r} is not the name of an output: its numbers go beyond {_INDEX_MAX}")
    return AttemptId(found[1], *numbers)


def record_name(position: fields.RecordPosition | None) -> bytes:
    """A record as the scheduler names it; empty if it is not known."""
    return b"" if position is None else position.offset.to_bytes(8, "big") + position.path


def record_position(name: bytes) -> fields.RecordPosition:
    """A record as the wire names it."""
    return fields.RecordPosition(name[8:], int.from_bytes(name[:8], "big"))


def encode_check(check: int) -> bytes:
    """A checksum as the wire has it."""
    return check.to_bytes(8, "big")


def event_of(message: wire.FromWorker, worker: str) -> events.Event | None:
    """What a worker's message means to the scheduler; None: nothing.

    Args:
        message: what it said.
        worker: who the handshake says it is.

    Raises:
        ProtocolError: it says it is another, or names an output that is not its attempt's.
    """
    match message:
        case wire.Register():
            return _registration(message, worker)
        case wire.Heartbeat():
            running = tuple([(_attempt(each.attempt), each.progress_bytes) for each in message.running])
            return events.HeartbeatReceived(worker, message.generation, running)
        case wire.AttemptProgress() | wire.AttemptNoted():
            return None  # of progress the next heartbeat says more, and renews the lease, which this does not
        case wire.AttemptFinished():
            return _finish(message, worker)
        case wire.AttemptFailed():
            return events.AttemptFailed(
                worker,
                message.generation,
                _attempt(message.attempt),
                events.FailureClass(message.failure.value),
                _text(message),
                record_name(message.record),
            )
        case wire.OutputLost():
            reason = events.LossReason(message.reason.value)
            return events.FetchFailed(worker, message.generation, parse_output_name(message.name), reason)
        case wire.Drain():
            return events.WorkerDrained(worker, message.generation)
        case wire.Goodbye():
            return events.WorkerEnded(worker, message.generation, events.EndCause.GOODBYE)


def start_messages(
    action: actions.StartAttempt, spec: bytes, inputs: Sequence[fields.InputFile]
) -> Iterator[wire.FromCoordinator]:
    """Has a worker run an attempt: inputs that are too many for one message follow in more."""
    attempt = _wire_attempt(action.attempt)
    yield wire.StartAttempt(
        attempt,
        action.generation,
        spec,
        action.memory_bytes,
        tuple(inputs[: fields.INPUTS_MAX]),
        action.inputs_total,
        action.is_speculative,
        tuple([record_position(name) for name in action.skip[: fields.SKIPS_MAX]]),
    )
    yield from input_messages(action.attempt, action.generation, inputs[fields.INPUTS_MAX :])


def input_messages(
    attempt: AttemptId, generation: int, inputs: Sequence[fields.InputFile]
) -> Iterator[wire.FromCoordinator]:
    """Tells a running attempt of inputs."""
    for start in range(0, len(inputs), fields.INPUTS_MAX):
        some = tuple(inputs[start : start + fields.INPUTS_MAX])
        yield wire.AddInputs(_wire_attempt(attempt), generation, some)


def cancel_message(attempt: AttemptId, generation: int, reason: actions.CancelReason) -> wire.CancelAttempt:
    """Has a worker stop an attempt and remove its file."""
    return wire.CancelAttempt(_wire_attempt(attempt), generation, fields.CancelReason(reason.value))


def _registration(message: wire.Register, worker: str) -> events.WorkerRegistered:
    if message.worker != worker:
        raise ProtocolError(f"worker {worker} registers as {message.worker}")
    keeps = bool(message.addresses)
    cpu_milli = message.slots * _CPU_MILLI
    return events.WorkerRegistered(worker, message.slots, message.memory_bytes, cpu_milli, message.host, keeps)


def _finish(message: wire.AttemptFinished, worker: str) -> events.AttemptFinished:
    attempt = _attempt(message.attempt)
    if message.output != output_name(attempt):
        raise ProtocolError(f"attempt {attempt} says that its output is {message.output}")
    return events.AttemptFinished(
        worker,
        message.generation,
        attempt,
        message.output_bytes,
        int.from_bytes(message.output_check, "big"),
        message.counters,
        message.result,
    )


def _text(message: wire.AttemptFailed) -> str:
    """What people read: the line, then the frames that say most."""
    return "\n".join([part for part in (message.text, message.user_traceback or message.traceback) if part])


def _attempt(attempt: fields.AttemptId) -> AttemptId:
    return AttemptId(attempt.job, attempt.stage, attempt.task, attempt.attempt)


def _wire_attempt(attempt: AttemptId) -> fields.AttemptId:
    return fields.AttemptId(attempt.job, attempt.stage, attempt.task, attempt.attempt)
