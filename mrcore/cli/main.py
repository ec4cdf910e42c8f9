"""Entry point of the command: arguments in, exit status out.

Data goes to standard output, everything else to standard error. An error is one line,
``mrcore: what: where: what to do``; a traceback of mrcore's own shows only with ``-v``. Each
verb is a module of this package with ``add_parser`` and ``run``, imported when it is used.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

import mrcore
from mrcore.errors import MrcoreError, OutputExistsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived: unwind, clean up, exit."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mrcore: bad usage: {message}: see '{self.prog} --help'\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from mrcore.cli import doctor, wordcount

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
    wordcount.add_parser(verbs)
    doctor.add_parser(verbs)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, or as :mod:`mrcore.errors` says."""
    closed = _open_standard_descriptors()
    arguments = build_parser().parse_args(argv)
    verbose = getattr(arguments, "verbose", False)
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        if 1 in closed:
            raise OutputExistsError("cannot write: standard output: it is closed")
        status: int = arguments.run(arguments, closed)
        sys.stdout.flush()
        return status
    except MrcoreError as error:
        return _fail(str(error), error.exit_code, error if verbose else None)
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        return _fail("interrupted", 128 + signal.SIGINT)
    except Terminated:
        return _fail("terminated", 128 + signal.SIGTERM)
    except Exception as error:
        text = f"defect: {type(error).__name__}: {error}: run again with -v and report it"
        return _fail(text, 1, error if verbose else None)


def entry() -> NoReturn:
    """Entry point of the installed script."""
    sys.exit(main())


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Terminated


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
    return closed


def _fail(text: str, status: int, error: Exception | None = None) -> int:
    if error is not None:
        import traceback

        traceback.print_exception(error)
    print(f"mrcore: {text}", file=sys.stderr)
    return status


def _reader_left() -> int:
    """Whoever read our output has enough, as ``head`` does: that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing more may be written when Python exits
    return 0


if __name__ == "__main__":
    entry()
