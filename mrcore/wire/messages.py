"""What coordinator and worker say to each other about tasks.

A spec and a result are opaque bytes here. The coordinator sends :class:`RunTask`; the worker
answers with any number of :class:`TaskProgressed` and :class:`TaskNoted`, and then one :class:`TaskFinished` or
:class:`TaskFailed`. There is no goodbye: the end of the stream ends either side.
"""

from __future__ import annotations

import msgspec

from mrcore.wire.payloads import decode_payload


class RunTask(msgspec.Struct, frozen=True, tag="run"):
    """Run one attempt."""

    spec: bytes


class TaskProgressed(msgspec.Struct, frozen=True, tag="progressed"):
    """The running attempt consumed so many more bytes of input."""

    bytes: int


class TaskNoted(msgspec.Struct, frozen=True, tag="noted"):
    """A user's function said something."""

    kind: str  # log or status
    text: str


class TaskFinished(msgspec.Struct, frozen=True, tag="finished"):
    """The attempt ended well."""

    result: bytes


class TaskFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The attempt ended with an error."""

    error: str  # class name in mrcore.errors, or empty for a bug of ours
    text: str
    traceback: str
    user_traceback: str = ""


Message = RunTask | TaskProgressed | TaskNoted | TaskFinished | TaskFailed

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """The message as the payload of a frame."""
    return msgspec.msgpack.encode(message)


def decode_message(payload: bytes) -> Message:
    """The message of a payload.

    Raises:
        ProtocolError: the payload is not a message.
    """
    return decode_payload(_decoder, payload)
