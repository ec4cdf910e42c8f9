"""Placement: which task a free slot gets.

Jobs share the slots: the one that holds the least for its weight is served first (max-min fairness: Bertsekas and
Gallager, Data Networks, section 6.5.2). Within a job earlier stages come first, so tasks that wait for inputs only
get slots that no task before them has use for. Within a stage: tasks that were tried before, then those whose input
the worker's host has (Dean and Ghemawat, MapReduce, OSDI 2004, section 3.4), then the first in their order. A task
that failed on a worker is kept from it for a while if there is another one.

A slot is looked at when it becomes free, all free ones when tasks become pending: work that stays
undone costs nothing between two ticks.
"""

from __future__ import annotations

from mrcore.scheduler import stage as stages_of
from mrcore.scheduler import worker as workers_of
from mrcore.scheduler.actions import AddInputs, CancelReason, InputRange, StartAttempt
from mrcore.scheduler.attempt import ATTEMPTS_PER_EPOCH, Attempt, AttemptId
from mrcore.scheduler.jobs import doom
from mrcore.scheduler.task import DOUBLED, PENDING, STARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.job import Job
    from mrcore.scheduler.stage import Stage
    from mrcore.scheduler.worker import Worker

LOOKS_MAX = 16
"""Tasks that were tried before which a free slot is offered, before it takes another: those behind come next time."""


def place(core: Core) -> None:
    """Fills the slots that the present event has freed, or all if it made tasks pending: one of each worker in turn."""
    workers = list(core.free.values()) if core.stirred else core.freed
    core.stirred, core.freed = False, []
    full: set[tuple[int, int]] = set()
    while workers and (jobs := [job for job in core.jobs.values() if _has_work(job)]):
        workers = [
            worker for worker in workers if worker.state == workers_of.LIVE and _start_one(core, worker, jobs, full)
        ]


def _has_work(job: Job) -> bool:
    for stage in job.stages:  # noqa: SIM110 - a generator is slow, and this is asked after each event
        if stage.pending and stage.is_active:
            return True
    return False


def _start_one(core: Core, worker: Worker, jobs: list[Job], full: set[tuple[int, int]]) -> bool:
    """Starts a task of one of the jobs in a worker; whether there was one and there may be another.

    ``full`` is memory and processors that are too little for any of their tasks: thousands of idle workers have the
    same.
    """
    room = worker.free_memory_bytes, worker.free_cpu_milli
    if not worker.free_slots or room in full:  # without a slot: it was freed twice
        return False
    if len(jobs) > 1:
        jobs.sort(key=lambda job: (job.running / job.ledger.options.weight, job.number))
    for job in jobs:
        if _start_of(core, job, worker):
            if worker.free_slots:
                return True
            del core.free[worker.name]
            return False
    if not any(stage.pending and stage.is_active and fits(stage, worker) for job in jobs for stage in job.stages):
        full.add(room)
    return False


def _start_of(core: Core, job: Job, worker: Worker) -> bool:
    """Starts a task of a job in a worker; whether there was one for it.

    Tasks that wait for inputs do not take the room that tasks before them need.
    """
    awaited: list[Stage] = []
    for stage in job.stages:
        if not (stage.pending and stage.is_active):
            continue
        may_wait = stage.state != stages_of.FETCHING or all(_leaves_room(worker, stage, other) for other in awaited)
        awaited.append(stage)
        if may_wait and fits(stage, worker):
            task = _pick(core, stage, worker)
            if task >= 0 and stage.numbers[task] >= ATTEMPTS_PER_EPOCH:
                doom(core, job, f"task {stage.index}/{task}: {ATTEMPTS_PER_EPOCH} attempts, and none came to an end")
                return False
            if task >= 0:
                stage.pending -= 1
                start(core, stage, task, worker, False)
                return True
    return False


def _leaves_room(worker: Worker, stage: Stage, awaited: Stage) -> bool:
    """Whether a task of another stage will have room beside this one's, once all that does not wait has ended."""
    waiting = [stage, *(attempt.stage for attempt in worker.attempts.values())]
    waiting = [one for one in waiting if one.state == stages_of.FETCHING]
    return (
        worker.slots > len(waiting)
        and worker.memory_bytes - sum(one.spec.memory_bytes for one in waiting) >= awaited.spec.memory_bytes
        and worker.cpu_milli - sum(one.spec.cpu_milli for one in waiting) >= awaited.spec.cpu_milli
    )


def fits(stage: Stage, worker: Worker) -> bool:
    """Whether a worker has room for a task."""
    spec = stage.spec
    return (
        worker.free_slots > 0
        and worker.free_memory_bytes >= spec.memory_bytes
        and worker.free_cpu_milli >= spec.cpu_milli
    )


