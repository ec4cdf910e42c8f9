"""Reads the records of jobs, while they run, after they ended, and after they crashed.

Nothing in a record is trusted: a file that is damaged, torn or missing reads as one that says nothing, and
:attr:`StoredJob.damage` tells so. Whether a job lives is told by its lock alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec

from mrcore.errors import UsageError, shown
from mrcore.storage.files import reading, writing
from mrcore.storage.history import OUTCOMES
from mrcore.storage.history_files import (
    CANCEL,
    EVENTS,
    JOB,
    LOG_END,
    LOGS,
    STATUS,
    is_locked,
    jobs_folder,
    log_name,
    record_ids,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

RUNNING, CRASHED = "running", "crashed"
LAST = "last"
JSON_BYTES_MAX = 16 << 20  # a command line alone may take 2 MiB
LINE_BYTES_MAX = 16 << 20
READ_BYTES = 1 << 20
NAMED_MAX = 5  # jobs in a message

_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


class Event(NamedTuple):
    """A line of ``events.jsonl``."""

    t_ns: int  # since the job began
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in a list."""

    id: str
    state: str  # running, crashed, or an outcome
    what: str
    started: str  # ISO 8601 with its zone
    elapsed_s: float
    tasks: dict[str, tuple[int, int]]  # by phase: committed, and all
    output: str
    error: str
    pid: int


