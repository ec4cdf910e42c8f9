"""One step of a job on this machine: its coordinator, its tasks and its crew, on the cluster's thread.

What happens is told to the thread that wants the step through an inbox of (kind, what):

=============  =================================================================
``result``     (half, result) of a task that is done, its file under its final name
``consumed``   bytes of input, more or fewer than were told before
``noted``      (kind, text) that a user's function says
``crew``       (processes, attempts that failed)
``failed``     the error that ends the step
=============  =================================================================
"""

from __future__ import annotations

import queue
import time
import traceback
from typing import Any

from mrcore.errors import JobCancelledError, MrcoreError
from mrcore.executors.base import error_of
from mrcore.runtime.coordinator import Coordinator, Observer
from mrcore.runtime.local_cluster import TICK_S
from mrcore.runtime.local_crew import STOP_S, Crew
from mrcore.runtime.step_tasks import StepTasks
from mrcore.scheduler import actions
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.records import AttemptCommitted
from mrcore.wire import cluster_messages as wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mrcore.executors.base import Step
    from mrcore.runtime.coordinator import Settings
    from mrcore.runtime.local_cluster import LocalCluster
    from mrcore.runtime.local_crew import Means
    from mrcore.scheduler.records import Record
    from mrcore.storage.budget import DiskBudget
    from mrcore.storage.disk import Disk
    from mrcore.wire.cluster_fields import AttemptId as WireAttempt


