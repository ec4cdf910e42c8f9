"""What the journal says is what the scheduler knows: records replayed give the live state, and so does a snapshot.

Ledgers are compared field by field, not by their snapshots, which may leave something out.
"""

from __future__ import annotations

from array import array
from typing import Any

from mrcore.scheduler.ledger import Ledger, decode_ledger
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
        self._compare(coordinator.scheduler.ledger, "after a recovery")

    def on_compacted(self, snapshot: bytes) -> None:
        """A snapshot stands for all records."""
        self._compare(decode_ledger(snapshot), "in a snapshot")

    def on_end(self, story: Story) -> None:
        """The last life knows it too."""
        coordinator = story.cluster.office.coordinator
        if coordinator is not None and not coordinator.has_work:
            self._compare(coordinator.scheduler.ledger, "at the end")

    def _compare(self, found: Ledger, when: str) -> None:
        if _plain(found) != _plain(self._ledger):
            self.broken(f"{when} the ledger is not what the records say")


def _plain(thing: Any) -> Any:
    """All that is public in a ledger and durable, as lists and pairs in their order."""
    if isinstance(thing, dict):
        return [(key, _plain(value)) for key, value in thing.items()]
    if isinstance(thing, list):
        return [_plain(value) for value in thing]
    if isinstance(thing, array):
        return thing.tolist()
    if hasattr(thing, "__slots__"):
        names = [name for name in thing.__slots__ if not name.startswith("_") and name != "published"]
        return [(name, _plain(getattr(thing, name))) for name in names]
    return thing
