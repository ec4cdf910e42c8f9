"""``mrcore jobs``: the jobs that ran and run here; what one did and printed; how to stop one.

It reads the records of :mod:`mrcore.storage.history`, and all of it works while the job runs and after a crash.
"""

from __future__ import annotations

import argparse
import time

from mrcore.cli.output import check_open, write_note, write_out
from mrcore.errors import UsageError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.storage.history_reader import JobSummary

WAIT_S = 5.0
POLL_S = 0.05
WHAT_MAX = 40  # letters in the list

_EPILOG = """\
JOB is an ID, the beginning of one or of its last part, or 'last'. Jobs that use no worker
processes (-j 0) leave no record. Records are kept in $XDG_STATE_HOME/mrcore/jobs (default:
~/.local/state/mrcore/jobs), 200 of them and 512 MiB at most.
"""
_LIST = """\
states: running; succeeded, failed, cancelled, interrupted; crashed: its process died.
"""
_LOGS = """\
Standard output has what the tasks wrote to theirs and to standard error, and what they said with
ctx.log; standard error has a line before each attempt that printed. What a worker printed outside
of tasks is there too, unless --task or --failed asks for less.

examples:
  mrcore jobs logs last
  mrcore jobs logs last --failed
  mrcore jobs logs 20261121-213210 --task map/3
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    about = "Shows the jobs of this user on this machine, and stops them."
    parser = _parser(verbs, "jobs", "list, show and cancel jobs", _EPILOG, about)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    lists = _parser(actions, "list", "a line for each job, the newest last", _LIST + _EPILOG)
    lists.set_defaults(run=run_list)
    lists.add_argument("--json", action="store_true", help="print one JSON array")

    show = _parser(actions, "show", "all about a job", _EPILOG)
    show.set_defaults(run=run_show)
    show.add_argument("--json", action="store_true", help="print one JSON object")

    logs = _parser(actions, "logs", "what its tasks printed", f"{_LOGS}\n{_EPILOG}")
    logs.set_defaults(run=run_logs)
    logs.add_argument("--task", metavar="PHASE/N", help="of one task: map/3, or by step, stage and task: p0.0.3")
    logs.add_argument("--failed", action="store_true", help="of attempts that failed or were lost")

    cancel = _parser(actions, "cancel", "stop a job", "Exit status 1: it still runs.\n" + _EPILOG)
    cancel.set_defaults(run=run_cancel)
    cancel.add_argument("--wait", type=float, default=WAIT_S, metavar="SECONDS", help="for its end (default: 5)")
    for action in (show, logs, cancel):
        action.add_argument("job", metavar="JOB", help="its ID, or 'last'")
    for action in (lists, show, logs, cancel):
        action.add_argument("-v", "--verbose", action="store_true", help="tracebacks of mrcore's own")


def _parser(
    under: argparse._SubParsersAction[argparse.ArgumentParser], name: str, short: str, epilog: str, about: str = ""
) -> argparse.ArgumentParser:
    return under.add_parser(
        name,
        help=short,
        description=about or f"{short[0].upper()}{short[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_list(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Prints the list."""
    from mrcore.storage.history_files import jobs_folder
    from mrcore.storage.history_reader import list_jobs

    check_open()
    jobs = list_jobs()
    if arguments.json:
        import json
        from dataclasses import asdict

        write_out(json.dumps([asdict(job) for job in jobs]))
    elif jobs:
        write_out(*table(["ID", "STATE", "WHAT", "PROGRESS", "ELAPSED", "OUTPUT"], [_row(job) for job in jobs]))
    else:
        write_note(f"mrcore: no job left a record in {shown(jobs_folder())} yet")
    return 0


def run_show(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Prints what is known of a job."""
    from mrcore.cli.jobs_show import describe, show_lines
    from mrcore.storage.history_reader import find_job

    check_open()
    about = describe(find_job(arguments.job))
    if arguments.json:
        import json

        write_out(json.dumps(about))
    else:
        write_out(*show_lines(about))
    return 0


def run_logs(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Prints what tasks printed."""
    from mrcore.cli.jobs_logs import print_logs
    from mrcore.storage.history_reader import find_job

    check_open()
    print_logs(find_job(arguments.job), arguments.task, failed=arguments.failed)
    return 0


def run_cancel(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Asks a job to end and waits for it; 1 if it still runs."""
    from mrcore.storage.history_reader import RUNNING, find_job

    if not 0 <= arguments.wait < 1e9:  # and not what is no number
        raise UsageError(f"wait out of range: {arguments.wait}: write seconds from 0 on")
    job = find_job(arguments.job)
    if (state := job.state) != RUNNING:
        raise UsageError(f"not running: job {job.id}: it {_ENDED[state]}, there is nothing to cancel")
    job.request_cancel()
    deadline = time.monotonic() + arguments.wait
    while (state := job.state) == RUNNING and time.monotonic() < deadline:
        time.sleep(POLL_S)
    if state == RUNNING:
        write_note(f"mrcore: job {job.id} still runs after {arguments.wait:g} s; it knows that it is to end")
        return 1
    write_out(f"job {job.id}: {state}")
    return 0


_ENDED = {
    "succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled", "interrupted": "was interrupted",
    "crashed": "crashed",
}  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns; one of numbers stands to the right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(cell.replace(",", "").replace(".", "").isdecimal() for cell in column[1:]) for column in columns]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]


def clock(seconds: float) -> str:
    """A duration as people say it: ``0.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress_text(tasks: dict[str, tuple[int, int]]) -> str:
    """How much of each phase is done."""
    shares = ((name, 100 * done // total if total else 100) for name, (done, total) in tasks.items())
    return ", ".join(f"{shown(name)} {share} %" for name, share in shares)


def _row(job: JobSummary) -> tuple[str, ...]:
    what = shown(job.what)
    what = what if len(what) <= WHAT_MAX else what[: WHAT_MAX - 1] + "…"
    return job.id, job.state, what, progress_text(job.tasks) or "-", clock(job.elapsed_s), shown(job.output) or "-"
