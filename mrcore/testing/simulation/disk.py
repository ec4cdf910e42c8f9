"""Disks of simulated machines: files that lose what was not synced, and fail in all the ways of real ones.

A :class:`SimulatedDisk` belongs to a machine. A process opens a directory of it, a
:class:`SimulatedDirectory`, which is a ``Disk`` as ``mrcore.storage.disk`` says, so the real journal
runs on it. The promises are those of that module and no more. When a process dies, its directories
are closed and nothing is lost. When power fails, :meth:`SimulatedDisk.crash` draws what is left; what
was open is dead, and the machine goes on by opening its directories again.

Between two events of the world no time passes, so a story could not have power fail between a write
and its sync. :meth:`SimulatedDisk.cut_power_after` brings that about: some operation is the last one,
and raises :class:`PowerCutError` through whatever called it; the world catches it and calls ``crash``.

Faults are drawn from ``rng`` by a profile (:class:`faults.DiskFaults`) and counted as ``disk.KIND``,
for the kinds in :data:`KINDS`.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mrcore.testing.simulation.blocks import BLOCK_BYTES, Content
from mrcore.testing.simulation.faults import CALM_DISK, calm
from mrcore.testing.simulation.names import Names

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from mrcore.testing.simulation.coverage import Coverage
    from mrcore.testing.simulation.faults import DiskFaults

KINDS = (
    "crash", "power_cut", "lost_write", "torn_write", "kept_write", "zero_block", "stale_block", "lost_entry",
    "kept_entry", "full", "sync_fails", "sync_directory_fails", "flip",
)  # fmt: skip
"""All that is counted, each as ``disk.KIND``."""

STALE_BYTES_MAX = 1 << 16
"""Bytes of the last removed file that may show up where a block did not reach the disk."""


class PowerCutError(BaseException):
    """Power fails inside an operation. No ``except Exception`` on the way sees it, as no code runs after a real one."""


class SimulatedDisk:
    """The disk of one machine.

    Args:
        rng: of this disk alone.
        coverage: counts the faults.
        faults: how often they happen.
        capacity_bytes: of all files; None is without end.
        rots: whether a bit of the file at a path may flip; a story whose journal may rot has no happy end.
        block_bytes: of what it writes whole; small ones make small files tear.

    Attributes:
        used_bytes: of all files that have a name.
    """

    def __init__(
        self,
        rng: random.Random,
        coverage: Coverage,
        faults: DiskFaults = CALM_DISK,
        capacity_bytes: int | None = None,
        rots: Callable[[str], bool] = lambda path: True,
        block_bytes: Sequence[int] = BLOCK_BYTES,
    ) -> None:
        self._block_bytes = block_bytes
        self.rng, self._coverage = rng, coverage
        self._faults, self._capacity_bytes, self._rots = faults, capacity_bytes, rots
        self._names = Names()
        self._stale = bytes(range(256))  # of whatever was on it before
        self._locks: dict[str, SimulatedDirectory] = {}
        self._operations_left: int | None = None
        self._boot = 0  # how often power failed: what was opened before is dead
        self.used_bytes = 0

    def directory(self, path: bytes) -> SimulatedDirectory:
        """Opens a directory for a process; it is there without being made."""
        return SimulatedDirectory(self, path)

    def holds(self, path: str) -> bool:
        """Whether there is a file at a path."""
        return path in self._names.live

    def crash(self) -> None:
        """Power fails: of what was not synced, some is left. What was open is dead, and all locks are free."""
        self._operations_left = None
        self._boot += 1
        self._locks.clear()
        self._count("crash")
        self._count(*self._names.crash(self.rng))
        self.used_bytes = 0
        for _, content in sorted(self._names.live.items()):
            self._count(*content.crash(self.rng, self._stale))
            self.used_bytes += len(content.live)

    def cut_power_after(self, operations: int) -> None:
        """So many operations that change the disk go well; the next one does a part of it, and never returns."""
        self._operations_left = operations

    def calm(self) -> None:
        """Faults end: no more are drawn, and power is not cut. What is damaged stays so."""
        self._faults = calm(self._faults)
        self._operations_left = None

    def damage(self, path: str) -> None:
        """Flips a bit somewhere in a file that is not empty."""
        content = self._names.live[path]
        self._flip(content, 0, len(content.live))

    # What directories and files ask

    def _open(self, path: str) -> Content:
        content = self._names.live.get(path)
        if content is None:
            self._change()
            content = Content(self._block_bytes)
            self._names.add(path, content)
        return content

    def _rename(self, source: str, target: str) -> None:
        self._check_there(source)
        self._change()
        if source != target:
            self._free(target)
            self._names.rename(source, target)

    def _unlink(self, path: str) -> None:
        self._check_there(path)
        self._change()
        self._free(path)
        self._names.remove(path)

    def _sync_directory(self, directory: str) -> None:
        self._change(self._names.sync, directory)
        if self.rng.random() < self._faults.sync_fails:
            self._count("sync_directory_fails")
            raise _error(errno.EIO)
        self._names.sync(directory)

    def _read(self, path: str, content: Content, offset: int, size: int) -> bytes:
        stop = min(offset + size, len(content.live))
        if self._faults.flip and offset < stop and self._rots(path) and self.rng.random() < self._faults.flip:
            self._flip(content, offset, stop)
        return bytes(content.live[offset:stop])

    def _write(self, content: Content, offset: int, data: bytes) -> None:
        room = len(data)
        if self._capacity_bytes is not None:
            room = max(0, min(room, self._capacity_bytes - self.used_bytes + len(content.live) - offset))
        if self.rng.random() < self._faults.full:
            room = self.rng.randrange(room + 1)
        if self._operations_left == 0:
            data = data[: self.rng.randint(0, room)]
        self._change(self._put, content, offset, data)
        self._put(content, offset, data[:room])
        if room < len(data):
            self._count("full")
            raise _error(errno.ENOSPC)

    def _truncate(self, content: Content, size: int) -> None:
        self._change()
        before = len(content.live)
        content.truncate(size)
        self._charge(content, before)

    def _sync(self, content: Content) -> None:
        self._change(content.sync)
        if self.rng.random() < self._faults.sync_fails:
            self._count("sync_fails")
            before = len(content.live)
            self._count(*content.fail_sync(self.rng, self._stale))
            self._charge(content, before)
            raise _error(errno.EIO)
        content.sync()

    def _put(self, content: Content, offset: int, data: bytes) -> None:
        if data:
            before = len(content.live)
            content.write(offset, data)
            self._charge(content, before)

    def _charge(self, content: Content, before: int) -> None:
        if content.named:
            self.used_bytes += len(content.live) - before

    def _free(self, path: str) -> None:
        content = self._names.live.get(path)
        if content is not None:
            content.named = False
            self.used_bytes -= len(content.live)
            self._stale = bytes(content.live[:STALE_BYTES_MAX])

    def _check_there(self, path: str) -> None:
        if path not in self._names.live:
            raise _error(errno.ENOENT)

    def _change(self, part: Callable[..., None] | None = None, *args: object) -> None:
        """Power fails here, perhaps: then ``part(*args)``, a part of the operation, is done or not."""
        if self._operations_left is None:
            return
        self._operations_left -= 1
        if self._operations_left < 0:
            if part is not None and self.rng.random() < 0.5:
                part(*args)
            self._boot += 1  # whoever cleans up on the way out harms nothing
            self._count("power_cut")
            raise PowerCutError

    def _flip(self, content: Content, start: int, stop: int) -> None:
        content.flip(self.rng.randrange(8 * start, 8 * stop))
        self._count("flip")

    def _count(self, *kinds: str) -> None:
        for kind in kinds:
            self._coverage.add(f"disk.{kind}")


class SimulatedDirectory:
    """A directory that a process has open.

    Args:
        disk: where it is.
        path: of the directory.
    """

    def __init__(self, disk: SimulatedDisk, path: bytes) -> None:
        self._disk, self._path = disk, path
        self._name = os.fsdecode(path).rstrip("/")
        self._boot = disk._boot

    @property
    def path(self) -> bytes:
        """The directory, for messages."""
        return self._path

    def lock(self) -> None:
        """Holds the directory until ``close`` or the next crash.

        Raises:
            BlockingIOError: another one holds it.
        """
        disk = self._alive()
        if disk._locks.setdefault(self._name, self) is not self:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))

    def names(self) -> list[str]:
        """The names of the files, in order."""
        return self._alive()._names.inside(self._name)

    def open(self, name: str) -> SimulatedFile:
        """The file of that name; a new and empty one if there is none."""
        path = self._at(name)
        return SimulatedFile(self._alive(), path, self._disk._open(path))

    def rename(self, source: str, target: str) -> None:
        """Gives a file another name, in place of the file that has it."""
        self._alive()._rename(self._at(source), self._at(target))

    def unlink(self, name: str) -> None:
        """Takes a name away; the space is free at once."""
        self._alive()._unlink(self._at(name))

    def sync_directory(self) -> None:
        """The names are durable."""
        self._alive()._sync_directory(self._name)

    def close(self) -> None:
        """Lets the directory go; a second call does nothing."""
        if self._boot == self._disk._boot and self._disk._locks.get(self._name) is self:
            del self._disk._locks[self._name]
        self._boot = -1

    def _alive(self) -> SimulatedDisk:
        if self._boot != self._disk._boot:
            raise _error(errno.EBADF)
        return self._disk

    def _at(self, name: str) -> str:
        return f"{self._name}/{name}"


class SimulatedFile:
    """An open file of a simulated disk."""

    def __init__(self, disk: SimulatedDisk, path: str, content: Content) -> None:
        self._disk, self._path, self._content = disk, path, content
        self._boot = disk._boot

    def size(self) -> int:
        """Bytes in the file."""
        self._alive()
        return len(self._content.live)

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes from there; fewer only where the file ends."""
        return self._alive()._read(self._path, self._content, offset, size)

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Writes all of ``data``.

        Raises:
            OSError: no space is left; the first of the bytes may be written.
        """
        self._alive()._write(self._content, offset, bytes(data))

    def append(self, data: bytes | bytearray) -> None:
        """Writes all of ``data`` behind what is there."""
        self.write(self.size(), data)

    def truncate(self, size: int) -> None:
        """Cuts the file off."""
        self._alive()._truncate(self._content, size)

    def sync(self) -> None:
        """The bytes and the size are durable.

        Raises:
            OSError: the disk failed; what was written since the last sync may never become so.
        """
        self._alive()._sync(self._content)

    def close(self) -> None:
        """Closes the file; makes nothing durable."""
        self._boot = -1

    def _alive(self) -> SimulatedDisk:
        if self._boot != self._disk._boot:
            raise _error(errno.EBADF)
        return self._disk


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