def _pick(core: Core, stage: Stage, worker: Worker) -> int:
    """A pending task, or -1. It is in none of the queues any more, or its entry there is stale."""
    tasks, requeued = stage.tasks, stage.requeued
    for _ in range(min(len(requeued), LOOKS_MAX)):
        task = requeued.popleft()
        if tasks[task] == PENDING:
            if not is_barred(core, stage, task, worker):
                return task
            requeued.append(task)
    local = stage.local.get(worker.host)
    while local:
        task = local.popleft()
        if tasks[task] == PENDING and task >= stage.cursor and task not in stage.failed_on:
            return task
    for task in range(stage.cursor, len(tasks)):
        if tasks[task] == PENDING and task not in stage.failed_on:  # those that failed are among the requeued
            stage.cursor = task + 1
            return task
    stage.cursor = len(tasks)
    return -1


def is_barred(core: Core, stage: Stage, task: int, worker: Worker) -> bool:
    """Whether a task is to be kept from a worker: it failed there not long ago, and another one could take it."""
    failed_on = stage.failed_on.get(task)
    if not failed_on or failed_on.get(worker.name, 0) <= core.now_ns:
        return False
    memory = stage.spec.memory_bytes
    return any(
        other.state == workers_of.LIVE and other.memory_bytes >= memory and failed_on.get(name, 0) <= core.now_ns
        for name, other in core.workers.items()
    )


def start(core: Core, stage: Stage, task: int, worker: Worker, is_speculative: bool) -> None:
    """Has a worker run a task."""
    spec, job = stage.spec, stage.job
    number = stage.numbers[task]
    stage.numbers[task] = number + 1
    epoch_first = (core.ledger.epoch - 1) * ATTEMPTS_PER_EPOCH
    attempt = Attempt(
        AttemptId(job.ledger.name, stage.index, task, epoch_first + number), stage, worker, core.now_ns, is_speculative
    )
    worker.attempts[attempt.id] = attempt
    worker.free_slots -= 1
    worker.free_memory_bytes -= spec.memory_bytes
    worker.free_cpu_milli -= spec.cpu_milli
    job.running += 1
    stage.starved_ns = 0
    stage.tasks[task] = core.task.step(stage.tasks[task], DOUBLED if is_speculative else STARTED)
    if is_speculative:
        job.speculative += 1
        stage.running[task].append(attempt)
    else:
        stage.running[task] = [attempt]
    skip = stage.ledger.skipped.get(task)
    core.actions.append(
        StartAttempt(
            worker.name,
            worker.generation,
            attempt.id,
            spec.memory_bytes,
            is_speculative,
            _inputs(attempt) if stage.sources else (),
            sum(source.spec.tasks for source in stage.sources) if stage.sources else 0,
            tuple(skip) if skip else (),
        )
    )


def _inputs(attempt: Attempt) -> tuple[InputRange, ...]:
    """Of each stage that the attempt reads, what it has not been told of; it counts as told."""
    sources = attempt.stage.sources
    told = attempt.cursors or [0] * len(sources)
    attempt.cursors = [len(source.log) for source in sources]
    return tuple(
        InputRange(source.index, start, stop)
        for source, start, stop in zip(sources, told, attempt.cursors, strict=True)
        if start < stop
    )


def tell_inputs(core: Core) -> None:
    """Tells attempts that wait for inputs of those that were committed since they were told last."""
    for job in core.jobs.values():
        for stage in job.stages:
            known = sum([len(source.log) for source in stage.sources]) if stage.running else 0
            if known <= stage.told:
                continue
            stage.told = known
            for attempts in stage.running.values():
                for attempt in attempts:
                    if added := _inputs(attempt):
                        worker = attempt.worker
                        core.actions.append(AddInputs(worker.name, worker.generation, attempt.id, added))


def yield_slots(core: Core) -> None:
    """Takes slots from attempts that wait for inputs, where the tasks that make those inputs have none.

    At once if nothing else of the job runs, so that none will become free by itself; after the time of a lease
    otherwise.
    """
    for job in core.jobs.values():
        waiting = [stage for stage in job.stages if stage.state == stages_of.FETCHING and stage.running]
        starved = next((stage for stage in job.stages if stage.pending and stage.is_active), None)
        if not waiting or starved is None or starved.index >= waiting[-1].index:
            continue
        starved.starved_ns = starved.starved_ns or core.now_ns
        held = [
            attempt
            for stage in waiting
            if stage.index > starved.index
            for attempts in stage.running.values()
            for attempt in attempts
        ]
        if job.running > len(held) and core.now_ns - starved.starved_ns < core.config.lease_ns:
            continue
        held.sort(key=lambda attempt: (attempt.started_ns, attempt.id))
        for attempt in held[-starved.pending :]:  # those that were started last have read the least
            core.put_back(attempt)
            core.cancel(attempt, CancelReason.MOVED)
        starved.starved_ns = core.now_ns  # the slots are free when those have stopped
