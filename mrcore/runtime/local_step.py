"""One step of a job on this machine: its coordinator, the processes that work for it, and the files that they leave.

Lives on the thread of :mod:`mrcore.runtime.local_cluster`, and tells the thread that wants the step what happens
through an inbox. A process that dies has its attempts failed, with the record that it was at, and another one takes
its place; one that is stopped loses its lease, and then its life; one that does not let itself be interrupted is
killed.
"""

from __future__ import annotations

import os
import queue
import select
import time
from typing import Any, NamedTuple

import msgspec

from mrcore.engine.spec import MapSpec, PythonMapSpec, TaskResult, encode_spec
from mrcore.errors import JobCancelledError, MrcoreError, WorkerLostError, reason, shown
from mrcore.executors.attach import FREE, Attach, Task, encode
from mrcore.executors.base import error_of
from mrcore.executors.outcome import remove_output
from mrcore.executors.unix_socket import is_ours
from mrcore.executors.worker_process import start_error
from mrcore.runtime.cluster_translation import record_name
from mrcore.runtime.coordinator import Observer
from mrcore.runtime.local_cluster import TICK_S
from mrcore.runtime.local_connection import LocalConnection
from mrcore.scheduler import actions
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.records import AttemptCommitted
from mrcore.storage.files import publish
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_fields import RecordPosition
from mrcore.wire.output_names import output_name, published_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mrcore.engine.spec import TaskSpec
    from mrcore.executors.base import Step
    from mrcore.executors.worker_process import WorkerProcess
    from mrcore.runtime.coordinator import Coordinator
    from mrcore.runtime.local_cluster import LocalCluster, Surroundings
    from mrcore.runtime.local_timeline import Timeline
    from mrcore.runtime.session import Session
    from mrcore.scheduler.records import Record
    from mrcore.storage.budget import DiskBudget

STARTS_MAX = 3
"""Processes in a row that may end before they say a word."""
REGISTER_S = 30.0
STOP_S = 2.0
"""An attempt that was told to stop and has not after this time is stopped with its process."""


class Means(NamedTuple):
    """What all steps of a job have in common.

    Attributes:
        folder: where outputs go.
        socket_folder: where the job's socket stands.
        token: of the job.
        memory_bytes, slots: that each process registers with.
        disk: the budget, or None.
        surroundings: that processes must have been started in.
        fresh: whether they must be new ones.
        timeline: that is told what happens.
    """

    folder: bytes
    socket_folder: bytes
    token: bytes
    memory_bytes: int
    slots: int
    disk: DiskBudget | None
    surroundings: Surroundings
    fresh: bool
    timeline: Timeline


class _Member:
    """A process that works for the step."""

    def __init__(self, name: str, process: WorkerProcess, disk_slot: int) -> None:
        self.name, self.process, self.disk_slot = name, process, disk_slot
        self.session: Session | None = None
        self.connection: LocalConnection | None = None
        self.started = time.monotonic()
        self.heard_ns = 0
        self.attempts: dict[AttemptId, int] = {}  # that it runs, with bytes consumed
        self.stops: dict[AttemptId, float] = {}  # that it was told to stop, and until when it has time


