"""``mrcore wordcount`` and ``mrcore top``: how often each word occurs."""

from __future__ import annotations

import argparse

from mrcore.cli.options import add_common, add_keys, add_selection, add_verb, keys_of, run_verb

_EXAMPLES = """\
  mrcore wordcount --top 20 book.txt
  mrcore wordcount --lower --tokenizer unicode -o counts/ corpus/
  zcat logs.gz | mrcore wordcount -
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verbs."""
    parser = add_verb(
        verbs,
        "wordcount",
        short="count words: 'word TAB count' lines, sorted by word",
        about="Counts words exactly and prints 'word TAB count' lines, sorted by the words' bytes.",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    add_selection(add_keys(parser))
    add_common(parser)
    best = add_verb(
        verbs,
        "top",
        short="the K most frequent words",
        about="Prints the K most frequent words as 'word TAB count' lines, by count, then word.",
        examples="  mrcore top 20 book.txt\n",
    )
    best.set_defaults(run=run, min_count=1)
    best.add_argument("top", type=int, metavar="K", help="how many")
    add_keys(best)
    add_common(best, parts=False)


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    from mrcore.runtime.jobs import CountJob

    job = CountJob(tuple(arguments.paths), keys_of(arguments), arguments.min_count, arguments.top)
    return run_verb(job, arguments, closed)
