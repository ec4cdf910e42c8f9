"""Grep: the lines in which a regular expression finds something.

    mrcore run grep.py:Grep logs/ -- 'time(d )?out'

What stands behind ``--`` is given to the constructor. Out come lines ``file TAB line``, sorted by
file, those of a file in their order there::

    logs/monday   12:01 connection timed out
    logs/tuesday  09:30 timeout
"""

import os
import re

import mrcore as mr


class Grep(mr.MapReduce):
    """Without ``reduce`` and ``combine`` all pairs come out, sorted by key; equal keys stay in input order."""

    def __init__(self, pattern):
        self.pattern = re.compile(os.fsencode(pattern))  # lines are bytes, so the pattern is too

    def map(self, record, ctx):
        """A counter tells how many lines there were; ``mrcore run --json`` and ``result.counters`` show it."""
        if self.pattern.search(record):
            ctx.counter("matching_lines").add()
            yield os.fsencode(ctx.input.file), record


def matching_lines(inputs, pattern):
    """The lines alone, in input order. Nothing is sorted, so this is the cheapest way from Python.

    >>> matching_lines("logs/", "time(d )?out").write_text("found.txt", single=True)  # doctest: +SKIP
    """
    expression = re.compile(os.fsencode(pattern))
    return mr.read_text(inputs).filter(expression.search)
