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
    """Rewrites one line, ten times a second at most."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._total = self._bytes = self._tasks = self._done = 0
        self._name = self._status = ""
        self._start = time.monotonic()
        self._next = 0.0
        self._width = 0
        self._seen = True  # as far as we know

    def planned(self, plan: Planned) -> None:
        """Remembers what there is to read."""
        self._total = plan.input_bytes

    def phase(self, name: str, tasks: int) -> None:
        """Starts counting tasks anew."""
        self._name, self._tasks, self._done = name, tasks, 0
        self._draw(force=True)

    def consumed(self, count: int) -> None:
        """Counts bytes."""
        self._bytes += count
        self._draw()

    def finished(self, result: TaskResult) -> None:
        """Counts tasks."""
        self._done += 1
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
        rate = self._bytes / 1e6 / max(now - self._start, 1e-9)
        share = f" {100 * min(self._bytes / self._total, 1):3.0f} %" if self._total else ""
        read = f"read{share} {self._bytes / 1e6:,.0f} MB, {rate:,.0f} MB/s"
        text = f"mrcore: {self._name} {self._done}/{self._tasks} tasks, {read}"
        self._show(text + self._status)

    def _show(self, text: str) -> None:
        if not self._seen or not (text or self._width):
            return
        try:
            self._out.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self._out.flush()
        except OSError:  # nobody looks any more; the job goes on
            self._seen = False
        self._width = len(text)
