"""The processes that work for one step: hired, heard, buried when they die, dismissed when they are of no use.

A process that dies has its attempts failed, with the record that it was at, and another one takes its place. One that
is stopped loses its lease, and then its life. One that is silent because native code of a user's holds the
interpreter's lock lives: the system says so. One that does not let itself be interrupted is killed.
"""

from __future__ import annotations

import os
import select
import time
from typing import NamedTuple

from mrcore.errors import MrcoreError, WorkerLostError, reason
from mrcore.executors.attach import Attach
from mrcore.executors.outcome import remove_output
from mrcore.executors.unix_socket import is_ours
from mrcore.executors.worker_process import start_error
from mrcore.runtime.cluster_translation import record_name
from mrcore.runtime.local_connection import LocalConnection
from mrcore.wire.cluster_fields import RecordPosition
from mrcore.wire.output_names import output_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mrcore.executors.worker_process import WorkerProcess
    from mrcore.runtime.coordinator import Coordinator
    from mrcore.runtime.local_cluster import LocalCluster, Surroundings
    from mrcore.runtime.local_timeline import Timeline
    from mrcore.runtime.session import Session
    from mrcore.runtime.step_tasks import StepTasks
    from mrcore.scheduler.attempt import AttemptId

STARTS_MAX = 3
"""New processes in a row that may end before they say a word."""
REGISTER_S = 30.0
STOP_S = 2.0
"""An attempt that was told to stop and has not after this time is stopped with its process."""
_SILENT_NS = 2_000_000_000


class Means(NamedTuple):
    """What the steps of a job have in common.

    Attributes:
        folder: where outputs go.
        socket_folder: where the job's socket stands.
        token: of the job.
        memory_bytes, slots: that each process registers with.
        surroundings: that processes must have been started in.
        timeline: that is told what happens.
    """

    folder: bytes
    socket_folder: bytes
    token: bytes
    memory_bytes: int
    slots: int
    surroundings: Surroundings
    timeline: Timeline


class Member:
    """A process that works for the step."""

    def __init__(self, name: str, process: WorkerProcess, disk_slot: int) -> None:
        self.name, self.process, self.disk_slot = name, process, disk_slot
        self.session: Session | None = None
        self.connection: LocalConnection | None = None
        self.started = time.monotonic()
        self.heard_ns = 0
        self.attempts: dict[AttemptId, None] = {}  # that it runs
        self.stops: dict[AttemptId, float] = {}  # that it was told to stop, and until when it has time


