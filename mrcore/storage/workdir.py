"""Work directories: where a job's intermediate files live, and how they always go away.

With an output directory it is ``OUT/_work``, on the same filesystem, so that finished files
are renamed into place. Without one it is ``mrcore-…`` under the directory for temporary
files, held by a lock: what a crash left there is swept by the next job, since the lock of a
dead process is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time

from mrcore.storage.files import writing

PREFIX = b"mrcore-"
OURS = re.compile(rb"mrcore-[0-9]+-[0-9a-f]{8}")  # what temporary() makes, and nothing else is swept
FINISHED = re.compile(rb"p[0-9]+(r[0-9]+)?\.[0-9]+\.[0-9]+")  # the final name of a task's output
LOCK = b"lock"
SPARE = 3
YOUNG_S = 60  # a directory this young may not have its lock yet


def default_tmp() -> bytes:
    """``$TMPDIR``, or ``/tmp``."""
    return os.fsencode(os.environ.get("TMPDIR") or "/tmp")


class WorkDir:
    """A directory that is removed when its context is left, unless it is to be kept.

    Args:
        path: to be created.
        lock: of the directory, where it is there and is gone on with: a descriptor that belongs to this object.

    Raises:
        OutputExistsError: it cannot be created or written.
        DiskFullError: no space for it.
    """

    def __init__(self, path: bytes, lock: int = -1) -> None:
        self.path = path
        self._lock = lock
        self._spare: list[int] = []  # descriptors that removing it takes, where the job has taken all others
        if lock >= 0:
            return
        with writing(path):
            os.mkdir(path, 0o700)
            try:
                self._lock = os.open(os.path.join(path, LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                self._spare += [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(SPARE)]
            except BaseException:
                self._give_spare()
                with contextlib.suppress(OSError):  # by names: perhaps there is no descriptor left
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(path, LOCK))
                    os.rmdir(path)
                raise

    def file(self, name: str) -> bytes:
        """Path of a file in it."""
        return os.path.join(self.path, name.encode())

    def keep(self) -> None:
        """Lets the directory go and leaves it there: whoever goes on with it takes its lock."""
        if self._lock >= 0:
            self._give_spare()
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # a child that the program forked may hold the descriptor
            os.close(self._lock)
            self._lock = -1

    def clear(self) -> None:
        """Removes all that is in it, but the lock."""
        with writing(self.path):
            for name in os.listdir(self.path):
                path = os.path.join(self.path, name)
                if name != LOCK:
                    if os.path.isdir(path) and not os.path.islink(path):
                        shutil.rmtree(path)
                    else:
                        os.unlink(path)

    def size(self) -> int:
        """Bytes of the intermediate files in it: without those that are finished, and those of directories in it."""
        with os.scandir(self.path) as entries:
            return sum(
                entry.stat().st_size
                for entry in entries
                if entry.is_file(follow_symlinks=False) and not FINISHED.fullmatch(entry.name)
            )

    def remove(self) -> None:
        """Removes the directory and all in it; nothing happens when it is gone already."""
        if self._lock < 0:
            return
        self._give_spare()
        try:
            shutil.rmtree(self.path, ignore_errors=True)
        except BaseException:  # a signal, just now: it stops the job, not its cleaning up
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        finally:
            os.close(self._lock)
            self._lock = -1

    def _give_spare(self) -> None:
        while self._spare:
            os.close(self._spare.pop())

    def __enter__(self) -> WorkDir:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def temporary(tmp: bytes) -> WorkDir:
    """A work directory under ``tmp``, after sweeping what dead jobs of this user left there."""
    with writing(tmp):
        _sweep(tmp)
    return WorkDir(os.path.join(tmp, b"%s%d-%s" % (PREFIX, os.getpid(), os.urandom(4).hex().encode())))


def _sweep(tmp: bytes) -> None:
    with os.scandir(tmp) as entries:
        found = [e.path for e in entries if OURS.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    for path in found:
        try:
            lock = os.open(os.path.join(path, LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or being made or removed just now
        try:
            status = os.fstat(lock)
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > YOUNG_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # its job lives
        finally:
            os.close(lock)
