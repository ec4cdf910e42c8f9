"""Where a job's result goes, and how it gets there whole or not at all.

A :class:`DirectorySink` takes part files as they are. The others are *ordered*: the job then
partitions by key range, and the partitions one after the other are the sorted whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from typing import Protocol

from mrcore.errors import OutputExistsError, UsageError, shown
from mrcore.formats.inputs import OUTPUT_EXTRAS, OUTPUT_MARKER
from mrcore.storage.files import publish, sync_directory, writing
from mrcore.storage.workdir import LOCK, WorkDir, temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrcore.engine.spec import TaskResult

MANIFEST, WORK = b"_manifest.json", b"_work"
DONE = b"done"  # in the work directory, once every part is in its place
_COPY_BYTES = 4 << 20


class Sink(Protocol):
    """What the driver does with a sink: open, take each part, commit; abandon on an error."""

    ordered: bool
    durable: bool  # finished files are synced before they are published
    resumed: bool  # an earlier run's work directory is gone on with; known once it is open

    @property
    def path(self) -> bytes | None:
        """Where the result goes, if that has a name."""
        ...

    def open(self, tmp: bytes) -> WorkDir:
        """Checks that the result can go there, and makes the job's work directory."""
        ...

    def take(self, part: TaskResult) -> None:
        """Takes one finished part file; an ordered sink is given them in order."""
        ...

    def commit(self, job: Mapping[str, object]) -> tuple[bytes, ...]:
        """Publishes everything; paths of the outputs."""
        ...

    def adopt(self, step: str, task: int) -> bytes | None:
        """The path of a finished output that a commit, which was cut off, had moved to its place; if there is one."""
        ...

    def abandon(self) -> None:
        """Takes back what open() made. The work directory is removed by the caller."""
        ...


class _Unresumed:
    """A sink that begins anew each time."""

    resumed = False

    def adopt(self, step: str, task: int) -> bytes | None:
        """Nothing was moved anywhere."""
        return None


