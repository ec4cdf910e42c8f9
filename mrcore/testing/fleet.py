"""Many workers in virtual time before one scheduler: what each event costs it, and how long a job takes.

A :class:`Fleet` goes from tick to tick. In each it lets its :class:`Load` say what ended, hands the scheduler these
events, then the heartbeats that are due, then the tick, and hands the load what the scheduler answered. So an event is
late by a tick at most, and nothing else is simulated: no network, no journal file; records are encoded, as the journal
needs them, and counted. ``benchmarks/scheduler`` measures with it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from mrcore.scheduler.actions import Action, AppendJournal, GrantLease
from mrcore.scheduler.events import HeartbeatReceived, TimePassed, WorkerRegistered
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.config import SchedulerConfig
    from mrcore.scheduler.events import Event

GIB = 1 << 30


class Load(Protocol):
    """What becomes of the attempts that the scheduler starts."""

    def take(self, action: Action, now_ns: int) -> None:
        """The scheduler wants something of a worker, or says that a job ended."""

    def due(self, now_ns: int) -> list[Event]:
        """What has happened since the last tick, apart from heartbeats."""

    def running(self, worker: str, now_ns: int) -> tuple[tuple[AttemptId, int], ...]:
        """What a worker runs, with the bytes that it has read of each."""


class Cost:
    """What one kind of event has cost: how many, processor time of all, and of the dearest batch."""

    __slots__ = ("count", "dearest_ns", "spent_ns")

    def __init__(self) -> None:
        self.count = self.spent_ns = self.dearest_ns = 0

    def add(self, count: int, spent_ns: int) -> None:
        """A batch."""
        self.count += count
        self.spent_ns += spent_ns
        self.dearest_ns = max(self.dearest_ns, spent_ns)

    @property
    def each_us(self) -> float:
        """Microseconds of an event."""
        return self.spent_ns / self.count / 1000 if self.count else 0.0


class Fleet:
    """Workers and the clock.

    Args:
        config: the scheduler's.
        load: what its attempts take.

    Attributes:
        now_ns: virtual time.
        scheduler: that answers.
        costs: of events, by kind: ``register``, ``tell`` (what the load said), ``heartbeat``, ``tick``.
        journal_bytes: of the records that were encoded.
        journal_records: their number.
        generations: of the workers that live, by name. Take one out, and it is silent.
    """

    def __init__(self, config: SchedulerConfig, load: Load) -> None:
        self.load, self.config, self.now_ns = load, config, 0
        self.costs = {kind: Cost() for kind in ("register", "tell", "heartbeat", "tick")}
        self.journal_bytes = self.journal_records = 0
        self.generations: dict[str, int] = {}
        self._beats: dict[str, int] = {}  # phase of a worker's heartbeats, in ticks
        self._slices: list[dict[str, None]] = [{} for _ in range(max(1, config.heartbeat_ns // config.tick_ns))]
        self.scheduler, answer = Scheduler.recover(config, None, [], 0)
        self._deliver([answer])

    def register(
        self,
        names: Iterable[str],
        slots: int,
        keeps_outputs: bool = False,
        memory_bytes: int = 64 * GIB,
        cpu_milli: int = 64_000,
    ) -> None:
        """New workers, or old ones anew; their heartbeats are spread over the interval."""
        names = list(names)
        for name in names:
            phase = self._beats.setdefault(name, len(self._beats) % len(self._slices))
            self._slices[phase][name] = None
        self.tell(
            [WorkerRegistered(name, slots, memory_bytes, cpu_milli, name, keeps_outputs) for name in names], "register"
        )

    def tell(self, events: list[Event], kind: str = "tell") -> None:
        """The scheduler hears these events, one after the other, and what it answers is done."""
        answers = []
        handle, now_ns = self.scheduler.handle, self.now_ns
        records = size = 0
        start_ns = time.process_time_ns()
        for event in events:
            answer = handle(event, now_ns)
            for action in answer:
                if type(action) is AppendJournal:
                    size += len(encode_record(action.record))
                    records += 1
            if answer:
                answers.append(answer)
        self.costs[kind].add(len(events), time.process_time_ns() - start_ns)
        self.journal_bytes += size
        self.journal_records += records
        self._deliver(answers)

    def step(self) -> None:
        """One tick."""
        self.now_ns += self.config.tick_ns
        now_ns, running, generations = self.now_ns, self.load.running, self.generations
        if events := self.load.due(now_ns):
            self.tell(events)
        beating = self._slices[now_ns // self.config.tick_ns % len(self._slices)]
        beats: list[Event] = [
            HeartbeatReceived(name, generations[name], running(name, now_ns)) for name in beating if name in generations
        ]
        self.tell(beats, "heartbeat")
        self.tell([TimePassed()], "tick")

    def _deliver(self, answers: list[list[Action]]) -> None:
        for answer in answers:
            for action in answer:
                if type(action) is GrantLease:
                    self.generations[action.worker] = action.generation
                elif type(action) is not AppendJournal:
                    self.load.take(action, self.now_ns)
