"""What a user's function may ask and tell while it runs: its ``ctx``."""

from __future__ import annotations

import os

from mrcore.errors import UsageError, UserCodeError, plain_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_MAX = 4096  # letters of a log line or a status
COUNT_MAX = (1 << 63) - 1
NAME_MAX, COUNTERS_MAX = 256, 2000  # letters of a counter's name, and counters of a task: a message holds so many


RESERVED = frozenset(
    {
        "bytes_in", "bytes_out", "combined_records", "fetched_bytes", "map_bytes", "map_pairs", "map_tasks",
        "merge_passes", "merged_bytes", "records_in", "records_out", "records_skipped", "reduce_tasks", "spills",
    }
)  # fmt: skip
"""Names of mrcore's own counters, beside which the functions' stand in a result."""


class Counter:
    """A number that the tasks of a job add up; exact: each task counts once."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, n: int = 1) -> None:
        """Adds an int.

        Raises:
            TypeError: it is none.
            OverflowError: the sum would leave int64.
        """
        if type(n) is not int:
            raise TypeError(f"a counter adds ints, not {type(n).__name__}")
        if not -COUNT_MAX <= self.value + n <= COUNT_MAX:
            raise OverflowError("a counter left the range of int64")
        self.value += n


class RecordInput:
    """Where the record at work comes from."""

    __slots__ = ("_at", "file")

    def __init__(self, at: Callable[[], int]) -> None:
        self._at = at
        self.file: str | None = None
        """Its file, as the job was given it; ``-`` for standard input; None where there is none."""

    @property
    def offset(self) -> int:
        """Byte offset of its first byte in the file. Of tokens that a pattern or Unicode finds: about."""
        return self._at()

    def __repr__(self) -> str:
        return f"{self.file}, byte {self.offset}"


class Context:
    """The ``ctx`` of one task.

    Attributes:
        task: number of the task in its phase.
        phase: ``"map"`` or ``"reduce"``.
        input: file and offset of the record at work, in a map task.
    """

    def __init__(self, task: int, phase: str, note: Callable[[str, str], None]) -> None:
        self.task, self.phase = task, phase
        self.input = RecordInput(lambda: 0)
        self._note = note
        self._counters: dict[str, Counter] = {}

    def counter(self, name: str) -> Counter:
        """The counter of this name, made when it is first asked for.

        Raises:
            UsageError: the name is empty or no printable str, or that of a counter of mrcore's own.
        """
        found = self._counters.get(name)
        if found is None:
            if type(name) is not str or not name or not name.isprintable():
                raise UsageError(f"a counter's name is printable text that is not empty: {name!r}")
            if len(name) > NAME_MAX or len(self._counters) >= COUNTERS_MAX:
                raise UsageError(f"counters: up to {COUNTERS_MAX} a task, with names of up to {NAME_MAX} letters")
            if name in RESERVED:
                raise UsageError(f"mrcore has a counter of this name: {name}: choose another one")
            found = self._counters[name] = Counter()
        return found

    def status(self, text: str) -> None:
        """Says what the task is at; shown with the job's progress."""
        self._note("status", plain_text(str(text)[:TEXT_MAX]))

    def log(self, text: str) -> None:
        """Writes a line to the job's log: standard error."""
        self._note("log", plain_text(str(text)[:TEXT_MAX]))

    def open(self, path: bytes | None, at: Callable[[], int]) -> None:
        """The records that come are of this file (of the engine's use)."""
        self.input = RecordInput(at)
        self.input.file = None if path is None else os.fsdecode(path)

    def on_trial(self) -> Context:
        """One for calls that are only a test: the same record, its own counters, nothing said (of the engine's use)."""
        other = Context(self.task, self.phase, lambda kind, text: None)
        other.input = self.input
        return other

    def counts(self) -> tuple[tuple[str, int], ...]:
        """The counters' names and values, by name (of the engine's use).

        Raises:
            UserCodeError: a value was set, and to no int.
        """
        for name, counter in self._counters.items():
            if type(counter.value) is not int:
                raise UserCodeError(f"a counter's value was set: {name}: {counter.value!r}: call add()")
        return tuple((name, self._counters[name].value) for name in sorted(self._counters))
