"""Failures: what is done when an attempt ends without an output.

===================  ==================  ================================================
failure              counts              and
===================  ==================  ================================================
USER_CODE            yes                 the same record twice: it is skipped, or the job ends
LOST_WORKER          yes                 the same record twice: it is skipped, if it may be
OUT_OF_MEMORY        yes                 the same
TIMEOUT, DEFECT      yes
DISK_FULL            yes                 its worker is avoided at once
BAD_INPUT            ends the job        another attempt would read the same
CORRUPT_INPUT        no                  the output that it names is made again
CANCELLED            no                  nobody had asked, but it has stopped
===================  ==================  ================================================

A process that dies may have died of its task, so it counts; a lease that ends says nothing of the task, and does not.
After each failure that counts the task waits, twice as long each time, and is kept from that worker for the
time of a lease more. Skipping is that of section 4.6 of the MapReduce paper (Dean and Ghemawat, OSDI 2004).

A worker of which several attempts in a row fail, of different tasks, is avoided for a time, if there is another one.
"""

from __future__ import annotations

from mrcore.scheduler import attempt as attempts_of
from mrcore.scheduler import job as jobs_of
from mrcore.scheduler import stage as stages_of
from mrcore.scheduler import worker as workers_of
from mrcore.scheduler.actions import CancelReason
from mrcore.scheduler.events import FailureClass
from mrcore.scheduler.jobs import doom
from mrcore.scheduler.records import AttemptCharged, RecordSkipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.attempt import Attempt
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.worker import Worker

UNCOUNTED = (FailureClass.CORRUPT_INPUT, FailureClass.CANCELLED)
_AVOIDANCES_MAX = 4  # doublings of the time


def fail(core: Core, attempt: Attempt, failure: FailureClass, text: str, record: bytes) -> None:
    """An attempt that was not told to stop has failed, and holds no slot any more."""
    if failure is FailureClass.BAD_INPUT:
        core.put_back(attempt)
        doom(core, attempt.stage.job, f"{attempt.id}: {text}")
    elif failure in UNCOUNTED:
        core.put_back(attempt)
    else:
        _charge(core, attempt, failure, text, record)


def _charge(core: Core, attempt: Attempt, failure: FailureClass, text: str, record: bytes) -> None:
    stage, (name, index, task, number), worker = attempt.stage, attempt.id, attempt.worker
    job, ledger = stage.job, stage.ledger
    core.journal(AttemptCharged(name, index, task, number, record))
    _note(core, worker, attempt, failure)
    failures = ledger.failures[task]
    options = job.ledger.options
    pause_ns = min(options.backoff_ns << min(failures - 1, 32), options.backoff_ns_max)
    core.pause(attempt, core.now_ns + pause_ns)
    until_ns = core.now_ns + pause_ns + core.config.lease_ns
    stage.failed_on.setdefault(task, {})[worker.name] = until_ns
    if record and ledger.charged[task, record] > 1:
        if job.ledger.skipped < options.skip_bad_max:
            core.journal(RecordSkipped(name, index, task, record))
            return
        if failure is FailureClass.USER_CODE:
            doom(core, job, f"{attempt.id}: failed twice on the same record: {text}")
            return
    if failures >= options.attempts_max:
        doom(core, job, f"{attempt.id}: {failures} attempts failed, and no more may: {text}")


def _note(core: Core, worker: Worker, attempt: Attempt, failure: FailureClass) -> None:
    """Remembers a failure of a worker, and avoids it if that is too many."""
    if worker.state != workers_of.LIVE:
        return
    worker.failures.append(attempt.id[:3])
    enough = len(worker.failures) >= core.config.failures_to_avoid and len(set(worker.failures)) > 1
    if (enough or failure is FailureClass.DISK_FULL) and any(
        other is not worker and other.state == workers_of.LIVE for other in core.workers.values()
    ):
        worker.state = core.worker.step(worker.state, workers_of.DISGRACED)
        worker.avoided_until_ns = core.now_ns + (core.config.avoid_ns << min(worker.avoidances, _AVOIDANCES_MAX))
        worker.avoidances += 1
        worker.failures.clear()
        core.free.pop(worker.name, None)
        core.avoided[worker.name] = worker


def pardon(core: Core) -> None:
    """Workers whose time is over get work again, and the first of the others if nobody is left."""
    for worker in list(core.avoided.values()):
        if worker.avoided_until_ns <= core.now_ns:
            _take_back(core, worker)
    if core.avoided and not any(worker.state == workers_of.LIVE for worker in core.workers.values()):
        _take_back(core, next(iter(core.avoided.values())))


def _take_back(core: Core, worker: Worker) -> None:
    worker.state = core.worker.step(worker.state, workers_of.PARDONED)
    del core.avoided[worker.name]
    if worker.free_slots:
        core.free[worker.name] = worker
        core.stirred = True


def time_out(core: Core) -> None:
    """Ends attempts that have read nothing for too long, where their job says how long that is.

    One that waits for inputs, which are still to be made, has nothing to read: its time begins with the last of them.
    """
    for job in list(core.jobs.values()):
        timeout_ns = job.ledger.options.timeout_ns
        if not timeout_ns:
            continue
        late = [
            attempt
            for stage in job.stages
            if stage.state == stages_of.OPEN
            for attempts in stage.running.values()
            for attempt in attempts
            if core.now_ns - max(attempt.progress_ns, stage.opened_ns) > timeout_ns
        ]
        for attempt in late:
            if job.state == jobs_of.RUNNING and attempt.state == attempts_of.RUN:
                core.cancel(attempt, CancelReason.TIMED_OUT, attempts_of.TIMED_OUT)
                _charge(core, attempt, FailureClass.TIMEOUT, "it read nothing for too long", b"")
