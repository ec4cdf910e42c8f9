"""A worker's side of a connection, in a process of its own; the other side is a few lines that speak the protocol."""

import os
import select
import socket
import time

import pytest

from mrcore.engine.program import Program, write_program
from mrcore.engine.spec import Keys, MapSpec, PythonMapSpec, ReduceSpec, Span, encode_spec
from mrcore.executors.attach import FREE, Attach, encode_task
from mrcore.executors.unix_socket import listen
from mrcore.executors.worker_process import WorkerProcess
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_fields import AttemptId, CancelReason, FailureClass, InputFile, NoteKind
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

MEMORY = 16 << 20
TOKEN = b"t" * 32
BEAT_NS = 20_000_000


class Boss:
    """The coordinator's side of the job in a folder."""

    def __init__(self, folder, process, log=b""):
        self.folder, self.process, self.frames = folder, process, FrameDecoder()
        with listen(folder) as listener:
            process.attach(Attach(folder, TOKEN, "w7", 1, MEMORY, 1, log, os.getcwdb()))
            listener.setblocking(True)
            listener.settimeout(20)
            self.peer, _ = listener.accept()
        self.peer.settimeout(20)
        self.waiting = list(self.frames.feed(self._shake_hands()))

    def _shake_hands(self):
        hands = Handshake(Role.COORDINATOR, "boss", TOKEN, os.urandom(32), time.monotonic_ns() + TIMEOUT_NS)
        step = hands.handle_start(time.monotonic_ns())
        while step.peer is None:
            self.peer.sendall(step.send)
            step = hands.handle_bytes(self.peer.recv(1 << 16), time.monotonic_ns())
            assert step.error is None
        self.peer.sendall(step.send)
        return step.rest

    def say(self, *messages):
        self.peer.sendall(b"".join(encode_frame(FROM_COORDINATOR.encode(message)) for message in messages))

    def hear(self, *kinds):
        """The next message of these kinds; others are passed over."""
        while True:
            while self.waiting:
                message = FROM_WORKER.decode(self.waiting.pop(0))
                if isinstance(message, kinds):
                    return message
            data = self.peer.recv(1 << 16)
            assert data, "the worker is gone"
            self.waiting += self.frames.feed(data)

    def register(self):
        said = self.hear(wire.Register)
        self.say(wire.Registered(5, 10_000_000_000, BEAT_NS))
        return said

    def start(self, spec, task=0, inputs=(), total=None):
        attempt = AttemptId("p0", int(isinstance(spec, ReduceSpec)), task, 0)
        told = encode_task(self.folder, encode_spec(spec))
        total = len(inputs) if total is None else total
        self.say(wire.StartAttempt(attempt, 5, told, MEMORY, tuple(inputs), total))
        return attempt

    def answer(self):
        return self.hear(wire.AttemptFinished, wire.AttemptFailed)


@pytest.fixture
def process():
    made = WorkerProcess()
    made.control.setblocking(True)
    made.control.settimeout(20)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").write_bytes(b"a b a\nc\n" * 100)
    (tmp_path / "job").mkdir()
    return os.fsencode(tmp_path / "job")


@pytest.fixture
def boss(folder, process):
    made = Boss(folder, process)
    yield made
    made.peer.close()


def map_spec(folder):
    path = os.path.join(os.path.dirname(folder), b"in")
    return MapSpec(0, b"", (Span(path, 0, 800, 800),), Keys(), 1, None, MEMORY, sync=False)


def python_spec(folder, mapper):
    code = write_program(os.path.join(os.path.dirname(folder), b"code"), Program((("map_record", mapper),)))
    span = Span(os.path.join(os.path.dirname(folder), b"in"), 0, 800, 800)
    return PythonMapSpec(0, b"", code, MEMORY, (span,), emit="lines", sync=False)


