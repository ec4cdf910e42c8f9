"""What a worker process is told before it knows any coordinator: its parent's word, on a socket pair.

The parent, :mod:`mrcore.executors.worker_process`, sends one :class:`Attach` for each job that the process is to work
for. The process connects to that job's coordinator, works until the connection ends, and says with one byte that it is
free again.

Both ends are this program under one interpreter, so the words are marshalled, and whoever starts processes early has
little to load.
"""

from __future__ import annotations

import marshal
import struct
from typing import NamedTuple

FREE = b"\x01"
SOCKET = b"socket"

_SIZE = struct.Struct("<I")


class Attach(NamedTuple):
    """Work for a job.

    Attributes:
        folder: directory of the coordinator's socket, named :data:`SOCKET`.
        token: that proves that one may work for it.
        name: of the worker; none of this job had it before.
        slots, memory_bytes: to register with.
        disk_slot: of the job's disk budget, while the process works for it.
        log: file that takes what users' functions print; empty: where the process was started.
        cwd: the directory that relative paths mean; empty: that in which the process is.
    """

    folder: bytes
    token: bytes
    name: str
    slots: int
    memory_bytes: int
    disk_slot: int
    log: bytes
    cwd: bytes


def encode_attach(attach: Attach) -> bytes:
    """The bytes of it."""
    return marshal.dumps(tuple(attach))


def decode_attach(data: bytes) -> Attach:
    """What :func:`encode_attach` had, from our own parent."""
    return Attach(*marshal.loads(data))


def encode_task(folder: bytes, spec: bytes) -> bytes:
    """The spec that travels: in which directory outputs stand, and what to do, as the engine encodes it."""
    return _SIZE.pack(len(folder)) + folder + spec


def decode_task(data: bytes) -> tuple[bytes, bytes]:
    """Folder and spec of :func:`encode_task`'s bytes."""
    (size,) = _SIZE.unpack_from(data)
    return data[_SIZE.size : _SIZE.size + size], data[_SIZE.size + size :]