class StoredJob:
    """One record.

    Attributes:
        id: its name.
        folder: its path.
        damage: what could not be read so far.
    """

    def __init__(self, identity: str, folder: bytes) -> None:
        self.id, self.folder = identity, folder
        self.damage: list[str] = []

    @property
    def state(self) -> str:
        """``running``, ``crashed``, or how it ended, as of now."""
        if is_locked(self.folder):  # asked first: who lets it go has written the outcome before
            return RUNNING
        outcome = self.status().get("outcome")
        return outcome if isinstance(outcome, str) and outcome in OUTCOMES else CRASHED

    @cached_property
    def about(self) -> dict[str, Any]:
        """What was known when it began."""
        return self._json(JOB)

    def status(self) -> dict[str, Any]:
        """The newest numbers, and how it ended; empty while there are none."""
        return self._json(STATUS)

    def events(self) -> Iterator[Event]:
        """What happened, in order; lines that do not parse, as the torn last one of a crash, are passed over."""
        bad = 0
        for line in self._lines():
            event = _decode_event(line)
            if event is None:
                bad += 1
            else:
                yield event
        if bad:
            self._note(f"{EVENTS}: {bad} lines do not parse")

    def request_cancel(self) -> None:
        """Leaves the mark that the job looks for four times a second.

        Raises:
            OutputExistsError, DiskFullError: it cannot be written.
        """
        path = os.path.join(self.folder, CANCEL.encode())
        with writing(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))

    def elapsed_s(self, state: str) -> float:
        """Seconds from begin to end, to now, or of a crashed job to its last sign of life."""
        from datetime import datetime

        took = self.status().get("t")
        if state not in (RUNNING, CRASHED) and isinstance(took, int):
            return took / 1e9
        try:
            started = datetime.fromisoformat(str(self.about.get("started"))).timestamp()
        except (ValueError, OverflowError):
            return 0.0
        return max(0.0, _now_s() - started if state == RUNNING else self._last_sign_s() - started)

    def summary(self) -> JobSummary:
        """The job in a line."""
        state, status, about = self.state, self.status(), self.about
        words = [text_of(about.get(word)) for word in ("verb", "name")]
        pid = about.get("pid")
        return JobSummary(
            self.id, state, " ".join(word for word in words if word) or "?", text_of(about.get("started")),
            round(self.elapsed_s(state), 3), _tasks(status.get("tasks")), text_of(about.get("output")),
            text_of(status.get("error")), pid if isinstance(pid, int) else 0,
        )  # fmt: skip

    # ---- logs ------------------------------------------------------------------------------

    def log_workers(self) -> list[str]:
        """The workers that have a log, by name."""
        try:
            names = sorted(os.listdir(os.path.join(self.folder, LOGS.encode())))
        except OSError:
            return []
        unescaped = (_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name) for name in names)
        return [os.fsdecode(name.removesuffix(LOG_END)) for name in unescaped if name.endswith(LOG_END)]

    def log_size(self, worker: str) -> int:
        """Bytes of a worker's log; 0 when it has none."""
        with contextlib.suppress(OSError):
            return os.lstat(self._log(worker)).st_size
        return 0

    def read_log(self, worker: str, start: int, stop: int) -> Iterator[bytes]:
        """A part of what a worker printed, in pieces; as much of it as there is.

        Raises:
            InputError: it cannot be read.
        """
        path = self._log(worker)
        if not os.path.lexists(path):
            return
        with reading(path):
            fd = _open_regular(path)
            try:
                while start < stop and (piece := os.pread(fd, min(READ_BYTES, stop - start), start)):
                    yield piece
                    start += len(piece)
            finally:
                os.close(fd)

    # ---- files -----------------------------------------------------------------------------

    def _log(self, worker: str) -> bytes:
        return os.path.join(self.folder, LOGS.encode(), log_name(worker))

    def _json(self, name: str) -> dict[str, Any]:
        path = os.path.join(self.folder, name.encode())
        try:
            fd = _open_regular(path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._note(f"{name}: {error.strerror}")
            return {}
        try:
            content = msgspec.json.decode(os.read(fd, JSON_BYTES_MAX))
        except (*_UNDECODABLE, OSError):
            content = None
        finally:
            os.close(fd)
        if not isinstance(content, dict):
            self._note(f"{name}: it does not parse")
            return {}
        return content

    def _lines(self) -> Iterator[bytes]:
        path = os.path.join(self.folder, EVENTS.encode())
        try:
            fd = _open_regular(path)
        except OSError as error:
            self._note(f"{EVENTS}: {error.strerror}")
            return
        with reading(path), open(fd, "rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                if line.endswith(b"\n"):  # else it is torn, or being written just now
                    yield line

    def _last_sign_s(self) -> float:
        times = [0.0]
        for name in (JOB, STATUS, EVENTS):
            with contextlib.suppress(OSError):
                times.append(os.lstat(os.path.join(self.folder, name.encode())).st_mtime)
        return max(times)

    def _note(self, what: str) -> None:
        if what not in self.damage:
            self.damage.append(what)


def list_jobs() -> list[JobSummary]:
    """All records, newest last. One that is removed meanwhile is left out.

    Raises:
        InputError: the folder of records cannot be read.
    """
    jobs = [StoredJob(identity, folder) for identity, folder in _records()]
    found = [(job.summary(), job.folder) for job in jobs]
    return [summary for summary, folder in found if os.path.isdir(folder)]


def find_job(wanted: str) -> StoredJob:
    """The job whose ID, or the last part of it, begins so; ``last``: the newest.

    Raises:
        UsageError: none, or more than one.
        InputError: the folder of records cannot be read.
    """
    records = _records()
    if not records:
        raise UsageError(f"no job {shown(wanted)}: no job left a record in {shown(_root())} yet")
    if wanted == LAST:
        return StoredJob(*records[-1])
    found = [record for record in records if wanted and record[0].startswith(wanted)]
    found = found or [record for record in records if wanted and record[0].rpartition("-")[2].startswith(wanted)]
    if not found:
        raise UsageError(f"no job {shown(wanted)}: 'mrcore jobs list' shows the jobs there are; 'last' is the newest")
    if len(found) > 1:
        names = ", ".join(identity for identity, _ in found[-NAMED_MAX:])
        more = "" if len(found) <= NAMED_MAX else f"{len(found)} jobs, the newest of them "
        raise UsageError(f"more than one job {shown(wanted)}: {more}{names}: write more of its ID")
    return StoredJob(*found[0])


def text_of(value: object) -> str:
    """A value of a record as text; nothing where there is none."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def _root() -> bytes:
    with reading(b"the home folder"):
        return jobs_folder()


def _records() -> list[tuple[str, bytes]]:
    root = _root()
    with reading(root):
        return [(identity, os.path.join(root, identity.encode())) for identity in record_ids(root)]


def _open_regular(path: bytes) -> int:
    """Opens a file that is one: no link is followed, no pipe is waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a regular file")
    return fd


def _decode_event(line: bytes) -> Event | None:
    try:
        content = msgspec.json.decode(line)
    except _UNDECODABLE:
        return None
    if not isinstance(content, dict):
        return None
    t_ns, name = content.pop("t", None), content.pop("event", None)
    return Event(t_ns, name, content) if type(t_ns) is int and t_ns >= 0 and isinstance(name, str) else None


def _tasks(value: object) -> dict[str, tuple[int, int]]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        name: (min(counts[0], counts[1]), counts[1])  # a task whose output was lost is committed again
        for name, counts in pairs
        if isinstance(counts, list) and len(counts) == 2 and all(type(count) is int for count in counts)
    }


def _now_s() -> float:
    import time

    return time.time()