def sleepy(folder):
    def sleeps(record, ctx):
        ctx.log("asleep")
        time.sleep(60)
        yield record, 1

    return python_spec(folder, sleeps)


def wait_for_end(process):
    assert select.select([process.pidfd], [], [], 20)[0]
    assert not process.is_alive()


def test_it_says_who_it_is_and_that_it_lives(boss):
    said = boss.register()
    assert (said.worker, said.generation, said.slots, said.memory_bytes) == ("w7", 0, 1, MEMORY)
    beats = [boss.hear(wire.Heartbeat) for _ in range(3)]
    assert [beat.sequence for beat in beats] == [1, 2, 3]
    assert {(beat.generation, beat.running) for beat in beats} == {(5, ())}


def test_an_attempt_is_run_and_described(boss, folder):
    boss.register()
    attempt = boss.start(map_spec(folder))
    said = boss.answer()
    assert (said.attempt, said.generation, said.output, said.printed) == (attempt, 5, "p0.0.0.0", (0, 0))
    assert os.path.getsize(os.path.join(folder, b"p0.0.0.0")) == said.output_bytes


def test_attempts_are_run_one_after_the_other(boss, folder):
    boss.register()
    attempts = [boss.start(map_spec(folder), task) for task in range(3)]
    assert [boss.answer().attempt for _ in attempts] == attempts


def test_a_failure_is_told_with_its_words(boss, folder):
    def fails(record, ctx):
        raise ValueError(record)

    boss.register()
    boss.start(python_spec(folder, fails))
    said = boss.answer()
    assert (said.failure, said.error, said.record.offset) == (FailureClass.USER_CODE, "UserCodeError", 0)
    assert said.user_traceback.endswith("ValueError: b'a b a'")


def test_what_functions_say_and_print_is_told_and_where_it_stands(folder, process, tmp_path):
    def talks(record, ctx):
        if record == b"c" and ctx.input.offset == 6:
            ctx.log("said")
            ctx.status("did")
            print("printed")
        yield record, 1

    boss = Boss(folder, process, os.fsencode(tmp_path / "log"))
    boss.register()
    boss.start(map_spec(folder), 1)
    assert boss.answer().printed == (0, 0)
    spec = python_spec(folder, talks)
    for task in (2, 3):
        boss.start(spec, task)
        notes = [boss.hear(wire.AttemptNoted) for _ in range(2)]
        assert [(note.kind, note.text) for note in notes] == [(NoteKind.LOG, "said"), (NoteKind.STATUS, "did")]
        assert boss.answer().printed == ((task - 2) * 8, (task - 1) * 8)
    boss.peer.close()
    assert (tmp_path / "log").read_bytes() == b"printed\n" * 2


def test_one_that_is_not_wanted_any_more_is_stopped_and_its_file_removed(boss, folder):
    boss.register()
    attempt = boss.start(sleepy(folder))
    boss.hear(wire.AttemptNoted)
    assert boss.hear(wire.Heartbeat).running[0].attempt == attempt
    boss.say(wire.CancelAttempt(attempt, 5, CancelReason.TWIN_COMMITTED))
    said = boss.answer()
    assert (said.attempt, said.failure) == (attempt, FailureClass.CANCELLED)
    assert b"p0.0.0.0" not in os.listdir(folder)
    boss.start(map_spec(folder), 1)
    assert isinstance(boss.answer(), wire.AttemptFinished)


def test_one_that_has_not_begun_is_stopped_too(boss, folder):
    boss.register()
    running, waiting = boss.start(sleepy(folder)), boss.start(map_spec(folder), 1)
    boss.hear(wire.AttemptNoted)
    boss.say(*[wire.CancelAttempt(attempt, 5, CancelReason.TWIN_COMMITTED) for attempt in (waiting, running)])
    assert [(said.attempt, said.failure) for said in (boss.answer(), boss.answer())] == [
        (running, FailureClass.CANCELLED), (waiting, FailureClass.CANCELLED),
    ]  # fmt: skip


