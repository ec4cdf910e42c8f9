"""The scheduler's books agree with each other: counts with states, slots with attempts, queues with tasks.

What a decision reads is kept in several places, so that it costs the same at any size; this compares them.
"""

from __future__ import annotations

from collections import Counter

from mrcore.scheduler import attempt as attempts_of
from mrcore.scheduler import stage as stages_of
from mrcore.scheduler import task as tasks_of
from mrcore.scheduler import worker as workers_of
from mrcore.scheduler.ledger import NO_ATTEMPT, SHARED
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.events import Event
    from mrcore.scheduler.job import Job
    from mrcore.scheduler.scheduler import Scheduler
    from mrcore.scheduler.stage import Stage


EVENTS_BETWEEN = 8
"""Events that are answered between two looks: a look costs more than an event."""


class Bookkeeping(Law):
    """Looks at the books now and then."""

    def __init__(self) -> None:
        self._events = 0

    def on_answered(self, event: Event, actions: Sequence[Action], now_ns: int) -> None:
        """Counts, and looks."""
        self._events += 1
        coordinator = self.cluster.office.coordinator
        if self._events % EVENTS_BETWEEN == 0 and coordinator is not None:
            for text in disagreements(coordinator.scheduler):
                self.broken(text)


def disagreements(scheduler: Scheduler) -> Iterator[str]:
    """What does not agree, each in a sentence; nothing in a sound scheduler between two events."""
    core = scheduler._core
    if core.actions or core.stirred or core.freed:
        yield "something of the last event is left"
    for job in core.jobs.values():
        yield from _of_job(core, job)
    yield from _of_workers(core)


def _of_job(core: Core, job: Job) -> Iterator[str]:
    held = [a for w in core.workers.values() for a in w.attempts.values() if a.stage.job is job]
    if job.running != len(held):
        yield f"{job.ledger.name}: {job.running} attempts, but workers have {len(held)}"
    if job.speculative != sum(attempt.is_speculative for attempt in held):
        yield f"{job.ledger.name}: {job.speculative} second attempts"
    if job.finals != sum(not stage.readers and stage.state != stages_of.COMPLETE for stage in job.stages):
        yield f"{job.ledger.name}: {job.finals} stages to be completed"
    for stage in job.stages:
        for text in _of_stage(core, stage):
            yield f"{job.ledger.name}/{stage.index}: {text}"


def _of_stage(core: Core, stage: Stage) -> Iterator[str]:
    states = Counter(stage.tasks)
    counts = {tasks_of.PENDING: stage.pending, tasks_of.COMMITTED: stage.committed, tasks_of.VANISHED: stage.vanished}
    if any(states[state] != count for state, count in counts.items()):
        yield f"counts are {counts}, but states are {states}"
    committed = {task for task, attempt in enumerate(stage.ledger.attempts) if attempt != NO_ATTEMPT}
    if committed != {task for task, state in enumerate(stage.tasks) if state == tasks_of.COMMITTED}:
        yield "the ledger has other outputs"
    if set(stage.running) != {task for task, state in enumerate(stage.tasks) if state == tasks_of.RUNNING}:
        yield "other tasks run than are running"
    if any(not 1 <= len(attempts) <= 2 for attempts in stage.running.values()):
        yield "a task with no or many attempts"
    queued = set(stage.requeued) | set(range(stage.cursor, len(stage.tasks)))
    if lost := {task for task, state in enumerate(stage.tasks) if state == tasks_of.PENDING} - queued:
        yield f"pending and in no queue: {sorted(lost)}"
    paused = {task for _, number, index, task in core.paused if (number, index) == (stage.job.number, stage.index)}
    if lost := {task for task, state in enumerate(stage.tasks) if state == tasks_of.WAITING} - paused:
        yield f"waiting for ever: {sorted(lost)}"
    done = all(state in (tasks_of.COMMITTED, tasks_of.VANISHED) for state in stage.tasks)
    if (stage.state == stages_of.COMPLETE) != (done and stage.state != stages_of.CLOSED):
        yield f"{stages_of.TABLE.states[stage.state]}, but its tasks are {states}"
    for task, holder in enumerate(stage.ledger.holders):
        worker = core.workers.get(core.ledger.holders[holder]) if holder != SHARED else None
        if worker is not None and worker.state == workers_of.LOST:
            yield f"task {task} has an output, and who holds it is lost"
    if states[tasks_of.VANISHED] and stage.is_needed():
        yield "outputs have vanished that somebody has to read"
    if stage.state == stages_of.OPEN and not stage.inputs_complete():
        yield "open, but inputs are missing"
    if stage.state in (stages_of.CLOSED, stages_of.FETCHING) and stage.inputs_complete():
        yield "not open, but its inputs are complete"


def _of_workers(core: Core) -> Iterator[str]:
    for name, worker in core.workers.items():
        for attempt in worker.attempts.values():
            runs = attempt in attempt.stage.running.get(attempt.id.task, ())
            if attempt.worker is not worker or runs != (attempt.state == attempts_of.RUN):
                yield f"{name}: {attempt.id} is in the wrong place"
        if worker.free_slots < 0 or worker.free_memory_bytes < 0 or worker.free_cpu_milli < 0:
            yield f"{name}: more is taken than it has"
        if (name in core.free) != (worker.state == workers_of.LIVE and worker.free_slots > 0):
            yield f"{name}: free slots, {worker.free_slots}, are not offered, or offered while it may not work"
        if (name in core.leases) == (worker.state == workers_of.LOST):
            yield f"{name}: a lease too many or too few"
        if (name in core.avoided) != (worker.state == workers_of.AVOIDED):
            yield f"{name}: avoided or not"
        if worker.state == workers_of.AVOIDED and worker.avoided_until_ns <= core.now_ns == core.ticked_ns:
            yield f"{name}: avoided for longer than its time"
        if worker.attempts and worker.state in (workers_of.ABSENT, workers_of.LOST):
            yield f"{name}: it is gone, and its attempts are not"
    if [worker.expires_ns for worker in core.leases.values()] != sorted(w.expires_ns for w in core.leases.values()):
        yield "leases are out of order"
