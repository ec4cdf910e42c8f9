"""One attempt in words: what it wrote, or why it failed and whether another one may do better."""

import os

import msgspec
import pytest

from mrcore import errors
from mrcore.engine.program import Program, write_program
from mrcore.engine.spec import Keys, MapSpec, PythonMapSpec, ReduceSpec, Span, TaskResult, encode_spec
from mrcore.executors.attach import encode_task
from mrcore.executors.outcome import Runner, class_of, remove_output
from mrcore.storage.partfile import file_check
from mrcore.wire.cluster_fields import (
    TEXT_MAX,
    AttemptId,
    FailureClass,
    InputFile,
    LossReason,
    RecordPosition,
)
from mrcore.wire.cluster_messages import StartAttempt

MEMORY = 16 << 20


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").write_bytes(b"a b a\nc\n" * 100)
    (tmp_path / "out").mkdir()
    return os.fsencode(tmp_path)


def start_of(folder, spec, attempt=0, inputs=(), skip=()):
    stage = int(isinstance(spec, ReduceSpec))
    told = encode_task(os.path.join(folder, b"out"), encode_spec(spec))
    return StartAttempt(
        AttemptId("p0", stage, spec.task, attempt), 1, told, MEMORY, tuple(inputs), len(inputs), False, tuple(skip)
    )


def map_spec(folder, name=b"in"):
    path = os.path.join(folder, name)
    return MapSpec(0, b"", (Span(path, 0, 800, 800),), Keys(), 2, None, MEMORY, sync=False)


def python_spec(folder, mapper):
    code = write_program(os.path.join(folder, b"code"), Program((("map_record", mapper),)))
    span = Span(os.path.join(folder, b"in"), 0, 800, 800)
    return PythonMapSpec(0, b"", code, MEMORY, (span,), emit="lines", sync=False)


def run(start, notes=None):
    notes = [] if notes is None else notes
    return Runner(None, 0).run(start, lambda count: None, lambda kind, text: notes.append((kind, text)))


def input_of(folder, outcome):
    return InputFile(outcome.output, outcome.output_bytes, outcome.output_check, ())


def test_what_was_written_is_described_as_it_is(folder):
    outcome = run(start_of(folder, map_spec(folder), 3))
    assert outcome.failure is None
    assert outcome.output == "p0.0.0.3"
    path = os.path.join(folder, b"out", b"p0.0.0.3")
    assert file_check(path) == (outcome.output_bytes, outcome.output_check.hex())
    result = msgspec.msgpack.decode(outcome.result, type=TaskResult)
    assert (result.task, result.bytes_in, result.tokens, result.output) == (0, 800, 400, b"")


def test_attempts_of_a_task_describe_the_same_bytes(folder):
    first, second = (run(start_of(folder, map_spec(folder), attempt)) for attempt in (0, 1))
    assert first.output_check == second.output_check
    assert sorted(os.listdir(os.path.join(folder, b"out"))) == [b"p0.0.0.0", b"p0.0.0.1"]


def test_inputs_are_read_in_task_order_however_they_are_told(folder):
    outcomes = [run(start_of(folder, msgspec.structs.replace(map_spec(folder), task=task))) for task in range(12)]
    files = [input_of(folder, outcome) for outcome in outcomes]
    merged = [
        run(start_of(folder, ReduceSpec(0, b"", (), MEMORY, sync=False), attempt, inputs))
        for attempt, inputs in enumerate((files, files[::-1]))
    ]
    assert merged[0].failure is merged[1].failure is None
    assert merged[0].output_check == merged[1].output_check


def test_counters_of_functions_are_told_beside_the_result(folder):
    def counts(record, ctx):
        ctx.counter("lines").add()
        yield record, 1

    outcome = run(start_of(folder, python_spec(folder, counts)))
    assert outcome.counters == {"lines": 200}
    assert msgspec.msgpack.decode(outcome.result, type=TaskResult).counters == ()


def test_records_to_pass_over_are_passed_over(folder):
    def picky(record, ctx):
        if record == b"c":
            raise ValueError(record)
        yield record, 1

    spec = python_spec(folder, picky)
    failed = run(start_of(folder, spec))
    assert (failed.failure, failed.error) == (FailureClass.USER_CODE, "UserCodeError")
    assert failed.record == RecordPosition(os.path.join(folder, b"in"), 6)
    assert failed.user_traceback.endswith("ValueError: b'c'")
    assert "ValueError: b'c'" in failed.text
    skip = [RecordPosition(os.path.join(folder, b"in"), 6 + 8 * index) for index in range(100)]
    outcome = run(start_of(folder, spec, skip=skip))
    assert outcome.failure is None
    assert msgspec.msgpack.decode(outcome.result, type=TaskResult).skipped == 100
    assert os.listdir(os.path.join(folder, b"out")) == [b"p0.0.0.0"]


