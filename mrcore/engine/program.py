"""What travels of a user's code: the functions of one stage, pickled by value where they must be.

A stage is a chain of functions in its map tasks and, behind a shuffle, a reducer and another
chain in its reduce tasks. The coordinator writes the pickle into the job's work directory, which
is its own; each task reads it anew, so that nothing a function keeps in its object passes from
one task to the next, and a task is the same wherever and whenever it runs.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from mrcore.engine.pickling import dump_program, load_program
from mrcore.errors import UsageError
from mrcore.storage.partfile import PartWriter, read_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcore.engine.aggregates import Aggregation
    from mrcore.engine.spec import Code

Step = tuple[str, "Callable[..., Any]"]  # kinds: mrcore.kernels.chain.STEPS


class Shuffle(NamedTuple):
    """How pairs are brought together by key."""

    aggregate: Aggregation | None = None
    combine: Callable[..., Any] | None = None  # combine(key, values, ctx): yields pairs of the same key
    reduce: Callable[..., Any] | None = None  # reduce(key, values, ctx): yields elements
    each: bool = False  # no groups: every pair by itself, sorted by key
    place: Callable[[Any, int], int] | None = None  # place(key, partitions): which partition, modulo their number


class Program(NamedTuple):
    """The functions of one stage."""

    steps: tuple[Step, ...] = ()
    batches: Callable[..., Any] | None = None  # batches(data, offsets), before the steps
    shuffle: Shuffle | None = None
    after: tuple[Step, ...] = ()  # behind the shuffle
    setup: Callable[[Any], Any] | None = None  # setup(ctx), teardown(ctx): once a task
    teardown: Callable[[Any], Any] | None = None
    encoding: str | None = None  # of text, whose records are bytes without one
    verify: bool = False
    columns: int = 2  # of text output


def check_encoding(name: object) -> None:
    """Refuses what is no encoding of text.

    Raises:
        UsageError: naming it.
    """
    try:
        if name is not None:
            b"\n".decode(name, "ignore")  # type: ignore[arg-type]  # which is what is found out here
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(f"not an encoding of text: {name!r}: {error}: write one such as 'utf-8'") from error


def write_program(path: bytes, program: Program) -> Code:
    """Pickles a program into a file.

    Raises:
        SerializationError: naming what cannot be pickled.
    """
    from mrcore.engine.spec import Code

    data = dump_program(program)
    with PartWriter(path, sync=False) as part:
        part.write(data)
    places = tuple(os.fsencode(os.path.abspath(place)) for place in sys.path)  # "" is the current directory
    return Code(path, part.size, part.check, places)


def read_program(code: Code) -> Program:
    """A fresh copy of a program.

    Raises:
        SerializationError: a module of the user's is missing here.
        CorruptionError: the file is not what was written.
    """
    places = [os.fsdecode(place) for place in code.places]
    if places != [os.path.abspath(place) for place in sys.path]:  # in the caller's own process they are the same
        sys.path[:] = places
    program = load_program(read_part(code.path, code.size, code.check))
    assert isinstance(program, Program)
    return program
