"""``mrcore distinct``: how many different words or lines there are."""

from __future__ import annotations

import argparse

from mrcore.cli.options import add_common, add_keys, add_verb, keys_of, run_verb
from mrcore.errors import UsageError

_EXAMPLES = """\
  mrcore distinct book.txt
  mrcore distinct --of lines access.log
  mrcore distinct --approx --tokenizer unicode --lower corpus/
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "distinct",
        short="how many different words or lines there are",
        about="Prints the number of different words, exactly. With --approx the number is an estimate in 16 KiB of\n"
        "memory a task: its standard error is 0.81 %.",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    what = add_keys(parser)
    what.add_argument("--of", choices=("tokens", "lines"), default="tokens", help="what to count (default: tokens)")
    what.add_argument("--approx", action="store_true", help="estimate by HyperLogLog, standard error 0.81 %%")
    add_common(parser, parts=False)


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    from mrcore.engine.spec import Keys
    from mrcore.runtime.jobs import DistinctJob

    keys = keys_of(arguments)
    if arguments.of == "lines":
        if arguments.tokenizer != "whitespace":
            raise UsageError("--of lines has no words: leave --tokenizer away")
        keys = Keys("lines", arguments.lower)
    return run_verb(DistinctJob(tuple(arguments.paths), keys, arguments.approx), arguments, closed)
