"""The coordinator's driver on a simulated disk, with peers that are a few lines and speak the real protocol."""

from __future__ import annotations

import random

import pytest

from mrcore.errors import MrcoreError, OutputExistsError, UsageError
from mrcore.runtime.coordinator import Coordinator, Observer, Settings
from mrcore.runtime.dispatch import Dispatcher
from mrcore.scheduler import actions
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.scheduler.records import AttemptCommitted, JobAdmitted, JobEnded
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.disk import SimulatedDisk, SimulatedFile
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

S = 1_000_000_000
TOKEN = b"a token that both have"
CHECK = bytes(8)


ONE_TASK = (StageSpec(1),)


class Line:
    """A connection as the coordinator sees it."""

    def __init__(self) -> None:
        self.sent, self.closed, self.is_broken = bytearray(), False, False

    def send(self, data):
        if self.is_broken:
            raise BrokenPipeError
        self.sent += data

    def close(self):
        self.closed = True


class Peer:
    """A worker that says what a test wants it to."""

    def __init__(self, room: Room, name: str, token: bytes = TOKEN) -> None:
        self.room, self.name, self.line = room, name, Line()
        self.session = room.coordinator.accept(self.line, room.now_ns)
        self.frames = FrameDecoder()
        handshake = Handshake(Role.WORKER, name, token, room.rng.randbytes(32), room.now_ns + TIMEOUT_NS)
        self.give(handshake.handle_start(room.now_ns).send)
        while True:
            data, self.line.sent = bytes(self.line.sent), bytearray()
            step = handshake.handle_bytes(data, room.now_ns) if data else None
            if step is None or step.peer is not None or step.error is not None:
                return
            self.give(step.send)

    def give(self, data: bytes) -> None:
        self.room.coordinator.receive(self.session, data, self.room.now_ns)

    def say(self, *messages) -> None:
        self.give(b"".join(encode_frame(FROM_WORKER.encode(message)) for message in messages))

    def hear(self) -> list:
        data, self.line.sent = bytes(self.line.sent), bytearray()
        return [FROM_COORDINATOR.decode(payload) for payload in self.frames.feed(data)]

    def register(self, slots: int = 1, addresses: tuple[str, ...] = ()) -> list:
        self.say(wire.Register(self.name, 0, slots, 1 << 30, "host", addresses))
        self.room.flush()
        first, *others = self.hear()
        self.generation = first.generation
        return others

    def finish(self, start, generation: int | None = None) -> None:
        name = f"{start.attempt.job}.{start.attempt.stage}.{start.attempt.task}.{start.attempt.attempt}"
        counters = {"records": 5}
        self.say(wire.AttemptFinished(start.attempt, generation or start.generation, name, 9, CHECK, counters))
        self.room.flush()


class Room(Observer):
    """A coordinator, its disk, and what it says."""

    def __init__(self, compact_bytes: int = 1 << 20) -> None:
        self.rng, self.now_ns, self.compact_bytes = random.Random(1), 5 * S, compact_bytes
        self.disk = SimulatedDisk(self.rng, Coverage())
        self.log: list = []
        self.errors: list[tuple[str, str]] = []
        self.spec_bytes = 10
        self.start()

    def start(self) -> None:
        settings = Settings(
            TOKEN, lambda: self.rng.randbytes(32), 7, SchedulerConfig(), compact_bytes=self.compact_bytes,
            strangers_max=3,
        )  # fmt: skip
        self.directory = self.disk.directory(b"/journal")
        self.coordinator = Coordinator(self.directory, settings, self, self.now_ns, self)

    def fall(self) -> None:
        """Power fails, and it starts again."""
        self.disk.crash()
        self.start()

    def flush(self) -> None:
        self.coordinator.flush(self.now_ns)

    def submit(self, job: str = "j", stages=ONE_TASK, **options) -> None:
        self.coordinator.submit(job, stages, JobOptions(**options), b"payload", self.now_ns)
        self.flush()

    def pass_time(self, seconds: int) -> None:
        for _ in range(4 * seconds):
            self.now_ns += S // 4
            self.coordinator.tick(self.now_ns)
            self.flush()

    def heard(self, *kinds: type) -> list:
        return [each for each in self.log if isinstance(each, kinds)]

    def on_record_durable(self, record):
        self.log.append(record)

    def on_action(self, action, now_ns):
        self.log.append(action)

    def on_compacted(self, snapshot):
        self.log.append(snapshot)

    def on_peer_error(self, worker, error):
        self.errors.append((worker, str(error)))

    def spec(self, job, stage, task):
        return bytes(self.spec_bytes)

    def publish_output(self, attempt):
        self.log.append(("publish", str(attempt)))

    def discard_output(self, attempt):
        self.log.append(("discard", str(attempt)))

    def end_job(self, job, outcome, error):
        self.log.append(("end", job, outcome, error))


