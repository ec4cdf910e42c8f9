"""The outputs of a job that succeeded are those of the oracle, byte for byte, whatever happened on the way."""

from __future__ import annotations

from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Story


class SameOutput(Law):
    """Compares what is published with what one process alone would have computed."""

    def on_end(self, story: Story) -> None:
        """Compares."""
        for job, outcome in story.outcomes.items():
            if outcome == "succeeded":
                outputs = story.cluster.jobs[job].outputs
                for (stage, task), data in story.published(job).items():
                    if data != (expected := outputs[stage, task]):
                        self.broken(f"{job}/{stage}/{task}: {data.hex()} is published, not {expected.hex()}")
