"""The coordinator's machine: the real coordinator on a simulated disk and network, which falls and rises again.

It is also who submits jobs and who keeps their outputs (:class:`mrcore.runtime.dispatch.Jobs`). What happens is
counted as ``coordinator.KIND``, for the kinds in :data:`KINDS`, and the rows of the scheduler's tables as
``row.TABLE.STATE.EVENT``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mrcore.errors import MrcoreError
from mrcore.runtime.coordinator import Coordinator, Observer, Settings
from mrcore.scheduler.records import decode_record, encode_record
from mrcore.testing.simulation.clock import NodeClock
from mrcore.testing.simulation.computation import encode_spec
from mrcore.testing.simulation.disk import PowerCutError, SimulatedDisk
from mrcore.testing.simulation.machines import SMALL_BLOCKS
from mrcore.testing.simulation.process import COORDINATOR
from mrcore.wire.output_names import output_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from mrcore.errors import AuthenticationError, ProtocolError
    from mrcore.runtime.session import Session
    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.events import Event
    from mrcore.scheduler.records import Record
    from mrcore.scheduler.scheduler import Scheduler
    from mrcore.storage.journal import Recovery
    from mrcore.testing.simulation.cluster import Cluster
    from mrcore.testing.simulation.disk import SimulatedDirectory
    from mrcore.testing.simulation.stream import End

S = 1_000_000_000

KINDS = (
    "start", "crash_process", "crash_machine", "crash_power", "crash_between", "failed", "peer_error", "recovered",
    "unheard_records", "compact", "submit", "submit_again", "cancel",
)  # fmt: skip
"""All that is counted, each as ``coordinator.KIND``."""


class LostRecordsError(AssertionError):
    """A coordinator opened its journal and did not find what was durable."""


class _StoppedError(BaseException):
    """The process ends between two actions."""


class Office(Observer):
    """The coordinator through all its lives.

    Attributes:
        coordinator: of the present life, or None.
        history: all records that were ever durable.
        told: how jobs ended, each time that somebody was told.
    """

    def __init__(self, cluster: Cluster) -> None:
        scenario = cluster.scenario
        self.cluster = cluster
        self.history: list[Record] = []
        self.told: list[tuple[str, str, str]] = []
        self.disk = SimulatedDisk(
            random.Random(f"{scenario.seed} disk journal"),
            cluster.coverage,
            scenario.faults.disk,
            rots=lambda path: False,  # a coordinator whose journal is damaged does not start
            block_bytes=SMALL_BLOCKS,
        )
        self._rng = random.Random(f"{scenario.seed} office")
        self.coordinator: Coordinator | None = None
        self._directory: SimulatedDirectory | None = None
        self._life = 0
        self._generation = 0  # of the journal, when it was last heard of
        self._base = 0  # records of the history that its snapshot stands for
        self._actions_left = -1  # until the process ends between two of them; below zero: it does not
        self._flushing = False  # a flush is due
        self._clock = NodeClock(cluster.clock)

    @property
    def now_ns(self) -> int:
        """What the present life's clock says."""
        return self._clock.now_ns

    def start(self) -> None:
        """A coordinator starts, if none runs; one that cannot is started again."""
        if self.coordinator is not None:
            return
        self._life += 1
        self.count("start")
        cluster = self.cluster
        self._clock = NodeClock(cluster.clock, self._rng.randrange(1000 * S))
        if not cluster.is_calm:
            self._clock.torment(cluster.scenario.faults.clock, self._rng, cluster.coverage)
        self._directory = self.disk.directory(b"/journal")
        cluster.network.listen(COORDINATOR, self._accept)
        self._do(self._open)
        self._tick(self._life)

    def _open(self) -> None:
        scenario = self.cluster.scenario
        settings = Settings(
            self.cluster.token,
            lambda: self._rng.randbytes(32),
            self._rng.getrandbits(64),
            scenario.config,
            compact_bytes=scenario.compact_bytes,
        )
        assert self._directory is not None
        self.coordinator = Coordinator(self._directory, settings, self, self.now_ns, self)
        for witness in self.cluster.witnesses:
            witness.on_started(self.coordinator)
        self.cluster.submit_unknown()

    def crash(self, kind: str) -> None:
        """This life ends: process, machine, power (its disk's, just now) or between (two actions)."""
        is_silent = kind in ("machine", "power")
        self.count(f"crash_{kind}")
        self.cluster.say(COORDINATOR, "crash", kind)
        if self.coordinator is not None:
            self.cluster.count_rows(self.coordinator.scheduler)
        self.coordinator, self._flushing, self._actions_left = None, False, -1
        self._life += 1
        if self._directory is not None:
            self._directory.close()
        self.cluster.network.crash(COORDINATOR, silent=is_silent)
        if is_silent:
            self.disk.crash()
        pause_ns = self._rng.randint(0, 5 * S) if not self.cluster.is_calm else S // 10
        self.cluster.clock.after(pause_ns, self.start)

    def fall(self, kind: str) -> None:
        """It is to fall: now, or in one of the next operations of its disk, or of its next actions."""
        if kind == "power":
            self.disk.cut_power_after(self._rng.randrange(8))
        elif kind == "between":
            self._actions_left = self._rng.randrange(1, 12)
        elif self.coordinator is not None:
            self.crash(kind)

    def calm(self) -> None:
        """Its faults end."""
        self.disk.calm()
        self._clock.calm()
        self._actions_left = -1

    def count(self, kind: str) -> None:
        """Something happened."""
        self.cluster.coverage.add(f"coordinator.{kind}")

    def ask(self, call: Callable[[Coordinator], None]) -> bool:
        """Has the coordinator do something, durably; whether it lived to do it."""
        coordinator = self.coordinator
        if coordinator is None:
            return False
        self._do(self._ask, coordinator, call)
        return self.coordinator is coordinator

    def _ask(self, coordinator: Coordinator, call: Callable[[Coordinator], None]) -> None:
        call(coordinator)
        coordinator.flush(self.now_ns)

    # What happens to it

    def _do(self, call: Callable[..., object], *args: Any) -> None:
        """Whatever stops it ends this life."""
        try:
            call(*args)
        except PowerCutError:
            self.crash("power")
        except _StoppedError:
            self.crash("between")
        except (MrcoreError, OSError) as error:
            self.count("failed")
            self.cluster.say(COORDINATOR, "failed", type(error).__name__)
            self.crash("process")

    def _tick(self, life: int) -> None:
        if life != self._life:
            return
        if self.coordinator is not None:
            self._do(self.coordinator.tick, self.now_ns)
            self._flush_soon()
        if life == self._life:
            self._clock.after(self.cluster.scenario.config.tick_ns, self._tick, life)

    def _flush_soon(self) -> None:
        coordinator = self.coordinator
        if coordinator is None or self._flushing or not coordinator.has_work:
            return
        batch_ns = self.cluster.scenario.batch_ns
        if batch_ns:
            self._flushing = True
            self.cluster.clock.after(self._rng.randrange(batch_ns), self._flush, self._life)
        else:
            self._flush(self._life)

    def _flush(self, life: int) -> None:
        if life == self._life and self.coordinator is not None:
            self._flushing = False
            self._do(self.coordinator.flush, self.now_ns)

    def _accept(self, end: End) -> _Receiver:
        return _Receiver(self, end)

    # What the coordinator asks of whoever keeps jobs

    def spec(self, job: str, stage: int, task: int) -> bytes:
        """The task, as its workers know it."""
        return encode_spec(self.cluster.jobs[job].tasks[stage][task])

    def publish_output(self, attempt: AttemptId) -> None:
        """Renames it."""
        self.cluster.say(COORDINATOR, "publish", str(attempt))
        self.cluster.shared.publish(output_name(attempt), published_name(attempt.job, attempt.stage, attempt.task))

    def discard_output(self, attempt: AttemptId) -> None:
        """Removes it."""
        self.cluster.shared.remove(output_name(attempt))

    def end_job(self, job: str, outcome: str, error: str) -> None:
        """Hears it."""
        self.cluster.say(COORDINATOR, "end", job, outcome, error)
        self.told.append((job, outcome, error))

    # What the coordinator says of itself

    def on_recovered(self, recovery: Recovery, scheduler: Scheduler) -> None:
        """Compares the journal with all that was ever durable: nothing is lost, but there may be more."""
        if recovery.generation > self._generation:  # compacted, whether or not it lived to say so
            self._base = len(self.history) if self._generation else 0
            self._generation = recovery.generation
        known = self.history[self._base :]
        found = [decode_record(record) for record in recovery.records]
        if found[: len(known)] != known:
            raise LostRecordsError(f"{len(known)} records were durable, and {len(found)} are there")
        if recovery.records or recovery.snapshot is not None:
            self.count("recovered")
        for record in found[len(known) :]:
            self.count("unheard_records")
            self._remember(record)
        for witness in self.cluster.witnesses:
            witness.on_recovered(recovery, scheduler)

    def on_event(self, event: Event, now_ns: int) -> None:
        """Passes it on."""
        for witness in self.cluster.witnesses:
            witness.on_event(event, now_ns)

    def on_answered(self, event: Event, actions: Sequence[Action], now_ns: int) -> None:
        """Passes it on."""
        for witness in self.cluster.witnesses:
            witness.on_answered(event, actions, now_ns)

    def on_record_durable(self, record: Record) -> None:
        """Remembers it."""
        self._remember(record)

    def on_action(self, action: Action, now_ns: int) -> None:
        """Passes it on, or ends between two of them."""
        if self._actions_left >= 0:
            self._actions_left -= 1
            if self._actions_left < 0:
                raise _StoppedError
        for witness in self.cluster.witnesses:
            witness.on_action(action, now_ns)

    def on_compacted(self, snapshot: bytes) -> None:
        """Counts it."""
        self.count("compact")
        self._base = len(self.history)
        self._generation += 1
        for witness in self.cluster.witnesses:
            witness.on_compacted(snapshot)

    def on_peer_error(self, worker: str, error: AuthenticationError | ProtocolError) -> None:
        """Says it; one that was authenticated makes none."""
        self.count("peer_error")
        self.cluster.say(COORDINATOR, "refuses", worker, str(error))
        assert not worker, f"{worker}: {error}"
        for witness in self.cluster.witnesses:
            witness.on_peer_error(worker, error)

    def _remember(self, record: Record) -> None:
        self.history.append(record)
        self.cluster.say(COORDINATOR, "durable", encode_record(record).hex())
        for witness in self.cluster.witnesses:
            witness.on_record_durable(record)


class _Receiver:
    """The machine's side of a connection."""

    def __init__(self, office: Office, end: End) -> None:
        self._office, self._life = office, office._life
        self._session: Session | None = None
        if office.coordinator is None:
            end.abort()
        else:
            self._session = office.coordinator.accept(end, office.now_ns)

    def on_connected(self, end: End) -> None:
        """Not said to who listens."""

    def on_bytes(self, end: End, data: bytes) -> None:
        """The worker speaks."""
        office = self._office
        if self._life == office._life and office.coordinator is not None and self._session is not None:
            office._do(office.coordinator.receive, self._session, data, office.now_ns)
            office._flush_soon()

    def on_closed(self, end: End, why: str) -> None:
        """The connection is over."""
        office = self._office
        if self._life == office._life and office.coordinator is not None and self._session is not None:
            office._do(office.coordinator.close, self._session, office.now_ns)
            office._flush_soon()


def published_name(job: str, stage: int, task: int) -> str:
    """The final name of an output; no attempt has it."""
    return f"{job}-{stage}-{task}"
