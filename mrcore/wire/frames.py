"""Framing: where one message ends and the next begins on a byte stream.

A frame is a length (u32, little-endian) and that many bytes. The length is checked before
anything is allocated for it.
"""

from __future__ import annotations

import struct

from mrcore.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_MAX = 256 << 20
"""Bytes of a payload at most: a spec may name 20,000 files of 4 KiB paths, and no more."""

_LENGTH = struct.Struct("<I")


def encode_frame(payload: bytes) -> bytes:
    """The frame of one payload.

    Raises:
        ProtocolError: the payload is larger than FRAME_MAX.
    """
    if len(payload) > FRAME_MAX:
        raise ProtocolError(f"message of {len(payload)} bytes: the limit is {FRAME_MAX}")
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Collects received bytes and gives back the payloads that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Adds received bytes and yields the payloads they complete.

        Raises:
            ProtocolError: a length above FRAME_MAX.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_MAX:
                raise ProtocolError(f"message of {length} bytes: the limit is {FRAME_MAX}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield payload
