"""Losses: outputs that were committed and are gone.

An output on the disk that all share is lost when a reader finds it missing or damaged. One on a worker's own disk is
lost with that worker too: when its lease is over, which is also how long one that has ended is waited for. The journal
forgets a lost output, and its task, and only that, runs again if somebody still has to read it. If not, it is
remembered as vanished, and runs again when a reader has to.
"""

from __future__ import annotations

from mrcore.scheduler import stage as stages_of
from mrcore.scheduler.actions import DiscardOutput
from mrcore.scheduler.events import LossReason
from mrcore.scheduler.jobs import reopen
from mrcore.scheduler.ledger import NO_ATTEMPT, SHARED
from mrcore.scheduler.records import OutputLost
from mrcore.scheduler.task import ROBBED, ROBBED_UNREAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.events import FetchFailed
    from mrcore.scheduler.stage import Stage


_ALONE = 3
"""So many times as often one reader has to say what nobody else says: it may be its own connection that is bad."""


def report(core: Core, event: FetchFailed) -> None:
    """A reader could not fetch an output. That its holder does not answer is believed when it is said often."""
    name, index, task, number = event.output
    job = core.jobs.get(name)
    if job is None or not 0 <= index < len(job.stages) or not 0 <= task < job.stages[index].spec.tasks:
        return
    stage = job.stages[index]
    if number == NO_ATTEMPT or stage.ledger.attempts[task] != number:
        return  # of an output that is known to be lost; the reader is told of its successor
    if event.reason is LossReason.UNREACHABLE:
        reports = stage.reports.setdefault(task, [])
        reports.append(event.worker)
        enough = core.config.output_reports_max
        if len(reports) < enough or (len(set(reports)) == 1 and len(reports) < _ALONE * enough):
            return
    holder = stage.ledger.holders[task]
    lose(core, stage, task)
    core.actions.append(DiscardOutput(event.output, "" if holder == SHARED else core.ledger.holders[holder]))


def lose_all_of(core: Core, workers: set[str]) -> None:
    """Workers are lost with all that they alone held. One pass over all tasks, however many workers."""
    numbers = {number for number, name in enumerate(core.ledger.holders) if name in workers}
    if not numbers:
        return
    for job in core.jobs.values():
        for stage in job.stages:
            for task in [task for task, holder in enumerate(stage.ledger.holders) if holder in numbers]:
                lose(core, stage, task)


def lose(core: Core, stage: Stage, task: int) -> None:
    """An output is gone."""
    job, ledger = stage.job, stage.ledger
    core.journal(OutputLost(job.ledger.name, stage.index, task, ledger.attempts[task]))
    stage.reports.pop(task, None)
    stage.committed -= 1
    if not stage.is_needed():
        stage.tasks[task] = core.task.step(stage.tasks[task], ROBBED_UNREAD)
        stage.vanished += 1
        return
    stage.tasks[task] = core.task.step(stage.tasks[task], ROBBED)
    core.requeue(stage, task)
    if stage.state == stages_of.COMPLETE:
        reopen(core, stage)
    for reader in stage.readers:
        if reader.is_active:
            reader.state = core.stage.step(reader.state, stages_of.INPUT_LOST)


def holders(core: Core) -> list[str]:
    """The workers who alone hold outputs of running jobs."""
    numbers = {number for job in core.jobs.values() for stage in job.stages for number in stage.ledger.holders}
    return [name for number, name in enumerate(core.ledger.holders) if number in numbers]
