"""Messages come back as sent; anything else is a ProtocolError."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import ProtocolError
from mrcore.wire.messages import RunTask, TaskFailed, TaskFinished, TaskProgressed, decode_message, encode_message

MESSAGES = [
    RunTask(b"\0\xff spec"), TaskProgressed(0), TaskProgressed(1 << 62), TaskFinished(b""),
    TaskFailed("InputError", "text\n\udcff".encode("utf-8", "replace").decode(), "traceback"),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_comes_back_as_sent(message):
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_cut_off_is_refused(message):
    payload = encode_message(message)
    for size in range(len(payload)):
        with pytest.raises(ProtocolError):
            decode_message(payload[:size])


@pytest.mark.parametrize("payload", [
    b"", b"\xc1", msgspec.msgpack.encode({"type": "stop"}), msgspec.msgpack.encode({"type": "run"}),
    msgspec.msgpack.encode({"type": "run", "spec": 5}), msgspec.msgpack.encode([1, 2]), b"\xdf\xff\xff\xff\xff",
    msgspec.msgpack.encode({"type": "progressed", "bytes": "many"}), b"\x82\xa4type\xa3run\xa1x" + b"\x91" * 200_000,
    b"\x81\xa4type\xa3r\xffn", b"\x81\xa4typ\xff\xa3run",
])  # fmt: skip
def test_what_is_no_message_is_refused(payload):
    with pytest.raises(ProtocolError, match="does not parse"):
        decode_message(payload)


@given(st.binary(max_size=60))
def test_random_bytes_are_a_message_or_a_protocol_error(payload):
    with contextlib.suppress(ProtocolError):
        assert decode_message(payload) is not None
