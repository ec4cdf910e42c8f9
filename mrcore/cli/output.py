"""What the command prints: results on standard output, notes on standard error.

A result that cannot be written is an error, except that its reader may leave, as ``head``
does; a note that cannot be written is lost.
"""

from __future__ import annotations

import os
import sys

from mrcore.errors import OutputExistsError


def write_out(*lines: str) -> None:
    """Prints lines and whatever was printed before them.

    Raises:
        BrokenPipeError: nobody reads it.
        OutputExistsError, DiskFullError: it is closed or takes no more.
    """
    check_open()
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        _discard(1)
        if isinstance(error, BrokenPipeError):
            raise
        from mrcore.storage.files import write_error

        raise write_error(b"standard output", error) from error


def write_note(text: str) -> None:
    """Prints to standard error if that can be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(2)


def check_open() -> None:
    """Raises OutputExistsError when standard output was closed before we started."""
    if sys.stdout is None:
        raise OutputExistsError("cannot write: standard output: it is closed")


def _discard(fd: int) -> None:
    """What Python still holds for ``fd`` is lost: it would write it, and complain, when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
