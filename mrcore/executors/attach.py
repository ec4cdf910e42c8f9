"""What a worker process is told before it knows any coordinator: its parent's word, on a socket pair.

The parent, :mod:`mrcore.executors.worker_process`, sends one :class:`Attach` for each job that the process is to work
for. The process connects to that job's coordinator, works until the connection ends, and says with one byte that it is
free again.
"""

from __future__ import annotations

import msgspec

FREE = b"\x01"
SOCKET = b"socket"


class Attach(msgspec.Struct, frozen=True, array_like=True):
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


class Task(msgspec.Struct, frozen=True, array_like=True):
    """The spec that travels: what to do, and in which directory outputs stand."""

    folder: bytes
    spec: bytes  # of mrcore.engine.spec.encode_spec


_attach_decoder = msgspec.msgpack.Decoder(Attach)
_task_decoder = msgspec.msgpack.Decoder(Task)


def encode(message: Attach | Task) -> bytes:
    """The bytes of either."""
    return msgspec.msgpack.encode(message)


def decode_attach(data: bytes) -> Attach:
    """What :func:`encode` made of an Attach."""
    return _attach_decoder.decode(data)


def decode_task(data: bytes) -> Task:
    """What :func:`encode` made of a Task."""
    return _task_decoder.decode(data)