@pytest.fixture
def room():
    return Room()


def test_a_job_is_run_published_and_told_of(room):
    room.submit()
    peer = Peer(room, "ann")
    (start,) = peer.register()
    assert (start.spec, start.inputs, start.generation) == (bytes(10), (), peer.generation)
    peer.finish(start)
    assert room.log[-6:] == [
        AttemptCommitted("j", 0, 0, start.attempt.attempt, "", 9, 0, {"records": 5}, b""),
        JobEnded("j", "succeeded"),
        actions.PublishOutput(AttemptId("j", 0, 0, start.attempt.attempt)),
        ("publish", str(start.attempt)),
        actions.EndJob("j", "succeeded"),
        ("end", "j", "succeeded", ""),
    ]
    assert room.coordinator.scheduler.ledger.jobs["j"].counters == {"records": 5}


def test_nothing_is_said_before_the_flush(room):
    room.submit()
    peer = Peer(room, "ann")
    peer.say(wire.Register("ann", 0, 1, 1, "host", ()))
    assert peer.hear() == [] and room.coordinator.has_work
    room.flush()
    assert [type(message) for message in peer.hear()] == [wire.Registered, wire.StartAttempt]
    assert not room.coordinator.has_work


def test_records_are_durable_before_anything_that_follows_them(room):
    peer = Peer(room, "ann")
    peer.register(slots=2)
    room.submit(stages=(StageSpec(2),))
    kinds = [type(each) for each in room.log]
    assert kinds.index(JobAdmitted) < kinds.index(actions.StartAttempt)
    first, second = peer.hear()
    room.log.clear()
    peer.finish(first)
    peer.finish(second)
    assert isinstance(room.log[0], AttemptCommitted)
    assert room.log.index(("publish", str(second.attempt))) > room.log.index(room.heard(JobEnded)[0])


def test_a_sync_that_fails_ends_the_coordinator_and_nothing_was_said(room, monkeypatch):
    peer = Peer(room, "ann")
    peer.register()

    def fail(file):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(SimulatedFile, "sync", fail)
    with pytest.raises(OutputExistsError):
        room.submit()
    assert peer.hear() == []
    with pytest.raises(MrcoreError):
        room.submit("k")


def test_several_events_share_one_sync(room, monkeypatch):
    syncs = []
    real = SimulatedFile.sync
    monkeypatch.setattr(SimulatedFile, "sync", lambda file: (syncs.append(1), real(file)))
    for name in ("a", "b", "c"):
        room.coordinator.submit(name, (StageSpec(1),), JobOptions(), b"", room.now_ns)
    room.flush()
    room.flush()
    assert len(syncs) == 1 and len(room.heard(JobAdmitted)) == 3


def test_what_was_submitted_survives_a_loss_of_power(room):
    room.submit()
    peer = Peer(room, "ann")
    (start,) = peer.register()
    room.fall()
    peer = Peer(room, "ann")
    (again,) = peer.register()
    assert again.attempt != start.attempt and again.generation > start.generation
    peer.finish(again)
    room.log.clear()
    room.fall()
    assert ("publish", str(again.attempt)) in room.log, "a recovery publishes once more"
    assert room.coordinator.scheduler.ledger.jobs["j"].outcome == "succeeded"


def test_a_worker_that_disconnects_is_replaced_at_once(room):
    room.submit()
    ann, bob = Peer(room, "ann"), Peer(room, "bob")
    (start,) = ann.register()
    assert bob.register() == []
    room.coordinator.close(ann.session, room.now_ns)
    room.coordinator.close(ann.session, room.now_ns)
    room.flush()
    (again,) = bob.hear()
    assert again.attempt.task == start.attempt.task and ann.line.closed


def test_a_connection_that_breaks_while_it_is_spoken_to_is_closed(room):
    ann, bob = Peer(room, "ann"), Peer(room, "bob")
    ann.register()
    bob.register()
    ann.line.is_broken = True
    room.submit()
    assert ann.line.closed and not bob.line.closed
    assert [type(message) for message in bob.hear()] == [wire.StartAttempt]


