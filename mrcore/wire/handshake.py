"""The handshake: two strangers on a connection become a worker and a coordinator that share a token.

::

    worker                                          coordinator
    magic, hello(versions, W, nonce w)  ---------->
                                        <----------  magic, hello(versions, C, nonce c)
    proof(token; worker, both hellos)   ---------->
                                        <----------  proof(token; coordinator, both hellos)

It is SKID3 (Menezes, van Oorschot, Vanstone, Handbook of Applied Cryptography, section 10.3.2, mutual
authentication by keyed one-way functions) with a hello in front that carries versions as well as the nonce.
Each side proves that it holds the token by a MAC over the other's fresh nonce, so

- the token never travels, and a recorded proof is worth nothing on the next connection (replay);
- a side's own words sent back to it prove nothing: the prover's role is in the MAC, and a hello with the
  listener's own role or nonce is refused (reflection; Bird et al., Systematic Design of Two-Party
  Authentication Protocols, CRYPTO '91);
- both ranges of versions are in the MAC: nobody between the two talks them down to an older version.

The side that connects proves first, so that a port scanner never gets a proof to try tokens against. What
it does not do: later bytes are neither signed nor encrypted. Who can change packets between the machines
can take over a connection after its handshake.

A stranger is cheap: at most 220 bytes of it are looked at, in at most ``STEPS_MAX`` pieces and until a
deadline, and less than one frame of them is ever kept. How many strangers there may be at once is the
caller's to limit.

The machine is total: any bytes in any state lead to a :class:`Step`, never to an exception. The caller

1. calls ``handle_start`` once, then ``handle_bytes`` for what it receives, ``handle_end`` at the end of the
   stream, and ``handle_time`` when the deadline is over;
2. sends ``step.send`` after each of them, also when there is an error;
3. closes the connection if ``step.error`` is set, and may raise it;
4. is among friends once ``step.peer`` is set, and feeds ``step.rest`` to its decoder of messages. The worker
   sends its first message only then.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from mrcore.errors import AuthenticationError, ProtocolError, UsageError
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import (
    HANDSHAKE_FRAME_MAX,
    MAGIC,
    NONCE_BYTES,
    SPOKEN,
    TOKEN_BYTES_MIN,
    Hello,
    Proof,
    Reason,
    Refusal,
    Role,
    Version,
    Versions,
    decode_greeting,
    encode_hello,
    encode_proof,
    encode_refusal,
    key_of,
    prove,
)
from mrcore.wire.handshake_table import FINAL, TRANSITIONS, Action, Event, State

STEPS_MAX = 256
"""Pieces in which the other side may send its part: more than it has bytes, so only an empty piece can be too many."""

TIMEOUT_NS = 10_000_000_000
"""A sensible time from connection to deadline: a thousand round trips around a room, thirty around the earth."""

_DUE: dict[State, type[Hello] | type[Proof]] = {
    State.GREETED: Hello,
    State.ACCEPTED: Hello,
    State.CHALLENGED: Proof,
    State.PROVED: Proof,
}
_REASONS = {
    Event.HELLO_REFLECTED: Reason.ROLE,
    Event.VERSIONS_DIFFERED: Reason.VERSIONS,
    Event.PROOF_FAILED: Reason.PROOF,
}


class Peer(NamedTuple):
    """The other side, authenticated."""

    role: Role
    identity: str
    version: Version  # the newest that both speak
    is_newer: bool  # it speaks a version that we do not: it may send messages that we are to skip


class Step(NamedTuple):
    """What came of an event."""

    state: State
    send: bytes = b""
    peer: Peer | None = None  # set once, by the step that authenticates it
    rest: bytes = b""  # what was received behind the handshake
    error: AuthenticationError | ProtocolError | None = None


class Handshake:
    """One side of the handshake on one connection.

    Args:
        role: which side.
        identity: who we say we are; a worker's id or a cluster's name.
        token: the shared secret, at least ``TOKEN_BYTES_MIN`` bytes that nobody can guess.
        nonce: ``NONCE_BYTES`` bytes from the system's source of secrets, drawn for this connection alone.
        deadline_ns: when it must be over, on the clock of ``now_ns``.
        versions: what we speak.

    Raises:
        UsageError: a token that is too short, or an identity that a hello cannot carry.
    """

    def __init__(
        self, role: Role, identity: str, token: bytes, nonce: bytes, deadline_ns: int, versions: Versions = SPOKEN
    ) -> None:
        if len(token) < TOKEN_BYTES_MIN:
            raise UsageError(f"a token of {len(token)} bytes: make one of at least {TOKEN_BYTES_MIN} random bytes")
        assert len(nonce) == NONCE_BYTES
        self.state = State.CONNECTED if role is Role.WORKER else State.ACCEPTED
        self._own = Hello(role, identity, versions, nonce)
        self._own_hello = encode_hello(self._own)
        self._key = key_of(token)
        self._deadline_ns = deadline_ns
        self._steps = 0
        self._magic_count = 0  # bytes of the peer's magic that have come
        self._frames = FrameDecoder(HANDSHAKE_FRAME_MAX)
        self._peer: Hello | None = None
        self._peer_hello = b""
        self._refusal: Refusal | None = None
        self._error: AuthenticationError | ProtocolError | None = None
        self._opened = False  # our magic is sent

    def handle_start(self, now_ns: int) -> Step:
        """The connection is there."""
        return self._handle(Event.EXPIRED if now_ns >= self._deadline_ns else Event.STARTED)

    def handle_bytes(self, data: bytes, now_ns: int) -> Step:
        """The peer sent something; what comes at the deadline or later counts for nothing."""
        if self.state in FINAL:
            return Step(self.state, rest=data if self.state is State.AUTHENTICATED else b"", error=self._error)
        if now_ns >= self._deadline_ns:
            return self._handle(Event.EXPIRED)
        self._steps += 1
        if self._steps > STEPS_MAX:
            return self._handle(Event.EXHAUSTED)
        step = Step(self.state)
        try:
            for payload in self._frames.feed(self._behind_magic(data)):
                after = self._handle(self._event_of(payload))
                step = after._replace(send=step.send + after.send)
                if self.state in FINAL:
                    break
        except ProtocolError as error:
            step = self._handle(Event.GARBLED, error)._replace(send=step.send)
        if self.state not in FINAL:
            return step
        rest = self._frames.take_rest()
        return step._replace(rest=rest) if self.state is State.AUTHENTICATED else step

    def handle_end(self) -> Step:
        """The peer closed its side."""
        return self._handle(Event.ENDED)

    def handle_time(self, now_ns: int) -> Step:
        """Some time passed; does nothing before the deadline."""
        return self._handle(Event.EXPIRED) if now_ns >= self._deadline_ns else Step(self.state, error=self._error)

    def _handle(self, event: Event, garbled: ProtocolError | None = None) -> Step:
        self.state, action = TRANSITIONS[self.state, event]
        if action in (Action.SEND_REFUSAL, Action.CLOSE):
            self._error = garbled or error_of(event, self._own, self._peer, self._refusal)
        welcomed = action in (Action.WELCOME, Action.PROVE_AND_WELCOME)
        return Step(self.state, self._send(action, event), self._welcome() if welcomed else None, error=self._error)

    def _event_of(self, payload: bytes) -> Event:
        """What a payload means in this state.

        Raises:
            ProtocolError: it means nothing in any.
        """
        greeting = decode_greeting(payload)
        if isinstance(greeting, Refusal):
            self._refusal = greeting
            return Event.REFUSAL_RECEIVED
        if not isinstance(greeting, _DUE.get(self.state, ())):
            return Event.MISPLACED
        if isinstance(greeting, Proof):
            expected = prove(self._key, self._own.role.other, *self._hellos())
            return Event.PROOF_HELD if hmac.compare_digest(greeting.mac, expected.mac) else Event.PROOF_FAILED
        self._peer, self._peer_hello = greeting, payload
        if greeting.role is self._own.role or greeting.nonce == self._own.nonce:
            return Event.HELLO_REFLECTED
        agreed = greeting.versions.agree(self._own.versions)
        return Event.VERSIONS_DIFFERED if agreed is None else Event.HELLO_SUITED

    def _send(self, action: Action, event: Event) -> bytes:
        if action is Action.SEND_HELLO:
            payload = self._own_hello
        elif action in (Action.SEND_PROOF, Action.PROVE_AND_WELCOME):
            payload = encode_proof(prove(self._key, self._own.role, *self._hellos()))
        elif action is Action.SEND_REFUSAL:
            payload = encode_refusal(Refusal(_REASONS[event], self._own.versions))
        else:
            return b""
        opening, self._opened = b"" if self._opened else MAGIC, True
        return opening + encode_frame(payload)

    def _behind_magic(self, data: bytes) -> bytes:
        """What of ``data`` is frames.

        Raises:
            ProtocolError: the first byte that is not of our magic has come.
        """
        due = MAGIC[self._magic_count :]
        found = data[: len(due)]
        if due.startswith(found):
            self._magic_count += len(found)
            return data[len(found) :]
        if len(found) == len(due) and due[:-1] == found[:-1]:
            raise ProtocolError(
                f"the peer's handshake has layout {found[-1]}, ours {MAGIC[-1]}: install the same mrcore on both sides"
            )
        raise ProtocolError(f"the peer does not speak mrcore's protocol ({found!r}): check address and port")

    def _hellos(self) -> tuple[bytes, bytes]:
        """The worker's and the coordinator's."""
        own, peer = self._own_hello, self._peer_hello
        return (own, peer) if self._own.role is Role.WORKER else (peer, own)

    def _welcome(self) -> Peer:
        assert self._peer is not None
        theirs, ours = self._peer.versions, self._own.versions
        agreed = theirs.agree(ours)
        assert agreed is not None
        return Peer(self._peer.role, self._peer.identity, agreed, is_newer=theirs.newest > ours.newest)


def error_of(
    event: Event, own: Hello, peer: Hello | None, refusal: Refusal | None
) -> AuthenticationError | ProtocolError:
    """The error of an event that ends a handshake: what, and what to do.

    Identities in it are claims: the peer has proved nothing.
    """
    other = own.role.other.title
    name = f"the {other} {peer.identity}" if peer else f"the {other}"
    match event:
        case Event.VERSIONS_DIFFERED if peer:
            return _versions_error(name, peer.versions, own)
        case Event.REFUSAL_RECEIVED if refusal:
            return _refusal_error(name, refusal, own)
        case Event.HELLO_REFLECTED if peer and peer.role is own.role:
            return AuthenticationError(f"the peer is a {own.role.title} too: connect a worker to a coordinator")
        case Event.HELLO_REFLECTED:
            return AuthenticationError(f"{name} sent our own nonce back: somebody between the two plays with the words")
        case Event.PROOF_FAILED:
            return AuthenticationError(f"{name} does not hold our token: start both sides with the same one")
        case Event.ENDED:
            return AuthenticationError(f"{name} closed the connection before it proved who it is: see its messages")
        case Event.EXPIRED:
            return AuthenticationError(f"{name} did not prove who it is in time: check address and network")
        case Event.EXHAUSTED:
            return AuthenticationError(f"{name} sent more than {STEPS_MAX} pieces and did not prove who it is")
        case _:
            return ProtocolError(f"{name} sent a part of the handshake that was not due")


def _versions_error(name: str, theirs: Versions, own: Hello) -> ProtocolError:
    older = own.role.other if theirs.newest < own.versions.newest else own.role
    return ProtocolError(
        f"{name} speaks version {theirs} of the protocol, this {own.role.title} {own.versions}: "
        f"install the newer release of mrcore where the {older.title} runs"
    )


def _refusal_error(name: str, refusal: Refusal, own: Hello) -> AuthenticationError | ProtocolError:
    if refusal.reason == Reason.VERSIONS:
        return _versions_error(name, refusal.versions, own)
    if refusal.reason == Reason.PROOF:
        return AuthenticationError(f"{name} refused our token: start both sides with the same one")
    if refusal.reason == Reason.ROLE:
        return AuthenticationError(f"{name} refused us: connect a worker to a coordinator, and nothing in between")
    return ProtocolError(f"{name} refused us, reason {refusal.reason}, which is unknown here: install the same release")
