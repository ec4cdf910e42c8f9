"""Jobs for the benchmarks of faults: word count in Python, tasks of a second, tasks of nothing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import mrcore as mr

if TYPE_CHECKING:
    from collections.abc import Iterable


class WordCount(mr.MapReduce):
    """The classic; each map task leaves a mark in ``$MARKS``, so that it can be seen which ran again."""

    combine = mr.Sum()

    def setup(self, ctx: Any) -> None:
        """Leaves the mark of an attempt."""
        folder = os.environ.get("MARKS")
        if folder and ctx.phase == "map":
            name = f"{ctx.task}.{os.getpid()}.{time.monotonic_ns()}"
            with open(os.path.join(folder, name), "wb"):
                pass

    def map(self, record: Any, ctx: Any) -> Iterable[tuple[Any, Any]]:
        """A pair a word."""
        for word in record.split():
            yield word, 1


class Straggler(mr.MapReduce):
    """Each record is a task of a second, or of as many as ``$SLOWNESS`` says in the process that ``$SLOW_MARK`` names.

    The first process that finds no mark takes it.
    """

    def setup(self, ctx: Any) -> None:
        """Who is slow?"""
        if ctx.phase != "map":
            return
        self.seconds = 1.0
        mark = os.environ["SLOW_MARK"]
        try:
            with open(mark, "x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            pass
        with open(mark) as file:
            if file.read() == str(os.getpid()):
                self.seconds = float(os.environ["SLOWNESS"])

    def map(self, record: Any, ctx: Any) -> Iterable[tuple[Any, Any]]:
        """Waits."""
        time.sleep(self.seconds)
        yield record, 1


class Nothing(mr.MapReduce):
    """Reads nothing, makes nothing."""

    def map(self, record: Any, ctx: Any) -> Iterable[tuple[Any, Any]]:
        """No pairs."""
        return ()
