"""The options that all verbs over text share: what to read, where to write, how to run."""

from __future__ import annotations

import argparse
import os
import sys

from mrcore.cli.output import check_open, write_note, write_out
from mrcore.errors import InputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.cli.progress import ProgressLine
    from mrcore.engine.spec import Keys
    from mrcore.runtime.job import JobResult
    from mrcore.runtime.jobs import Job
    from mrcore.runtime.plan import Options
    from mrcore.runtime.sinks import Sink

INPUT_HELP = """\
A PATH is a file, a folder with all its subfolders, a quoted glob pattern, or - for standard
input (the default). Text need not be valid UTF-8. SIZE: K, M, G and KiB, MiB, GiB are powers
of 1024; KB, MB, GB of 1000.
"""


def add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, *, short: str, about: str, examples: str
) -> argparse.ArgumentParser:
    """A parser for a verb."""
    return verbs.add_parser(
        name,
        help=short,
        description=about,
        epilog=f"{INPUT_HELP}\nexamples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_keys(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Paths, and what the words are; the group, for more."""
    parser.add_argument("paths", nargs="*", metavar="PATH", default=[], help="input (default: standard input)")
    what = parser.add_argument_group("what to count")
    what.add_argument(
        "--tokenizer",
        default="whitespace",
        help="whitespace (default); ascii: runs of [A-Za-z0-9_]; unicode: runs of letters, marks and numbers; "
        "regex:PATTERN: what Python's re finds in a line",
    )
    what.add_argument("--lower", action="store_true", help="fold A-Z to a-z; with unicode, all letters")
    return what


def add_selection(what: argparse._ArgumentGroup) -> None:
    """Which counts to keep."""
    what.add_argument("--min-count", type=int, default=1, metavar="N", help="leave out what occurs less often")
    what.add_argument("--top", type=int, metavar="K", help="only the K most frequent, by count, then word")


def add_common(parser: argparse.ArgumentParser, *, parts: bool = True) -> None:
    """Where the result goes, and how the job is run. Without ``parts`` the result is a number or a short list."""
    where = parser.add_argument_group("output")
    if parts:
        where.add_argument("-o", "--output", metavar="PATH", help="directory of part files (default: standard output)")
        where.add_argument("--single", action="store_true", help="-o names one file, sorted as a whole")
    else:
        where.add_argument("-o", "--output", metavar="PATH", help="a file (default: standard output)")
    where.add_argument("--overwrite", action="store_true", help="replace output that is there")
    if parts:
        where.add_argument("--resume", action="store_true", help="go on with an interrupted job in -o, if there is one")
    where.add_argument("--json", action="store_true", help="print one JSON object about the job")
    how = parser.add_argument_group("how to run")
    how.add_argument("-j", "--workers", type=int, metavar="N", help="worker processes (default: cores; 0: none)")
    how.add_argument("--memory", metavar="SIZE", help="for all processes together (default: half of what is available)")
    how.add_argument("-R", "--reducers", type=int, metavar="N", help="part files (default: one for each 256 MiB)")
    how.add_argument("--split", metavar="SIZE|file", help="bytes a map task, or one task a file")
    how.add_argument("--tmp", metavar="DIR", help="for intermediate files without -o DIR (default: $TMPDIR or /tmp)")
    how.add_argument("--tmp-limit", metavar="SIZE", help="bytes that intermediate files may take at a time")
    faults = parser.add_argument_group("when something fails")
    faults.add_argument("--max-attempts", type=int, default=4, metavar="N", help="of a task (default: 4)")
    faults.add_argument("--skip-bad", type=int, default=0, metavar="N", help="records of the job that may be left out")
    faults.add_argument("--speculation", choices=("auto", "off"), default="auto", help="second attempts of slow tasks")
    faults.add_argument("--task-timeout", type=float, default=0, metavar="SECONDS", help="end tasks that read nothing")
    how.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    how.add_argument("--progress", choices=("auto", "on", "off"), default="auto", help="on standard error")
    how.add_argument("-q", "--quiet", action="store_true", help="no progress")
    how.add_argument("-v", "--verbose", action="store_true", help="say what was done; tracebacks of mrcore's own")


def keys_of(arguments: argparse.Namespace) -> Keys:
    """What the arguments of :func:`add_keys` say."""
    from mrcore.engine.spec import Keys
    from mrcore.runtime.jobs import check_words

    check_words(arguments.tokenizer)
    return Keys(arguments.tokenizer, arguments.lower)


def run_verb(job: Job, arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs a job as the options say; the exit status."""
    from mrcore.runtime.job import run_job

    _check(job, arguments)
    check_streams(arguments, closed)
    if arguments.output is None or arguments.json or arguments.dry_run:
        check_open()
    options, sink = options_of(arguments), sink_of(arguments)
    if arguments.dry_run:
        from mrcore.dataflow.explain import explain_plan
        from mrcore.runtime.plan import plan_job

        write_out(explain_plan(job, plan_job(job, options, ordered=sink.ordered)))
        return 0
    progress = progress_of(arguments)
    try:
        result = run_job(job, options, sink, progress)
    finally:
        if progress is not None:
            progress.clear()
    if arguments.json:
        _print_json(job, sink, result)
    if arguments.verbose:
        _say(result)
    return 0


def options_of(arguments: argparse.Namespace) -> Options:
    """How to run, as the arguments of :func:`add_common` say."""
    from mrcore.config import parse_size
    from mrcore.dataflow.executors import parse_split
    from mrcore.runtime.plan import Faults, Options

    return Options(
        arguments.workers,
        arguments.reducers,
        parse_split(arguments.split),
        None if arguments.tmp is None else os.fsencode(arguments.tmp),
        None if arguments.memory is None else parse_size(arguments.memory),
        None if arguments.tmp_limit is None else parse_size(arguments.tmp_limit),
        Faults(
            arguments.max_attempts, arguments.skip_bad, arguments.speculation == "auto", arguments.task_timeout
        ),
    )


def check_streams(arguments: argparse.Namespace, closed: set[int]) -> None:
    """Refuses places that make no sense, and a standard input that is closed."""
    if getattr(arguments, "single", False) and arguments.output is None:
        raise UsageError("--single without -o: name the file with -o")
    if getattr(arguments, "resume", False) and (arguments.output is None or arguments.single):
        raise UsageError("--resume without a directory to go on with: name it with -o, without --single")
    if arguments.output == "":
        raise UsageError("empty output path: name a directory with -o")
    if 0 in closed and "-" in arguments.paths:
        raise InputError("cannot read: standard input: it is closed")


def _is_short(job: Job) -> bool:
    """Is the result small enough to stand in the JSON object?"""
    return job.emit == "nothing" or job.top is not None


def _check(job: Job, arguments: argparse.Namespace) -> None:
    if arguments.json and arguments.output is None and not _is_short(job):
        inside = ", or --top K to have it inside" if "top" in arguments else ""
        raise UsageError(f"--json without a place for the result: add -o PATH{inside}")


def sink_of(arguments: argparse.Namespace, stdout: int = 1) -> Sink:
    """Where the result goes, as the arguments say: to ``stdout``, a descriptor, if they say nothing."""
    from mrcore.runtime.sinks import DescriptorSink, DirectorySink, FileSink, MemorySink

    if arguments.output is None:
        return MemorySink() if arguments.json else DescriptorSink(stdout)
    path = os.fsencode(arguments.output)
    if getattr(arguments, "single", True):
        return FileSink(path, overwrite=arguments.overwrite)
    return DirectorySink(path, overwrite=arguments.overwrite, resume=arguments.resume)


def progress_of(arguments: argparse.Namespace) -> ProgressLine | None:
    """The progress line, if one is wanted."""
    wanted = arguments.progress
    if wanted == "off" or arguments.quiet or (wanted == "auto" and not os.isatty(2)):
        return None
    from mrcore.cli.progress import ProgressLine

    return ProgressLine(sys.stderr)


def _print_json(job: Job, sink: Sink, result: JobResult) -> None:
    import json

    from mrcore.runtime.job import read_lines
    from mrcore.runtime.sinks import MemorySink

    plan = result.plan
    about: dict[str, object] = {
        "job": job.describe(),
        "workers": plan.workers,
        "counters": result.counters,
        "memory": {"budget": plan.memory, "task_share": plan.share, "task_peak": result.used["memory_peak"]},
        "tmp": {"limit": plan.tmp_limit, "peak": result.used["tmp_peak"]},
        "seconds": {phase: round(seconds, 6) for phase, seconds in result.seconds.items()},
        "outputs": list(result.outputs),
    }
    if result.distinct is not None:
        about["result"] = result.distinct
    elif isinstance(sink, MemorySink):
        pairs = read_lines(sink.parts[0].split(b"\n")[:-1])
        about["result"] = [[word.decode("utf-8", "backslashreplace"), count] for word, count in pairs]
    write_out(json.dumps(about))


def _say(result: JobResult) -> None:
    counters, seconds = result.counters, result.seconds
    rate = counters["bytes_in"] / 1e6 / max(seconds["total"], 1e-9)
    write_note(
        f"mrcore: {counters['tokens']:,} words, {counters['records_out']:,} lines; {counters['bytes_in']:,} bytes in "
        f"{seconds['total']:.3f} s ({rate:,.0f} MB/s): map {seconds.get('map', 0):.3f}, "
        f"reduce {seconds.get('reduce', 0):.3f}; "
        f"{counters['spills']:,} spills, {result.used['tmp_peak']:,} bytes of intermediate files"
    )
