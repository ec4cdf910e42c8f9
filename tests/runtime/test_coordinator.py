"""The coordinator's driver: what is durable, said and done, in which order, and who is heard."""

from __future__ import annotations

import pytest

from mrcore.errors import CorruptionError, MrcoreError, OutputExistsError, UsageError
from mrcore.runtime.dispatch import Dispatcher
from mrcore.scheduler import actions
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.scheduler.records import AttemptCommitted, JobAdmitted, JobEnded
from mrcore.storage.journal import open_journal
from mrcore.testing.simulation.disk import SimulatedFile
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER
from mrcore.wire.frames import encode_frame

S = 1_000_000_000
CHECK = bytes(8)


def test_a_job_is_run_published_and_told_of(room):
    room.submit()
    peer = room.peer("ann")
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
    peer = room.peer("ann")
    peer.say(wire.Register("ann", 0, 1, 1, "host", ()))
    assert peer.hear() == [] and room.coordinator.has_work
    room.flush()
    assert [type(message) for message in peer.hear()] == [wire.Registered, wire.StartAttempt]
    assert not room.coordinator.has_work


def test_records_are_durable_before_anything_that_follows_them(room):
    peer = room.peer("ann")
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
    peer = room.peer("ann")
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
    peer = room.peer("ann")
    (start,) = peer.register()
    room.fall()
    peer = room.peer("ann")
    (again,) = peer.register()
    assert again.attempt != start.attempt and again.generation > start.generation
    peer.finish(again)
    room.log.clear()
    room.fall()
    assert ("publish", str(again.attempt)) in room.log, "a recovery publishes once more"
    assert room.coordinator.scheduler.ledger.jobs["j"].outcome == "succeeded"


def test_a_worker_that_disconnects_is_replaced_at_once(room):
    room.submit()
    ann, bob = room.peer("ann"), room.peer("bob")
    (start,) = ann.register()
    assert bob.register() == []
    room.coordinator.close(ann.session, room.now_ns)
    room.coordinator.close(ann.session, room.now_ns)
    room.flush()
    (again,) = bob.hear()
    assert again.attempt.task == start.attempt.task and ann.line.closed


def test_a_connection_that_breaks_while_it_is_spoken_to_is_closed(room):
    ann, bob = room.peer("ann"), room.peer("bob")
    ann.register()
    bob.register()
    ann.line.is_broken = True
    room.submit()
    assert ann.line.closed and not bob.line.closed
    assert [type(message) for message in bob.hear()] == [wire.StartAttempt]


def test_a_worker_that_says_goodbye_is_gone(room):
    room.submit()
    ann, bob = room.peer("ann"), room.peer("bob")
    ann.register()
    bob.register()
    ann.say(wire.Goodbye(ann.generation), wire.Heartbeat(ann.generation, 1, (), 0))
    room.flush()
    assert ann.line.closed and len(bob.hear()) == 1
    assert len(room.heard(actions.RevokeLease)) == 0, "what came behind the goodbye was not read"


def test_a_second_registration_on_a_connection_begins_anew(room):
    room.submit()
    ann = room.peer("ann")
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
    old, new = room.peer("ann"), room.peer("ann")
    (start,) = old.register()
    (again,) = new.register()
    old.say(wire.Heartbeat(old.generation, 1, (), 0))
    room.flush()
    assert old.hear() == [wire.LeaseLost(start.generation)] and new.hear() == []
    room.coordinator.close(old.session, room.now_ns)
    new.finish(again)
    assert room.log[-1] == ("end", "j", "succeeded", "")


def test_a_zombie_on_a_new_connection_hears_it_too(room):
    old = room.peer("ann")
    old.register()
    room.coordinator.close(old.session, room.now_ns)
    new = room.peer("ann")
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
    ann, bob = room.peer("ann"), room.peer("bob")
    bob.register()
    ann.give(data)
    ann.give(data)
    room.flush()
    assert ann.line.closed and not bob.line.closed
    assert [worker for worker, _ in room.errors] == ["ann"]


def test_who_has_another_token_is_refused(room):
    stranger = room.peer("eve", b"another token, as long")
    assert stranger.line.closed and "token" in room.errors[0][1]


def test_strangers_are_few_and_have_little_time(room):
    lines = [room.stranger() for _ in range(5)]
    assert [line.closed for line in lines] == [False] * 3 + [True] * 2
    room.pass_time(11)
    assert all(line.closed for line in lines)
    assert room.peer("ann").register() == []


def test_a_silent_worker_loses_its_lease(room):
    room.submit()
    ann = room.peer("ann")
    (start,) = ann.register()
    room.pass_time(11)
    ann.finish(start)
    assert wire.LeaseLost(start.generation) in ann.hear() and room.heard(AttemptCommitted) == []


TWO = (StageSpec(1), StageSpec(1, (0,)))


def test_a_reader_is_told_where_its_inputs_are(room):
    room.submit(stages=TWO)
    ann = room.peer("ann")
    (first,) = ann.register(addresses=("ann:7",))
    ann.finish(first)
    (second,) = ann.hear()
    name = f"j.0.0.{first.attempt.attempt}"
    assert (second.inputs, second.inputs_total) == ((fields.InputFile(name, 9, CHECK, ("ann:7",)),), 1)


