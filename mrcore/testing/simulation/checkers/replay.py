"""What the journal says is what the scheduler knows: records replayed give the live state, and so does a snapshot."""

from __future__ import annotations

from mrcore.scheduler.ledger import Ledger, encode_ledger
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.runtime.coordinator import Coordinator
    from mrcore.scheduler.records import Record
    from mrcore.testing.simulation.cluster import Story


class Replay(Law):
    """Keeps a ledger of its own, from the durable records of all lives."""

    def __init__(self) -> None:
        self._ledger = Ledger()

    def on_record_durable(self, record: Record) -> None:
        """Applies it."""
        self._ledger.apply(record)

    def on_started(self, coordinator: Coordinator) -> None:
        """A life that has begun knows what all lives before it made durable."""
        self._compare(coordinator.scheduler.snapshot(), "after a recovery")

    def on_compacted(self, snapshot: bytes) -> None:
        """A snapshot stands for all records."""
        self._compare(snapshot, "in a snapshot")

    def on_end(self, story: Story) -> None:
        """The last life knows it too."""
        coordinator = story.cluster.office.coordinator
        if coordinator is not None and not coordinator.has_work:
            self._compare(coordinator.scheduler.snapshot(), "at the end")

    def _compare(self, found: bytes, when: str) -> None:
        if found != encode_ledger(self._ledger):
            self.broken(f"{when} the ledger is not what the records say")
