"""The handshake's automaton: states, events, actions, and one table that says what follows what.

:mod:`mrcore.wire.handshake` runs it, and nothing else changes a state. The picture in
``docs/formats/wire.md`` is this table.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where one side of a handshake is."""

    CONNECTED = "connected"  # worker: nothing is said
    ACCEPTED = "accepted"  # coordinator: nothing is said
    GREETED = "greeted"  # worker: our hello is sent
    CHALLENGED = "challenged"  # coordinator: it has their hello, our hello is sent
    PROVED = "proved"  # worker: it has their hello, our proof is sent
    AUTHENTICATED = "authenticated"  # the other side holds the token
    REFUSED = "refused"  # there is an error


class Event(enum.Enum):
    """What can happen to one side."""

    STARTED = "started"
    HELLO_SUITED = "hello suited"  # the other role, a nonce that is not ours, a version in common
    HELLO_REFLECTED = "hello reflected"  # our own role or nonce
    VERSIONS_DIFFERED = "versions differed"
    PROOF_HELD = "proof held"
    PROOF_FAILED = "proof failed"
    REFUSAL_RECEIVED = "refusal received"
    MISPLACED = "misplaced"  # a hello, proof or refusal that is not due
    GARBLED = "garbled"  # bytes that are none of these
    ENDED = "ended"  # the stream
    EXPIRED = "expired"  # the deadline
    EXHAUSTED = "exhausted"  # the pieces


class Action(enum.Enum):
    """What one side does about it."""

    WAIT = "wait"
    SEND_HELLO = "send hello"
    SEND_PROOF = "send proof"
    WELCOME = "welcome"  # both sides hold the token, and the other knows it
    PROVE_AND_WELCOME = "prove and welcome"
    SEND_REFUSAL = "send refusal, close"
    CLOSE = "close"
    IGNORE = "ignore"


FINAL = (State.AUTHENTICATED, State.REFUSED)

_SEQUENCE = {
    (State.CONNECTED, Event.STARTED): (State.GREETED, Action.SEND_HELLO),
    (State.GREETED, Event.HELLO_SUITED): (State.PROVED, Action.SEND_PROOF),
    (State.PROVED, Event.PROOF_HELD): (State.AUTHENTICATED, Action.WELCOME),
    (State.ACCEPTED, Event.STARTED): (State.ACCEPTED, Action.WAIT),
    (State.ACCEPTED, Event.HELLO_SUITED): (State.CHALLENGED, Action.SEND_HELLO),
    (State.CHALLENGED, Event.PROOF_HELD): (State.AUTHENTICATED, Action.PROVE_AND_WELCOME),
    (State.GREETED, Event.HELLO_REFLECTED): (State.REFUSED, Action.SEND_REFUSAL),
    (State.GREETED, Event.VERSIONS_DIFFERED): (State.REFUSED, Action.SEND_REFUSAL),
    (State.ACCEPTED, Event.HELLO_REFLECTED): (State.REFUSED, Action.SEND_REFUSAL),
    (State.ACCEPTED, Event.VERSIONS_DIFFERED): (State.REFUSED, Action.SEND_REFUSAL),
    (State.CHALLENGED, Event.PROOF_FAILED): (State.REFUSED, Action.SEND_REFUSAL),
}

TRANSITIONS: dict[tuple[State, Event], tuple[State, Action]] = {
    (state, event): (state, Action.IGNORE) if state in FINAL else (State.REFUSED, Action.CLOSE)
    for state in State
    for event in Event
} | _SEQUENCE
"""Every state and event, with what follows. What is not in the sequence ends it without a word: the worker
does not refuse a proof, because a coordinator that sent one takes what comes next for a message."""
