"""The scheduler: events in, actions out.

It is total: whatever event comes, in whatever state, is answered; only a defect of ours raises. It is pure: what it
answers follows from the events and times that it was given, and from nothing else, so a story can be
played again. Who drives it

1. recovers it from the journal's snapshot and records, or from nothing;
2. tells it each event with the time, and ``TimePassed`` every ``config.tick_ns``;
3. carries out the actions of each answer in their order, and nothing behind an ``AppendJournal`` before that record is
   durable;
4. stops for good if the journal fails: what the scheduler knows is then ahead of what is durable;
5. may replace the journal by :meth:`Scheduler.snapshot` when all actions so far have been carried out.

Who is told twice can bear it: actions may come again after a recovery, and what they name is unique.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from mrcore.scheduler import attempt as attempts_of
from mrcore.scheduler import events as of
from mrcore.scheduler import failures, jobs, leases, losses, placement, speculation
from mrcore.scheduler.actions import CancelReason, PublishOutput
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.core import Core
from mrcore.scheduler.ledger import NO_ATTEMPT, SHARED, Ledger, decode_ledger, encode_ledger
from mrcore.scheduler.records import AttemptCommitted, EpochBegan, decode_record
from mrcore.scheduler.task import COMMIT, RELEASED, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mrcore.scheduler.actions import Action, InputRange
    from mrcore.scheduler.attempt import Attempt
    from mrcore.scheduler.config import SchedulerConfig
    from mrcore.scheduler.states import Machine


COUNTERS_MAX = 10_000
"""Names of counters of a stage: each is a column over all tasks."""


class Output(NamedTuple):
    """An output that is there."""

    attempt: AttemptId
    size_bytes: int
    check: int  # XXH3-64 of its bytes
    holder: str  # the worker on whose disk it is; empty: the disk that all share


class Scheduler:
    """The scheduler of one cluster; made by :meth:`recover`.

    Cost: some 10 us an event, whatever the number of tasks; ``docs/benchmarks.md`` has the figures.

    Attributes:
        config: as given.
        ledger: what is durable; to be read only.
        machines: by name, for the counts of their rows.
    """

    def __init__(self, config: SchedulerConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        core = self._core = Core(config, ledger)
        self.machines: dict[str, Machine] = {
            machine.table.name: machine for machine in (core.job, core.stage, core.task, core.attempt, core.worker)
        }
        self._handlers: dict[type, Callable[[Core, Any], None]] = {
            of.AttemptFinished: _finish,
            of.HeartbeatReceived: leases.renew,
            of.TimePassed: _pass_time,
            of.AttemptFailed: _fail,
            of.FetchFailed: _miss,
            of.WorkerRegistered: leases.register,
            of.WorkerEnded: leases.end,
            of.WorkerDrained: leases.drain,
            of.JobSubmitted: jobs.submit,
            of.JobCancelled: jobs.cancel,
        }

    @classmethod
    def recover(
        cls, config: SchedulerConfig, snapshot: bytes | None, records: Iterable[bytes], now_ns: int
    ) -> tuple[Scheduler, list[Action]]:
        """A scheduler that goes on from a journal, and what is to be done first.

        What was running is forgotten: workers register anew. Those that hold outputs are waited for. Outputs of
        stages that nobody reads are published again.

        Args:
            config: settings; they may differ from those before.
            snapshot: of :meth:`snapshot`, or None if there is none.
            records: behind the snapshot; as encoded by ``records.encode_record``.
            now_ns: the time.

        Raises:
            msgspec.DecodeError: snapshot or records are of something else.
        """
        ledger = decode_ledger(snapshot) if snapshot is not None else Ledger()
        for record in records:
            ledger.apply(decode_record(record))
        scheduler = cls(config, ledger)
        core = scheduler._core
        core.now_ns = now_ns
        core.journal(EpochBegan(ledger.epoch + 1))
        for job in list(ledger.jobs.values()):
            jobs.publish_again(core, job)
            if not job.outcome:
                jobs.begin(core, job)
        for holder in losses.holders(core):
            leases.await_holder(core, holder)
        return scheduler, scheduler._answer()

    def handle(self, event: of.Event, now_ns: int) -> list[Action]:
        """What is to be done about an event. A time before the last one counts as the last one."""
        core = self._core
        if now_ns > core.now_ns:
            core.now_ns = now_ns
        self._handlers[type(event)](core, event)
        if core.stirred or core.freed:
            placement.place(core)
        if core.completed:
            core.completed = False
            placement.tell_inputs(core)
        return self._answer()

    def snapshot(self) -> bytes:
        """What is durable, in bytes; a scheduler that recovers from it is where this one was."""
        return encode_ledger(self.ledger)

    def outputs(self, job: str, inputs: InputRange, holder: str | None = None) -> list[Output]:
        """The outputs of a range that are there now, of a holder or all; of one that was made again, the new one."""
        running = self._core.jobs.get(job)
        number = None if holder is None else self.ledger.holder_number(holder)
        if running is None or (number is None and holder is not None):
            return []
        stage = running.stages[inputs.stage]
        ledger, holders = stage.ledger, self.ledger.holders
        return [
            Output(
                AttemptId(job, inputs.stage, task, ledger.attempts[task]),
                ledger.sizes[task],
                ledger.checks[task],
                "" if ledger.holders[task] == SHARED else holders[ledger.holders[task]],
            )
            for task in stage.log[inputs.start : inputs.stop]
            if ledger.attempts[task] != NO_ATTEMPT and (number is None or ledger.holders[task] == number)
        ]

    def is_lost(self, worker: str) -> bool:
        """Whether the lease of a worker ran out, and it has not come back."""
        return worker in self._core.lost

    def _answer(self) -> list[Action]:
        actions, self._core.actions = self._core.actions, []
        return actions


def _finish(core: Core, event: of.AttemptFinished) -> None:
    worker = leases.speaker(core, event.worker, event.generation)
    attempt = worker.attempts.get(event.attempt) if worker is not None else None
    if attempt is None:
        return  # said twice, or too late to count
    was_running = attempt.state == attempts_of.RUN
    attempt.state = core.attempt.step(attempt.state, attempts_of.FINISHED)
    core.release(attempt)
    if was_running:
        _commit(core, attempt, event)
    else:
        core.discard(attempt)


def _commit(core: Core, attempt: Attempt, event: of.AttemptFinished) -> None:
    """The first attempt of its task that has finished: its output is the task's."""
    stage, worker, (name, index, task, number) = attempt.stage, attempt.worker, attempt.id
    holder = worker.name if worker.keeps_outputs and stage.readers else ""
    core.journal(
        AttemptCommitted(
            name, index, task, number, holder, event.output_bytes, event.output_check, event.counters, event.result
        )
    )
    stage.tasks[task] = core.task.step(stage.tasks[task], COMMIT)
    twins = stage.running.pop(task)
    if len(twins) > 1:
        for twin in twins:
            if twin is not attempt:
                core.cancel(twin, CancelReason.TWIN_COMMITTED)
    if worker.failures:
        worker.failures.clear()
    stage.failed_on.pop(task, None)
    stage.committed += 1
    stage.log.append(task)
    stage.durations.append(core.now_ns - speculation.begun(attempt))
    if len(stage.ledger.counters) > COUNTERS_MAX:
        jobs.doom(core, stage.job, f"{attempt.id}: more than {COUNTERS_MAX} names of counters: use fewer")
        return
    if not stage.readers:
        core.actions.append(PublishOutput(attempt.id))
    elif not stage.pending:
        for reader in stage.readers:
            jobs.check(core, reader)
    if stage.is_done:
        jobs.complete(core, stage)


