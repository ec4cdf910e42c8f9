"""One line on a terminal that says how far a job is."""

from __future__ import annotations

import time
from typing import TextIO

from mrcore.cli.output import write_note
from mrcore.engine.spec import TaskResult
from mrcore.errors import shown
from mrcore.runtime.job import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.runtime.job import Planned

INTERVAL_S = 0.1
STATUS_MAX = 40  # letters of a function's status


class ProgressLine(Observer):
    """Rewrites one line, ten times a second at most: each phase's share, speed, time left, workers, failed attempts.

    The time left is that of the input that is still to be mapped, at the speed so far; of a stream, and of what
    follows the map phase, nobody knows.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._total = self._bytes = self._workers = self._failed = 0
        self._phases: dict[str, list[int]] = {}  # tasks done, and all
        self._name = self._status = ""
        self._start = time.monotonic()
        self._next = 0.0
        self._width = 0
        self._seen = True  # as far as we know

    def planned(self, plan: Planned) -> None:
        """Remembers what there is to read."""
        self._total = plan.input_bytes

    def phase(self, name: str, tasks: int) -> None:
        """Starts counting tasks; of a pipeline's later stages on top of those before."""
        self._name = name
        self._phases.setdefault(name, [0, 0])[1] += tasks
        self._draw(force=True)

    def consumed(self, count: int) -> None:
        """Counts bytes."""
        self._bytes += count
        self._draw()

    def finished(self, result: TaskResult) -> None:
        """Counts tasks."""
        self._phases[self._name][0] += 1
        self._draw()

    def crew(self, workers: int, failed: int) -> None:
        """Who is at work, and what went wrong."""
        self._workers, self._failed = workers, failed
        self._draw()

    def noted(self, kind: str, text: str) -> None:
        """Prints a log line above; a status stands behind the numbers."""
        if kind == "log":
            self._show("")
            write_note(f"mrcore: log: {shown(text)}")
        else:
            self._status = f"; {shown(text)[:STATUS_MAX]}"
        self._draw(force=True)

    def clear(self) -> None:
        """Leaves the line empty, for whatever is printed next."""
        self._show("")

    def _draw(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if now < self._next and not force:
            return
        self._next = now + INTERVAL_S
        seconds = max(now - self._start, 1e-9)
        parts = [f"{name} {_share(*counts)}" for name, counts in self._phases.items()]
        parts.append(f"{self._bytes / 1e6:,.0f} MB, {self._bytes / 1e6 / seconds:,.0f} MB/s")
        left = self._total - self._bytes
        if self._bytes and left > 0:
            parts.append(f"{_time(left * seconds / self._bytes)} left")
        if self._workers:
            parts.append(f"{self._workers} workers" if self._workers > 1 else "1 worker")
        if self._failed:
            parts.append(f"{self._failed} failed attempts" if self._failed > 1 else "1 failed attempt")
        self._show(f"mrcore: {', '.join(parts)}{self._status}")

    def _show(self, text: str) -> None:
        if not self._seen or not (text or self._width):
            return
        try:
            self._out.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self._out.flush()
        except OSError:  # nobody looks any more; the job goes on
            self._seen = False
        self._width = len(text)


def _share(done: int, tasks: int) -> str:
    return f"{100 * done // tasks if tasks else 100} % ({done}/{tasks})"


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d}" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60} min"