class LocalStep(Observer):
    """See the module. It is made, and looked at, by the thread that wants it; once started it is the cluster's.

    Args:
        cluster: the thread.
        means: of the job.
        name: of the step in its journal and its files.
        step: what to run.
        disk: the budget of files, or None.
        journal: directory of its journal, in which it may be known.
        settings: of its coordinator.

    Attributes:
        is_given_up: the journal says that it has failed: whoever ran it died before it was removed.

    Raises:
        MrcoreError: of the journal.
    """

    def __init__(
        self, cluster: LocalCluster, means: Means, name: str, step: Step, disk: DiskBudget | None, journal: Disk,
        settings: Settings,
    ) -> None:  # fmt: skip
        self.inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.tasks = StepTasks(name, step, means.folder, disk, self.inbox)
        self._cluster, self._means = cluster, means
        self._crew: Crew | None = None
        self._is_over = self._is_stopped = False
        self._next_tick = 0.0
        self._crew_told = (0, 0)
        self.coordinator = Coordinator(journal, settings, self.tasks, time.monotonic_ns(), self)
        self.tasks.recovering = False
        ledger = self.coordinator.scheduler.ledger
        self.tasks.restore(ledger)
        self.is_given_up = name in ledger.jobs and bool(ledger.jobs[name].outcome)
        if name in ledger.jobs:  # what its tasks need is what the journal says, whatever is asked for now
            first = ledger.jobs[name].specs[0]
            self._means = means._replace(memory_bytes=first.memory_bytes, slots=max(1, -(-first.cpu_milli // 1000)))

    # ---- observer: what the coordinator does ------------------------------------------------

    def on_message(self, worker: str, message: wire.FromWorker, now_ns: int) -> None:
        """Progress and notes, which mean nothing to the scheduler, and the words of failures."""
        crew, timeline = self._crew, self._means.timeline
        member = crew.members.get(worker) if crew is not None else None
        if crew is None or member is None:
            return
        member.heard_ns = now_ns
        match message:
            case wire.Register():
                crew.silent_ends = 0
                timeline.worker_began(worker, member.process.pid)
            case wire.Heartbeat():
                for running in message.running:
                    timeline.consumed(self.tasks.count(_id(running.attempt), running.progress_bytes))
            case wire.AttemptNoted():
                self.inbox.put(("noted", (message.kind.value, message.text)))
                timeline.noted(_id(message.attempt), message.kind.value, message.text)
            case wire.AttemptFailed() | wire.AttemptFinished():
                attempt = _id(message.attempt)
                member.attempts.pop(attempt, None)
                was_stopped = member.stops.pop(attempt, None) is not None
                timeline.attempt_said(message, attempt, worker, was_stopped)
                if self.tasks.disk is not None:
                    self.tasks.disk.settle(member.disk_slot)
                if isinstance(message, wire.AttemptFailed):
                    timeline.consumed(self.tasks.count(attempt, 0))
                    if not was_stopped:
                        self.tasks.fail(attempt, message)

    def on_record_durable(self, record: Record) -> None:
        """An attempt that is committed is the task's."""
        if isinstance(record, AttemptCommitted):
            attempt = AttemptId(record.job, record.stage, record.task, record.attempt)
            result = self.tasks.commit(record)
            self._means.timeline.consumed(self.tasks.count(attempt, result.bytes_in))
            self._means.timeline.committed(attempt, result)

    def on_action(self, action: actions.Action, now_ns: int) -> None:
        """What workers are told."""
        if self._crew is None or not isinstance(action, actions.StartAttempt | actions.CancelAttempt):
            return
        member = self._crew.members.get(action.worker)
        if isinstance(action, actions.StartAttempt):
            if member is not None:
                member.attempts[action.attempt] = None
            self._means.timeline.attempt_began(action.attempt, action.worker, action.is_speculative)
        elif member is not None and action.attempt in member.attempts:
            member.stops.setdefault(action.attempt, time.monotonic() + STOP_S)

    # ---- what the executor wants ------------------------------------------------------------

    def start(self, listener: socket.socket, processes: int) -> None:
        """Begins, on the cluster's thread."""
        self._crew = Crew(
            self._cluster, self._means, self.tasks, self.coordinator, listener, processes, self._guarded
        )
        self._cluster.add(self)
        self._guarded(self._crew.hire)

    def stop(self, *, kill: bool) -> None:
        """Leaves the thread; processes that are idle are kept for the next step, unless all are to be killed.

        A second call does nothing.
        """
        if self._is_stopped:
            return
        self._is_over = self._is_stopped = True
        self._cluster.remove(self)

        def part() -> None:
            if kill:
                self.coordinator.abandon()
                return
            try:
                self.coordinator.stop(time.monotonic_ns())
            except MrcoreError:  # what the step made is durable and told; who writes next meets the disk's error
                self.coordinator.abandon()

        if self._crew is None:
            part()
        else:
            self._crew.dissolve(kill=kill, part=part)
        self._means.timeline.flush()

    # ---- the thread -------------------------------------------------------------------------

    def work(self, now_ns: int) -> None:
        """See :class:`mrcore.runtime.local_cluster.Tenant`."""
        if self._is_over:
            return
        self._guarded(lambda: self._work(now_ns))
        if self.tasks.error is not None:
            self._is_over = True
            self.inbox.put(("failed", self.tasks.error))

    def fail(self, error: BaseException) -> None:
        """See :class:`mrcore.runtime.local_cluster.Tenant`."""
        text = "".join(traceback.format_exception(error))
        self.inbox.put(("failed", error_of("", f"{type(error).__name__}: {error}", text)))

    def _work(self, now_ns: int) -> None:
        assert self._crew is not None
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_S
            self._crew.look_after(now_ns)
            self.coordinator.tick(now_ns)
            timeline = self._means.timeline
            timeline.tick(len(self._crew.members))
            if timeline.cancel_wanted():
                raise JobCancelledError("cancelled: by mrcore jobs cancel")
            crew = (len(self._crew.members), timeline.failed)
            if crew != self._crew_told:
                self._crew_told = crew
                self.inbox.put(("crew", crew))
        self.coordinator.flush(now_ns)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong is the end of this step, and not of the thread."""
        if self._is_over:
            return
        try:
            work()
        except MrcoreError as error:
            self.tasks.error = self.tasks.error or error
        except Exception as error:  # a defect of ours
            text = f"{type(error).__name__}: {error}"
            self.tasks.error = self.tasks.error or error_of("", text, traceback.format_exc())


def _id(attempt: WireAttempt) -> AttemptId:
    return AttemptId(attempt.job, attempt.stage, attempt.task, attempt.attempt)