def test_what_is_not_there_is_the_inputs_fault(folder):
    outcome = run(start_of(folder, map_spec(folder, b"missing")))
    assert (outcome.failure, outcome.error) == (FailureClass.BAD_INPUT, "InputError")
    assert outcome.text.endswith("missing: no such file or directory")
    assert os.listdir(os.path.join(folder, b"out")) == []


def damage(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize(("harm", "why"), [
    (os.unlink, LossReason.MISSING),
    (lambda path: os.truncate(path, 50), LossReason.CORRUPT),
    (damage, LossReason.CORRUPT),
])  # fmt: skip
def test_an_input_that_is_lost_is_named_and_only_that(folder, harm, why):
    outcomes = [run(start_of(folder, msgspec.structs.replace(map_spec(folder), task=task))) for task in range(3)]
    harm(os.path.join(folder, b"out", b"p0.0.1.0"))
    files = [input_of(folder, outcome) for outcome in outcomes]
    results = [run(start_of(folder, ReduceSpec(task, b"", (), MEMORY, sync=False), 0, files)) for task in range(2)]
    lost = [result for result in results if result.failure is not None]
    assert lost
    for result in lost:
        assert (result.failure, result.error) == (FailureClass.CORRUPT_INPUT, "CorruptionError")
        assert result.lost_inputs == (("p0.0.1.0", why),)


def test_a_defect_of_ours_is_reported_with_its_traceback(folder, monkeypatch):
    monkeypatch.setattr("mrcore.executors.outcome.run_task", lambda spec, env: 1 // 0)
    outcome = run(start_of(folder, map_spec(folder)))
    assert (outcome.failure, outcome.error) == (FailureClass.DEFECT, "")
    assert outcome.text == "ZeroDivisionError: integer division or modulo by zero"
    assert "run_task" in outcome.traceback


def test_texts_fit_into_a_message(folder, monkeypatch):
    def fail(spec, env):
        raise errors.UserCodeError("é\udcff" * TEXT_MAX)

    monkeypatch.setattr("mrcore.executors.outcome.run_task", fail)
    outcome = run(start_of(folder, map_spec(folder)))
    assert len(outcome.text) <= TEXT_MAX


def test_one_that_was_stopped_leaves_no_file(folder):
    start = start_of(folder, map_spec(folder))
    for name in (b"p0.0.0.0", b"p0.0.0.0.merge-1", b"p0.0.0.1", b"p0.0.0.01"):
        open(os.path.join(folder, b"out", name), "wb").close()
    assert Runner(None, 0).stopped(start).failure is FailureClass.CANCELLED
    assert sorted(os.listdir(os.path.join(folder, b"out"))) == [b"p0.0.0.01", b"p0.0.0.1"]


def test_removing_says_how_many_bytes_that_were(folder):
    path = os.path.join(folder, b"out", b"p0.0.0.0")
    assert remove_output(path) == 0
    for name, size in ((path, 7), (path + b".merge-0", 5)):
        with open(name, "wb") as file:
            file.write(bytes(size))
    assert remove_output(path) == 12
    assert remove_output(os.path.join(folder, b"no such", b"place")) == 0


def caused(error, cause):
    error.__cause__ = cause
    return error


def of_record(error):
    error.record = (b"/in", 3)
    return error


@pytest.mark.parametrize(("error", "kind"), [
    (errors.UserCodeError(""), FailureClass.USER_CODE),
    (of_record(errors.BadRecordError("")), FailureClass.USER_CODE),
    (errors.BadRecordError(""), FailureClass.BAD_INPUT),
    (errors.InputError(""), FailureClass.BAD_INPUT),
    (errors.SerializationError(""), FailureClass.BAD_INPUT),
    (errors.UsageError(""), FailureClass.BAD_INPUT),
    (errors.BudgetError(""), FailureClass.BAD_INPUT),
    (caused(errors.BudgetError(""), MemoryError()), FailureClass.OUT_OF_MEMORY),
    (errors.DiskFullError(""), FailureClass.DISK_FULL),
    (errors.CorruptionError(""), FailureClass.DEFECT),
    (errors.MrcoreError(""), FailureClass.DEFECT),
])  # fmt: skip
def test_the_class_of_an_error_says_whether_to_try_again(error, kind):
    assert class_of(error) is kind