class Crew:
    """See the module. All calls are made on the cluster's thread.

    Args:
        cluster: the thread, where processes come from.
        means: of the job.
        tasks: of the step.
        coordinator: of the step.
        listener: where processes connect; belongs to the job.
        guarded: runs what a descriptor asks for, and takes its errors for the step's.

    Attributes:
        members: by name.
        target: how many there should be.
        silent_ends: new processes in a row that ended before they said a word.
    """

    def __init__(
        self, cluster: LocalCluster, means: Means, tasks: StepTasks, coordinator: Coordinator, listener: socket.socket,
        target: int, guarded: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self.members: dict[str, Member] = {}
        self.target = target
        self.silent_ends = 0
        self._cluster, self._means, self._tasks, self._coordinator = cluster, means, tasks, coordinator
        self._listener, self._guarded = listener, guarded
        self._by_session: dict[Session, Member] = {}
        self._connections: dict[LocalConnection, None] = {}  # all that came, those of strangers too
        self._numbers = 0
        self._closed = False
        self._watch(listener.fileno(), self._accept)

    def _watch(self, fd: int, work: Callable[[], None]) -> None:
        self._cluster.watch(fd, select.POLLIN, lambda mask: self._guarded(work))

    # ---- processes ----------------------------------------------------------------------------

    def hire(self) -> None:
        """Starts processes until there are as many as there should be.

        Raises:
            WorkerLostError: they end before they begin.
            MrcoreError: the system has no room for one.
        """
        while len(self.members) < self.target and not self._closed:
            if self.silent_ends >= STARTS_MAX:
                raise WorkerLostError(f"worker processes end before they begin: {self._tasks.how_lost}")
            try:
                process = self._cluster.take(self._means.surroundings, fresh=self._tasks.is_stream)
            except OSError as error:
                raise start_error(error) from error
            self._numbers += 1
            used = {member.disk_slot for member in self.members.values()}
            slot = next(number for number in range(1, len(used) + 2) if number not in used)
            member = Member(f"w{self._numbers}", process, slot)
            self.members[member.name] = member
            means = self._means
            process.attach(
                Attach(
                    means.socket_folder, means.token, member.name, means.slots, means.memory_bytes, slot,
                    means.timeline.log_file(member.name), _directory(),
                )
            )  # fmt: skip
            self._watch_process(member)

    def _watch_process(self, member: Member) -> None:
        self._watch(member.process.control.fileno(), lambda: self._hear(member))
        if member.process.pidfd >= 0:
            self._watch(member.process.pidfd, lambda: self._notice_end(member))

    def look_after(self, now_ns: int) -> None:
        """Sees to processes that are dead, silent, stuck or stopped."""
        now = time.monotonic()
        for member in list(self.members.values()):
            if not member.process.is_alive():
                self._bury(member)
            elif member.session is None:
                if now - member.started > REGISTER_S:
                    self.dismiss(member)
            elif any(now > until for until in member.stops.values()) or self._is_lost(member):
                self.dismiss(member)
            elif now_ns - member.heard_ns > _SILENT_NS and not member.process.is_stopped():
                member.heard_ns = now_ns
                self._coordinator.keep_alive(member.session, list(member.attempts), now_ns)
        self.hire()

    def _is_lost(self, member: Member) -> bool:
        return self._coordinator.scheduler.is_lost(member.name)

    def _hear(self, member: Member) -> None:
        """A process says that it is free of what it did before; or its end of the socket is gone."""
        try:
            said = member.process.control.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._cluster.watch(member.process.control.fileno(), 0)
            self._notice_end(member)

    def _notice_end(self, member: Member) -> None:
        if not member.process.is_alive():
            self._bury(member)
            self.hire()

    def _bury(self, member: Member) -> None:
        """A process has ended by itself."""
        if self.members.get(member.name) is not member:
            return
        if member.connection is not None:
            self._take_all(member.connection, member.session)  # what it said last
        process = member.process
        self._tasks.how_lost = f"a worker process ended: pid {process.pid}, {process.how_it_ended()}"
        spoke = member.session is not None and member.session.generation
        if not spoke and process.jobs == 1:  # a warm one may have found that what it loaded was edited
            self.silent_ends += 1
        self._leave(member, process.record())

    def dismiss(self, member: Member) -> None:
        """Kills a process that is of no more use."""
        self._tasks.how_lost = f"a worker process was ended: pid {member.process.pid}, it did not answer"
        member.process.kill()
        self._leave(member, None)

    def _leave(self, member: Member, record: tuple[bytes, int] | None) -> None:
        del self.members[member.name]
        self._unwatch(member)
        lost, how = list(member.attempts), self._tasks.how_lost
        self._means.timeline.worker_ended(member.name, lost, how, wanted=self._closed)
        if record is not None:
            for attempt in lost:
                self._tasks.die(attempt, record)
        if member.session is not None:
            self._by_session.pop(member.session, None)
            if not self._closed:
                name = b"" if record is None else record_name(RecordPosition(*record))
                self._coordinator.process_ended(member.session, how, name, time.monotonic_ns())
        if member.connection is not None:
            member.connection.abort()
            self._connections.pop(member.connection, None)
        member.process.close()
        if self._tasks.disk is not None:
            self._tasks.disk.reclaim(member.disk_slot)
        for attempt in lost:
            self._means.timeline.consumed(self._tasks.count(attempt, 0))
            remove_output(self._tasks.path(output_name(attempt)))

    def _unwatch(self, member: Member) -> None:
        self._cluster.watch(member.process.control.fileno(), 0)
        if member.process.pidfd >= 0:
            self._cluster.watch(member.process.pidfd, 0)

    def dissolve(self, *, kill: bool, part: Callable[[], None]) -> None:
        """The step is over: who is idle is kept for the next one, others are killed.

        Args:
            kill: all of them.
            part: ends the coordinator, and so the connections.
        """
        self._closed = True
        self._cluster.watch(self._listener.fileno(), 0)
        unwanted = [
            member
            for member in self.members.values()
            if kill or member.attempts or member.session is None or not member.session.generation
        ]
        for member in unwanted:  # all at once: large ones take their time to die
            member.process.strike()
        for member in unwanted:
            self.dismiss(member)
        try:
            part()
        finally:
            for connection in self._connections:
                connection.abort()
            self._connections.clear()
            for member in list(self.members.values()):
                self._unwatch(member)
                self._cluster.give(member.process, self._means.surroundings, reusable=not self._tasks.is_stream)
            self.members.clear()

    # ---- connections ----------------------------------------------------------------------------

    def _accept(self) -> None:
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
            self._admit(LocalConnection(peer, self._cluster.watch))

    def _admit(self, connection: LocalConnection) -> None:
        self._connections[connection] = None
        session = self._coordinator.accept(connection, time.monotonic_ns())
        if not session.open:
            return
        self._cluster.watch(
            connection.fd,
            select.POLLIN,
            lambda mask: self._guarded(lambda: self._stir(mask, connection, session)),
        )

    def _stir(self, mask: int, connection: LocalConnection, session: Session) -> None:
        if mask & select.POLLOUT:
            connection.go_on()
        if mask & ~select.POLLOUT:
            self._take_all(connection, session)

    def _take_all(self, connection: LocalConnection, session: Session | None) -> None:
        while session is not None and session.open and not self._closed:
            data = connection.receive()
            if data is None:
                return
            if not data:
                self._end(connection, session)
                return
            self._coordinator.receive(session, data, time.monotonic_ns())
            if session not in self._by_session and (member := self.members.get(session.worker)) is not None:
                self._by_session[session] = member
                member.session, member.connection, member.heard_ns = session, connection, time.monotonic_ns()

    def _end(self, connection: LocalConnection, session: Session) -> None:
        """The other end is closed. A process that is dying has failed, and is buried when it is dead."""
        self._cluster.watch(connection.fd, 0)
        member = self._by_session.get(session)
        if member is None or (member.process.pidfd < 0 and member.process.is_alive()):
            self._coordinator.close(session, time.monotonic_ns())


def _directory() -> bytes:
    """The current directory; empty if it is gone."""
    try:
        return os.getcwdb()
    except OSError:
        return b""
