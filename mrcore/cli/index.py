"""``mrcore index``: which files each word occurs in."""

from __future__ import annotations

import argparse

from mrcore.cli.options import add_common, add_keys, add_verb, keys_of, run_verb

_EXAMPLES = """\
  mrcore index -o index/ corpus/
  mrcore index --counts --lower --tokenizer ascii 'src/**/*.c'
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "index",
        short="inverted index: 'word TAB file,file,...' lines",
        about="Prints which files each word occurs in: 'word TAB file,file,...' lines, sorted by the words' bytes,\n"
        "files in path order. In file names backslash, TAB, LF, CR and comma stand behind a backslash.",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    what = add_keys(parser)
    what.add_argument("--counts", action="store_true", help="how often, too: 'word TAB file:count,...'")
    add_common(parser)


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    from mrcore.runtime.jobs import IndexJob

    return run_verb(IndexJob(tuple(arguments.paths), keys_of(arguments), arguments.counts), arguments, closed)
