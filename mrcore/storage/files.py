"""Opening, writing and publishing files, with the system's errors turned into ours.

A file that others will rely on is written under a name of its own, synced, and renamed into
place, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os

from mrcore.errors import DiskFullError, InputError, MrcoreError, OutputExistsError, reason, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WRITEBACK_BYTES = 8 << 20
"""Written bytes that are sent on to the disk at a time, so that the sync at the end finds little left to do."""

_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def reading(path: bytes) -> Iterator[None]:
    """Turns an OSError of the body into an InputError that names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in _TOO_MANY:
            raise _too_many(path) from error
        raise InputError(f"cannot read: {shown(path)}: {reason(error)}") from error


@contextlib.contextmanager
def writing(path: bytes) -> Iterator[None]:
    """Turns an OSError of the body into a DiskFullError or an OutputExistsError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: bytes, error: OSError) -> MrcoreError:
    """The error for a write to ``path`` that the system refused."""
    if error.errno in _TOO_MANY:
        return _too_many(path)
    if error.errno in _FULL:
        return DiskFullError(f"no space left: {shown(path)}: free some, or name another place with --tmp or -o")
    return OutputExistsError(f"cannot write: {shown(path)}: {reason(error)}")


def _too_many(path: bytes) -> MrcoreError:
    return MrcoreError(f"too many open files: {shown(path)}: raise the limit (ulimit -n), or lower -j")


def sync_directory(path: bytes) -> None:
    """Makes renames inside the directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def publish(source: bytes, target: bytes) -> None:
    """Renames a finished file into place, replacing what is there."""
    with writing(target):
        os.rename(source, target)


@contextlib.contextmanager
def directory_kept() -> Iterator[None]:
    """After the body the current directory is what it was before."""
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
