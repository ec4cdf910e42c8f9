"""Messages become events and actions become messages: names of outputs, records, and limits of the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import ProtocolError, UsageError
from mrcore.runtime import cluster_translation as translation
from mrcore.runtime.cluster_translation import event_of, parse_output_name
from mrcore.scheduler import actions, events
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR
from mrcore.wire.output_names import output_name

ID = fields.AttemptId("job-1", 0, 7, 1)
NAME = AttemptId("job-1", 0, 7, 1)
CHECK = bytes(range(8))
LARGEST = AttemptId("j" * translation.JOB_NAME_MAX, *[(1 << 31) - 1] * 3)

index = st.integers(0, (1 << 31) - 1)


@given(st.builds(AttemptId, st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,89}\Z"), index, index, index))
def test_the_name_of_an_output_says_whose_it_is(attempt):
    assert parse_output_name(output_name(attempt)) == attempt


def test_the_longest_name_of_an_output_fits_the_wire():
    message = wire.OutputLost(1, output_name(LARGEST), fields.LossReason.MISSING)
    assert wire.FROM_WORKER.decode(wire.FROM_WORKER.encode(message)) == message
    assert parse_output_name(output_name(LARGEST)) == LARGEST


@pytest.mark.parametrize("name", [
    "", "job", "job.1.2", "job.1.2.3.4", "job.01.2.3", "job.1.2.-3", "job.1.2.3\n", "job.1.2.\u0663", ".1.2.3",
    "job.1.2.2147483648", "j" * 91 + ".1.2.3",
])  # fmt: skip
def test_what_is_no_name_of_an_output_is_refused(name):
    with pytest.raises(ProtocolError, match="not the name of an output"):
        parse_output_name(name)


@given(st.binary(max_size=50), st.integers(0, (1 << 63) - 1))
def test_a_record_has_one_name(path, offset):
    position = fields.RecordPosition(path, offset)
    assert translation.record_position(translation.record_name(position)) == position


SAID = [
    (
        wire.Register("w", 3, 2, 100, "h", ("h:1",)),
        events.WorkerRegistered("w", 2, 100, 2000, "h", keeps_outputs=True),
    ),
    (wire.Register("w", 0, 1, 0, "h", ()), events.WorkerRegistered("w", 1, 0, 1000, "h", keeps_outputs=False)),
    (
        wire.Heartbeat(3, 1, (fields.RunningAttempt(ID, 5),), 1),
        events.HeartbeatReceived("w", 3, ((NAME, 5),)),
    ),
    (wire.AttemptProgress(ID, 3, 9), None),
    (
        wire.AttemptFinished(ID, 3, "job-1.0.7.1", 12, CHECK, {"n": 1}, b"r"),
        events.AttemptFinished("w", 3, NAME, 12, 0x0001020304050607, {"n": 1}, b"r"),
    ),
    (
        wire.AttemptFailed(ID, 3, fields.FailureClass.USER_CODE, "E", "it raised", "theirs", "ours"),
        events.AttemptFailed("w", 3, NAME, events.FailureClass.USER_CODE, "it raised\ntheirs"),
    ),
    (
        wire.AttemptFailed(ID, 3, fields.FailureClass.DEFECT, "E", "", "", "ours", fields.RecordPosition(b"p", 258)),
        events.AttemptFailed("w", 3, NAME, events.FailureClass.DEFECT, "ours", b"\0\0\0\0\0\0\1\2p"),
    ),
    (
        wire.OutputLost(3, "job-1.0.7.1", fields.LossReason.CORRUPT, "w2"),
        events.FetchFailed("w", 3, NAME, events.LossReason.CORRUPT),
    ),
    (wire.Drain(3, 1), events.WorkerDrained("w", 3)),
    (wire.Goodbye(3), events.WorkerEnded("w", 3, events.EndCause.GOODBYE)),
]


@pytest.mark.parametrize(("message", "event"), SAID)
def test_a_message_means_an_event_under_the_generation_that_it_bears(message, event):
    assert event_of(message, "w") == event


@pytest.mark.parametrize("message", [
    wire.Register("other", 0, 1, 0, "h", ()),
    wire.AttemptFinished(ID, 3, "job-1.0.7.2", 12, CHECK, {}),
    wire.OutputLost(3, "passwd", fields.LossReason.MISSING),
])  # fmt: skip
def test_a_message_that_names_what_is_not_the_speakers_is_refused(message):
    with pytest.raises(ProtocolError):
        event_of(message, "w")


@pytest.mark.parametrize("enumeration", ["FailureClass", "LossReason"])
def test_reasons_are_the_same_on_both_sides(enumeration):
    ours, theirs = getattr(events, enumeration), getattr(fields, enumeration)
    assert {each.value for each in ours} == {each.value for each in theirs}
    assert {each.value for each in actions.CancelReason} == {each.value for each in fields.CancelReason}


def test_inputs_beyond_the_limit_of_a_message_follow_in_more(monkeypatch):
    monkeypatch.setattr(fields, "INPUTS_MAX", 2)
    inputs = [fields.InputFile(output_name(AttemptId("j", 0, task, 0)), 1, CHECK, ()) for task in range(5)]
    action = actions.StartAttempt("w", 3, NAME, 10, True, inputs_total=6)
    first, *more = translation.start_messages(action, b"spec", inputs)
    assert (first.inputs, first.inputs_total, first.is_speculative) == (tuple(inputs[:2]), 6, True)
    assert [message.inputs for message in more] == [tuple(inputs[2:4]), tuple(inputs[4:])]


def test_records_to_skip_are_told_as_far_as_a_message_has_room():
    names = [translation.record_name(fields.RecordPosition(b"p", offset)) for offset in range(fields.SKIPS_MAX + 1)]
    (message,) = translation.start_messages(actions.StartAttempt("w", 3, NAME, 0, skip=tuple(names)), b"", [])
    assert FROM_COORDINATOR.decode(FROM_COORDINATOR.encode(message)).skip[-1].offset == fields.SKIPS_MAX - 1


@pytest.mark.parametrize(("job", "stages"), [
    ("", (StageSpec(1),)),
    ("a.b", (StageSpec(1),)),
    ("../x", (StageSpec(1),)),
    ("j" * 91, (StageSpec(1),)),
    ("j", ()),
    ("j", (StageSpec(1, memory_bytes=-1),)),
    ("j", (*[StageSpec(1 << 24)] * 65, StageSpec(1, tuple(range(65))))),
])  # fmt: skip
def test_a_job_that_cannot_be_run_is_refused_where_it_is_submitted(job, stages):
    with pytest.raises(UsageError):
        translation.check_submission(job, stages, JobOptions())


def test_a_job_that_can_be_run_is_taken():
    translation.check_submission("j" * 90, (StageSpec(1), StageSpec(0, (0,))), JobOptions())
