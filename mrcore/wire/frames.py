"""Framing: where one message ends and the next begins on a byte stream.

A frame is a length (u32, little-endian) and that many bytes. The length is checked before
anything is allocated for it. How large a frame may be depends on who speaks: a stranger has
``HANDSHAKE_FRAME_MAX`` bytes (:mod:`mrcore.wire.greetings`), a peer what its messages need
(:mod:`mrcore.wire.cluster_messages`), our own child process ``FRAME_MAX``.
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


def encode_frame(payload: bytes, size_max: int = FRAME_MAX) -> bytes:
    """The frame of one payload.

    Raises:
        ProtocolError: the payload is larger than ``size_max`` bytes.
    """
    if len(payload) > size_max:
        raise ProtocolError(f"message of {len(payload)} bytes: the limit is {size_max}")
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Collects received bytes and gives back the payloads that are complete.

    Args:
        size_max: bytes of a payload at most.
    """

    def __init__(self, size_max: int = FRAME_MAX) -> None:
        self._buffer = bytearray()
        self._size_max = size_max

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Adds received bytes and yields the payloads they complete. Nothing is added before the first is asked for.

        Raises:
            ProtocolError: a length above the limit. The stream is of no more use: it is raised again by each call.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._size_max:
                raise ProtocolError(f"message of {length} bytes: the limit is {self._size_max}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield payload

    def take_rest(self) -> bytes:
        """What is left of the bytes received, for a reader with other rules. The decoder forgets it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
