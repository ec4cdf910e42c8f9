"""Once faults have stopped, every job ends, in one of the ways in which it may."""

from __future__ import annotations

from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Story


class EndsInTime(Law):
    """Looks at how the story ended."""

    def on_end(self, story: Story) -> None:
        """Have all jobs ended, and somebody been told?"""
        told = {job: outcome for job, outcome, _ in story.cluster.office.told}
        for plan in story.scenario.jobs:
            outcome = story.outcomes[plan.name]
            if not outcome:
                self.broken(f"{plan.name} has not ended after {story.ended_ns / 1e9:.0f} s")
            if outcome not in plan.outcomes:
                self.broken(f"{plan.name} {outcome}, and may have {' or '.join(plan.outcomes)}")
            if told.get(plan.name, outcome) != outcome:
                self.broken(f"{plan.name} {outcome}, and somebody was told that it {told[plan.name]}")
