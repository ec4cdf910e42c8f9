"""The handshake under attack: cut, changed, replayed, reflected, slow, guessed, talked down."""

from __future__ import annotations

import pytest

from mrcore.errors import AuthenticationError, ProtocolError
from mrcore.wire.frames import encode_frame
from mrcore.wire.greetings import (
    HANDSHAKE_FRAME_MAX,
    MAGIC,
    Hello,
    Role,
    Version,
    Versions,
    decode_greeting,
    encode_hello,
    encode_proof,
    key_of,
    prove,
)
from mrcore.wire.handshake import STEPS_MAX, TIMEOUT_NS, Handshake
from mrcore.wire.handshake_table import State

TOKEN = b"a token of this cluster"
FRAME = 4 + HANDSHAKE_FRAME_MAX


def worker(nonce=b"w", token=TOKEN, versions=None, deadline_ns=TIMEOUT_NS):
    more = (versions,) if versions else ()
    return Handshake(Role.WORKER, "worker-1", token, nonce * 32, deadline_ns, *more)


def coordinator(nonce=b"c", token=TOKEN, versions=None, deadline_ns=TIMEOUT_NS):
    more = (versions,) if versions else ()
    return Handshake(Role.COORDINATOR, "cluster", token, nonce * 32, deadline_ns, *more)


def listen(ours=None, theirs=None):
    """A whole conversation as somebody on the network hears it: the worker's words, the coordinator's words."""
    ours, theirs = ours or worker(), theirs or coordinator()
    hello = ours.handle_start(0).send
    challenge = theirs.handle_bytes(hello, 0).send
    proof = ours.handle_bytes(challenge, 0).send
    answer = theirs.handle_bytes(proof, 0).send
    assert ours.handle_bytes(answer, 0).state is State.AUTHENTICATED
    return (hello, proof), (challenge, answer)


def relay(change, ours=None, theirs=None):
    """A conversation through somebody who may change words: both sides at its end, when the streams end too.

    ``change`` gets who speaks and the number of its word, 0 or 1, and the word.
    """
    ours, theirs = ours or worker(), theirs or coordinator()
    word = change("worker", 0, ours.handle_start(0).send)
    word = change("coordinator", 0, theirs.handle_bytes(word, 0).send)
    word = change("worker", 1, ours.handle_bytes(word, 0).send)
    word = change("coordinator", 1, theirs.handle_bytes(word, 0).send)
    ours.handle_bytes(word, 0)
    return ours, theirs, ours.handle_end(), theirs.handle_end()


POSITIONS = [
    (who, number, position)
    for who, words in zip(("worker", "coordinator"), listen(), strict=True)
    for number, word in enumerate(words)
    for position in range(len(word))
]


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_found_by_the_side_that_hears_it(mask):
    for who, number, position in POSITIONS:
        def change(speaker, turn, word, who=who, number=number, position=position):
            if (speaker, turn) != (who, number):
                return word
            return word[:position] + bytes([word[position] ^ mask]) + word[position + 1 :]

        ours, theirs, *ends = relay(change)
        hearer, end = (theirs, ends[1]) if who == "worker" else (ours, ends[0])
        assert hearer.state is State.REFUSED, (who, number, position)
        assert isinstance(end.error, AuthenticationError | ProtocolError)


def test_every_prefix_of_what_a_side_says_authenticates_nobody():
    for who, words in zip(("worker", "coordinator"), listen(), strict=True):
        said = b"".join(words)
        for size in range(len(said)):
            hearer = coordinator() if who == "worker" else worker()
            hearer.handle_start(0)
            step = hearer.handle_bytes(said[:size], 0)
            assert step.state not in (State.AUTHENTICATED, State.REFUSED)
            end = hearer.handle_end()
            assert isinstance(end.error, AuthenticationError)
            assert "closed the connection" in str(end.error)


def test_a_worker_that_is_played_back_later_is_refused():
    (hello, proof), _ = listen()
    victim = coordinator(nonce=b"d")
    victim.handle_bytes(hello, 0)
    step = victim.handle_bytes(proof, 0)
    assert isinstance(step.error, AuthenticationError)
    assert "does not hold our token" in str(step.error)


def test_a_coordinator_that_is_played_back_later_is_refused():
    _, (challenge, answer) = listen()
    victim = worker(nonce=b"v")
    victim.handle_start(0)
    victim.handle_bytes(challenge, 0)
    assert isinstance(victim.handle_bytes(answer, 0).error, AuthenticationError)


def test_own_words_sent_back_are_refused():
    for victim in (worker(), coordinator()):
        other = worker() if victim.state is State.CONNECTED else coordinator()
        victim.handle_start(0)
        words = MAGIC + encode_frame(other._own_hello)
        step = victim.handle_bytes(words, 0)
        assert isinstance(step.error, AuthenticationError)
        assert step.peer is None


def test_an_own_nonce_sent_back_under_the_other_role_is_refused():
    victim = worker()
    victim.handle_start(0)
    mirrored = encode_hello(Hello(Role.COORDINATOR, "cluster", worker()._own.versions, b"w" * 32))
    step = victim.handle_bytes(MAGIC + encode_frame(mirrored), 0)
    assert isinstance(step.error, AuthenticationError)
    assert "our own nonce" in str(step.error)


def test_a_proof_sent_back_does_not_serve_for_the_other_direction():
    victim = worker()
    victim.handle_start(0)
    mirror = encode_hello(Hello(Role.COORDINATOR, "cluster", victim._own.versions, b"m" * 32))
    proof = victim.handle_bytes(MAGIC + encode_frame(mirror), 0).send
    step = victim.handle_bytes(proof, 0)
    assert isinstance(step.error, AuthenticationError)
    assert "does not hold our token" in str(step.error)


