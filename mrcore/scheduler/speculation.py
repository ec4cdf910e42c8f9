"""Speculation: second attempts of tasks whose first one is slow (MapReduce paper, section 3.6: backup tasks).

What an attempt should take is the median of what its stage's last finished attempts took. Its end is
estimated from its progress in bytes, as LATE does (Zaharia et al., Improving MapReduce Performance in Heterogeneous
Environments, OSDI 2008, section 4), and it is slow if

- it has run as long as it should have taken, would take ``speculation_slowness`` times that in all, and has as much to
  go as a new attempt would need; or
- it has run twice as long as that, whatever it says of its progress.

With a slowness of 3, tasks whose durations lie within a factor of 2.5 of each other never get a second attempt. The
slot for one is a slot that no other task has use for.
"""

from __future__ import annotations

from mrcore.scheduler import stage as stages_of
from mrcore.scheduler.attempt import ATTEMPTS_PER_EPOCH
from mrcore.scheduler.placement import fits, is_barred, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.attempt import Attempt
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.stage import Stage
    from mrcore.scheduler.worker import Worker


def speculate(core: Core) -> None:
    """Starts second attempts in slots that are free; called when all that is pending was placed."""
    if not core.free:
        return
    for job in core.jobs.values():
        if job.ledger.options.speculate:
            for stage in job.stages:
                if stage.state == stages_of.OPEN and stage.running and not stage.pending:
                    _double_slow(core, stage)


def _double_slow(core: Core, stage: Stage) -> None:
    config, job = core.config, stage.job
    least = max(config.speculation_done_min, stage.spec.tasks * config.speculation_done_percent // 100)
    known = min(max(1, config.speculation_done_min), stages_of.DURATIONS_MAX)  # after a recovery, of those since then
    if stage.committed < least or len(stage.durations) < known:
        return
    usual_ns = sorted(stage.durations)[len(stage.durations) // 2]
    slow = [
        (left_ns, attempts[0])
        for attempts in stage.running.values()
        if len(attempts) == 1
        and stage.numbers[attempts[0].id.task] < ATTEMPTS_PER_EPOCH
        and (left_ns := _left_if_slow(core, stage, attempts[0], usual_ns))
    ]
    free = [worker for worker in core.free.values() if fits(stage, worker)] if slow else []
    slow.sort(key=lambda entry: (-entry[0], entry[1].id))
    for _, attempt in slow:
        if not free or job.speculative >= max(1, job.running * config.speculation_percent // 100):
            return
        worker = _other_worker(core, attempt, free)
        if worker is not None:
            start(core, stage, attempt.id.task, worker, True)
            if not fits(stage, worker):
                free.remove(worker)
            if not worker.free_slots:
                core.free.pop(worker.name)


def begun(attempt: Attempt) -> int:
    """When an attempt could begin to work: not before the last of its inputs was there."""
    return max(attempt.started_ns, attempt.stage.opened_ns)


def _left_if_slow(core: Core, stage: Stage, attempt: Attempt, usual_ns: int) -> int:
    """How long an attempt that is slow will go on, in ns; 0 if it is not slow."""
    config = core.config
    begun_ns = begun(attempt)
    run_ns = core.now_ns - begun_ns
    limit_ns = int(usual_ns * config.speculation_slowness)
    if run_ns < max(config.speculation_started_ns, usual_ns):
        return 0
    if run_ns >= 2 * limit_ns:
        return run_ns
    size, done = stage.task_bytes(attempt.id.task), attempt.progress_bytes
    if not (size and done):
        return run_ns if run_ns >= limit_ns else 0
    total_ns = (attempt.progress_ns - begun_ns) * size // done
    left_ns = total_ns - run_ns
    return left_ns if total_ns >= limit_ns and left_ns >= usual_ns else 0


def _other_worker(core: Core, attempt: Attempt, free: list[Worker]) -> Worker | None:
    for worker in free:
        if worker is not attempt.worker and not is_barred(core, attempt.stage, attempt.id.task, worker):
            return worker
    return None
