"""Leases: who lives, as far as one can know.

A worker that registers gets a generation above all that were ever given and a lease, which its heartbeats renew. When
the lease is over, the worker is lost; when its process or connection has ended, its attempts are over at once, but
what it holds is waited for until the lease is over. What is said under any other generation than the last one changes
nothing, and is answered by telling the speaker so (leases: Gray and Cheriton, SOSP 1989; fencing by
generations: Burrows, Chubby, OSDI 2006, section 2.4).
"""

from __future__ import annotations

from mrcore.scheduler import attempt as attempts_of
from mrcore.scheduler import failures, losses
from mrcore.scheduler import worker as workers_of
from mrcore.scheduler.actions import CancelAttempt, CancelReason, GrantLease, RevokeLease
from mrcore.scheduler.events import EndCause, FailureClass
from mrcore.scheduler.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.events import HeartbeatReceived, WorkerDrained, WorkerEnded, WorkerRegistered

LOST_MAX = 1000
"""Lost workers that are remembered: it only matters for telling zombies apart in the counts."""

EPOCH_SHIFT = 32
"""Generations of one epoch, as bits: so many registrations while one coordinator lives."""


def register(core: Core, event: WorkerRegistered) -> None:
    """Gives a worker a lease. If it had one, its attempts under that are over, but what it holds is there."""
    old = core.workers.get(event.worker)
    if old is not None and old.state != workers_of.LOST:
        old.state = core.worker.step(old.state, workers_of.REGISTERED)
        _retire(core, old)
    core.lost.pop(event.worker, None)
    core.generation += 1
    worker = core.workers[event.worker] = Worker(
        event.worker,
        (core.ledger.epoch << EPOCH_SHIFT) + core.generation,
        event.host,
        event.slots,
        event.memory_bytes,
        event.cpu_milli,
        event.keeps_outputs,
    )
    core.renew(worker)
    core.actions.append(GrantLease(worker.name, worker.generation, core.config.lease_ns, core.config.heartbeat_ns))
    if worker.free_slots > 0:
        core.free[worker.name] = worker
        core.freed.append(worker)


def await_holder(core: Core, name: str) -> None:
    """After a recovery: a worker that holds outputs has the time of a lease to come back."""
    worker = core.workers[name] = Worker(name, 0)
    worker.state = core.worker.step(worker.state, workers_of.ENDED)
    core.renew(worker)


def speaker(core: Core, name: str, generation: int) -> Worker | None:
    """The worker that speaks under its last generation; None, and an answer, for anybody else."""
    worker = core.workers.get(name)
    if worker is None or worker.generation != generation or worker.state in (workers_of.ABSENT, workers_of.LOST):
        core.actions.append(RevokeLease(name, generation))
        return None
    return worker


def renew(core: Core, event: HeartbeatReceived) -> None:
    """A heartbeat."""
    worker = speaker(core, event.worker, event.generation)
    if worker is None:
        known = core.workers.get(event.worker)
        if known is not None and known.generation == event.generation:
            known.state = core.worker.step(known.state, workers_of.HEARD)
        return
    worker.state = core.worker.step(worker.state, workers_of.HEARD)
    core.renew(worker)
    now_ns, attempts = core.now_ns, worker.attempts
    for name, progress_bytes in event.running:
        attempt = attempts.get(name)
        if attempt is None:
            core.actions.append(CancelAttempt(worker.name, worker.generation, name, CancelReason.UNKNOWN))
            continue
        attempt.listed_ns = now_ns
        if progress_bytes > attempt.progress_bytes:
            attempt.progress_bytes, attempt.progress_ns = progress_bytes, now_ns
    if any(attempt.listed_ns != now_ns for attempt in attempts.values()):  # it may list others in their place
        _drop_unlisted(core, worker)


def _drop_unlisted(core: Core, worker: Worker) -> None:
    """A worker that does not list an attempt for the time of a lease does not run it, whatever became of it."""
    long_ago_ns = core.now_ns - core.config.lease_ns
    for attempt in list(worker.attempts.values()):
        if attempt.listed_ns <= long_ago_ns:
            ran = attempt.state == attempts_of.RUN
            attempt.state = core.attempt.step(attempt.state, attempts_of.VANISHED)
            core.release(attempt)
            if ran:  # the word to start it may still be under way: this comes behind it
                core.put_back(attempt)
                core.actions.append(
                    CancelAttempt(worker.name, worker.generation, attempt.id, CancelReason.UNKNOWN)
                )


def drain(core: Core, event: WorkerDrained) -> None:
    """A worker gets no new attempts from now on."""
    worker = speaker(core, event.worker, event.generation)
    if worker is not None and worker.state != workers_of.DRAINING:
        worker.state = core.worker.step(worker.state, workers_of.DRAINED)
        core.free.pop(worker.name, None)
        core.avoided.pop(worker.name, None)


def end(core: Core, event: WorkerEnded) -> None:
    """A worker's process or connection has ended."""
    worker = core.workers.get(event.worker)
    if worker is None or worker.generation != event.generation or worker.state in (workers_of.ABSENT, workers_of.LOST):
        return
    worker.state = core.worker.step(worker.state, workers_of.ENDED)
    if event.cause is EndCause.PROCESS_ENDED:
        for attempt in list(worker.attempts.values()):
            if attempt.state == attempts_of.RUN:
                alone = len(worker.attempts) == 1  # of several it is not known which one read the record
                attempt.state = core.attempt.step(attempt.state, attempts_of.FAILED)
                core.release(attempt)
                text = event.text or f"the process of worker {worker.name} died"
                failures.fail(core, attempt, FailureClass.LOST_WORKER, text, event.record if alone else b"")
    _retire(core, worker)


def expire(core: Core) -> None:
    """Workers whose lease is over are lost."""
    leases, robbed = core.leases, set()
    while leases:
        worker = next(iter(leases.values()))
        if worker.expires_ns > core.now_ns:
            break
        del leases[worker.name]
        worker.state = core.worker.step(worker.state, workers_of.SILENT)
        core.lost[worker.name] = worker
        if len(core.lost) > LOST_MAX:
            forgotten, _ = core.lost.popitem(last=False)
            del core.workers[forgotten]
        _retire(core, worker)
        robbed.add(worker.name)
    if robbed:
        losses.lose_all_of(core, robbed)


def forgive(core: Core, late_ns: int) -> None:
    """We have slept, and what was said meanwhile is still to be read: nobody was silent for so long."""
    latest_ns = core.now_ns + core.config.lease_ns  # those that were heard since
    for worker in core.leases.values():
        worker.expires_ns = min(worker.expires_ns + late_ns, latest_ns)
        for attempt in worker.attempts.values():
            attempt.progress_ns += late_ns
    for job in core.jobs.values():
        for stage in job.stages:
            stage.opened_ns += late_ns


def _retire(core: Core, worker: Worker) -> None:
    """The attempts of a generation are over, by no fault of theirs."""
    core.free.pop(worker.name, None)
    core.avoided.pop(worker.name, None)
    for attempt in list(worker.attempts.values()):
        ran = attempt.state == attempts_of.RUN
        attempt.state = core.attempt.step(attempt.state, attempts_of.LOST)
        core.release(attempt)
        if ran:
            core.put_back(attempt)
