"""What ``mrcore jobs logs`` prints: the bytes of workers' logs, told apart by attempt.

A worker's log is cut where the ends of attempts say that theirs begins and stops. Of an attempt without such an end,
since it runs or its worker died, it is what lies behind the attempt before it on that worker, up to the next one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mrcore.cli.output import write_note, write_out
from mrcore.errors import UsageError, shown
from mrcore.storage.history_replay import Replay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcore.storage.history_reader import StoredJob
    from mrcore.storage.history_replay import Attempt, Note

FAILED = ("failed", "lost", "unknown")


@dataclass(frozen=True, slots=True)
class Section:
    """Some bytes of a worker's log, and whose they are."""

    worker: str
    start: int
    stop: int
    attempt: Attempt | None  # None: printed outside of tasks


def print_logs(job: StoredJob, task: str | None, *, failed: bool) -> None:
    """Prints all, or what a task's attempts or failed attempts printed.

    Raises:
        UsageError: there is no such task.
        InputError: a log cannot be read.
    """
    replay = Replay(job.events())
    chosen = replay.attempts
    if task is not None:
        is_it = _matcher(task, replay)
        chosen = [attempt for attempt in chosen if is_it(attempt)]
        if not chosen:
            raise UsageError(f"no task {shown(task)}: job {job.id}: {_tasks_there_are(replay)}")
    if failed:
        over = job.state != "running"
        chosen = [a for a in chosen if a.outcome in FAILED or a.error or (over and not a.outcome)]
    everything = task is None and not failed
    wanted = {attempt.key: attempt for attempt in chosen}
    for worker in _workers(job, replay):
        for section in sections(replay, worker, job.log_size(worker)):
            attempt = section.attempt
            if everything if attempt is None else wanted.get(attempt.key) is attempt:
                _print_section(job, section, replay, always=not everything)
    if everything:
        _print_notes(replay.notes)


def sections(replay: Replay, worker: str, size: int) -> list[Section]:
    """A worker's log from its first byte to its last, cut by attempts in the order they started."""
    attempts = [attempt for attempt in replay.attempts if attempt.worker == worker]
    found: list[Section] = []
    at = 0
    for index, attempt in enumerate(attempts):
        start, stop = attempt.log or (at, _next_start(attempts, index, size))
        start = min(max(start, at), size)  # a forged range shows nothing twice
        stop = max(start, min(stop, size))
        if start > at:
            found.append(Section(worker, at, start, None))
        found.append(Section(worker, start, stop, attempt))
        at = stop
    if at < size:
        found.append(Section(worker, at, size, None))
    return found


def _next_start(attempts: list[Attempt], index: int, size: int) -> int:
    return next((attempt.log[0] for attempt in attempts[index + 1 :] if attempt.log), size)


def _workers(job: StoredJob, replay: Replay) -> list[str]:
    """Those that said something or ran something, each once."""
    names = [worker.name for worker in replay.workers] + [attempt.worker for attempt in replay.attempts]
    return list(dict.fromkeys(names + job.log_workers()))


def _matcher(task: str, replay: Replay) -> Callable[[Attempt], bool]:
    name, slash, number = task.rpartition("/")
    if not slash:
        return lambda attempt: attempt.key == task or attempt.key.rpartition(".")[0] == task

    def is_it(attempt: Attempt) -> bool:
        phase = replay.phase_of(attempt)
        return str(attempt.task) == number and phase is not None and phase.name == name

    return is_it


def _tasks_there_are(replay: Replay) -> str:
    phases = {phase.name: max(a.task for a in phase.attempts) for phase in replay.phases if phase.attempts}
    if not phases:
        return "none of its tasks started"
    return "it has " + ", ".join(f"{shown(name)}/0 to {shown(name)}/{last}" for name, last in phases.items())


def _print_section(job: StoredJob, section: Section, replay: Replay, *, always: bool) -> None:
    """Prints it below a line that says whose it is; ``always``: also when it is empty."""
    attempt = section.attempt
    notes = attempt.notes if attempt else []
    if section.start == section.stop and not notes and not always:
        return
    where = f"on {section.worker}" if section.worker else "on a worker without name"
    if attempt is None:
        write_note(f"==> {shown(where[3:])}, outside of tasks <==")
    else:
        how = attempt.outcome or ("running" if job.state == "running" else "did not end")
        error = f": {attempt.error}" if attempt.error else ""
        write_note(f"==> {shown(f'{replay.label(attempt)}, attempt {attempt.number} {where}: {how}{error}')} <==")
    _print_bytes(job, section)
    _print_notes(notes)


def _print_bytes(job: StoredJob, section: Section) -> None:
    from mrcore.storage.files import writing

    write_out()  # checks that it is open
    last = b"\n"
    for piece in job.read_log(section.worker, section.start, section.stop):
        try:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            with writing(b"standard output"):
                raise error
        last = piece[-1:]
    if last != b"\n":
        write_out("")  # the next line begins as a line


def _print_notes(notes: list[Note]) -> None:
    write_out(*(f"{shown(note.kind)}: {shown(note.text)}" for note in notes))
