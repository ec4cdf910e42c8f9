"""The handshake: its table, what both sides say, versions; any bytes give a state, bytes to send or an error."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import AuthenticationError, ProtocolError, UsageError
from mrcore.wire.frames import encode_frame
from mrcore.wire.greetings import (
    MAGIC,
    SPOKEN,
    Hello,
    Proof,
    Reason,
    Refusal,
    Role,
    Version,
    Versions,
    encode_hello,
    encode_proof,
    encode_refusal,
    key_of,
    prove,
)
from mrcore.wire.handshake import STEPS_MAX, Handshake
from mrcore.wire.handshake_table import FINAL, TRANSITIONS, Action, Event, State

TOKEN = b"sixteen bytes or more"
DEADLINE_NS = 1000
SIDES = {  # role -> identity and nonce
    Role.WORKER: ("worker-1", b"w" * 32),
    Role.COORDINATOR: ("the-cluster", b"c" * 32),
}
PAGE = Path(__file__).parents[2] / "docs/formats/wire.md"


def a_side(role, token=TOKEN, versions=SPOKEN, identity=None):
    name, nonce = SIDES[role]
    return Handshake(role, identity or name, token, nonce, DEADLINE_NS, versions)


def hello_of(role, versions=SPOKEN):
    name, nonce = SIDES[role]
    return encode_hello(Hello(role, name, versions, nonce))


def good_proof(role):
    return encode_proof(prove(key_of(TOKEN), role, hello_of(Role.WORKER), hello_of(Role.COORDINATOR)))


def converse(worker, coordinator):
    """Lets the two talk until nobody has more to say: all steps of the worker, and of the coordinator."""
    steps = {worker: [worker.handle_start(0)], coordinator: [coordinator.handle_start(0)]}
    said = {worker: steps[worker][0].send, coordinator: steps[coordinator][0].send}
    while any(said.values()):
        for here, there in ((worker, coordinator), (coordinator, worker)):
            heard, said[there] = said[there], b""
            if heard:
                steps[here].append(here.handle_bytes(heard, 1))
                said[here] += steps[here][-1].send
    return steps[worker], steps[coordinator]


def test_two_sides_with_the_same_token_know_each_other():
    worker, coordinator = converse(a_side(Role.WORKER), a_side(Role.COORDINATOR))
    assert [step.state for step in worker] == [State.GREETED, State.PROVED, State.AUTHENTICATED]
    assert [step.state for step in coordinator] == [State.ACCEPTED, State.CHALLENGED, State.AUTHENTICATED]
    assert worker[-1].peer == (Role.COORDINATOR, "the-cluster", Version(1, 0), False)
    assert coordinator[-1].peer == (Role.WORKER, "worker-1", Version(1, 0), False)
    assert [step.peer for step in worker[:-1] + coordinator[:-1]] == [None] * 4
    assert all(step.error is None for step in worker + coordinator)


def test_what_is_said_is_what_the_page_says():
    worker, coordinator = converse(a_side(Role.WORKER), a_side(Role.COORDINATOR))
    sent = [worker[0].send, coordinator[1].send, worker[1].send, coordinator[2].send]
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:worker|coordinator) \| `([0-9a-f ]+)` \|$", page, re.M)
    assert sent == [bytes.fromhex(row) for row in rows]
    assert len(b"".join(sent)) < 300


def test_the_table_of_the_page_is_the_table():
    rows = re.findall(r"^\| ([A-Z]+) \| ([A-Z_]+) \| ([A-Z]+) \| ([A-Z_]+) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    shown = {(State[a], Event[b]): (State[c], Action[d]) for a, b, c, d in rows}
    default = (State.REFUSED, Action.CLOSE)
    assert shown == {k: v for k, v in TRANSITIONS.items() if v != default and k[0] not in FINAL}


# The truth table.

REACHED_BY = {
    State.CONNECTED: (Role.WORKER, ()),
    State.ACCEPTED: (Role.COORDINATOR, ()),
    State.GREETED: (Role.WORKER, (Event.STARTED,)),
    State.CHALLENGED: (Role.COORDINATOR, (Event.STARTED, Event.HELLO_SUITED)),
    State.PROVED: (Role.WORKER, (Event.STARTED, Event.HELLO_SUITED)),
    State.AUTHENTICATED: (Role.WORKER, (Event.STARTED, Event.HELLO_SUITED, Event.PROOF_HELD)),
    State.REFUSED: (Role.COORDINATOR, (Event.ENDED,)),
}
SENT = {
    Action.SEND_HELLO: 1, Action.SEND_PROOF: 2, Action.PROVE_AND_WELCOME: 2, Action.SEND_REFUSAL: 3,
}  # fmt: skip


def reach(state):
    role, events = REACHED_BY[state]
    machine = a_side(role)
    for event in events:
        cause(machine, role, event)
    assert machine.state is state
    return machine, role


def cause(machine, role, event):
    payloads = {
        Event.HELLO_SUITED: hello_of(role.other),
        Event.HELLO_REFLECTED: hello_of(role),
        Event.VERSIONS_DIFFERED: hello_of(role.other, Versions(Version(9, 0), Version(9, 9))),
        Event.PROOF_HELD: good_proof(role.other),
        Event.PROOF_FAILED: encode_proof(Proof(b"\0" * 32)),
        Event.REFUSAL_RECEIVED: encode_refusal(Refusal(Reason.PROOF, SPOKEN)),
        Event.MISPLACED: hello_of(role) if machine.state in (State.CHALLENGED, State.PROVED) else good_proof(role),
        Event.GARBLED: b"\x09 what",
    }
    if event is Event.STARTED:
        return machine.handle_start(0)
    if event is Event.ENDED:
        return machine.handle_end()
    if event is Event.EXPIRED:
        return machine.handle_time(DEADLINE_NS)
    if event is Event.EXHAUSTED:
        return [machine.handle_bytes(b"", 0) for _ in range(STEPS_MAX + 1)][-1]
    begun = machine.state in (State.CHALLENGED, State.PROVED)
    return machine.handle_bytes((b"" if begun else MAGIC) + encode_frame(payloads[event]), 0)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_truth_table(state, event):
    machine, role = reach(state)
    error = machine.handle_time(0).error
    step = cause(machine, role, event)
    after, action = TRANSITIONS[state, event]
    assert step.state is machine.state is after
    frames = step.send.removeprefix(MAGIC)
    assert (frames[4] if frames else None) == SENT.get(action)
    assert (step.peer is not None) == (action in (Action.WELCOME, Action.PROVE_AND_WELCOME))
    if action in (Action.CLOSE, Action.SEND_REFUSAL):
        assert isinstance(step.error, AuthenticationError | ProtocolError)
        assert "\n" not in str(step.error)
    else:
        assert step.error is error


def test_the_table_has_every_state_and_event_and_its_ends_are_ends():
    assert TRANSITIONS.keys() == {(state, event) for state in State for event in Event}
    for (state, _), (after, action) in TRANSITIONS.items():
        assert (action is Action.IGNORE) == (state in FINAL)
        assert after is state or state not in FINAL
        assert (after is State.REFUSED) == (action in (Action.CLOSE, Action.SEND_REFUSAL)) or state in FINAL


def test_authentication_has_one_door_on_each_side():
    doors = {key for key, (after, _) in TRANSITIONS.items() if after is State.AUTHENTICATED and key[0] is not after}
    assert doors == {(State.PROVED, Event.PROOF_HELD), (State.CHALLENGED, Event.PROOF_HELD)}


# Pieces of the stream.


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 12, 13, 60])
def test_pieces_of_any_size(size):
    worker, coordinator = a_side(Role.WORKER), a_side(Role.COORDINATOR)
    queues = {worker: b"", coordinator: worker.handle_start(0).send}
    while queues[worker] or queues[coordinator]:
        for here, there in ((worker, coordinator), (coordinator, worker)):
            piece, queues[here] = queues[here][:size], queues[here][size:]
            queues[there] += here.handle_bytes(piece, 0).send if piece else b""
    assert worker.state is coordinator.state is State.AUTHENTICATED


def test_what_follows_the_proof_belongs_to_the_messages():
    worker, coordinator = a_side(Role.WORKER), a_side(Role.COORDINATOR)
    hello = coordinator.handle_bytes(worker.handle_start(0).send, 0).send
    proof = coordinator.handle_bytes(worker.handle_bytes(hello, 0).send, 0).send
    for_messages = encode_frame(b"registered") + b"part of the next"
    step = worker.handle_bytes(proof + for_messages, 0)
    assert (step.state, step.rest) == (State.AUTHENTICATED, for_messages)
    assert step.peer is not None
    assert worker.handle_bytes(b"second", DEADLINE_NS + 1).rest == b"second", "the deadline is over for good"


def test_all_at_once_from_one_who_knows_the_nonce():
    """Nothing is wrong with a peer that is quick, as long as its proof holds."""
    step = a_side(Role.COORDINATOR).handle_bytes(
        MAGIC + encode_frame(hello_of(Role.WORKER)) + encode_frame(good_proof(Role.WORKER)) + b"rest", 0
    )
    assert (step.state, step.rest) == (State.AUTHENTICATED, b"rest")
    assert step.send == MAGIC + encode_frame(hello_of(Role.COORDINATOR)) + encode_frame(good_proof(Role.COORDINATOR))


# Versions.


def versions(oldest, newest):
    return Versions(Version(*oldest), Version(*newest))


@pytest.mark.parametrize(("worker", "coordinator", "agreed"), [
    (((1, 0), (1, 0)), ((1, 0), (1, 3)), (1, 0)),
    (((1, 0), (2, 5)), ((1, 0), (2, 3)), (2, 3)),
    (((1, 0), (3, 0)), ((2, 0), (2, 7)), (2, 7)),
    (((1, 2), (1, 2)), ((1, 2), (1, 2)), (1, 2)),
    (((255, 255), (255, 255)), ((0, 0), (255, 255)), (255, 255)),
])  # fmt: skip
def test_the_newest_common_version_is_spoken(worker, coordinator, agreed):
    pair = a_side(Role.WORKER, versions=versions(*worker)), a_side(Role.COORDINATOR, versions=versions(*coordinator))
    ours, theirs = (steps[-1].peer for steps in converse(*pair))
    assert ours.version == theirs.version == agreed
    assert ours.is_newer == (coordinator[1] > worker[1])
    assert theirs.is_newer == (worker[1] > coordinator[1])


@pytest.mark.parametrize(("worker", "coordinator", "older"), [
    (((1, 0), (1, 9)), ((2, 0), (2, 1)), "worker"),
    (((2, 1), (2, 1)), ((1, 0), (2, 0)), "coordinator"),
])  # fmt: skip
def test_no_common_version_is_refused_on_both_sides_with_both_named_and_the_remedy(worker, coordinator, older):
    worker, coordinator = versions(*worker), versions(*coordinator)
    steps = converse(a_side(Role.WORKER, versions=worker), a_side(Role.COORDINATOR, versions=coordinator))
    for ours, theirs, side in ((worker, coordinator, steps[0]), (coordinator, worker, steps[1])):
        assert isinstance(side[-1].error, ProtocolError)
        text = str(side[-1].error)
        assert str(ours) in text and str(theirs) in text
        assert f"install the newer release of mrcore where the {older} runs" in text


def test_another_layout_of_the_handshake_is_named():
    step = a_side(Role.COORDINATOR).handle_bytes(MAGIC[:-1] + b"\x02", 0)
    assert "layout 2, ours 1: install the same mrcore" in str(step.error)


# Errors that people see.


def test_another_protocol_is_named_at_its_first_bytes():
    step = a_side(Role.COORDINATOR).handle_bytes(b"GET / HTTP/1.1\r\n", 0)
    assert isinstance(step.error, ProtocolError)
    assert "does not speak mrcore's protocol (b'GET / HT'): check address and port" in str(step.error)
    assert step.send == b"", "to a stranger we say nothing"


def test_two_workers_that_meet():
    first, second = a_side(Role.WORKER), Handshake(Role.WORKER, "worker-2", TOKEN, b"x" * 32, DEADLINE_NS)
    hellos = first.handle_start(0).send, second.handle_start(0).send
    for side, hello in zip((second, first), hellos, strict=True):
        error = side.handle_bytes(hello, 0).error
        assert str(error) == "the peer is a worker too: connect a worker to a coordinator"


def test_a_reason_that_only_a_newer_release_knows():
    worker = a_side(Role.WORKER)
    worker.handle_start(0)
    step = worker.handle_bytes(MAGIC + encode_frame(encode_refusal(Refusal(77, SPOKEN))), 0)
    assert isinstance(step.error, ProtocolError)
    assert "reason 77, which is unknown here" in str(step.error)


@pytest.mark.parametrize("token", [b"", b"fifteen bytes.."])
def test_a_short_token_is_refused_before_anything_is_sent(token):
    with pytest.raises(UsageError, match=f"token of {len(token)} bytes: make one of at least 16 random bytes"):
        a_side(Role.WORKER, token=token)


@pytest.mark.parametrize("identity", ["a b", "é", "x" * 65, "a\n", "\udcff", "\0"])
def test_an_identity_that_cannot_be_shown_is_refused(identity):
    with pytest.raises(UsageError, match="1 to 64 printable ASCII"):
        a_side(Role.WORKER, identity=identity)


# Whatever comes.

PARTS = [MAGIC, *map(encode_frame, [
    hello_of(Role.WORKER), hello_of(Role.COORDINATOR), good_proof(Role.WORKER), good_proof(Role.COORDINATOR),
    encode_proof(Proof(b"\0" * 32)), encode_refusal(Refusal(1, SPOKEN)), b"", b"\x01",
])]  # fmt: skip
pieces = st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(PARTS)), max_size=12)


times = st.lists(st.integers(0, DEADLINE_NS + 100))


@given(role=st.sampled_from(Role), start=st.booleans(), pieces=pieces, end=st.integers(0, 12), times=times)
def test_any_events_in_any_order_give_steps(role, start, pieces, end, times):
    machine = a_side(role)
    steps = [machine.handle_start(0)] if start else []
    for number, piece in enumerate(pieces):
        steps.append(machine.handle_bytes(piece, 0))
        if number == end:
            steps.append(machine.handle_end())
        if number < len(times):
            steps.append(machine.handle_time(times[number]))
    assert sum(len(step.send) for step in steps) <= len(MAGIC) + len(encode_frame(hello_of(role))) + 37 + 10
    assert sum(step.peer is not None for step in steps) <= 1
    for before, after in itertools.pairwise(steps):
        assert before.state not in FINAL or (after.state, after.error) == (before.state, before.error)
        assert (after.error is not None) == (after.state is State.REFUSED)


@given(role=st.sampled_from(Role), data=st.binary(max_size=300))
def test_random_bytes_behind_the_magic_authenticate_nobody(role, data):
    machine = a_side(role)
    machine.handle_start(0)
    assert machine.handle_bytes(MAGIC + data, 0).state is not State.AUTHENTICATED
