"""What the scheduler's decisions share: the jobs, the workers, and the actions that the present event has led to.

A decision is a function of another module that is given the core; only those of ``scheduler`` are called from outside.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict

from mrcore.scheduler import attempt as attempts_of
from mrcore.scheduler import job as jobs_of
from mrcore.scheduler import stage as stages_of
from mrcore.scheduler import task as tasks_of
from mrcore.scheduler import worker as workers_of
from mrcore.scheduler.actions import AppendJournal, CancelAttempt, CancelReason, DiscardOutput
from mrcore.scheduler.states import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.attempt import Attempt
    from mrcore.scheduler.config import SchedulerConfig
    from mrcore.scheduler.job import Job
    from mrcore.scheduler.ledger import Ledger
    from mrcore.scheduler.records import Record
    from mrcore.scheduler.stage import Stage
    from mrcore.scheduler.worker import Worker


class Core:
    """The state of a scheduler.

    Attributes:
        config, ledger: settings, and what survives.
        jobs: that run, by name.
        workers: by name, the last generation of each; lost ones are remembered for a while.
        leases: of workers that have one or are absent, the one that ends first in front.
        free: live workers with free slots, who waited longest in front.
        lost: workers that are, the oldest in front.
        avoided: workers that are.
        paused: tasks in their back-off, as a heap of (when it ends, job number, stage, task).
        now_ns: time of the present event; never goes back.
        actions: what it has led to.
        stirred: tasks have become pending, or may be started that could not.
        freed: workers that have a slot that they had not.
        completed: a stage has become complete, so readers can be told of its last outputs.
        ticked_ns, speculated_ns: when time last passed, and when slow attempts were last looked for.
        task, attempt, stage, job, worker: the machines.
    """

    __slots__ = (
        "actions", "attempt", "avoided", "completed", "config", "free", "freed", "generation", "job", "jobs", "leases",
        "ledger", "lost", "now_ns", "paused", "speculated_ns", "stage", "stirred", "submitted", "task", "ticked_ns",
        "worker", "workers",
    )  # fmt: skip

    def __init__(self, config: SchedulerConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        self.jobs: dict[str, Job] = {}
        self.workers: dict[str, Worker] = {}
        self.leases: OrderedDict[str, Worker] = OrderedDict()
        self.free: OrderedDict[str, Worker] = OrderedDict()
        self.lost: OrderedDict[str, Worker] = OrderedDict()
        self.avoided: dict[str, Worker] = {}
        self.paused: list[tuple[int, int, int, int]] = []
        self.now_ns = self.ticked_ns = self.speculated_ns = 0
        self.generation = self.submitted = 0
        self.actions: list[Action] = []
        self.stirred = self.completed = False
        self.freed: list[Worker] = []
        self.task, self.attempt = Machine(tasks_of.TABLE), Machine(attempts_of.TABLE)
        self.stage, self.job = Machine(stages_of.TABLE), Machine(jobs_of.TABLE)
        self.worker = Machine(workers_of.TABLE)

    def journal(self, record: Record) -> None:
        """Changes what is durable. What is done after this is done when the record is."""
        self.actions.append(AppendJournal(record))
        self.ledger.apply(record)

    def renew(self, worker: Worker) -> None:
        """The worker has a lease from now on."""
        worker.expires_ns = self.now_ns + self.config.lease_ns
        self.leases[worker.name] = worker
        self.leases.move_to_end(worker.name)

    def release(self, attempt: Attempt) -> None:
        """An attempt has ended: its slot is free."""
        worker, spec = attempt.worker, attempt.stage.spec
        del worker.attempts[attempt.id]
        worker.free_slots += 1
        worker.free_memory_bytes += spec.memory_bytes
        worker.free_cpu_milli += spec.cpu_milli
        job = attempt.stage.job
        job.running -= 1
        job.speculative -= attempt.is_speculative
        if worker.state == workers_of.LIVE:
            self.free[worker.name] = worker
            self.freed.append(worker)

    def cancel(self, attempt: Attempt, reason: CancelReason, event: int = attempts_of.CANCELLED) -> None:
        """Tells an attempt, which its task has been rid of, to stop. Its slot is free when it has."""
        attempt.state = self.attempt.step(attempt.state, event)
        worker = attempt.worker
        self.actions.append(CancelAttempt(worker.name, worker.generation, attempt.id, reason))

    def forget(self, attempt: Attempt) -> bool:
        """Takes an attempt from those that run its task; whether it was the last."""
        running = attempt.stage.running
        twins = running[attempt.id.task]
        twins.remove(attempt)
        if twins:
            return False
        del running[attempt.id.task]
        return True

    def put_back(self, attempt: Attempt) -> None:
        """An attempt ended by no fault of its task, which is tried again unless a twin still runs."""
        stage, task = attempt.stage, attempt.id.task
        if not self.forget(attempt):
            stage.tasks[task] = self.task.step(stage.tasks[task], tasks_of.LEFT)
        else:
            stage.tasks[task] = self.task.step(stage.tasks[task], tasks_of.PUT_BACK)
            self.requeue(stage, task)

    def pause(self, attempt: Attempt, until_ns: int) -> None:
        """An attempt failed; its task is tried again from then on, unless a twin still runs."""
        stage, task = attempt.stage, attempt.id.task
        if not self.forget(attempt):
            stage.tasks[task] = self.task.step(stage.tasks[task], tasks_of.LEFT)
        else:
            stage.tasks[task] = self.task.step(stage.tasks[task], tasks_of.PAUSED)
            heapq.heappush(self.paused, (until_ns, stage.job.number, stage.index, task))

    def requeue(self, stage: Stage, task: int) -> None:
        """A task is pending that was not."""
        stage.pending += 1
        stage.requeued.append(task)
        self.stirred = True

    def discard(self, attempt: Attempt) -> None:
        """What an attempt wrote is nobody's."""
        holder = attempt.worker.name if attempt.stage.readers and attempt.worker.keeps_outputs else ""
        self.actions.append(DiscardOutput(attempt.id, holder))
