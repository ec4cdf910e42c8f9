"""The coordinator without sockets, threads or a clock: what drives the scheduler, the journal and the connections.

The caller owns the transport and the time, and calls from one thread:

1. ``Coordinator(...)`` opens the journal, recovers, and has done what a recovery has to do when it returns.
2. A connection that came gives ``accept``; its bytes go to ``receive``, its end to ``close``. ``tick`` is called every
   ``SchedulerConfig.tick_ns``. Jobs come by ``submit`` and ``cancel``.
3. None of these sends or publishes a thing, but a handshake's answers. After some of them, the sooner the better, the
   caller calls ``flush``: all records are appended and share one sync, and only when that has returned are the other
   actions carried out, in their order. What was submitted is safe when ``flush`` has returned.
4. **Any error but UsageError is the end of this coordinator**: of its journal, of its disk, of the outputs. Nothing
   that follows a record was done unless the record is durable, so another one, started on the same disk, goes on
   where this one was. It is not closed first: what was not synced was not promised.
5. An error of a peer is the end of its connection, and is told to the observer.

A worker's name is the identity that its handshake proved. A connection has one registration at a time, the last, and a
registration belongs to one connection: when that ends, so does the generation. Messages are taken under
whatever generation they bear, on any connection of the worker; the scheduler is the fence.
"""

from __future__ import annotations

import msgspec

from mrcore.errors import AuthenticationError, CorruptionError, ProtocolError, shown
from mrcore.runtime.cluster_translation import check_submission, event_of
from mrcore.runtime.dispatch import Dispatcher, TellAddresses
from mrcore.runtime.session import Session
from mrcore.scheduler import actions, events
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler
from mrcore.storage.journal import open_journal
from mrcore.wire import cluster_messages as wire
from mrcore.wire.greetings import Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mrcore.runtime.dispatch import Jobs
    from mrcore.runtime.session import Connection
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.job import StageSpec
    from mrcore.scheduler.records import Record
    from mrcore.storage.disk import Disk
    from mrcore.storage.journal import Recovery


class Observer:
    """Hears what a coordinator does. Of itself it does nothing about it."""

    def on_recovered(self, recovery: Recovery, scheduler: Scheduler) -> None:
        """The journal is open and the scheduler knows what it held; nothing is done yet."""

    def on_message(self, worker: str, message: wire.FromWorker, now_ns: int) -> None:
        """A worker said something; what it means to the scheduler, if anything, follows."""

    def on_event(self, event: events.Event, now_ns: int) -> None:
        """The scheduler is about to handle it."""

    def on_answered(self, event: events.Event, made: Sequence[actions.Action], now_ns: int) -> None:
        """The scheduler has handled it; the actions are to be carried out by the next ``flush``."""

    def on_record_durable(self, record: Record) -> None:
        """It is in the journal, whatever happens."""

    def on_action(self, action: actions.Action, now_ns: int) -> None:
        """It is about to be carried out."""

    def on_compacted(self, snapshot: bytes) -> None:
        """It stands in the journal for all records so far."""

    def on_peer_error(self, worker: str, error: AuthenticationError | ProtocolError) -> None:
        """A peer made a mistake, and its connection is closed. The name is empty where it did not prove it."""


class Settings:
    """What is fixed while a coordinator lives.

    Args:
        token: that workers share with us (:mod:`mrcore.wire.handshake`); shown nowhere.
        nonce: 32 bytes from the system's source of secrets, each time.
        journal_salt: any number below 2**64 that no journal on this disk had before; for a new one.
        scheduler: of the scheduler.
        identity: who we tell workers we are.
        compact_bytes: a journal larger than this, and than twice the last snapshot, is compacted.
        strangers_max: connections at once that have not yet proved who they are.
    """

    __slots__ = ("compact_bytes", "identity", "journal_salt", "nonce", "scheduler", "strangers_max", "token")

    def __init__(
        self, token: bytes, nonce: Callable[[], bytes], journal_salt: int, scheduler: SchedulerConfig | None = None, *,
        identity: str = "coordinator", compact_bytes: int = 16 << 20, strangers_max: int = 256,
    ) -> None:  # fmt: skip
        self.token, self.nonce, self.journal_salt = token, nonce, journal_salt
        self.scheduler = scheduler or SchedulerConfig()
        self.identity, self.compact_bytes, self.strangers_max = identity, compact_bytes, strangers_max


