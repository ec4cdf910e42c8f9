"""What a record's events amount to: the phases, workers and attempts of a job, from when to when.

The first pass over the events of `mrcore jobs show`, `jobs logs` and `mrcore trace`. An attempt whose end is not
told, since it runs or the job crashed, reaches to the last event. Cost: about 1 KB an attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from mrcore.storage.history_reader import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from mrcore.storage.history_reader import Event

NUMBERS = ("bytes_in", "bytes_out", "records_in", "records_out")
COMMITTED, UNKNOWN = "committed", "unknown"
OPEN = ""
"""The outcome of an attempt whose end is not told."""

_KEY = re.compile(r"p?(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)


@dataclass(slots=True)
class Attempt:
    """One execution of one task."""

    key: str  # as in the events: p0.1.17.2 is step 0, stage 1, task 17, attempt 2
    step: int
    stage: int
    task: int
    number: int
    worker: str
    start_ns: int
    end_ns: int = 0
    speculative: bool = False
    outcome: str = OPEN
    error: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    log: tuple[int, int] | None = None  # which bytes of its worker's log it printed
    notes: list[Note] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return (self.end_ns - self.start_ns) / 1e9


class Note(NamedTuple):
    """What a user's function said."""

    t_ns: int
    kind: str
    text: str


@dataclass(slots=True)
class Phase:
    """A stage of a step."""

    name: str
    step: int
    stage: int
    tasks: int
    start_ns: int
    end_ns: int = -1
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(slots=True)
class Worker:
    """One life of a worker process; a name may have several."""

    name: str
    pid: int
    start_ns: int
    end_ns: int = -1  # as long as none is told
    how: str = ""


class Replay:
    """The state after all events."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.phases: list[Phase] = []
        self.workers: list[Worker] = []
        self.attempts: list[Attempt] = []  # as they started
        self.notes: list[Note] = []  # of no attempt that is known
        self.counters: dict[str, Any] = {}
        self.last_ns = 0
        self.left_out = False  # events past the limit of the record
        self._open: dict[str, Attempt] = {}
        self._latest: dict[str, Attempt] = {}
        self._by_stage: dict[tuple[int, int], Phase] = {}
        take = {
            "phase": self._phase, "worker": self._worker, "worker_ended": self._worker_ended, "start": self._start,
            "end": self._end, "note": self._note, "counters": self._counters, "left_out": self._left_out,
        }  # fmt: skip
        for t_ns, name, fields in events:
            self.last_ns = max(self.last_ns, t_ns)  # they are in order; a forged record may say otherwise
            if name in take:
                take[name](self.last_ns, fields)
        for attempt in self._open.values():
            attempt.end_ns = self.last_ns
        self._end_phases()

    def label(self, attempt: Attempt) -> str:
        """How people call its task: ``map 3``; in jobs of several steps with the step's number."""
        phase = self._by_stage.get((attempt.step, attempt.stage))
        name = phase.name if phase else f"stage {attempt.stage} task"
        return f"{name} {attempt.task}" + (f" of step {attempt.step}" if self.steps > 1 else "")

    def phase_of(self, attempt: Attempt) -> Phase | None:
        """The phase it belongs to, if that was told."""
        return self._by_stage.get((attempt.step, attempt.stage))

    @property
    def steps(self) -> int:
        """How many steps had a phase."""
        return len({phase.step for phase in self.phases})

    def _phase(self, t_ns: int, fields: dict[str, Any]) -> None:
        step = _number(text_of(fields.get("step")).removeprefix("p"))
        stage = _number(fields.get("stage"))
        phase = Phase(text_of(fields.get("name")), step, stage, _number(fields.get("tasks")), t_ns)
        self.phases.append(phase)
        self._by_stage[step, stage] = phase

    def _worker(self, t_ns: int, fields: dict[str, Any]) -> None:
        self.workers.append(Worker(text_of(fields.get("worker")), _number(fields.get("pid")), t_ns))

    def _worker_ended(self, t_ns: int, fields: dict[str, Any]) -> None:
        name = text_of(fields.get("worker"))
        lives = [worker for worker in self.workers if worker.name == name and worker.end_ns < 0]
        if not lives:
            self.workers.append(worker := Worker(name, 0, t_ns))
            lives = [worker]
        lives[-1].end_ns, lives[-1].how = t_ns, text_of(fields.get("how"))

    def _start(self, t_ns: int, fields: dict[str, Any]) -> None:
        key = text_of(fields.get("attempt"))
        if not (found := _KEY.fullmatch(key)):
            return
        if key in self._open:
            self._close(key, t_ns, UNKNOWN)
        step, stage, task, number = map(int, found.groups())
        attempt = Attempt(key, step, stage, task, number, text_of(fields.get("worker")), t_ns, t_ns)
        attempt.speculative = fields.get("speculative") is True
        self.attempts.append(attempt)
        self._open[key] = self._latest[key] = attempt
        if phase := self.phase_of(attempt):
            phase.attempts.append(attempt)

    def _end(self, t_ns: int, fields: dict[str, Any]) -> None:
        key = text_of(fields.get("attempt"))
        if key not in self._open:  # its start is in a line that does not parse
            return
        attempt = self._close(key, t_ns, text_of(fields.get("outcome")) or UNKNOWN)
        attempt.error = text_of(fields.get("error"))
        attempt.numbers = {name: _number(fields[name]) for name in NUMBERS if name in fields}
        log = fields.get("log")
        if isinstance(log, list) and len(log) == 2 and all(type(at) is int for at in log) and 0 <= log[0] <= log[1]:
            attempt.log = (log[0], log[1])

    def _close(self, key: str, t_ns: int, outcome: str) -> Attempt:
        attempt = self._open.pop(key)
        attempt.end_ns, attempt.outcome = t_ns, outcome
        return attempt

    def _note(self, t_ns: int, fields: dict[str, Any]) -> None:
        note = Note(t_ns, text_of(fields.get("kind")), text_of(fields.get("text")))
        attempt = self._latest.get(text_of(fields.get("attempt")))
        (self.notes if attempt is None else attempt.notes).append(note)

    def _counters(self, t_ns: int, fields: dict[str, Any]) -> None:
        counters = fields.get("counters", fields)
        self.counters = counters if isinstance(counters, dict) else {}

    def _left_out(self, t_ns: int, fields: dict[str, Any]) -> None:
        self.left_out = True

    def _end_phases(self) -> None:
        """A phase reaches to the end of its last attempt; one without attempts to the next phase."""
        starts = [phase.start_ns for phase in self.phases[1:]] + [self.last_ns]
        for phase, next_ns in zip(self.phases, starts, strict=False):
            phase.end_ns = max((attempt.end_ns for attempt in phase.attempts), default=next_ns)


def _number(value: object) -> int:
    """A whole number of a record; 0 for what is none."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and value.isascii() and len(value) < 10 else 0
    return value if type(value) is int else 0