def test_a_reader_is_told_of_a_holder_that_comes_back_or_moves(room):
    room.submit(stages=TWO)
    ann = room.peer("ann")
    (first,) = ann.register(addresses=("ann:7",))
    ann.finish(first)
    room.fall()
    bob = room.peer("bob")
    (second,) = bob.register(addresses=("bob:7",))
    assert (second.inputs, second.inputs_total) == ((), 1), "nobody knows where the holder is"
    for address in ("ann:7", "ann:8"):
        room.peer("ann").register(addresses=(address,))
        (told,) = bob.hear()
        assert [file.addresses for file in told.inputs] == [(address,)]
    room.peer("ann").register(addresses=("ann:8",))
    assert bob.hear() == [], "that is known"


def test_a_reader_is_told_of_all_that_a_holder_that_moves_has_however_it_heard_of_it(room):
    room.submit(stages=(StageSpec(3), StageSpec(1, (0,), fetch_from_percent=0)))
    bob = room.peer("bob")
    ann = room.peer("ann")
    maps = ann.register(slots=3, addresses=("ann:7",))
    bob.register(addresses=("bob:7",))
    for start in maps[:2]:
        ann.finish(start)
        room.pass_time(1)
    bob.hear()
    room.peer("ann").register(addresses=("ann:8",))
    (told,) = [message for message in bob.hear() if isinstance(message, wire.AddInputs)]
    assert {file.name for file in told.inputs} == {f"j.0.{start.attempt.task}.0" for start in maps[:2]}


def test_a_worker_that_comes_costs_nothing_for_each_reader_and_input_that_it_has_no_part_in(room, monkeypatch):
    room.submit(stages=(StageSpec(9), StageSpec(4, (0,), fetch_from_percent=0)))
    ann = room.peer("ann")
    first = ann.register(slots=13, addresses=("ann:7",))
    for start in first[:8]:
        ann.finish(start)
        room.pass_time(1)
        ann.say(wire.Heartbeat(ann.generation, 1, (), 0))
    asked = []
    real = type(room.coordinator.scheduler).outputs
    monkeypatch.setattr(
        type(room.coordinator.scheduler), "outputs", lambda *given: asked.append(len(made := real(*given))) or made
    )
    room.peer("bob").register(addresses=("bob:7",))
    assert asked == [0], "four readers that were told of the same, of which bob holds nothing"


def test_inputs_on_the_disk_that_all_share_have_no_address(room):
    room.submit(stages=TWO)
    ann = room.peer("ann")
    (first,) = ann.register()
    ann.finish(first)
    (second,) = ann.hear()
    assert [file.addresses for file in second.inputs] == [()]


def test_an_attempt_that_cannot_be_told_of_fails(room, monkeypatch):
    monkeypatch.setattr(FROM_COORDINATOR, "size_max", 1000)
    room.spec_bytes = 1000
    ann = room.peer("ann")
    ann.register()
    room.submit(attempts_max=1)
    assert ann.hear() == [] and not ann.line.closed
    assert room.log[-1][:3] == ("end", "j", "failed") and "cannot be started" in room.log[-1][3]


def test_a_job_that_is_cancelled_is_stopped(room):
    room.submit()
    ann = room.peer("ann")
    (start,) = ann.register()
    room.coordinator.cancel("j", room.now_ns)
    room.flush()
    assert ann.hear() == [wire.CancelAttempt(start.attempt, start.generation, fields.CancelReason.JOB_ENDED)]
    assert room.log[-1] == ("end", "j", "cancelled", "")


def test_a_worker_that_drains_gets_no_more(room):
    ann = room.peer("ann")
    ann.register()
    ann.say(wire.Drain(ann.generation, S), wire.AttemptProgress(fields.AttemptId("j", 0, 0, 0), ann.generation, 5))
    room.submit()
    assert ann.hear() == [] and not ann.line.closed


def test_a_job_that_makes_no_sense_is_the_users_mistake(room):
    with pytest.raises(UsageError):
        room.submit("no good name")
    room.submit()
    assert len(room.heard(JobAdmitted)) == 1


def test_the_journal_is_compacted_and_means_the_same(room):
    room.compact_bytes = 300
    room.fall()
    ann = room.peer("ann")
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
    ann, stranger = room.peer("ann"), room.stranger()
    ann.register()
    room.coordinator.stop(room.now_ns)
    assert ann.line.closed and stranger.closed
    room.start()
    assert room.coordinator.scheduler.ledger.epoch == 2


def test_an_output_that_is_nobodys_is_removed_where_it_is(room):
    ann = room.peer("ann")
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


@pytest.mark.parametrize("record", [b"\x92\xa4news\x01", b"not ours", b""])
def test_a_journal_with_records_of_a_newer_coordinator_is_refused_by_its_name(room, record):
    room.coordinator.stop(room.now_ns)
    journal, _ = open_journal(room.disk.directory(b"/journal"), 7)
    journal.append(record)
    journal.close()
    with pytest.raises(CorruptionError, match=r"not known: /journal/journal: .*: open it with"):
        room.start()
    room.disk.directory(b"/journal").lock()  # it was let go
