"""The record of a job while it runs: what `mrcore jobs` and `mrcore trace` read, then and later.

The driver of a job calls it, from one thread. It is history, not the journal: nothing is synced, nothing of
the job depends on it, and what it cannot write is left out. Where its files lie and how old ones
go is :mod:`mrcore.storage.history_files`; :mod:`mrcore.storage.history_reader` reads it back.
"""

from __future__ import annotations

import contextlib
import os
import time

import msgspec

from mrcore.errors import plain_text, reason
from mrcore.storage.history_files import (
    CANCEL,
    EVENTS,
    JOB,
    LOGS,
    STATUS,
    jobs_folder,
    log_name,
    make_folders,
    new_id,
    prune_often,
    release_lock,
    take_lock,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT, VERSION = "mrcore-job", 1
EVENTS_BYTES_MAX = 64 << 20
BUFFER_BYTES = 64 << 10
BUFFER_AGE_NS = 500_000_000
STATUS_INTERVAL_NS = 1_000_000_000
OUTCOMES = ("succeeded", "failed", "cancelled", "interrupted")

_NEW_TRIES = 10  # for a name that no other job of the same microsecond has


class JobRecord:
    """What one job leaves behind: a folder of its own, whose lock it holds until :meth:`end` or its death.

    Attributes:
        id: digits, letters a to f and ``-``; sorts by the time the job began.
        folder: its path.
    """

    def __init__(self, identity: str, folder: bytes, lock: int, events: int) -> None:
        """For :meth:`begin`; takes over both descriptors."""
        self.id, self.folder = identity, folder
        self._lock, self._events = lock, events
        self._began_ns = time.monotonic_ns()
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._waiting_since_ns = self._written_bytes = 0
        self._progress: dict[str, object] = {}
        self._phases: dict[str, list[int]] = {}  # the count in _tasks that tasks of "p0.1" belong to
        self._tasks: dict[str, list[int]] = {}  # by a phase's name: committed, and all
        self._changed = False
        self._status_due_ns = 0
        self._wrong = ""  # why events are no longer written

    @classmethod
    def begin(cls, about: dict[str, object]) -> JobRecord | None:
        """Makes the record of a job that is about to run, and removes old ones.

        Args:
            about: for ``job.json``; ``bytes`` are paths. ``pid`` and ``started`` are added if not there.

        Returns:
            None when the folder for records cannot be made or written.
        """
        record = None
        try:
            root = jobs_folder()
            make_folders(root)
            prune_often(root)
            record = cls._make(root)
            known = {"format": FORMAT, "version": VERSION, "id": record.id, "pid": os.getpid(), "started": _now()}
            record._replace(JOB, known | about)
            os.rename(record.folder, target := os.path.join(root, record.id.encode()))
            record.folder = target
        except OSError:  # by design, see _tried: a job runs without its record where there is no place for one
            if record is not None:
                record._close()
            return None
        return record

    @classmethod
    def _make(cls, root: bytes) -> JobRecord:
        for more in reversed(range(_NEW_TRIES)):
            identity = new_id()
            folder = os.path.join(root, b"." + identity.encode())
            if os.path.lexists(os.path.join(root, identity.encode())):
                continue
            try:
                os.mkdir(folder, 0o700)
                break
            except FileExistsError:
                if not more:
                    raise
        lock = take_lock(folder)
        try:
            os.mkdir(os.path.join(folder, LOGS.encode()), 0o700)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return cls(identity, folder, lock, os.open(os.path.join(folder, EVENTS.encode()), flags, 0o600))
        except BaseException:
            os.close(lock)
            raise

    def say(self, event: str, /, **fields: object) -> None:
        """Writes an event with the nanoseconds since the job began as ``t``: soon, see :meth:`tick`.

        Cost: two microseconds, and every 64 KiB a write. Past ``EVENTS_BYTES_MAX`` there is one more event,
        ``left_out``, and no further ones.

        Of ``phase`` and ``end`` events it keeps count, so that progress knows how many tasks are done.
        """
        if event in ("phase", "end"):
            self._count(event, fields)
        if self._events < 0:
            return
        now = time.monotonic_ns()
        line = encode_line({"t": now - self._began_ns, "event": event, **fields})
        self._written_bytes += len(line)
        if self._written_bytes > EVENTS_BYTES_MAX:
            line = encode_line({"t": now - self._began_ns, "event": "left_out", "bytes_max": EVENTS_BYTES_MAX})
        if not self._waiting:
            self._waiting_since_ns = now
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= BUFFER_BYTES or now - self._waiting_since_ns >= BUFFER_AGE_NS:
            self._tried(self._flush)
        if self._written_bytes > EVENTS_BYTES_MAX:
            self._tried(self._flush)
            self._stop_events()

    def _count(self, event: str, fields: dict[str, object]) -> None:
        if event == "phase":
            tasks = fields.get("tasks")
            counts = self._tasks.setdefault(str(fields.get("name")), [0, 0])
            counts[1] += tasks if isinstance(tasks, int) else 0
            self._phases[f"p{str(fields.get('step', 0)).removeprefix('p')}.{fields.get('stage', 0)}"] = counts
        elif fields.get("outcome") == "committed":
            stage = str(fields.get("attempt")).rsplit(".", 2)[0]
            if stage in self._phases:
                self._phases[stage][0] += 1
        self._changed = True

    def progress(self, **fields: object) -> None:
        """Keeps numbers for `mrcore jobs`; :meth:`tick` writes them. Numbers that are not named stay."""
        self._progress.update(fields)
        self._changed = True

    def tick(self) -> None:
        """To be called several times a second: writes events half a second old, and once a second changed progress."""
        now = time.monotonic_ns()
        if self._waiting and now - self._waiting_since_ns >= BUFFER_AGE_NS:
            self._tried(self._flush)
        if self._changed and now >= self._status_due_ns and self._lock >= 0:
            self._status_due_ns = now + STATUS_INTERVAL_NS
            self._changed = False
            self._tried(lambda: self._write_status({}))

    def log_file(self, worker: str) -> bytes:
        """Where that worker's standard output and error go. Whoever opens it does so with O_APPEND and mode 0600."""
        return os.path.join(self.folder, LOGS.encode(), log_name(worker))

    def cancel_wanted(self) -> bool:
        """Whether `mrcore jobs cancel` asked for its end. Cost: one call of the system."""
        return os.path.lexists(os.path.join(self.folder, CANCEL.encode()))

    def end(self, outcome: str, error: str = "", **fields: object) -> None:
        """Writes how the job ended and lets its lock go. What is said after that is lost; a second call does nothing.

        Args:
            outcome: one of ``OUTCOMES``.
            fields: for ``status.json``: ``counters`` and what else a reader shall know of the whole job.
        """
        assert outcome in OUTCOMES, outcome
        if self._lock < 0:
            return
        try:
            self._tried(self._flush)
            self._tried(lambda: self._write_status({"outcome": outcome, "error": error, "ended": _now()} | fields))
        finally:
            self._close()

    # ---- files -----------------------------------------------------------------------------

    def _tried(self, write: Callable[[], None]) -> None:
        """Calls what writes; its OSError ends nothing but the events.

        The one place where errors of a record are swallowed: a full disk under the home must not cost a
        job of hours that writes elsewhere. They show in ``status.json``, if that can be written.
        Events stop at the first error: behind a torn line more would only confuse.
        """
        try:
            write()
        except OSError as error:
            self._wrong = self._wrong or reason(error)
            self._stop_events()

    def _flush(self) -> None:
        lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if lines and self._events >= 0:
            _write_all(self._events, b"".join(lines))

    def _write_status(self, more: dict[str, object]) -> None:
        wrong = {"history_error": self._wrong} if self._wrong else {}
        tasks = {"tasks": self._tasks} if self._tasks else {}
        self._replace(STATUS, {"t": time.monotonic_ns() - self._began_ns} | tasks | self._progress | wrong | more)

    def _replace(self, name: str, content: dict[str, object]) -> None:
        path = os.path.join(self.folder, name.encode())
        fd = os.open(path + b".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(fd, msgspec.json.encode(_plain(content)) + b"\n")
        finally:
            os.close(fd)
        os.rename(path + b".new", path)

    def _stop_events(self) -> None:
        fd, self._events = self._events, -1
        self._waiting, self._waiting_bytes = [], 0
        if fd >= 0:
            os.close(fd)

    def _close(self) -> None:
        self._stop_events()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            with contextlib.suppress(OSError):  # the descriptor is gone either way
                release_lock(lock)


def encode_line(content: dict[str, object]) -> bytes:
    """JSON on one line with an LF behind it, whatever the values are: what is no UTF-8 in them is escaped."""
    if bytes not in map(type, content.values()):  # msgspec has another form for them
        try:
            return msgspec.json.encode(content) + b"\n"
        except (TypeError, ValueError):  # a lone surrogate is a ValueError, what JSON has no form for a TypeError
            pass
    return msgspec.json.encode(_plain(content)) + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {plain_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value is None or isinstance(value, bool | int | float):
        return value
    return plain_text(str(value))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _now() -> str:
    """Wall-clock time with its zone, as ISO 8601 has it."""
    seconds, rest_ns = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{rest_ns // 1_000_000:03d}%z", time.localtime(seconds))
