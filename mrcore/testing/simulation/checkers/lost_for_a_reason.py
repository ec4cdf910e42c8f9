"""An output is given up only when a reader has missed that very output, or its holder is lost."""

from __future__ import annotations

from mrcore.scheduler import events as of
from mrcore.scheduler.actions import AppendJournal
from mrcore.scheduler.records import OutputLost
from mrcore.scheduler.worker import LOST
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.scheduler.actions import Action


class LostForAReason(Law):
    """Compares losses with the events that led to them."""

    def on_answered(self, event: of.Event, actions: Sequence[Action], now_ns: int) -> None:
        """Is this a reason?"""
        for action in actions:
            if not isinstance(action, AppendJournal) or not isinstance(action.record, OutputLost):
                continue
            lost = action.record
            if isinstance(event, of.FetchFailed):
                if event.output != (lost.job, lost.stage, lost.task, lost.attempt):
                    self.broken(f"{event} led to {lost}")
            elif not isinstance(event, of.TimePassed) or not self._somebody_is_lost():
                self.broken(f"{event} led to {lost}")

    def _somebody_is_lost(self) -> bool:
        coordinator = self.cluster.office.coordinator
        assert coordinator is not None
        return any(worker.state == LOST for worker in coordinator.scheduler._core.workers.values())
