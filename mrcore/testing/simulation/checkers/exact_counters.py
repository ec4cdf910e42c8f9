"""Counters of a job that succeeded are the sums over its tasks, each once."""

from __future__ import annotations

from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Story


class ExactCounters(Law):
    """Compares the ledger with the oracle."""

    def on_end(self, story: Story) -> None:
        """Compares."""
        coordinator = story.cluster.office.coordinator
        for job, outcome in story.outcomes.items():
            if outcome == "succeeded" and coordinator is not None:
                found, expected = coordinator.scheduler.ledger.jobs[job].counters, story.cluster.jobs[job].counters
                if found != expected:
                    self.broken(f"{job}: counters are {found}, not {expected}")
