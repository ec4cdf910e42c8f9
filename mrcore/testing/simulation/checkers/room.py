"""No worker is given more than it has room for."""

from __future__ import annotations

from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.execution import Execution
    from mrcore.testing.simulation.process import Process


class Room(Law):
    """Counts what a worker runs when it is given one more attempt."""

    def on_attempt_started(self, process: Process, run: Execution) -> None:
        """Has it a slot for this?"""
        if len(process.runs) > process.plan.slots:
            self.broken(f"{process.name} runs {len(process.runs)} attempts in {process.plan.slots} slots")