class LocalStep(Observer):
    """See the module.

    Args:
        cluster: the thread.
        means: of the job.
        name: of the step in its journal and its files.
        step: what to run.
        workers: processes at a time.
        stream: a task reads what can be read once only.
    """

    def __init__(
        self, cluster: LocalCluster, means: Means, name: str, step: Step, workers: int, *, stream: bool
    ) -> None:
        self.inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.coordinator: Coordinator | None = None  # set by the executor, which opens it
        self.is_over = False
        self._cluster, self._means, self._name, self._step = cluster, means, name, step
        self._target, self._is_stream = workers, stream
        self._merge_specs: Sequence[TaskSpec] | None = None
        self._results: dict[tuple[int, int], TaskResult] = {}
        self._told: set[tuple[int, int]] = set()
        self._read: set[int] = set()  # tasks of a stream that were given out
        self._counted: dict[AttemptId, int] = {}  # bytes that the inbox was told of
        self._members: dict[str, _Member] = {}
        self._by_session: dict[Session, _Member] = {}
        self._numbers = 0
        self._silent_ends = 0
        self._next_tick = 0.0
        self._failure: tuple[AttemptId, wire.AttemptFailed] | None = None
        self._how_lost = ""
        self._error: MrcoreError | None = None
        self._final = 0 if step.merge is None else 1
        self._tasks = (len(step.tasks), 0 if step.merge is None else step.merge.tasks)
        self._reads_input = bool(step.tasks) and isinstance(step.tasks[0], MapSpec | PythonMapSpec)
        self._listener: socket.socket | None = None

    # ---- jobs: what the coordinator asks for ------------------------------------------------

    def spec(self, job: str, stage: int, task: int) -> bytes:
        """See :class:`mrcore.runtime.dispatch.Jobs`."""
        if stage == 0:
            spec = self._step.tasks[task]
            if self._is_stream:
                self._check_unread(spec)
        else:
            spec = self._merges()[task]
        return encode(Task(self._means.folder, encode_spec(spec)))

    def _check_unread(self, spec: TaskSpec) -> None:
        if any(span.size < 0 for span in getattr(spec, "spans", ())):
            if spec.task in self._read:
                raise WorkerLostError(
                    f"{self._how_lost or 'an attempt was lost'}, while it read a stream, which cannot be read again: "
                    "give it as a file, or run the job again"
                )
            self._read.add(spec.task)

    def _merges(self) -> Sequence[TaskSpec]:
        if self._merge_specs is None:
            assert self._step.merge is not None
            self._merge_specs = self._step.merge.specs([self._results[0, task] for task in range(self._tasks[0])])
        return self._merge_specs

    def publish_output(self, attempt: AttemptId) -> None:
        """Gives an attempt's file its final name."""
        source, target = self._path(output_name(attempt)), self._final_path(attempt.stage, attempt.task) result =
        self._results.get((attempt.stage, attempt.task)) if self.coordinator is None:  # a recovery says it again: it
        may be done, and what is missing is looked for later if os.path.lexists(source): publish(source, target)
        return if result is not None and result.check:  # else it is a number, which stands in the result
        publish(source, target) self._tell(attempt.stage, attempt.task)

    def discard_output(self, attempt: AttemptId) -> None:
        """Removes an attempt's file."""
        self._remove(output_name(attempt))

    def end_job(self, job: str, outcome: str, error: str) -> None:
        """The scheduler gives up, or was told to."""
        if self._error is None:
            self._error = self._failure_of(error)

    # ---- observer: what the coordinator does ------------------------------------------------

    def on_message(self, worker: str, message: wire.FromWorker, now_ns: int) -> None:
        """Progress and notes, which mean nothing to the scheduler, and the words of failures."""
        member = self._members.get(worker)
        if member is None:
            return
        member.heard_ns = now_ns
        match message:
            case wire.Register():
                self._silent_ends = 0
                self._means.timeline.worker_began(worker, member.process.pid)
            case wire.Heartbeat():
                for running in message.running:
                    attempt = _id(running.attempt)
                    if attempt in member.attempts:
                        member.attempts[attempt] = running.progress_bytes
                        self._count(attempt, running.progress_bytes)
            case wire.AttemptNoted():
                self.inbox.put(("noted", (message.kind.value, message.text)))
                self._means.timeline.noted(_id(message.attempt), message.kind.value, message.text)
            case wire.AttemptFailed() | wire.AttemptFinished():
                attempt = _id(message.attempt)
                member.attempts.pop(attempt, None)
                was_stopped = member.stops.pop(attempt, None) is not None
                if self._means.disk is not None:
                    self._means.disk.settle(member.disk_slot)
                self._means.timeline.attempt_said(message, attempt, worker, was_stopped)
                if isinstance(message, wire.AttemptFailed):
                    self._count(attempt, 0)
                    if not was_stopped:
                        self._failure = (attempt, message)

    def on_record_durable(self, record: Record) -> None:
        """An attempt that is committed is the task's."""
        if isinstance(record, AttemptCommitted):
            result = self._decode(record)
            self._results[record.stage, record.task] = result
            attempt = AttemptId(record.job, record.stage, record.task, record.attempt)
            self._count(attempt, result.bytes_in)
            self._means.timeline.committed(attempt, result)
            if record.stage != self._final:
                self._tell(record.stage, record.task)

    def on_action(self, action: actions.Action, now_ns: int) -> None:
        """What workers are told."""
        match action:
            case actions.StartAttempt():
                member = self._members.get(action.worker)
                if member is not None:
                    member.attempts[action.attempt] = 0
                self._means.timeline.attempt_began(action.attempt, action.worker, action.is_speculative)
            case actions.CancelAttempt():
                member = self._members.get(action.worker)
                if member is not None and action.attempt in member.attempts:
                    member.stops.setdefault(action.attempt, time.monotonic() + STOP_S)

    # ---- what the executor wants ------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether workers may be at work for it."""
        return self._listener is not None

    def known(self) -> None:
        """Takes what the journal knows as done; before :meth:`start`."""
        assert self.coordinator is not None
        ledger = self.coordinator.scheduler.ledger.jobs.get(self._name)
        for stage, found in enumerate(ledger.stages if ledger is not None else ()):
            for task, data in found.results.items():
                attempt = AttemptId(self._name, stage, task, found.attempts[task])
                counters = {name: column[task] for name, column in found.counters.items() if column[task]}
                self._results[stage, task] = self._result(attempt, data, counters)

    def known_outputs(self) -> list[tuple[AttemptId, bytes, int, int]]:
        """Of each committed task that is still read: attempt, path, size and checksum, as the journal has them."""
        assert self.coordinator is not None
        ledger = self.coordinator.scheduler.ledger.jobs.get(self._name)
        if ledger is None or not ledger.stages:
            return []
        final = ledger.stages[self._final]
        stages = [self._final] if all(number >= 0 for number in final.attempts) else range(self._final + 1)
        return [
            (attempt, self._results[stage, task].output, ledger.stages[stage].sizes[task],
             ledger.stages[stage].checks[task])
            for stage in stages
            for task, number in enumerate(ledger.stages[stage].attempts)
            if number >= 0
            for attempt in [AttemptId(self._name, stage, task, number)]
        ]  # fmt: skip

    def is_done(self) -> bool:
        """Whether every final output is there."""
        assert self.coordinator is not None
        ledger = self.coordinator.scheduler.ledger.jobs.get(self._name)
        return ledger is not None and bool(ledger.stages) and all(n >= 0 for n in ledger.stages[self._final].attempts)

    def tell_known(self) -> None:
        """Puts what is known and sound into the inbox."""
        for stage, task in sorted(self._results):
            ledger = self.coordinator.scheduler.ledger.jobs[self._name] if self.coordinator else None
            if ledger is not None and ledger.stages[stage].attempts[task] >= 0:
                self._tell(stage, task)

    def start(self, listener: socket.socket) -> None:
        """Begins, on the thread: processes are started, and told where we listen."""
        self._listener = listener
        self._cluster.add(self)
        self._cluster.watch(listener.fileno(), select.POLLIN, lambda mask: self._guarded(self._accept))
        self._guarded(self._hire)

    def grow(self, workers: int) -> None:
        """Has so many processes from now on, if those are more."""
        self._target = max(self._target, workers)
        self._guarded(self._hire)

    def cancel(self, error: MrcoreError) -> None:
        """Ends the step with an error of somebody else's."""
        self._error = self._error or error

    def stop(self, *, kill: bool) -> None:
        """Leaves the thread: processes that are idle are kept for the next one, others are killed."""
        self.is_over = True
        self._cluster.remove(self)
        if self._listener is not None:
            self._cluster.watch(self._listener.fileno(), 0)
        now_ns = time.monotonic_ns()
        for member in list(self._members.values()):
            if kill or member.attempts or member.session is None or not member.session.generation:
                self._dismiss(member)
        try:
            if self.coordinator is not None and kill:
                self.coordinator.abandon()
            elif self.coordinator is not None:
                self.coordinator.stop(now_ns)
        finally:
            for member in list(self._members.values()):
                self._unwatch(member)
                if member.connection is not None:
                    member.connection.abort()
                self._cluster.give(member.process, self._means.surroundings)
            self._members.clear()

    # ---- the thread ---------------------------------------------------------------------------

    def work(self, now_ns: int) -> None:
        """See :class:`mrcore.runtime.local_cluster.Tenant`."""
        self._guarded(lambda: self._work(now_ns))
        if self._error is not None and not self.is_over:
            self.is_over = True
            self._means.timeline.flush()
            self.inbox.put(("failed", self._error))

    def _work(self, now_ns: int) -> None:
        if self.is_over:
            return
        coordinator = self.coordinator
        assert coordinator is not None
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_S
            self._look_after(now, now_ns)
            coordinator.tick(now_ns)
            self._means.timeline.tick(len(self._members))
            if self._means.timeline.cancel_wanted():
                raise JobCancelledError("the job was cancelled: by mrcore jobs cancel")
        coordinator.flush(now_ns)

    def _guarded(self, work: object) -> None:
        """Whatever goes wrong is the end of this step, and not of the thread."""
        try:
            work()  # type: ignore[operator]
        except MrcoreError as error:
            self._error = self._error or error
        except Exception as error:  # a defect of ours
            import traceback

            self._error = self._error or error_of("", f"{type(error).__name__}: {error}", traceback.format_exc())

    def _look_after(self, now: float, now_ns: int) -> None:
        """Processes that are dead, silent, stuck or stopped."""
        coordinator = self.coordinator
        assert coordinator is not None
        for member in list(self._members.values()):
            if not member.process.is_alive():
                self._bury(member)
            elif member.session is None:
                if now - member.started > REGISTER_S:
                    self._dismiss(member)
            elif any(now > until for until in member.stops.values()) or coordinator.scheduler.is_lost(member.name):
                self._dismiss(member)
            elif now_ns - member.heard_ns > 2_000_000_000 and not member.process.is_stopped():
                # It holds the interpreter's lock in native code of the user's; the system says that it lives.
                member.heard_ns = now_ns
                coordinator.keep_alive(member.session, list(member.attempts), now_ns)
        self._hire()

    def _hire(self) -> None:
        """Starts processes until there are as many as there should be."""
        while len(self._members) < self._target and not self.is_over:
            if self._silent_ends >= STARTS_MAX:
                raise WorkerLostError(f"worker processes end before they begin: {self._how_lost}")
            try:
                process = self._cluster.take(self._means.surroundings, fresh=self._means.fresh)
            except OSError as error:
                raise start_error(error) from error
            self._numbers += 1
            used = {member.disk_slot for member in self._members.values()}
            slot = next(number for number in range(1, len(used) + 2) if number not in used)
            member = _Member(f"w{self._numbers}", process, slot)
            self._members[member.name] = member
            means = self._means
            process.attach(
                Attach(
                    means.socket_folder, means.token, member.name, means.slots, means.memory_bytes, slot,
                    means.timeline.log_file(member.name), os.getcwdb(),
                )
            )  # fmt: skip
            self._cluster.watch(process.control.fileno(), select.POLLIN, lambda mask, m=member: self._hear(m))  # type: ignore[misc]
            if process.pidfd >= 0:
                self._cluster.watch(process.pidfd, select.POLLIN, lambda mask, m=member: self._end_of(m))  # type: ignore[misc]

    def _hear(self, member: _Member) -> None:
        """A process says that it is free of what it did before; or its end of the socket is gone."""
        try:
            said = member.process.control.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._cluster.watch(member.process.control.fileno(), 0)
            self._end_of(member)
        assert said.strip(FREE) == b""

    def _end_of(self, member: _Member) -> None:
        if not member.process.is_alive():
            self._guarded(lambda: self._bury(member))
            self._guarded(self._hire)

    def _bury(self, member: _Member) -> None:
        """A process has ended by itself."""
        if self._members.get(member.name) is not member:
            return
        if member.connection is not None:
            self._take_all(member.connection, member.session)  # what it said last
        self._how_lost = f"a worker process ended: pid {member.process.pid}, {member.process.how_it_ended()}"
        if member.session is None or not member.session.generation:
            self._silent_ends += 1
        self._leave(member, member.process.record())

    def _dismiss(self, member: _Member) -> None:
        """A process is of no more use."""
        member.process.kill()
        self._leave(member, None)

    def _leave(self, member: _Member, record: tuple[bytes, int] | None) -> None:
        del self._members[member.name]
        self._unwatch(member)
        lost = list(member.attempts)
        self._means.timeline.worker_ended(member.name, lost, self._how_lost)
        coordinator = self.coordinator
        if coordinator is not None and not self.is_over and member.session is not None:
            name = b"" if record is None else record_name(RecordPosition(*record))
            coordinator.process_ended(member.session, self._how_lost, name, time.monotonic_ns())
        if member.session is not None:
            self._by_session.pop(member.session, None)
        if member.connection is not None:
            member.connection.abort()
        member.process.close()
        if self._means.disk is not None:
            self._means.disk.reclaim(member.disk_slot)
        for attempt in lost:
            self._count(attempt, 0)
            remove_output(self._path(output_name(attempt)))

    def _unwatch(self, member: _Member) -> None:
        self._cluster.watch(member.process.control.fileno(), 0)
        if member.process.pidfd >= 0:
            self._cluster.watch(member.process.pidfd, 0)

    # ---- connections ----------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        assert self.coordinator is not None
        while True:
            try:
                peer, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                raise MrcoreError(f"cannot take a worker's connection: {reason(error)}: raise ulimit -n") from error
            if not is_ours(peer):
                peer.close()
                continue
            peer.setblocking(False)
            connection = LocalConnection(peer, self._cluster.watch)
            session = self.coordinator.accept(connection, time.monotonic_ns())
            self._cluster.watch(
                connection.fd, select.POLLIN,
                lambda mask, c=connection, s=session: self._guarded(lambda: self._stirs(mask, c, s)),  # type: ignore[misc]
            )  # fmt: skip

    def _stirs(self, mask: int, connection: LocalConnection, session: Session) -> None:
        if mask & select.POLLOUT:
            connection.go_on()
        if mask & ~select.POLLOUT:
            self._take_all(connection, session)

    def _take_all(self, connection: LocalConnection, session: Session | None) -> None:
        assert self.coordinator is not None
        while session is not None and session.open and not self.is_over:
            data = connection.receive()
            if data is None:
                return
            if not data:
                self._ended(connection, session)
                return
            self.coordinator.receive(session, data, time.monotonic_ns())
            if session not in self._by_session and (member := self._members.get(session.worker)) is not None:
                self._by_session[session] = member
                member.session, member.connection, member.heard_ns = session, connection, time.monotonic_ns()

    def _ended(self, connection: LocalConnection, session: Session) -> None:
        """The other end is closed. Of a process that is dying, its death is told, when it is known."""
        assert self.coordinator is not None
        self._cluster.watch(connection.fd, 0)
        if session in self._by_session and self._by_session[session].process.pidfd >= 0:
            return
        if session in self._by_session and not self._by_session[session].process.is_alive():
            return
        self.coordinator.close(session, time.monotonic_ns())

    # ---- files and results ------------------------------------------------------------------------

    def _tell(self, stage: int, task: int) -> None:
        if (stage, task) in self._results and (stage, task) not in self._told:
            self._told.add((stage, task))
            self.inbox.put(("result", (stage, self._results[stage, task])))

    def _count(self, attempt: AttemptId, total: int) -> None:
        before = self._counted.get(attempt, 0)
        if total != before and attempt.stage == 0 and self._reads_input:
            self._counted[attempt] = total
            self.inbox.put(("consumed", total - before))
            self._means.timeline.consumed(total - before)

    def _decode(self, record: AttemptCommitted) -> TaskResult:
        attempt = AttemptId(record.job, record.stage, record.task, record.attempt)
        return self._result(attempt, record.result, record.counters)

    def _result(self, attempt: AttemptId, data: bytes, counters: dict[str, int]) -> TaskResult:
        result = msgspec.msgpack.decode(data, type=TaskResult)
        final = attempt.stage == self._final
        path = self._final_path(attempt.stage, attempt.task) if final else self._path(output_name(attempt))
        return msgspec.structs.replace(result, output=path, counters=tuple(sorted(counters.items())))

    def inputs_left(self) -> list[bytes]:
        """Files of the first half, which nobody reads once the step is done."""
        return [result.output for (stage, _), result in self._results.items() if stage != self._final]

    def _remove(self, name: str) -> None:
        freed = remove_output(self._path(name))
        if self._means.disk is not None:
            self._means.disk.give(freed)

    def _path(self, name: str) -> bytes:
        return os.path.join(self._means.folder, name.encode())

    def _final_path(self, stage: int, task: int) -> bytes:
        return self._path(published_name(self._name, stage, task))

    def _failure_of(self, text: str) -> MrcoreError:
        """The error of a job that the scheduler has given up: in the words of the attempt that was the last to fail."""
        if self._failure is not None and str(self._failure[0]) in text:
            said = self._failure[1]
            return error_of(said.error, said.text, said.traceback, said.user_traceback)
        where, _, rest = text.partition(": ")
        return WorkerLostError(f"{rest or where}, while it ran {self._shown_task(where)}")

    def _shown_task(self, attempt: str) -> str:
        """A task, for an error."""
        try:
            _, stage, task, _ = attempt.split("/")
            spec = self._step.tasks[int(task)] if stage == "0" else None
        except (ValueError, IndexError):
            return attempt
        spans = getattr(spec, "spans", ())
        if not spans:
            return f"{'reduce' if spec is None else 'map'} task {task}"
        first, last = spans[0], spans[-1]
        where = f"bytes {first.start} to {last.stop}" if len(spans) == 1 else f"byte {first.start}, and what follows"
        return f"map task {task} ({shown(first.path)}, {where})"


def _id(attempt: object) -> AttemptId:
    return AttemptId(attempt.job, attempt.stage, attempt.task, attempt.attempt)  # type: ignore[attr-defined]
