"""A connection over a Unix socket as a coordinator wants it: queued bytes, never waited for."""

from __future__ import annotations

import contextlib
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

RECEIVE_BYTES = 1 << 18
QUEUE_BYTES_MAX = 512 << 20
"""Bytes that wait for a worker that takes none: more than any sequence of words to one worker has."""


class LocalConnection:
    """One accepted connection.

    Args:
        peer: not blocking; belongs to this object from now on.
        watch: called with the events of poll(2) that are waited for from now on; 0: none, the descriptor is to close.
    """

    def __init__(self, peer: socket.socket, watch: Callable[[int, int], None]) -> None:
        self.fd = peer.fileno()
        self._peer, self._watch = peer, watch
        self._queue = bytearray()
        self._open, self._ending = True, False
        watch(self.fd, select.POLLIN)

    def send(self, data: bytes) -> None:
        """See :class:`mrcore.runtime.session.Connection`."""
        if not self._open or self._ending:
            raise BrokenPipeError
        if not self._queue:
            with contextlib.suppress(BlockingIOError):
                data = data[self._peer.send(data) :]
        if data:
            if len(self._queue) + len(data) > QUEUE_BYTES_MAX:
                raise OSError("a worker takes nothing")
            self._queue += data
            self._watch(self.fd, select.POLLIN | select.POLLOUT)

    def receive(self) -> bytes | None:
        """What has come; empty at the end of the stream, None if there is nothing now."""
        if not self._open:
            return b""
        try:
            return self._peer.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def go_on(self) -> None:
        """The other side takes bytes again."""
        try:
            while self._queue:
                del self._queue[: self._peer.send(bytes(self._queue[:RECEIVE_BYTES]))]
        except BlockingIOError:
            return
        except OSError:
            self._queue.clear()
        if self._open:
            self._watch(self.fd, select.POLLIN)
        if self._ending:
            self.abort()

    def close(self) -> None:
        """See :class:`mrcore.runtime.session.Connection`."""
        self._ending = True
        if not self._queue:
            self.abort()

    def abort(self) -> None:
        """Closes at once."""
        if self._open:
            self._open = False
            self._watch(self.fd, 0)
            self._peer.close()