class Coordinator:
    """One life of a coordinator.

    Args:
        disk: the directory of its journal; its own from now on.
        settings: of this life; others may differ.
        jobs: where tasks come from and outputs go to.
        now_ns: a clock that never goes back while this coordinator lives.
        observer: hears all.

    Raises:
        MrcoreError: the journal cannot be opened (:func:`mrcore.storage.journal.open_journal`).
    """

    def __init__(
        self, disk: Disk, settings: Settings, jobs: Jobs, now_ns: int, observer: Observer | None = None
    ) -> None:
        self._settings, self._observer = settings, observer or Observer()
        self._journal, recovery = open_journal(disk, settings.journal_salt)
        self._snapshot_bytes = len(recovery.snapshot or b"")
        try:
            self.scheduler, self._actions = Scheduler.recover(
                settings.scheduler, recovery.snapshot, recovery.records, now_ns
            )
        except msgspec.DecodeError as error:  # sound bytes, and another mrcore's
            self._journal.close()
            what = f"a record that is not known: {shown(self._journal.path)}: {error}"
            raise CorruptionError(f"{what}: open it with the mrcore that wrote it, or a newer one") from error
        self._strangers: dict[Session, None] = {}
        self._dispatcher = Dispatcher(self.scheduler, jobs)
        self._observer.on_recovered(recovery, self.scheduler)
        self.flush(now_ns)

    @property
    def has_work(self) -> bool:
        """Whether ``flush`` has something to do."""
        return bool(self._actions)

    def accept(self, connection: Connection, now_ns: int) -> Session:
        """Somebody connected; of too many at once, the last is closed at once."""
        settings = self._settings
        deadline_ns = now_ns + TIMEOUT_NS
        handshake = Handshake(Role.COORDINATOR, settings.identity, settings.token, settings.nonce(), deadline_ns)
        session = Session(connection, handshake)
        handshake.handle_start(now_ns)
        self._strangers[session] = None
        if len(self._strangers) > settings.strangers_max:
            self.close(session, now_ns)
        return session

    def receive(self, session: Session, data: bytes, now_ns: int) -> None:
        """Bytes have come."""
        try:
            for message in session.receive(data, now_ns) if session.open else ():
                self._take(session, message, now_ns)
                if not session.open:
                    return
        except (AuthenticationError, ProtocolError) as error:
            self._observer.on_peer_error(session.worker, error)
            self.close(session, now_ns)
        except OSError:
            self.close(session, now_ns)
        if session.worker and session in self._strangers:
            del self._strangers[session]
            self._dispatcher.sessions.setdefault(session.worker, {})[session] = None

    def close(self, session: Session, now_ns: int) -> None:
        """A connection is over, or is to be. A second call does nothing."""
        if not session.open:
            return
        session.open = False
        session.connection.close()
        self._strangers.pop(session, None)
        out = self._dispatcher
        siblings = out.sessions.get(session.worker, {})
        siblings.pop(session, None)
        if not siblings:
            out.sessions.pop(session.worker, None)
        if session.generation:
            del out.granted[session.worker, session.generation]
            cause = events.EndCause.DISCONNECTED
            self._handle(events.WorkerEnded(session.worker, session.generation, cause), now_ns)

    def process_ended(self, session: Session, text: str, record: bytes, now_ns: int) -> None:
        """The process at the other end is dead: its attempts have failed, where a connection that ends only loses them.

        Args:
            session: of its connection.
            text: how it ended.
            record: that it was reading, as :func:`mrcore.runtime.cluster_translation.record_name` says; or nothing.
        """
        if session.open and session.generation:
            cause = events.EndCause.PROCESS_ENDED
            self._handle(events.WorkerEnded(session.worker, session.generation, cause, record, text), now_ns)
        self.close(session, now_ns)

    def keep_alive(self, session: Session, running: Sequence[AttemptId], now_ns: int) -> None:
        """The system says that the process at the other end lives and works, though it has no time to say so itself."""
        if session.open and session.generation:
            said = tuple([(attempt, 0) for attempt in running])
            self._handle(events.HeartbeatReceived(session.worker, session.generation, said), now_ns)

    def report_lost(self, output: AttemptId, reason: events.LossReason, now_ns: int) -> None:
        """An output that is committed cannot be read; it is made again if somebody needs it."""
        self._handle(events.FetchFailed("", 0, output, reason), now_ns)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        for session in list(self._strangers):
            try:
                session.check_patience(now_ns)
            except AuthenticationError as error:
                self._observer.on_peer_error("", error)
                self.close(session, now_ns)
        self._handle(events.TimePassed(), now_ns)

    def submit(self, job: str, stages: tuple[StageSpec, ...], options: JobOptions, payload: bytes, now_ns: int) -> None:
        """Somebody wants a job done; one that runs is not begun again, and takes over the options.

        Raises:
            UsageError: it is none that can be run.
        """
        check_submission(job, stages, options)
        self._handle(events.JobSubmitted(job, stages, options, payload), now_ns)

    def cancel(self, job: str, now_ns: int) -> None:
        """Somebody wants a job no more."""
        self._handle(events.JobCancelled(job), now_ns)

    def flush(self, now_ns: int) -> None:
        """Makes durable what was decided, then does it.

        Raises:
            MrcoreError: of the journal. This coordinator is over.
        """
        while self._actions:
            batch, self._actions = self._actions, []  # what a connection that breaks meanwhile brings is the next
            records = [action.record for action in batch if isinstance(action, actions.AppendJournal)]
            for record in records:
                self._journal.append(encode_record(record))
            self._journal.sync()
            for record in records:
                self._observer.on_record_durable(record)
            for action in batch:
                if not isinstance(action, actions.AppendJournal):
                    self._observer.on_action(action, now_ns)
                    self._dispatcher.carry_out(action)
            self._take_back(now_ns)
        if self._journal.size > max(self._settings.compact_bytes, 2 * self._snapshot_bytes):
            snapshot = self.scheduler.snapshot()  # of the records that are in the journal, and no others
            self._journal.compact(snapshot)
            self._snapshot_bytes = len(snapshot)
            self._observer.on_compacted(snapshot)

    def stop(self, now_ns: int) -> None:
        """Ends this life in order: what was decided is done, and all connections are closed."""
        self.flush(now_ns)
        for session in [*self._strangers, *(one for some in self._dispatcher.sessions.values() for one in some)]:
            session.open = False
            session.connection.close()
        self._journal.close()

    def abandon(self) -> None:
        """Ends this life as a crash would, but for the directory, which another one may open at once."""
        self._journal.abandon()

    # What comes in

    def _take(self, session: Session, message: wire.FromWorker, now_ns: int) -> None:
        event = event_of(message, session.worker)
        self._observer.on_message(session.worker, message, now_ns)
        if isinstance(message, wire.Register):
            assert event is not None
            self._register(session, message, event, now_ns)
            return
        session.spoken = message.generation
        if isinstance(event, events.AttemptFinished | events.AttemptFailed):
            session.told.pop(event.attempt, None)
        if isinstance(event, events.WorkerEnded):
            if message.generation:
                self._handle(event, now_ns)
            self.close(session, now_ns)
        elif event is not None:
            self._handle(event, now_ns)

    def _register(self, session: Session, message: wire.Register, event: events.Event, now_ns: int) -> None:
        """A worker begins anew: what it ran on this connection is over, and it may be at another place."""
        worker, out = session.worker, self._dispatcher
        out.granted.pop((worker, session.generation), None)
        session.generation = 0
        session.told.clear()
        for action in self._handle(event, now_ns):
            if isinstance(action, actions.GrantLease) and action.worker == worker:
                session.generation = action.generation
                out.granted[worker, action.generation] = session
        if out.move(worker, message.addresses):
            self._actions.append(TellAddresses(worker))

    def _take_back(self, now_ns: int) -> None:
        """What could not be carried out has happened."""
        out = self._dispatcher
        broken, out.broken = out.broken, []
        failed, out.failed = out.failed, []
        for session in broken:
            self.close(session, now_ns)
        for event in failed:
            self._handle(event, now_ns)

    def _handle(self, event: events.Event, now_ns: int) -> Sequence[actions.Action]:
        self._observer.on_event(event, now_ns)
        made = self.scheduler.handle(event, now_ns)
        self._actions += made
        self._observer.on_answered(event, made, now_ns)
        return made
