"""Actions of the scheduler as short lines for people: in transcripts, traces and messages of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcore.scheduler import actions, records
from mrcore.scheduler.leases import EPOCH_SHIFT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.scheduler import Scheduler


def say_action(action: actions.Action, scheduler: Scheduler, generations: Mapping[str, int]) -> str:
    """A line.

    Args:
        action: that was answered.
        scheduler: that answered, which knows what a range of inputs is.
        generations: the newest of each worker; an action for another one says its generation.
    """

    def whom(worker: str, generation: int) -> str:
        return worker if generations.get(worker) == generation else f"{worker}@{say_generation(generation)}"

    match action:
        case actions.AppendJournal(record):
            return f"journal {say_record(record)}"
        case actions.GrantLease(worker, generation, lease_ns):
            return f"grant {worker}@{say_generation(generation)} a lease of {say_seconds(lease_ns)}"
        case actions.RevokeLease(worker, generation):
            return f"revoke {worker}@{say_generation(generation)}"
        case actions.StartAttempt(worker, generation, attempt):
            return f"start {attempt} on {whom(worker, generation)}{_say_start(action, scheduler)}"
        case actions.AddInputs(worker, generation, attempt, inputs):
            return f"tell {attempt} on {whom(worker, generation)} of {_say_inputs(attempt, inputs, scheduler)}"
        case actions.CancelAttempt(worker, generation, attempt, reason):
            return f"cancel {attempt} on {whom(worker, generation)}: {reason.value}"
        case actions.PublishOutput(attempt):
            return f"publish {attempt}"
        case actions.DiscardOutput(attempt, holder):
            return f"discard {attempt}{_say_holder(holder)}"
        case actions.EndJob(job, outcome, error):
            return f"end {job}: {outcome}{_say_error(error)}"
    raise AssertionError(f"no words for {action}")


def say_record(record: records.Record) -> str:
    """A line."""
    match record:
        case records.EpochBegan(epoch):
            return f"epoch {epoch}"
        case records.JobAdmitted(job):
            return f"admitted {job}"
        case records.OptionsChanged(job):
            return f"changed options of {job}"
        case records.AttemptCommitted(job, stage, task, attempt, holder):
            return f"committed {job}/{stage}/{task}/{attempt}{_say_holder(holder)}"
        case records.OutputLost(job, stage, task, attempt):
            return f"lost {job}/{stage}/{task}/{attempt}"
        case records.AttemptCharged(job, stage, task, attempt, about):
            return f"charged {job}/{stage}/{task}/{attempt}" + (f" for {about.decode()}" if about else "")
        case records.RecordSkipped(job, stage, task, about):
            return f"skipped {about.decode()} of {job}/{stage}/{task}"
        case records.JobEnded(job, outcome, error):
            return f"ended {job}: {outcome}{_say_error(error)}"
    raise AssertionError(f"no words for {record}")


def say_generation(generation: int) -> str:
    """``2.7``: the seventh registration in the epoch 2."""
    return f"{generation >> EPOCH_SHIFT}.{generation & (1 << EPOCH_SHIFT) - 1}"


def say_seconds(time_ns: int) -> str:
    """``12.5s``."""
    return f"{time_ns / 1e9:.9f}".rstrip("0").rstrip(".") + "s"


def _say_start(action: actions.StartAttempt, scheduler: Scheduler) -> str:
    words = ", as a second one" if action.is_speculative else ""
    if action.inputs_total:
        inputs = _say_inputs(action.attempt, action.inputs, scheduler)
        words += f", reads {inputs} of {action.inputs_total}"
    if action.skip:
        words += f", passing over {' '.join(record.decode() for record in action.skip)}"
    return words


def _say_inputs(attempt: AttemptId, inputs: tuple[actions.InputRange, ...], scheduler: Scheduler) -> str:
    found = [output for part in inputs for output in scheduler.outputs(attempt.job, part)]
    return " ".join(f"{output.attempt}{f'({output.holder})' if output.holder else ''}" for output in found) or "none"


def _say_holder(holder: str) -> str:
    return f" on {holder}'s disk" if holder else ""


def _say_error(error: str) -> str:
    return f": {error}" if error else ""