class DirectorySink:
    """``part-00000…``, ``_manifest.json``, and ``_SUCCESS`` written last.

    Args:
        path: a directory that is not there yet, or is empty, or may be overwritten: then files
            of the names that a job of ours writes there are replaced, and others are left alone.
        resume: go on with what an interrupted job left there; where there is nothing of that, begin.
    """

    ordered, durable = False, True

    def __init__(self, path: bytes, *, overwrite: bool = False, resume: bool = False) -> None:
        if overwrite and resume:
            raise UsageError("both to resume and to overwrite: choose one")
        self.path = path.rstrip(b"/") or b"/"
        self.resumed = False
        self._overwrite, self._resume = overwrite, resume
        self._made: list[bytes] = []
        self._published: list[bytes] = []
        self._parts: list[TaskResult] = []

    def open(self, tmp: bytes) -> WorkDir:
        """Makes the directory and ``_work`` in it; see :class:`Sink`."""
        with writing(self.path):
            self._make(self.path)
            present = os.listdir(self.path)
        work = os.path.join(self.path, WORK)
        if self._resume and WORK in present:
            lock = self._lock_dead(work)
            if OUTPUT_MARKER in present and os.path.exists(os.path.join(work, DONE)):
                os.close(lock)  # it was done, and died while it removed what it did not need any more
                self._remove_dead(work)
                raise self._complete()
            self.resumed = True
            return WorkDir(work, lock)
        if self._resume and OUTPUT_MARKER in present:
            raise self._complete()
        if present and not self._overwrite:
            if WORK in present:
                how = "go on with it with --resume, or begin anew with --overwrite"
                raise OutputExistsError(f"an unfinished job's output: {shown(self.path)}: {how}")
            raise OutputExistsError(
                f"output exists: {shown(self.path)}: name another directory, or replace it with --overwrite"
            )
        if WORK in present:
            self._remove_dead(work)
        return WorkDir(work)

    def _complete(self) -> OutputExistsError:
        return OutputExistsError(
            f"output is complete: {shown(self.path)}: there is nothing to go on with; replace it with --overwrite"
        )

    def _make(self, path: bytes) -> None:
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            return
        except FileNotFoundError:
            parent = os.path.dirname(path.rstrip(b"/"))
            if not parent:  # the current directory is gone
                raise
            self._make(parent)
            os.mkdir(path)
        self._made.append(path)

    def _lock_dead(self, work: bytes) -> int:
        """Takes the lock of a work directory whose job is dead; the descriptor that holds it."""
        with writing(work):
            lock = os.open(os.path.join(work, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise OutputExistsError(f"another job writes there: {shown(self.path)}: wait until it ends") from None
        return lock

    def _remove_dead(self, work: bytes) -> None:
        lock = self._lock_dead(work)
        try:
            import shutil

            with writing(work):
                shutil.rmtree(work)
        finally:
            os.close(lock)

    def adopt(self, step: str, task: int) -> bytes | None:
        """A part that the run before this one had published."""
        path = os.path.join(self.path, b"part-%05d" % task)
        return path if self.resumed and os.path.isfile(path) else None

    def take(self, part: TaskResult) -> None:
        """Keeps the part for :meth:`commit`."""
        self._parts.append(part)

    def commit(self, job: Mapping[str, object]) -> tuple[bytes, ...]:
        """Renames the parts into place, then the manifest, then the marker.

        What needs space is written before anything is renamed.
        """
        parts = sorted(self._parts, key=lambda part: part.task)
        names = [f"part-{index:05d}" for index in range(len(parts))]
        listed = [
            {"file": name, "records": part.records_out, "bytes": part.bytes_out, "xxh3": part.check}
            | ({"types": part.types} if part.types else {})
            for name, part in zip(names, parts, strict=True)
        ]
        manifest = {"format": "mrcore-output", "version": 1, "job": job, "parts": listed}
        prepared = self._write(MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")
        marker = self._write(OUTPUT_MARKER, b"")
        self._remove_old()
        outputs = [self._publish(part.output, name.encode()) for name, part in zip(names, parts, strict=True)]
        self._publish(prepared, MANIFEST)
        self._write(DONE, b"")
        self._publish(marker, OUTPUT_MARKER)
        with writing(self.path):
            sync_directory(self.path)
        self._published.clear()
        return tuple(outputs)

    def _write(self, name: bytes, content: bytes) -> bytes:
        path = os.path.join(self.path, WORK, name)
        with writing(path), open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _remove_old(self) -> None:
        with writing(self.path):
            for name in sorted(os.listdir(self.path), key=lambda name: name != OUTPUT_MARKER):  # the marker first
                path = os.path.join(self.path, name)
                ours = name in OUTPUT_EXTRAS[:2] or (name.startswith(b"part-") and name[5:].isdigit())
                if ours and not os.path.isdir(path):
                    os.unlink(path)

    def _publish(self, source: bytes, name: bytes) -> bytes:
        target = os.path.join(self.path, name)
        self._published.append(target)
        publish(source, target)
        return target

    def abandon(self) -> None:
        """Takes back what was published, and the directories that open() made if nothing else is in them."""
        for path in reversed(self._published):
            with contextlib.suppress(OSError):
                os.unlink(path)
        with contextlib.suppress(OSError):
            for path in reversed(self._made):
                os.rmdir(path)


class FileSink(_Unresumed):
    """One file, sorted as a whole, that appears when it is complete; a link to a file is followed."""

    ordered, durable = True, True

    def __init__(self, path: bytes, *, overwrite: bool = False) -> None:
        self.path = os.path.realpath(path) if os.path.islink(path) else path
        self._overwrite = overwrite
        folder, name = os.path.split(self.path)
        self._temporary = os.path.join(folder, b"." + name + b".mrcore")
        self._fd = -1

    def open(self, tmp: bytes) -> WorkDir:
        """Makes a hidden file beside the target, held by a lock; see :class:`Sink`."""
        if os.path.isdir(self.path):
            raise OutputExistsError(f"output is a directory: {shown(self.path)}: leave --single away, or name a file")
        if os.path.lexists(self.path) and not self._overwrite:
            raise OutputExistsError(
                f"output exists: {shown(self.path)}: name another file, or replace it with --overwrite"
            )
        if os.path.lexists(self.path) and not os.path.isfile(self.path):  # a rename would destroy the device
            raise OutputExistsError(f"output is not a regular file: {shown(self.path)}: write to it with > instead")
        with writing(self.path):
            self._fd = os.open(self._temporary, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(self._fd, self._temporary):  # renamed into place between our open and our lock
                raise BlockingIOError
        except BlockingIOError:
            os.close(self._fd)
            self._fd = -1
            raise OutputExistsError(f"another job writes there: {shown(self.path)}: wait until it ends") from None
        try:
            with writing(self._temporary):
                os.ftruncate(self._fd, 0)  # a crash may have left it
            return temporary(tmp)
        except BaseException:
            self.abandon()
            raise

    def take(self, part: TaskResult) -> None:
        """Appends the part."""
        with writing(self.path):
            copy_file(part.output, self._fd)

    def commit(self, job: Mapping[str, object]) -> tuple[bytes, ...]:
        """Syncs the file and renames it into place."""
        with writing(self.path):
            os.fsync(self._fd)
        publish(self._temporary, self.path)
        os.close(self._fd)
        self._fd = -1
        with writing(self.path):
            sync_directory(os.path.dirname(self.path) or b".")
        return (self.path,)

    def abandon(self) -> None:
        """Removes the hidden file."""
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):  # renamed just before an interrupt
                os.unlink(self._temporary)
            os.close(self._fd)
            self._fd = -1


class DescriptorSink(_Unresumed):
    """An open descriptor, such as standard output, sorted as a whole."""

    ordered, durable = True, False
    path = None

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def open(self, tmp: bytes) -> WorkDir:
        """Only a work directory is needed; see :class:`Sink`."""
        return temporary(tmp)

    def take(self, part: TaskResult) -> None:
        """Writes the part. A closed pipe is the caller's BrokenPipeError."""
        try:
            copy_file(part.output, self._fd)
        except BrokenPipeError:
            raise
        except OSError as error:
            with writing(b"standard output"):
                raise error

    def commit(self, job: Mapping[str, object]) -> tuple[bytes, ...]:
        """Nothing is left to do."""
        return ()

    def abandon(self) -> None:
        """Nothing was made."""


class MemorySink(_Unresumed):
    """The parts' bytes, one object each, in order."""

    ordered, durable = True, False
    path = None

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def open(self, tmp: bytes) -> WorkDir:
        """Only a work directory is needed; see :class:`Sink`."""
        return temporary(tmp)

    def take(self, part: TaskResult) -> None:
        """Reads the part."""
        with open(part.output, "rb") as file:
            self.parts.append(file.read())

    def commit(self, job: Mapping[str, object]) -> tuple[bytes, ...]:
        """Nothing is left to do."""
        return ()

    def abandon(self) -> None:
        """Nothing was made."""


def sink_at(path: str | bytes | os.PathLike[str], *, single: bool, overwrite: bool, resume: bool) -> Sink:
    """A directory of parts, or with ``single`` one file.

    Raises:
        UsageError: to resume a single file, or both to resume and to overwrite.
    """
    target = os.fsencode(path)
    if not single:
        return DirectorySink(target, overwrite=overwrite, resume=resume)
    if resume:
        raise UsageError("to resume a single file: only a directory of part files can be gone on with")
    return FileSink(target, overwrite=overwrite)


def _is_at(fd: int, path: bytes) -> bool:
    """Is the open file the one of this name?"""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def copy_file(path: bytes, to: int) -> None:
    """Appends a file to a descriptor inside the kernel where it can, else through a buffer."""
    with open(path, "rb", buffering=0) as file:
        offset = 0
        try:
            while sent := os.sendfile(to, file.fileno(), offset, 1 << 30):
                offset += sent
            return
        except OSError as error:  # append mode and some devices do not take it
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EBADF) or offset:
                raise
        while data := file.read(_COPY_BYTES):
            view = memoryview(data)
            while view:
                view = view[os.write(to, view) :]
