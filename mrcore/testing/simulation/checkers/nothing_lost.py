"""What is committed stays so: no coordinator forgets it, and no task runs again whose output is there.

Outputs of jobs that succeeded have their final names, each as it was committed.
"""

from __future__ import annotations

from mrcore.scheduler.actions import AppendJournal, StartAttempt
from mrcore.scheduler.records import AttemptCommitted, JobAdmitted, JobEnded, OutputLost
from mrcore.testing.simulation.checkers.law import Law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.runtime.coordinator import Coordinator
    from mrcore.scheduler.actions import Action
    from mrcore.scheduler.events import Event
    from mrcore.scheduler.records import Record
    from mrcore.testing.simulation.cluster import Story


class NothingLost(Law):
    """Keeps a list of its own of what is committed."""

    def __init__(self) -> None:
        self._committed: dict[tuple[str, int, int], int] = {}
        self._decided: set[tuple[str, int, int]] = set()  # of these, and those that are on their way into the journal
        self._running: set[str] = set()
        self._ended: dict[str, str] = {}

    def on_record_durable(self, record: Record) -> None:
        """Takes it in."""
        if isinstance(record, JobAdmitted):
            self._running.add(record.job)
        elif isinstance(record, AttemptCommitted):
            self._committed[record.job, record.stage, record.task] = record.attempt
        elif isinstance(record, OutputLost):
            self._committed.pop((record.job, record.stage, record.task), None)
        elif isinstance(record, JobEnded):
            self._running.discard(record.job)
            self._ended[record.job] = record.outcome

    def on_started(self, coordinator: Coordinator) -> None:
        """Does the new coordinator know it all?"""
        jobs = coordinator.scheduler.ledger.jobs
        for name, outcome in self._ended.items():
            if name not in jobs or jobs[name].outcome != outcome:
                self.broken(f"{name} had ended, and the new coordinator does not know")
        for name in sorted(self._running):
            if name not in jobs:
                self.broken(f"{name} was admitted, and the new coordinator does not know")
        for (job, stage, task), attempt in self._committed.items():
            if job in self._running and jobs[job].stages[stage].attempts[task] != attempt:
                found = jobs[job].stages[stage].attempts[task]
                self.broken(f"{job}/{stage}/{task}/{attempt} is committed; a new coordinator has {found}")

        self._decided = set(self._committed)

    def on_answered(self, event: Event, actions: Sequence[Action], now_ns: int) -> None:
        """Is there an output already, of those that are to be durable too?"""
        for action in actions:
            if isinstance(action, StartAttempt):
                if action.attempt[:3] in self._decided:
                    self.broken(f"{action.attempt} is started, and its task has an output")
            elif isinstance(action, AppendJournal):
                record = action.record
                if isinstance(record, AttemptCommitted):
                    self._decided.add((record.job, record.stage, record.task))
                elif isinstance(record, OutputLost):
                    self._decided.discard((record.job, record.stage, record.task))

    def on_end(self, story: Story) -> None:
        """Have the outputs their names?"""
        for job, outcome in story.outcomes.items():
            if outcome == "succeeded":
                stages, found = story.cluster.jobs[job].tasks, set(story.published(job))
                finals = {(spec.stage, spec.task) for stage in stages for spec in stage if spec.is_final}
                if finals != found:
                    self.broken(f"{job}: published are {sorted(found)}, not {sorted(finals)}")