def test_one_waits_until_all_of_its_inputs_are_known(boss, folder):
    boss.register()
    for task in range(2):
        boss.start(map_spec(folder), task)
    done = [boss.answer() for _ in range(2)]
    files = [InputFile(said.output, said.output_bytes, said.output_check, ()) for said in done]
    moved = InputFile("p0.0.1.9", 1, bytes(8), ())
    attempt = boss.start(ReduceSpec(0, b"", (), MEMORY, sync=False), inputs=(moved,), total=2)
    boss.start(map_spec(folder), 2)
    assert boss.answer().attempt.task == 2
    boss.say(wire.AddInputs(attempt, 5, (files[1],)), wire.AddInputs(attempt, 5, (files[0],)))
    said = boss.answer()
    assert (said.attempt, type(said)) == (attempt, wire.AttemptFinished)
    with open(os.path.join(folder, said.output.encode()), "rb") as file:
        assert file.read() == b"a\t400\nb\t200\nc\t200\n"


def test_one_that_waits_for_inputs_is_stopped(boss, folder):
    boss.register()
    attempt = boss.start(ReduceSpec(0, b"", (), MEMORY, sync=False), total=2)
    boss.say(wire.CancelAttempt(attempt, 5, CancelReason.TWIN_COMMITTED))
    said = boss.answer()
    assert (said.attempt, said.failure) == (attempt, FailureClass.CANCELLED)


def test_words_about_attempts_that_nobody_knows_change_nothing(boss, folder):
    boss.register()
    stranger = AttemptId("p0", 0, 99, 0)
    boss.say(wire.CancelAttempt(stranger, 5, CancelReason.TWIN_COMMITTED), wire.AddInputs(stranger, 5, ()))
    boss.start(map_spec(folder))
    assert isinstance(boss.answer(), wire.AttemptFinished)


def test_a_free_worker_outlives_its_coordinator_and_works_for_the_next(boss, folder, process):
    boss.register()
    boss.start(map_spec(folder))
    boss.answer()
    boss.peer.close()
    assert process.control.recv(1) == FREE
    other = Boss(folder, process)
    other.register()
    other.start(map_spec(folder), 1)
    assert isinstance(other.answer(), wire.AttemptFinished)
    other.peer.close()
    assert process.control.recv(1) == FREE


def test_a_worker_at_work_ends_with_its_coordinator(boss, folder, process):
    boss.register()
    boss.start(sleepy(folder))
    boss.hear(wire.AttemptNoted)
    boss.peer.shutdown(socket.SHUT_RDWR)
    wait_for_end(process)


def test_a_worker_whose_lease_is_lost_ends(boss, folder, process):
    boss.register()
    boss.start(sleepy(folder))
    boss.hear(wire.AttemptNoted)
    boss.say(wire.LeaseLost(5))
    wait_for_end(process)


def test_a_worker_does_not_work_for_one_who_does_not_hold_its_token(folder, process):
    class Liar(Boss):
        def _shake_hands(self):
            self.peer.sendall(os.urandom(200))
            return b""

    liar = Liar(folder, process)
    wait_for_end(process)
    liar.peer.close()


def test_a_new_process_takes_the_place_of_one_whose_modules_were_edited(boss, folder, process, tmp_path, monkeypatch):
    module = tmp_path / "their_module.py"
    module.write_text("def mapper(record, ctx):\n    yield record, 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import their_module

    boss.register()
    boss.start(python_spec(folder, their_module.mapper))
    assert isinstance(boss.answer(), wire.AttemptFinished)
    boss.peer.close()
    assert process.control.recv(1) == FREE
    os.utime(module, (1, 1))
    process.attach(Attach(folder, TOKEN, "w8", 1, MEMORY, 1, b"", os.getcwdb()))
    wait_for_end(process)
    assert process.how_it_ended().startswith("exit status 0")
