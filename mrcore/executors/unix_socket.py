"""Unix sockets of jobs: made in a directory of the job's, open to this user's processes only.

A socket's path may have some hundred bytes, a directory of a job's many more; so either side names it through an open
descriptor of the directory.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from mrcore.executors.attach import SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKLOG = 128
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: process, user, group


def listen(folder: bytes) -> socket.socket:
    """A listening socket in a directory; one that a dead process left there is replaced.

    Raises:
        OSError: the file system has no sockets, or the directory cannot be written.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, SOCKET))
        with _address(folder) as address:
            listener.bind(address)
            os.chmod(address, 0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(folder: bytes) -> socket.socket:
    """A connection to the socket in a directory.

    Raises:
        OSError: nobody listens there.
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _address(folder) as address:
            peer.connect(address)
    except BaseException:
        peer.close()
        raise
    return peer


def is_ours(peer: socket.socket) -> bool:
    """Whether the process at the other end belongs to the user that this one belongs to."""
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(data)
    return bool(user == os.geteuid())


@contextlib.contextmanager
def _address(folder: bytes) -> Iterator[bytes]:
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%s" % (fd, SOCKET)
    finally:
        os.close(fd)