def _fail(core: Core, event: of.AttemptFailed) -> None:
    worker = leases.speaker(core, event.worker, event.generation)
    attempt = worker.attempts.get(event.attempt) if worker is not None else None
    if attempt is None:
        return
    was_running = attempt.state == attempts_of.RUN
    attempt.state = core.attempt.step(attempt.state, attempts_of.FAILED)
    core.release(attempt)
    if was_running:
        failures.fail(core, attempt, event.failure, event.text, event.record)


def _miss(core: Core, event: of.FetchFailed) -> None:
    if not event.worker or leases.speaker(core, event.worker, event.generation) is not None:
        losses.report(core, event)


def _pass_time(core: Core, event: of.TimePassed) -> None:
    late_ns = core.now_ns - core.ticked_ns - core.config.tick_ns
    if late_ns > core.config.tick_ns and core.ticked_ns:
        leases.forgive(core, late_ns)
    core.ticked_ns = core.now_ns
    leases.expire(core)
    failures.pardon(core)
    _release_paused(core)
    if core.free:  # tasks that were kept from a worker for a while, or had no room
        core.stirred = True
        placement.place(core)
    if core.now_ns - core.speculated_ns >= core.config.speculation_interval_ns:
        core.speculated_ns = core.now_ns
        failures.time_out(core)
        speculation.speculate(core)
    placement.yield_slots(core)
    placement.tell_inputs(core)


def _release_paused(core: Core) -> None:
    paused = core.paused
    by_number = {job.number: job for job in core.jobs.values()} if paused else {}
    while paused and paused[0][0] <= core.now_ns:
        _, number, index, task = heapq.heappop(paused)
        job = by_number.get(number)
        if job is not None:
            stage = job.stages[index]
            assert stage.tasks[task] == WAITING
            stage.tasks[task] = core.task.step(stage.tasks[task], RELEASED)
            core.requeue(stage, task)
