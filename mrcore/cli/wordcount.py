"""``mrcore wordcount``: how often each word occurs."""

from __future__ import annotations

import argparse
import os
import sys

from mrcore.cli.output import check_open, write_note, write_out
from mrcore.errors import InputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.cli.progress import ProgressLine
    from mrcore.runtime.job import CountJob, JobResult, Options
    from mrcore.runtime.sinks import Sink

_EPILOG = """\
A PATH is a file, a folder with all its subfolders, a quoted glob pattern, or - for standard
input (the default). Text need not be valid UTF-8. SIZE: K, M, G and KiB, MiB, GiB are powers
of 1024; KB, MB, GB of 1000.

examples:
  mrcore wordcount --top 20 book.txt
  mrcore wordcount --lower --tokenizer ascii -o counts/ corpus/
  zcat logs.gz | mrcore wordcount -
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "wordcount",
        help="count words: 'word TAB count' lines, sorted by word",
        description="Counts words exactly and prints 'word TAB count' lines, sorted by the words' bytes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("paths", nargs="*", metavar="PATH", default=["-"], help="input (default: standard input)")
    what = parser.add_argument_group("what to count")
    what.add_argument("--tokenizer", default="whitespace", help="whitespace (default) or ascii: runs of [A-Za-z0-9_]")
    what.add_argument("--lower", action="store_true", help="fold A-Z to a-z")
    what.add_argument("--min-count", type=int, default=1, metavar="N", help="leave out words with fewer occurrences")
    what.add_argument("--top", type=int, metavar="K", help="only the K most frequent, by count, then word")
    where = parser.add_argument_group("output")
    where.add_argument("-o", "--output", metavar="PATH", help="a directory of part files (default: standard output)")
    where.add_argument("--single", action="store_true", help="-o names one file, sorted as a whole")
    where.add_argument("--overwrite", action="store_true", help="replace output that is there")
    where.add_argument("--json", action="store_true", help="print one JSON object about the job")
    how = parser.add_argument_group("how to run")
    how.add_argument("-j", "--workers", type=int, metavar="N", help="worker processes (default: cores; 0: none)")
    how.add_argument("-R", "--reducers", type=int, metavar="N", help="part files (default: one for each 256 MiB)")
    how.add_argument("--split", metavar="SIZE|file", help="bytes a map task, or one task a file")
    how.add_argument("--tmp", metavar="DIR", help="where intermediate files go without -o (default: $TMPDIR or /tmp)")
    how.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    how.add_argument("--progress", choices=("auto", "on", "off"), default="auto", help="on standard error")
    how.add_argument("-q", "--quiet", action="store_true", help="no progress")
    how.add_argument("-v", "--verbose", action="store_true", help="say what was done; tracebacks of mrcore's own")


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    from mrcore.dataflow.dataset import explain_plan, parse_split
    from mrcore.runtime.job import CountJob, Options, plan_job, run_job

    _check(arguments)
    if 0 in closed and "-" in arguments.paths:
        raise InputError("cannot read: standard input: it is closed")
    if arguments.output is None or arguments.json or arguments.dry_run:
        check_open()
    job = CountJob(
        tuple(arguments.paths), arguments.tokenizer, arguments.lower, arguments.min_count, arguments.top
    )
    tmp = None if arguments.tmp is None else os.fsencode(arguments.tmp)
    options = Options(arguments.workers, arguments.reducers, parse_split(arguments.split), tmp)
    sink = _sink(arguments)
    if arguments.dry_run:
        write_out(explain_plan(job, plan_job(job, options, ordered=sink.ordered)))
        return 0
    progress = _progress(arguments)
    try:
        result = run_job(job, options, sink, progress)
    finally:
        if progress is not None:
            progress.clear()
    if arguments.json:
        _print_json(job, options, sink, result)
    if arguments.verbose:
        _say(result)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.single and arguments.output is None:
        raise UsageError("--single without -o: name the file with -o")
    if arguments.json and arguments.output is None and arguments.top is None:
        raise UsageError("--json without a place for the counts: add -o PATH, or --top K to have them inside")
    if arguments.output == "":
        raise UsageError("empty output path: name a directory with -o")


def _sink(arguments: argparse.Namespace) -> Sink:
    from mrcore.runtime.sinks import DescriptorSink, DirectorySink, FileSink, MemorySink

    if arguments.output is None:
        return MemorySink() if arguments.json else DescriptorSink(1)
    path = os.fsencode(arguments.output)
    if arguments.single:
        return FileSink(path, overwrite=arguments.overwrite)
    return DirectorySink(path, overwrite=arguments.overwrite)


def _progress(arguments: argparse.Namespace) -> ProgressLine | None:
    wanted = arguments.progress
    if wanted == "off" or arguments.quiet or (wanted == "auto" and not os.isatty(2)):
        return None
    from mrcore.cli.progress import ProgressLine

    return ProgressLine(sys.stderr)


def _print_json(job: CountJob, options: Options, sink: Sink, result: JobResult) -> None:
    import json

    from mrcore.runtime.job import read_lines
    from mrcore.runtime.sinks import MemorySink

    about: dict[str, object] = {
        "job": job.describe() | {"top": job.top},
        "workers": result.plan.workers,
        "counters": result.counters,
        "seconds": {phase: round(seconds, 6) for phase, seconds in result.seconds.items()},
        "outputs": list(result.outputs),
    }
    if isinstance(sink, MemorySink):
        pairs = read_lines(sink.parts[0].split(b"\n")[:-1])
        about["result"] = [[word.decode("utf-8", "backslashreplace"), count] for word, count in pairs]
    write_out(json.dumps(about))


def _say(result: JobResult) -> None:
    counters, seconds = result.counters, result.seconds
    rate = counters["bytes_in"] / 1e6 / max(seconds["total"], 1e-9)
    write_note(
        f"mrcore: {counters['tokens']:,} words, {counters['records_out']:,} lines; {counters['bytes_in']:,} bytes in "
        f"{seconds['total']:.3f} s ({rate:,.0f} MB/s): map {seconds['map']:.3f}, reduce {seconds['reduce']:.3f}"
    )