def test_a_worker_that_says_goodbye_is_gone(room):
    room.submit()
    ann, bob = Peer(room, "ann"), Peer(room, "bob")
    ann.register()
    bob.register()
    ann.say(wire.Goodbye(ann.generation), wire.Heartbeat(ann.generation, 1, (), 0))
    room.flush()
    assert ann.line.closed and len(bob.hear()) == 1
    assert len(room.heard(actions.RevokeLease)) == 0, "what came behind the goodbye was not read"


def test_a_second_registration_on_a_connection_begins_anew(room):
    room.submit()
    ann = Peer(room, "ann")
    (start,) = ann.register()
    (again,) = ann.register()
    assert again.generation == ann.generation > start.generation
    ann.finish(start)
    assert ann.hear() == [wire.LeaseLost(start.generation)]
    assert room.heard(AttemptCommitted) == []
    ann.finish(again)
    assert len(room.heard(AttemptCommitted)) == 1


def test_a_zombie_on_an_old_connection_hears_that_its_lease_is_over(room):
    room.submit()
    old, new = Peer(room, "ann"), Peer(room, "ann")
    (start,) = old.register()
    (again,) = new.register()
    old.say(wire.Heartbeat(old.generation, 1, (), 0))
    room.flush()
    assert old.hear() == [wire.LeaseLost(start.generation)] and new.hear() == []
    room.coordinator.close(old.session, room.now_ns)
    new.finish(again)
    assert room.log[-1] == ("end", "j", "succeeded", "")


def test_a_zombie_on_a_new_connection_hears_it_too(room):
    old = Peer(room, "ann")
    old.register()
    room.coordinator.close(old.session, room.now_ns)
    new = Peer(room, "ann")
    new.say(wire.Heartbeat(old.generation, 1, (), 0))
    room.flush()
    assert new.hear() == [wire.LeaseLost(old.generation)]


@pytest.mark.parametrize("data", [
    b"\xff" * 9,
    encode_frame(b"\xc0"),
    encode_frame(FROM_COORDINATOR.encode(wire.LeaseLost(1))),
    encode_frame(FROM_WORKER.encode(wire.Register("bob", 0, 1, 0, "h", ()))),
    encode_frame(FROM_WORKER.encode(wire.OutputLost(1, "x", fields.LossReason.MISSING))),
])  # fmt: skip
def test_a_mistake_of_a_peer_closes_its_connection_only(room, data):
    ann, bob = Peer(room, "ann"), Peer(room, "bob")
    bob.register()
    ann.give(data)
    ann.give(data)
    room.flush()
    assert ann.line.closed and not bob.line.closed
    assert [worker for worker, _ in room.errors] == ["ann"]


def test_who_has_another_token_is_refused(room):
    stranger = Peer(room, "eve", b"another token, as long")
    assert stranger.line.closed and "token" in room.errors[0][1]


def test_strangers_are_few_and_have_little_time(room):
    lines = [Line() for _ in range(5)]
    for line in lines:
        room.coordinator.accept(line, room.now_ns)
    assert [line.closed for line in lines] == [False] * 3 + [True] * 2
    room.pass_time(11)
    assert all(line.closed for line in lines)
    assert Peer(room, "ann").register() == []


def test_a_silent_worker_loses_its_lease(room):
    room.submit()
    ann = Peer(room, "ann")
    (start,) = ann.register()
    room.pass_time(11)
    ann.finish(start)
    assert wire.LeaseLost(start.generation) in ann.hear() and room.heard(AttemptCommitted) == []


TWO = (StageSpec(1), StageSpec(1, (0,)))


def test_a_reader_is_told_where_its_inputs_are(room):
    room.submit(stages=TWO)
    ann = Peer(room, "ann")
    (first,) = ann.register(addresses=("ann:7",))
    ann.finish(first)
    (second,) = ann.hear()
    name = f"j.0.0.{first.attempt.attempt}"
    assert (second.inputs, second.inputs_total) == ((fields.InputFile(name, 9, CHECK, ("ann:7",)),), 1)


def test_a_reader_is_told_of_a_holder_that_comes_back_or_moves(room):
    room.submit(stages=TWO)
    ann = Peer(room, "ann")
    (first,) = ann.register(addresses=("ann:7",))
    ann.finish(first)
    room.fall()
    bob = Peer(room, "bob")
    (second,) = bob.register(addresses=("bob:7",))
    assert (second.inputs, second.inputs_total) == ((), 1), "nobody knows where the holder is"
    for address in ("ann:7", "ann:8"):
        Peer(room, "ann").register(addresses=(address,))
        (told,) = bob.hear()
        assert [file.addresses for file in told.inputs] == [(address,)]
    Peer(room, "ann").register(addresses=("ann:8",))
    assert bob.hear() == [], "that is known"


