"""Sealed files: a few bytes that are written once as a whole, durably, and read back as written or not at all.

Grammar, all integers little-endian::

    file    := "mrcsld" version:u16 length:u64 check:u64 bytes
               length is the number of the bytes, check is XXH3-64 of all that is not check itself:
               the 16 bytes before it, then the bytes
    version := 1

A sealed file is replaced, never changed: a new one is written beside it as ``NAME.new``, synced and
renamed, and the directory synced. So a crash leaves the old file or the new one, and perhaps a
``NAME.new`` that nobody reads and the next writer replaces. One process writes a name at a time.
"""

from __future__ import annotations

import contextlib
import os
import struct

from xxhash import xxh3_64

from mrcore.errors import CorruptionError, shown
from mrcore.storage.files import publish, reading, sync_directory, writing

VERSION = 1
HEAD_SIZE = 24

_MAGIC = b"mrcsld"
_NUMBERS = struct.Struct("<6sHQ")
_CHECK = struct.Struct("<Q")


def write_sealed(path: bytes, data: bytes) -> None:
    """Replaces a sealed file; when this returns it is durable.

    Raises:
        OutputExistsError: the place cannot be written.
        DiskFullError: no space is left. What stood there before stands there still.
    """
    numbers = _NUMBERS.pack(_MAGIC, VERSION, len(data))
    new = path + b".new"
    try:
        with writing(path), open(_make(new), "wb") as file:
            file.write(numbers + _CHECK.pack(_check_of(numbers, data)))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    with writing(path):
        sync_directory(os.path.dirname(path) or b".")


def read_sealed(path: bytes) -> bytes | None:
    """What was written; None: there is no such file.

    Raises:
        CorruptionError: it is not as it was written; names the file and the byte.
        InputError: it cannot be read.
    """
    with reading(path):
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed just below
        except FileNotFoundError:
            return None
        with file:
            head = file.read(HEAD_SIZE)
            length = _read_head(path, head)
            size = os.fstat(file.fileno()).st_size - HEAD_SIZE
            if size != length:  # before room is made for as many bytes as a damaged length says
                what = f"it has {size} bytes behind its head, not {length}"
                raise _corrupt(path, HEAD_SIZE + min(size, length), what)
            data = file.read(length + 1)
    if len(data) != length or _CHECK.unpack_from(head, _NUMBERS.size)[0] != _check_of(head[: _NUMBERS.size], data):
        raise _corrupt(path, _NUMBERS.size, "its bytes fail their checksum")
    return data


def _read_head(path: bytes, head: bytes) -> int:
    """The number of bytes that follow."""
    for at, (byte, wanted) in enumerate(zip(head, _MAGIC, strict=False)):
        if byte != wanted:
            raise _corrupt(path, at, "it is no sealed file")
    if len(head) < HEAD_SIZE:
        raise _corrupt(path, len(head), f"it ends inside its head of {HEAD_SIZE} bytes")
    _, version, length = _NUMBERS.unpack_from(head)
    if version != VERSION:
        raise _corrupt(path, len(_MAGIC), f"version {version}, and this mrcore reads version {VERSION}")
    return int(length)


def _check_of(numbers: bytes, data: bytes) -> int:
    check = xxh3_64(numbers)
    check.update(data)
    return check.intdigest()


def _make(path: bytes) -> int:
    """A new file that only its owner may read, in place of what a crash left there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _corrupt(path: bytes, at: int, what: str) -> CorruptionError:
    return CorruptionError(f"corrupt file: {shown(path)}, byte {at}: {what}")
