"""Where the records of jobs lie, how they are named, and which of them go when there are too many.

``docs/formats/history.md`` says what the files hold. A record is a folder ``ID`` under
``$XDG_STATE_HOME/mrcore/jobs``. It is made under a hidden name, ``.ID``, and renamed when its lock is
held, so whoever sees ``ID`` can tell by the lock whether its job lives; the lock of a dead process
is free. To remove one, its lock is taken, it is hidden again, and then emptied: nobody ever reads
half a record. One process prunes at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time

from mrcore.errors import plain_text

JOBS_MAX = 200
BYTES_MAX = 512 << 20
MEASURE_INTERVAL_S = 60
HIDDEN_OLD_S = 60
"""A hidden folder this old is no record in the making."""

LOG_END = b".log"
_NAME_MAX = 100  # bytes of a worker's name that are kept
_ODD = re.compile(rb"[^A-Za-z0-9_-]")

ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
LOCK, JOB, STATUS, EVENTS, CANCEL, LOGS = "lock", "job.json", "status.json", "events.jsonl", "cancel", "logs"
PRUNED = ".pruned"
"""Who prunes holds its lock; its time of change says when the sizes of all records were last added up."""


def jobs_folder() -> bytes:
    """``$XDG_STATE_HOME/mrcore/jobs``; without that variable, or when it is no absolute path, in ``~/.local/state``.

    Raises:
        FileNotFoundError: there is no home either.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~") if os.environ.get("HOME", "/") else ""
        if not os.path.isabs(home):
            raise FileNotFoundError("no home: set XDG_STATE_HOME to a folder")
        state = os.path.join(home, ".local", "state")
    return os.fsencode(os.path.join(state, "mrcore", "jobs"))


def make_folders(path: bytes) -> None:
    """Makes a folder and those above it, for its owner only. Cost: one call when it is there already."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        os.mkdir(path, 0o700)


def new_id() -> str:
    """Date and time in UTC, then microseconds and a random digit in hexadecimal: names sort as their jobs began."""
    now_us = time.time_ns() // 1000
    begun = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_us // 1_000_000))
    return f"{begun}-{now_us % 1_000_000 << 4 | os.urandom(1)[0] & 15:06x}"


def record_ids(root: bytes) -> list[str]:
    """The records of a folder, oldest first; none where there is no folder.

    Raises:
        OSError: it cannot be listed.
    """
    return [name for name in _folders(root) if ID.fullmatch(name)]


def _folders(root: bytes) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(os.fsdecode(e.name) for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def log_name(worker: str) -> bytes:
    """The file in ``logs`` for a worker: letters, digits, ``_`` and ``-`` as they are, other bytes as ``%XX``."""
    return _ODD.sub(lambda found: b"%%%02X" % found[0][0], plain_text(worker).encode())[:_NAME_MAX] + LOG_END


def take_lock(folder: bytes) -> int:
    """Makes the lock of a new record and holds it; its descriptor, which programs started later do not inherit."""
    fd = os.open(os.path.join(folder, LOCK.encode()), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def release_lock(fd: int) -> None:
    """Lets it go, for children too that this process forked while it held it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def is_locked(folder: bytes) -> bool:
    """Whether the job of a record lives. Without a lock file it does not."""
    try:
        fd = os.open(os.path.join(folder, LOCK.encode()), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def prune_often(root: bytes) -> None:
    """For every job's begin: :func:`prune` by number, and once in ``MEASURE_INTERVAL_S`` by size as well.

    To learn the sizes of 200 records takes 10 ms or more, which a short job would notice.

    Raises:
        OSError: the folder cannot be listed or written.
    """
    try:
        due = abs(time.time() - os.stat(os.path.join(root, PRUNED.encode())).st_mtime) > MEASURE_INTERVAL_S
    except FileNotFoundError:
        due = True
    prune(root, bytes_max=BYTES_MAX if due else None)


def prune(root: bytes, jobs_max: int = JOBS_MAX, bytes_max: int | None = BYTES_MAX) -> None:
    """Removes the oldest records that are too many or too large together, but none whose job lives.

    The records of living jobs count too. What cannot be removed stays. Symbolic links are not followed. While
    another process does the same, nothing is done.

    Args:
        bytes_max: of all files together; None: any number, and then nothing is measured.

    Raises:
        OSError: the folder cannot be listed or written.
    """
    fd = os.open(os.path.join(root, PRUNED.encode()), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if bytes_max is not None:
            os.utime(fd)
        _prune(root, jobs_max, bytes_max)
    except BlockingIOError:
        return
    finally:
        os.close(fd)


def _prune(root: bytes, jobs_max: int, bytes_max: int | None) -> None:
    names = _folders(root)
    for name in names:
        if name[:1] == "." and ID.fullmatch(name[1:]):
            _sweep(os.path.join(root, name.encode()))
    names = [name for name in names if ID.fullmatch(name)]
    sizes = [0 if bytes_max is None else bytes_of(os.path.join(root, name.encode())) for name in names]
    jobs, size = len(names), sum(sizes)
    for name, its_size in zip(names, sizes, strict=True):
        if jobs <= jobs_max and size <= (bytes_max or 0):
            break
        if _remove(root, name):
            jobs, size = jobs - 1, size - its_size


def bytes_of(folder: bytes) -> int:
    """Sizes of a record's files together; of what is gone meanwhile, nothing."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                total += bytes_of(entry.path)
            else:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _remove(root: bytes, name: str) -> bool:
    """Removes a record unless its job lives; whether it is gone."""
    folder, hidden = os.path.join(root, name.encode()), os.path.join(root, b"." + name.encode())
    try:
        fd = os.open(os.path.join(folder, LOCK.encode()), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        fd = -1  # somebody took the lock file away, and with it what a living job could be told by
    except OSError:
        return False
    try:
        if fd >= 0:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(folder, hidden)
    except OSError:  # its job lives, it is being looked at just now, or we may not
        return not os.path.lexists(folder)
    finally:
        if fd >= 0:
            os.close(fd)
    shutil.rmtree(hidden, ignore_errors=True)
    return True


def _sweep(hidden: bytes) -> None:
    """Removes what a process left that died while it made or removed a record."""
    with contextlib.suppress(OSError):
        if time.time() - os.lstat(hidden).st_mtime > HIDDEN_OLD_S and not is_locked(hidden):
            shutil.rmtree(hidden, ignore_errors=True)
