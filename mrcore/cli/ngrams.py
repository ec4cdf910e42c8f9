"""``mrcore ngrams``: how often each sequence of words occurs."""

from __future__ import annotations

import argparse

from mrcore.cli.options import add_common, add_keys, add_selection, add_verb, keys_of, run_verb
from mrcore.errors import UsageError

_EXAMPLES = """\
  mrcore ngrams -n 2 --top 20 book.txt
  mrcore ngrams -n 1-3 --lower --min-count 10 -o ngrams/ corpus/
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "ngrams",
        short="count sequences of words: 'a b TAB count' lines",
        about="Counts n-grams: N words one after the other in a line, joined by a space. Prints 'words TAB count'\n"
        "lines, sorted by the words' bytes.",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    what = add_keys(parser)
    what.add_argument("-n", default="2", metavar="N[-M]", help="words of an n-gram, or from N to M (default: 2)")
    what.add_argument("--cross-lines", action="store_true", help="n-grams go on over the end of a line, not of a file")
    add_selection(what)
    add_common(parser)


def parse_range(text: str) -> tuple[int, int]:
    """``2`` or ``1-3`` as the least and the most words.

    Raises:
        UsageError: neither of them.
    """
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise UsageError(f"not a number of words: {text!r}: write N or N-M, such as 2 or 1-3")
    return int(first), int(last if dash else first)


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    import msgspec

    from mrcore.runtime.jobs import CountJob

    n_min, n_max = parse_range(arguments.n)
    keys = msgspec.structs.replace(keys_of(arguments), n_min=n_min, n_max=n_max, cross_lines=arguments.cross_lines)
    return run_verb(CountJob(tuple(arguments.paths), keys, arguments.min_count, arguments.top), arguments, closed)
