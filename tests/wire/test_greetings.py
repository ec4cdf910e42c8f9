"""The bytes of hello, proof and refusal: they come back as sent, and nothing else is one of them."""

from __future__ import annotations

import contextlib
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import ProtocolError
from mrcore.wire.greetings import (
    HANDSHAKE_FRAME_MAX,
    MAGIC,
    SPOKEN,
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

number = st.integers(0, 255)
version = st.builds(Version, number, number)
versions = st.builds(lambda a, b: Versions(min(a, b), max(a, b)), version, version)
identity = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
hellos = st.builds(Hello, st.sampled_from(Role), identity, versions, st.binary(min_size=32, max_size=32))


@given(hellos)
def test_a_hello_comes_back_as_sent(hello):
    payload = encode_hello(hello)
    assert decode_greeting(payload) == hello
    assert len(payload) <= HANDSHAKE_FRAME_MAX


@given(st.binary(min_size=32, max_size=32))
def test_a_proof_comes_back_as_sent(mac):
    assert decode_greeting(encode_proof(Proof(mac))) == Proof(mac)


@given(reason=number, spoken=versions)
def test_a_refusal_comes_back_as_sent(reason, spoken):
    assert decode_greeting(encode_refusal(Refusal(reason, spoken))) == Refusal(reason, spoken)


HELLO = encode_hello(Hello(Role.WORKER, "w", SPOKEN, b"n" * 32))
PROOF = encode_proof(Proof(b"m" * 32))
REFUSAL = encode_refusal(Refusal(Reason.ROLE, SPOKEN))


def test_the_longest_hello_is_the_largest_frame_of_a_stranger():
    assert len(encode_hello(Hello(Role.WORKER, "w" * 64, SPOKEN, b"n" * 32))) == HANDSHAKE_FRAME_MAX


@pytest.mark.parametrize("payload", [
    b"", b"\0", b"\x04" * 40, *(HELLO[:size] for size in range(len(HELLO))), *(PROOF[:size] for size in range(33)),
    *(REFUSAL[:size] for size in range(6)), PROOF + b"\0", REFUSAL + b"\0", HELLO + b"w" * 64,
    HELLO + b" ", HELLO + b"\n", HELLO + b"\x7f", HELLO + b"\xff",
    HELLO[:1] + b"\0" + HELLO[2:], HELLO[:1] + b"\x03" + HELLO[2:],
    HELLO[:2] + b"\x01\x01\x01\x00" + HELLO[6:], REFUSAL[:2] + b"\x02\x00\x01\xff",
])  # fmt: skip
def test_what_is_none_of_the_three_is_refused(payload):
    with pytest.raises(ProtocolError):
        decode_greeting(payload)


@given(st.binary(max_size=HANDSHAKE_FRAME_MAX))
def test_random_bytes_are_a_greeting_or_a_protocol_error(payload):
    with contextlib.suppress(ProtocolError):
        assert decode_greeting(payload) is not None


def test_a_proof_is_the_hmac_that_the_page_says():
    ours, theirs = HELLO, encode_hello(Hello(Role.COORDINATOR, "c", SPOKEN, b"k" * 32))
    key = hmac.new(MAGIC, b"the token", hashlib.sha256).digest()
    sizes = b"\x02" + len(ours).to_bytes(4, "little") + len(theirs).to_bytes(4, "little")
    expected = hmac.new(key, MAGIC + sizes + ours + theirs, hashlib.sha256).digest()
    assert prove(key_of(b"the token"), Role.COORDINATOR, ours, theirs) == Proof(expected)


@given(hello=hellos, other=hellos, key=st.binary(min_size=32, max_size=32))
def test_a_proof_depends_on_everything_that_it_covers(hello, other, key):
    ours, theirs = encode_hello(hello), encode_hello(other)
    proof = prove(key, Role.WORKER, ours, theirs)
    assert proof != prove(key, Role.COORDINATOR, ours, theirs)
    assert proof != prove(key, Role.WORKER, ours + b"x", theirs)
    assert proof != prove(key, Role.WORKER, ours, theirs + b"x")
    assert proof != prove(key, Role.WORKER, ours + theirs[:1], theirs[1:])
    assert proof != prove(bytes([key[0] ^ 1]) + key[1:], Role.WORKER, ours, theirs)
    assert ours == theirs or proof != prove(key, Role.WORKER, theirs, ours)


def test_tokens_that_hmac_would_take_for_one_have_different_keys():
    assert key_of(b"token") != key_of(b"token\0")


@given(versions, versions)
def test_agreement_is_the_same_from_both_sides_and_spoken_by_both(ours, theirs):
    agreed = ours.agree(theirs)
    assert agreed == theirs.agree(ours)
    if agreed is None:
        assert ours.newest < theirs.oldest or theirs.newest < ours.oldest
    else:
        assert max(ours.oldest, theirs.oldest) <= agreed <= min(ours.newest, theirs.newest)