def test_a_proof_of_one_session_does_not_serve_in_one_that_runs_beside_it():
    first, second = coordinator(nonce=b"1"), coordinator(nonce=b"2")
    honest = worker()
    hello = honest.handle_start(0).send
    challenge = first.handle_bytes(hello, 0).send
    second.handle_bytes(hello, 0)
    proof = honest.handle_bytes(challenge, 0).send
    assert second.handle_bytes(proof, 0).state is State.REFUSED
    assert first.handle_bytes(proof, 0).state is State.AUTHENTICATED


def test_a_coordinator_gives_nobody_a_proof_to_try_tokens_against():
    victim = coordinator()
    challenge = victim.handle_bytes(worker(token=b"sixteen wrong bytes").handle_start(0).send, 0).send
    step = victim.handle_bytes(encode_frame(encode_proof(prove(key_of(b"guess"), Role.WORKER, b"", b""))), 0)
    assert step.state is State.REFUSED
    said = [challenge.removeprefix(MAGIC)[4:], step.send[4:]]
    assert [type(decode_greeting(word)).__name__ for word in said] == ["Hello", "Refusal"]


def test_a_wrong_token_is_said_on_both_sides():
    ours, theirs = worker(token=b"another token of 16"), coordinator()
    word = theirs.handle_bytes(ours.handle_start(0).send, 0).send
    refused = theirs.handle_bytes(ours.handle_bytes(word, 0).send, 0)
    assert isinstance(refused.error, AuthenticationError)
    assert str(refused.error) == "the worker worker-1 does not hold our token: start both sides with the same one"
    told = ours.handle_bytes(refused.send, 0)
    assert isinstance(told.error, AuthenticationError)
    assert str(told.error) == "the coordinator cluster refused our token: start both sides with the same one"


@pytest.mark.parametrize("token", [TOKEN + b"\0", TOKEN[:-1], TOKEN.upper(), bytes(64)])
def test_a_token_that_is_almost_right_is_wrong(token):
    with pytest.raises(AssertionError):
        listen(ours=worker(token=token))


def test_the_token_is_in_no_word_no_error_and_no_repr():
    sides = worker(), coordinator(token=TOKEN + b"!")
    ours, theirs, *ends = relay(lambda speaker, turn, word: word, *sides)
    heard = b"".join(b"".join(words) for words in listen())
    shown = " ".join(map(repr, (ours, theirs, *ends))) + " ".join(str(end.error) for end in ends)
    assert TOKEN not in heard
    assert TOKEN.decode() not in shown


def test_nobody_between_the_two_talks_them_down_to_an_older_version():
    spoken = Versions(Version(1, 0), Version(2, 0))
    older = Versions(Version(1, 0), Version(1, 0))

    def talk_down(speaker, turn, word):
        if turn:
            return word
        hello = decode_greeting(word.removeprefix(MAGIC)[4:])
        return MAGIC + encode_frame(encode_hello(hello._replace(versions=older)))

    ours, theirs, *_ = relay(talk_down, worker(versions=spoken), coordinator(versions=spoken))
    assert ours.state is theirs.state is State.REFUSED


# Strangers are cheap.


@pytest.mark.parametrize("side", [worker, coordinator])
def test_a_slow_peer_is_cut_off_at_the_deadline_whatever_it_sent(side):
    (hello, proof), (challenge, answer) = listen()
    said = challenge + answer if side is worker else hello + proof
    hearer = side(deadline_ns=len(said) - 1)
    hearer.handle_start(0)
    for now_ns, byte in enumerate(said[:-1]):
        assert hearer.handle_bytes(bytes([byte]), now_ns).error is None
    step = hearer.handle_bytes(said[-1:], len(said) - 1)
    assert step.state is State.REFUSED
    assert isinstance(step.error, AuthenticationError)
    assert "in time" in str(step.error)


def test_a_silent_peer_is_cut_off_by_the_clock_alone():
    hearer = coordinator(deadline_ns=50)
    assert hearer.handle_time(49).error is None
    assert "in time" in str(hearer.handle_time(50).error)


def test_a_connection_that_came_too_late_is_not_even_greeted():
    step = worker(deadline_ns=50).handle_start(50)
    assert (step.state, step.send) == (State.REFUSED, b"")


def test_empty_pieces_are_counted():
    hearer = coordinator()
    for _ in range(STEPS_MAX):
        assert hearer.handle_bytes(b"", 0).error is None
    assert f"more than {STEPS_MAX} pieces" in str(hearer.handle_bytes(b"", 0).error)


@pytest.mark.parametrize("length", [HANDSHAKE_FRAME_MAX + 1, 1 << 20, (1 << 32) - 1])
def test_a_large_frame_is_refused_by_its_length(length):
    hearer = coordinator()
    step = hearer.handle_bytes(MAGIC + length.to_bytes(4, "little"), 0)
    assert isinstance(step.error, ProtocolError)
    assert str(length) in str(step.error)


def test_of_what_a_stranger_sends_less_than_a_frame_is_kept():
    hearer = coordinator()
    most = 0
    for byte in MAGIC + HANDSHAKE_FRAME_MAX.to_bytes(4, "little") + b"\x01" * HANDSHAKE_FRAME_MAX * 2:
        hearer.handle_bytes(bytes([byte]), 0)
        most = max(most, len(hearer._frames._buffer))
    assert most < FRAME
    assert hearer.state is State.REFUSED


def test_a_flood_is_refused_at_once_and_not_read():
    step = coordinator().handle_bytes(MAGIC + b"\xff" * (1 << 20), 0)
    assert (step.state, step.rest) == (State.REFUSED, b"")
    assert step.send == b""
