"""Entry point of the command: arguments in, exit status out.

Data goes to standard output, everything else to standard error. An error is one line,
``mrcore: what: where: what to do``; a traceback of mrcore's own shows only with ``-v``. Each
verb is a module of this package with ``add_parser`` and ``run``, imported when it is used.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys

import mrcore
from mrcore.cli.output import write_note, write_out
from mrcore.errors import MrcoreError, UsageError, UserCodeError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


class Stopped(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP arrived: unwind, clean up, exit."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"bad usage: {message}: see '{self.prog} --help'", UsageError.exit_code))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from mrcore.cli import distinct, doctor, index, inspect, jobs, ngrams, run, simulate, trace, wordcount

    parser = _Parser(
        prog="mrcore",
        description="Count, sort and reduce big files with native kernels in worker processes.",
        epilog="'mrcore VERB --help' shows the options of a verb.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mrcore {mrcore.__version__}")
    verbs: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=_Parser
    )
    for verb in (wordcount, ngrams, distinct, index, run):
        verb.add_parser(verbs)
    doctor.add_parser(verbs)
    inspect.add_parser(verbs)
    jobs.add_parser(verbs)
    trace.add_parser(verbs)
    simulate.add_parser(verbs)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, or as :mod:`mrcore.errors` says."""
    verbose = False
    try:
        closed = _open_standard_descriptors()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and a shell's & ask for
                signal.signal(number, _on_signal)
        arguments = _parse(argv)
        verbose = getattr(arguments, "verbose", False)
        status: int = arguments.run(arguments, closed)
        if sys.stdout is not None:
            write_out()
        return status
    except UserCodeError as error:
        if error.user_traceback:
            write_note(error.user_traceback)
        return _fail(str(error), error.exit_code, error if verbose else None)
    except MrcoreError as error:
        return _fail(str(error), error.exit_code, error if verbose else None)
    except BrokenPipeError:
        return 0  # whoever read our output has enough, as `head` does
    except Stopped as stopped:
        text = "interrupted" if stopped.number == signal.SIGINT else "terminated"
        return _fail("".join([text, *getattr(stopped, "__notes__", ())]), 128 + stopped.number)
    except KeyboardInterrupt:  # before the handlers stood
        return _fail("interrupted", 128 + signal.SIGINT)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return _fail("too many open files: raise the limit (ulimit -n), or lower -j", 1, error if verbose else None)
        text = f"defect: {type(error).__name__}: {error}: run again with -v and report it"
        return _fail(text, 1, error if verbose else None)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    given = sys.argv[1:] if argv is None else argv
    cut = given.index("--") if "--" in given else len(given)
    parser = build_parser()
    try:
        # argparse gives all paths up to the first option to `paths` and does not know those behind it.
        arguments, more = parser.parse_known_args(given[:cut])
        if unknown := [word for word in more if (word.startswith("-") and word != "-") or "paths" not in arguments]:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        if "job_arguments" in arguments:
            arguments.paths = [*arguments.paths, *more] or ["-"]
            arguments.job_arguments = given[cut + 1 :]
        elif "paths" in arguments:
            arguments.paths = [*arguments.paths, *more, *given[cut + 1 :]] or ["-"]
        elif given[cut + 1 :]:
            parser.error(f"unrecognized arguments: {' '.join(given[cut + 1 :])}")
        return arguments
    except SystemExit:  # it printed its help or its version, or said what is wrong
        if sys.stdout is not None:
            write_out()
        raise


def entry() -> NoReturn:
    """Entry point of the installed script."""
    sys.exit(main())


def _on_signal(number: int, frame: FrameType | None) -> None:
    # A second Ctrl-C kills. Of the others a second one is often the same request sent to process and group.
    signal.signal(number, signal.SIG_DFL if number == signal.SIGINT else signal.SIG_IGN)
    raise Stopped(number)


def _open_standard_descriptors() -> set[int]:
    """Which of 0, 1, 2 were closed. They are opened on nothing, lest a data file takes their number."""
    closed = set()
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed.add(fd)
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(fd, True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it stays open
    return closed


def _fail(text: str, status: int, error: Exception | None = None) -> int:
    if error is not None:
        import traceback

        write_note("".join(traceback.format_exception(error)).rstrip())
    write_note(f"mrcore: {shown(text)}")
    return status


if __name__ == "__main__":
    entry()
