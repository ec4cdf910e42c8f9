"""Payloads of frames: msgpack of typed structs, and nothing else gets in.

A codec is one direction of a conversation: the messages that may be said in it, and how large
they may be. Whatever the bytes are, decoding gives a message or a ProtocolError. Bounds that the
message types declare (msgspec's ``Meta``) are looked at before anything is allocated by them.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar, get_args

import msgspec

from mrcore.errors import ProtocolError

M = TypeVar("M")

_NO_MESSAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""msgspec's own error, and what its parser lets through: bad UTF-8 and nesting of a thousand levels."""

_NO_BYTES = (msgspec.MsgspecError, UnicodeEncodeError, RecursionError, OverflowError, TypeError)


def decode_payload(decoder: msgspec.msgpack.Decoder[M], payload: bytes) -> M:
    """The message of a payload.

    Raises:
        ProtocolError: the payload is not a message.
    """
    try:
        return decoder.decode(payload)
    except _NO_MESSAGE as error:
        raise ProtocolError(f"a message that does not parse: {error}") from error


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message that only a newer version knows: to be skipped."""

    tag: str


class _AnyMessage(msgspec.Struct, frozen=True, array_like=True):
    """The head that every message has; what follows is walked over, and not kept."""

    tag: Annotated[str, msgspec.Meta(max_length=64)]


class Codec(Generic[M]):
    """Encodes and decodes the messages of one direction.

    Args:
        messages: a union of tagged structs, all ``array_like``.
        size_max: bytes of a payload at most.
    """

    def __init__(self, messages: Any, size_max: int) -> None:
        self.size_max = size_max
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(messages)
        self._heads = msgspec.msgpack.Decoder(_AnyMessage)
        self._tags = frozenset(message.__struct_config__.tag for message in get_args(messages))

    def encode(self, message: M) -> bytes:
        """The message as a payload.

        It is decoded once, so that a message out of bounds shows where it is made, not at the other end,
        which would close the connection. Costs twice the encoding.

        Raises:
            ProtocolError: the other side would refuse it.
        """
        try:
            payload = msgspec.msgpack.encode(message)
        except _NO_BYTES as error:
            raise ProtocolError(f"a message that cannot be sent: {error}") from error
        self.decode(payload)
        return payload

    def decode(self, payload: bytes, *, peer_is_newer: bool = False) -> M | UnknownMessage:
        """The message of a payload.

        Args:
            payload: of one frame.
            peer_is_newer: the peer speaks a version that we do not (:class:`mrcore.wire.handshake.Peer`).

        Raises:
            ProtocolError: it is not a message of this direction, or one of its fields is out of bounds. From
                a newer peer, a tag that this direction does not have gives :class:`UnknownMessage` instead.
        """
        if len(payload) > self.size_max:
            raise ProtocolError(f"message of {len(payload)} bytes: the limit is {self.size_max}")
        try:
            return decode_payload(self._decoder, payload)
        except ProtocolError:
            if peer_is_newer and (tag := decode_payload(self._heads, payload).tag) not in self._tags:
                return UnknownMessage(tag)
            raise