def test_inputs_on_the_disk_that_all_share_have_no_address(room):
    room.submit(stages=TWO)
    ann = Peer(room, "ann")
    (first,) = ann.register()
    ann.finish(first)
    (second,) = ann.hear()
    assert [file.addresses for file in second.inputs] == [()]


def test_an_attempt_that_cannot_be_told_of_fails(room, monkeypatch):
    monkeypatch.setattr(FROM_COORDINATOR, "size_max", 1000)
    room.spec_bytes = 1000
    ann = Peer(room, "ann")
    ann.register()
    room.submit(attempts_max=1)
    assert ann.hear() == [] and not ann.line.closed
    assert room.log[-1][:3] == ("end", "j", "failed") and "cannot be started" in room.log[-1][3]


def test_a_job_that_is_cancelled_is_stopped(room):
    room.submit()
    ann = Peer(room, "ann")
    (start,) = ann.register()
    room.coordinator.cancel("j", room.now_ns)
    room.flush()
    assert ann.hear() == [wire.CancelAttempt(start.attempt, start.generation, fields.CancelReason.JOB_ENDED)]
    assert room.log[-1] == ("end", "j", "cancelled", "")


def test_a_worker_that_drains_gets_no_more(room):
    ann = Peer(room, "ann")
    ann.register()
    ann.say(wire.Drain(ann.generation, S), wire.AttemptProgress(fields.AttemptId("j", 0, 0, 0), ann.generation, 5))
    room.submit()
    assert ann.hear() == [] and not ann.line.closed


def test_a_job_that_makes_no_sense_is_the_users_mistake(room):
    with pytest.raises(UsageError):
        room.submit("no good name")
    room.submit()
    assert len(room.heard(JobAdmitted)) == 1


def test_the_journal_is_compacted_and_means_the_same():
    room = Room(compact_bytes=300)
    ann = Peer(room, "ann")
    ann.register()
    for number in range(20):
        room.submit(f"job-{number}")
        for start in ann.hear():
            ann.finish(start)
    snapshots = room.heard(bytes)
    assert 1 < len(snapshots) < 20, "not each time"
    epoch, live = room.coordinator.scheduler.ledger.epoch, room.coordinator.scheduler.snapshot()
    room.fall()
    ledger = room.coordinator.scheduler.ledger
    assert ledger.epoch == epoch + 1
    assert [job.outcome for job in ledger.jobs.values()] == ["succeeded"] * 20
    assert len(room.coordinator.scheduler.snapshot()) == len(live)


def test_a_coordinator_that_is_stopped_closes_what_it_has(room):
    ann, stranger = Peer(room, "ann"), Line()
    ann.register()
    room.coordinator.accept(stranger, room.now_ns)
    room.coordinator.stop(room.now_ns)
    assert ann.line.closed and stranger.closed
    room.start()
    assert room.coordinator.scheduler.ledger.epoch == 2


def test_an_output_that_is_nobodys_is_removed_where_it_is(room):
    ann = Peer(room, "ann")
    ann.register(addresses=("ann:7",))
    attempt = AttemptId("j", 0, 0, 3)
    out: Dispatcher = room.coordinator._dispatcher
    for holder in ("ann", "nobody", ""):
        out.carry_out(actions.DiscardOutput(attempt, holder))
    wired = fields.AttemptId(*attempt)
    assert ann.hear() == [wire.CancelAttempt(wired, ann.generation, fields.CancelReason.TWIN_COMMITTED)]
    assert room.log[-1] == ("discard", "j/0/0/3")


def test_what_is_for_a_worker_that_is_gone_is_dropped(room):
    out: Dispatcher = room.coordinator._dispatcher
    attempt = AttemptId("j", 0, 0, 3)
    for action in (
        actions.GrantLease("ann", 1, 2, 1), actions.RevokeLease("ann", 1), actions.StartAttempt("ann", 1, attempt, 0),
        actions.AddInputs("ann", 1, attempt, ()), actions.CancelAttempt("ann", 1, attempt, actions.CancelReason.MOVED),
    ):  # fmt: skip
        out.carry_out(action)
    assert out.broken == [] and out.failed == []
