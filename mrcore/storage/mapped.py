"""Input bytes: mapped files, and buffers where a map is not possible or not worth it.

A mapped file is read in windows straight from the page cache. Should another process
truncate it meanwhile, touching the lost pages raises SIGBUS, which the kernels turn into
:class:`~mrcore.kernels.table.TruncatedError`; nothing here or above indexes a map from
Python. Small files are read whole, since a map costs more than it saves.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat

from mrcore.errors import InputError, shown
from mrcore.storage.files import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAP_MIN = 1 << 20
"""Files of fewer bytes are read, not mapped."""

STDIN = b"-"


def changed(path: bytes) -> InputError:
    """The error for input that is not what it was when the job was planned."""
    return InputError(f"input changed while it was read: {shown(path)}: run the job again when nothing writes to it")


@contextlib.contextmanager
def open_input(path: bytes) -> Iterator[int]:
    """A descriptor to read ``path`` from; ``-`` is this process's standard input.

    Raises:
        InputError: missing, unreadable, or a directory.
    """
    with reading(path):
        fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with reading(path):
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise IsADirectoryError(21, "is a directory")
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_bytes(path: bytes, size: int) -> Iterator[mmap.mmap | bytes]:
    """The first ``size`` bytes of a file as one buffer.

    Raises:
        InputError: the file cannot be read or is shorter than ``size``.
    """
    with open_input(path) as fd:
        with reading(path):
            if os.fstat(fd).st_size < size:
                raise changed(path)
            if size >= MAP_MIN:
                try:
                    data: mmap.mmap | bytes = mmap.mmap(fd, size, access=mmap.ACCESS_READ)
                except ValueError:  # it became shorter just now
                    raise changed(path) from None
            else:
                data = _read_exactly(fd, size)
        if len(data) != size:
            raise changed(path)
        try:
            yield data
            with reading(path):  # in its last page a shorter file reads as zeros, without a fault
                if os.fstat(fd).st_size < size:
                    raise changed(path)
        finally:
            if isinstance(data, mmap.mmap):
                with contextlib.suppress(BufferError):  # a traceback may still hold a view of it
                    data.close()


def _read_exactly(fd: int, size: int) -> bytes:
    data = os.pread(fd, size, 0) if size else b""
    while len(data) < size:
        more = os.pread(fd, size - len(data), len(data))
        if not more:
            break
        data += more
    return data


def sample(path: bytes, start: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``start``, for a look at what the input is like."""
    with open_input(path) as fd, reading(path):
        return os.pread(fd, size, start)
