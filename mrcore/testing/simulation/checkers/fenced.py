"""Only who holds the lease is believed.

A worker's last generation is the one that counts, and it counts until its connection ends or nothing was heard under it
for the time of a lease. What is said under another one changes nothing that lasts and keeps nobody alive.
"""

from __future__ import annotations

from mrcore.scheduler import events as of
from mrcore.scheduler.actions import GrantLease, RevokeLease, StartAttempt
from mrcore.scheduler.worker import ABSENT, LOST
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.runtime.coordinator import Coordinator
    from mrcore.scheduler.actions import Action


class Fenced(Law):
    """Compares what came of an event with who said it."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, int]] = {}  # worker -> generation, when it was last heard of; of this life
        self._granted: dict[str, int] = {}  # the last generation, of all lives

    def on_started(self, coordinator: Coordinator) -> None:
        """The leases of the last life are over."""
        self._heard.clear()

    def on_answered(self, event: of.Event, actions: Sequence[Action], now_ns: int) -> None:
        """Who said it, and what came of it?"""
        for action in actions:
            if isinstance(action, GrantLease):
                self._grant(action, now_ns)
            elif isinstance(action, StartAttempt) and action.generation != self._granted.get(action.worker):
                self.broken(f"{action.worker} gets {action.attempt} under generation {action.generation}")
        if isinstance(event, of.TimePassed):
            self._check_leases(now_ns)
        elif not isinstance(event, of.JobSubmitted | of.JobCancelled | of.WorkerRegistered):
            self._check_speaker(event, actions, now_ns)

    def _grant(self, action: GrantLease, now_ns: int) -> None:
        if action.generation <= self._granted.get(action.worker, 0):
            self.broken(f"{action.worker} gets generation {action.generation}, and has had it")
        self._granted[action.worker] = action.generation
        self._heard[action.worker] = (action.generation, now_ns)

    def _check_speaker(self, event: of.Event, actions: Sequence[Action], now_ns: int) -> None:
        worker, generation = event.worker, event.generation  # type: ignore[attr-defined]
        if self._heard.get(worker, (0, 0))[0] == generation:
            if isinstance(event, of.HeartbeatReceived):
                self._heard[worker] = (generation, now_ns)
            elif isinstance(event, of.WorkerEnded):
                del self._heard[worker]
        elif any(not isinstance(action, RevokeLease) for action in actions):
            self.broken(f"{worker} is believed under generation {generation}: {type(event).__name__} led to {actions}")

    def _check_leases(self, now_ns: int) -> None:
        coordinator = self.cluster.office.coordinator
        assert coordinator is not None
        lease_ns, known = self.cluster.scenario.config.lease_ns, coordinator.scheduler._core.workers
        for worker, (_, heard_ns) in list(self._heard.items()):
            if now_ns - heard_ns >= lease_ns:
                if known[worker].state not in (ABSENT, LOST):
                    self.broken(f"{worker} was not heard of for {now_ns - heard_ns:,} ns, and has its lease")
                del self._heard[worker]
