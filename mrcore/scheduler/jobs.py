"""Jobs: how they begin, how their stages open and close, and how they end."""

from __future__ import annotations

from mrcore.scheduler import job as jobs_of
from mrcore.scheduler import stage as stages_of
from mrcore.scheduler.actions import CancelReason, EndJob, PublishOutput
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.job import Job, check_job
from mrcore.scheduler.ledger import NO_ATTEMPT
from mrcore.scheduler.records import JobAdmitted, JobEnded, OptionsChanged
from mrcore.scheduler.stage import Stage
from mrcore.scheduler.task import COMMITTED, VANISHED, WANTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.core import Core
    from mrcore.scheduler.events import JobCancelled, JobSubmitted
    from mrcore.scheduler.ledger import JobLedger


def submit(core: Core, event: JobSubmitted) -> None:
    """Admits a job; says again how one ended that has; of one that runs takes the options, which may be others now."""
    known = core.ledger.jobs.get(event.job)
    if known is None:
        if error := check_job(event.stages, event.options):
            core.actions.append(EndJob(event.job, "failed", error))
            return
        core.journal(JobAdmitted(event.job, event.stages, event.options, event.payload))
        begin(core, core.ledger.jobs[event.job])
    elif known.outcome:
        core.actions.append(EndJob(event.job, known.outcome, known.error))
    elif event.options != known.options and not check_job(known.specs, event.options):
        core.journal(OptionsChanged(event.job, event.options))
        core.stirred = True
        job = core.jobs[event.job]
        if not job.finals and not event.options.hold:
            end(core, job, jobs_of.COMPLETED, "")


def begin(core: Core, ledger: JobLedger) -> None:
    """Opens the stages of a job as far as their inputs are there: of a new one, or of one that the journal knew."""
    core.submitted += 1
    job = core.jobs[ledger.name] = Job(ledger, core.submitted)
    for index, spec in enumerate(ledger.specs):
        job.stages.append(Stage(job, index, spec, ledger.stages[index]))
    job.finals = sum(not stage.readers for stage in job.stages)
    _mark_unread(job)
    for stage in job.stages:
        if stage.state == stages_of.CLOSED and stage.committed and not stage.pending:
            complete(core, stage, stages_of.RESTORED)
        else:
            check(core, stage)
    core.stirred = True


def _mark_unread(job: Job) -> None:
    """What was lost when nobody had to read it any more need not be made again, after a recovery either."""
    done: set[Stage] = set()
    for stage in reversed(job.stages):
        if stage.pending and stage.readers and done.issuperset(stage.readers):
            for task, state in enumerate(stage.tasks):
                if state != COMMITTED:
                    stage.tasks[task] = VANISHED
            stage.vanished = stage.pending
            stage.pending = 0
        if stage.committed and not stage.pending:
            done.add(stage)


def check(core: Core, stage: Stage) -> None:
    """Opens a stage whose inputs have come, and closes one whose tasks are all committed; then those that read it."""
    changed = [stage]  # a job may be a chain of STAGES_MAX: this does not call itself
    for stage in changed:
        if stage.state == stages_of.CLOSED or stage.state == stages_of.FETCHING:
            if stage.inputs_complete():
                stage.state = core.stage.step(stage.state, stages_of.INPUTS_COMPLETE)
                stage.opened_ns = core.now_ns
                core.stirred = True
            elif stage.state == stages_of.CLOSED and stage.inputs_near():
                stage.state = core.stage.step(stage.state, stages_of.INPUTS_NEAR)
                core.stirred = True
        if stage.is_active and stage.is_done:
            changed += _close(core, stage, stages_of.ALL_COMMITTED)


def complete(core: Core, stage: Stage, event: int = stages_of.ALL_COMMITTED) -> None:
    """All tasks of a stage are committed."""
    for reader in _close(core, stage, event):
        check(core, reader)


def _close(core: Core, stage: Stage, event: int) -> list[Stage]:
    """Completes a stage; those that read it, which are to be checked."""
    stage.state = core.stage.step(stage.state, event)
    core.completed = True
    job = stage.job
    if not stage.readers:
        job.finals -= 1
        if not job.finals and job.state == jobs_of.RUNNING and not job.ledger.options.hold:
            end(core, job, jobs_of.COMPLETED, "")
    return stage.readers


def reopen(core: Core, stage: Stage) -> None:
    """A complete stage has tasks to do again, and so, perhaps, have those that it reads, and those before them."""
    opened = [stage]
    for stage in opened:
        if stage.state != stages_of.COMPLETE:
            continue  # two read it
        event = stages_of.OUTPUT_LOST if stage.inputs_complete() else stages_of.BOTH_LOST
        stage.state = core.stage.step(stage.state, event)
        stage.job.finals += not stage.readers
        for source in stage.sources:
            _want(core, source)
            if source.pending:
                opened.append(source)


def _want(core: Core, stage: Stage) -> None:
    """Has outputs made again that were lost when nobody had to read them."""
    for task, state in enumerate(stage.tasks if stage.vanished else ()):
        if state == VANISHED:
            stage.tasks[task] = core.task.step(state, WANTED)
            stage.vanished -= 1
            core.requeue(stage, task)


def cancel(core: Core, event: JobCancelled) -> None:
    """Ends a job that somebody wants no more; one that has ended is told of again."""
    job = core.jobs.get(event.job)
    if job is not None:
        end(core, job, jobs_of.CANCEL, "")
    elif (known := core.ledger.jobs.get(event.job)) is not None:
        core.actions.append(EndJob(event.job, known.outcome, known.error))


def doom(core: Core, job: Job, error: str) -> None:
    """Ends a job that cannot succeed any more. The first reason counts."""
    if job.state == jobs_of.RUNNING:
        end(core, job, jobs_of.DOOMED, error)


def end(core: Core, job: Job, event: int, error: str) -> None:
    """Ends a job: journaled, its attempts told to stop, and whoever waits told how it ended."""
    job.state = core.job.step(job.state, event)
    name, outcome = job.ledger.name, jobs_of.TABLE.states[job.state]
    core.journal(JobEnded(name, outcome, error))
    for stage in job.stages:
        for attempts in stage.running.values():
            for attempt in attempts:
                core.cancel(attempt, CancelReason.JOB_ENDED)
        stage.running.clear()
        stage.pending = 0
    del core.jobs[name]
    core.actions.append(EndJob(name, outcome, error))


def publish_again(core: Core, ledger: JobLedger) -> None:
    """After a recovery: the last coordinator may have journaled commits, and died before it published them."""
    finals = ledger.published or {index: ledger.stages[index].attempts for index in ledger.finals() if ledger.stages}
    for index, attempts in finals.items():
        for task, attempt in enumerate(attempts):
            if attempt != NO_ATTEMPT:
                core.actions.append(PublishOutput(AttemptId(ledger.name, index, task, attempt)))
