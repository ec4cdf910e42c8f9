"""Frames: every cut of the stream gives the same payloads, and no length makes us allocate."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import ProtocolError
from mrcore.wire.frames import FRAME_MAX, FrameDecoder, encode_frame

PAYLOADS = [b"", b"a", b"\0" * 5, b"long" * 100]
STREAM = b"".join(encode_frame(payload) for payload in PAYLOADS)


def test_a_frame_is_a_length_and_the_payload():
    assert encode_frame(b"abc") == b"\x03\0\0\0abc"


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_that_arrives_in_two_pieces(cut):
    decoder = FrameDecoder()
    assert [*decoder.feed(STREAM[:cut]), *decoder.feed(STREAM[cut:])] == PAYLOADS


def test_a_stream_that_arrives_byte_by_byte():
    decoder = FrameDecoder()
    assert [payload for byte in STREAM for payload in decoder.feed(bytes([byte]))] == PAYLOADS


@given(payloads=st.lists(st.binary(max_size=40), max_size=6), sizes=st.lists(st.integers(1, 30), min_size=1))
def test_any_payloads_in_any_pieces(payloads, sizes):
    stream, decoder, received, at = b"".join(map(encode_frame, payloads)), FrameDecoder(), [], 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        received += decoder.feed(stream[at : at + size])
        at += size
    assert received == payloads


@pytest.mark.parametrize("length", [FRAME_MAX + 1, 1 << 31, (1 << 32) - 1])
def test_a_length_above_the_limit_is_refused_before_anything_is_allocated(length):
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=str(length)):
            list(FrameDecoder().feed(struct.pack("<I", length)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_largest_length_waits_for_its_payload():
    decoder = FrameDecoder()
    assert list(decoder.feed(struct.pack("<I", FRAME_MAX) + b"start")) == []


def test_a_payload_above_the_limit_is_not_sent():
    assert len(encode_frame(b"x" * 10, 10)) == 14
    with pytest.raises(ProtocolError, match="11 bytes: the limit is 10"):
        encode_frame(b"x" * 11, 10)


def test_a_decoder_with_a_smaller_limit_holds_it():
    decoder = FrameDecoder(10)
    assert list(decoder.feed(encode_frame(b"x" * 10))) == [b"x" * 10]
    with pytest.raises(ProtocolError, match="11 bytes: the limit is 10"):
        list(decoder.feed(encode_frame(b"x" * 11)[:4]))


def test_a_stream_that_was_refused_stays_refused():
    decoder = FrameDecoder(10)
    for data in (encode_frame(b"x" * 11), b"", encode_frame(b"y")):
        with pytest.raises(ProtocolError, match="11 bytes: the limit is 10"):
            list(decoder.feed(data))


def test_the_rest_goes_to_a_reader_with_other_rules():
    decoder = FrameDecoder(10)
    assert next(decoder.feed(encode_frame(b"last") + b"something else")) == b"last"
    assert decoder.take_rest() == b"something else"
    assert decoder.take_rest() == b""
    assert list(decoder.feed(encode_frame(b"new"))) == [b"new"]
