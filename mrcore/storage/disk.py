"""A directory of files, as the journal sees one: a small protocol, and the real disk behind it.

The simulator has another disk behind it, so that the same journal runs in both. All methods raise
plain ``OSError``, as the system does; who calls them says what was tried.

What survives a loss of power is the contract, and no more than this is promised:

1. After ``DiskFile.sync`` returned, the file has the bytes and the size that it had when it was
   called. Before that, each block that was written may have reached the disk or not, in any
   combination and order; the file may have its old size, its new one, or one in between; and what
   lies inside its size but did not reach the disk is what was there before, zeros, or whatever those
   blocks held when they belonged to something else. (Pillai et al., "All File Systems Are
   Not Created Equal", OSDI 2014: an append is not atomic, and its content and its size reach the
   disk in either order.)
2. Bytes that were synced stay what they are when others are written, in the same block too: a block
   is replaced as a whole or not at all, or at least its unchanged bytes stay. SQLite calls this
   powersafe overwrite; disks and flash with sectors that are written atomically have it.
3. A name that was created, renamed or unlinked is durable after ``Disk.sync_directory`` returned.
   Before that the change may be undone. A rename is atomic: the target's name stands for the old file or
   for the new one. That a file was synced says nothing of its name, and the other way round.
4. When ``sync`` raises, nothing is known of what was written since the last one, and calling it
   again proves nothing: the kernel marks pages clean whose writing failed, so the second call has
   nothing to do and succeeds, while the file still reads as if all were well (Rebello et al., "Can Applications
   Recover from fsync Failures?", USENIX ATC 2020). To make such bytes durable they are written again.

A process that dies, unlike the machine, loses nothing that it wrote.
"""

from __future__ import annotations

import fcntl
import os
from typing import Protocol

LOCK = "journal.lock"


class DiskFile(Protocol):
    """An open file; its owner closes it."""

    def size(self) -> int:
        """Bytes in the file."""

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes from there; fewer only where the file ends."""

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Writes all of ``data`` over what is there and beyond; when it raises, any part of it may be written."""

    def truncate(self, size: int) -> None:
        """Cuts the file off; durable after ``sync``, as what is written is."""

    def sync(self) -> None:
        """Returns when the file's bytes and its size are durable. Never called again after it raised."""

    def close(self) -> None:
        """Closes the file; makes nothing durable."""


class Disk(Protocol):
    """One directory, which one process holds at a time."""

    @property
    def path(self) -> bytes:
        """The directory, for messages."""

    def lock(self) -> None:
        """Holds the directory until ``close`` or the end of the process, however it comes.

        Raises:
            BlockingIOError: another process, or another ``Disk``, holds it.
        """

    def names(self) -> list[str]:
        """The names of the files, in any order."""

    def open(self, name: str) -> DiskFile:
        """The file of that name, for reading and writing; a new and empty one if there is none."""

    def rename(self, source: str, target: str) -> None:
        """Gives the file another name, at once, in place of the file that has it."""

    def unlink(self, name: str) -> None:
        """Takes the name away."""

    def sync_directory(self) -> None:
        """Returns when all changes of names are durable."""

    def close(self) -> None:
        """Lets the directory go; a second call does nothing."""


class RealFile:
    """A file of the operating system."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes from there; fewer only where the file ends."""
        data = os.pread(self._fd, size, offset)
        if len(data) == size:
            return data
        pieces = [data]  # the system reads 2 GiB at once at most
        while data and (size := size - len(data)):
            offset += len(data)
            data = os.pread(self._fd, size, offset)
            pieces.append(data)
        return b"".join(pieces)

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Writes all of ``data`` at ``offset``."""
        with memoryview(data) as view:
            at = 0
            while at < len(view):
                at += os.pwrite(self._fd, view[at:], offset + at)

    def truncate(self, size: int) -> None:
        """Cuts the file off."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Flushes content, and of the rest what reading it back needs: the size."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class RealDisk:
    """A directory of the operating system.

    The lock is an flock of the file ``journal.lock``, which stays there; the system takes it back when the
    process ends. Programs that the process starts do not inherit it.

    Args:
        path: a directory that exists.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._lock = -1
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def path(self) -> bytes:
        """The directory, for messages."""
        return self._path

    def lock(self) -> None:
        """Holds the directory until ``close`` or the end of the process."""
        fd = self._open(LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        self._lock = fd

    def names(self) -> list[str]:
        """The names in the directory."""
        return os.listdir(self._fd)

    def open(self, name: str) -> RealFile:
        """The file of that name, made if there is none, readable by its owner only."""
        return RealFile(self._open(name))

    def rename(self, source: str, target: str) -> None:
        """Gives the file another name, in place of the file that has it."""
        os.rename(source, target, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def unlink(self, name: str) -> None:
        """Takes the name away."""
        os.unlink(name, dir_fd=self._fd)

    def sync_directory(self) -> None:
        """Makes changes of names durable."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Lets the directory go; a second call does nothing."""
        for fd in (self._lock, self._fd):
            if fd >= 0:
                os.close(fd)
        self._lock = self._fd = -1

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(name, flags, 0o600, dir_fd=self._fd)
