"""docs/examples/grep.py against Python's re, line by line."""

import re

import pytest

import mrcore as mr

PATTERNS = ["é", "w[0-9]{2}", r"the\s+of", "^$", "\r$", "(?i)STRASSE|naïve", "zzz"]


def matching(text, pattern):
    """The lines of a text in which the pattern finds something."""
    lines = text.split(b"\n")
    return [line for line in lines[: -1 if lines[-1] == b"" else None] if re.search(pattern.encode(), line)]


def expected(corpus, pattern):
    """Pairs of file and line, in input order."""
    return [(name.encode(), line) for name, text in corpus.items() for line in matching(text, pattern)]


@pytest.mark.parametrize("pattern", PATTERNS[:2])
def test_matching_lines_stay_in_the_order_of_their_file(examples, corpus, pattern):
    result = examples.same_in_all_ways(examples.load("grep").Grep(pattern), ["books"])
    pairs = expected(corpus, pattern)
    assert sorted(result.read(), key=lambda pair: pair[0]) == pairs
    assert result.counters["matching_lines"] == len(pairs) > 50


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_finds_what_re_finds(examples, corpus, pattern):
    module = examples.load("grep")
    pairs = expected(corpus, pattern)
    assert list(mr.run(module.Grep(pattern), "books").read()) == pairs
    assert module.matching_lines("books", pattern).collect() == [line for _, line in pairs]


def test_the_command_prints_files_and_lines(examples, corpus):
    pairs = expected(corpus, "é|slash")
    escaped = [(name, line.replace(b"\\", b"\\\\").replace(b"\t", b"\\t")) for name, line in pairs]
    assert examples.command("grep.py:Grep", ["books"], "é|slash") == b"".join(b"%s\t%s\n" % pair for pair in escaped)


def test_lines_alone_are_the_same_file_for_any_split_and_workers(examples, corpus, shell):
    """Without a shuffle there is a part file for each map task, so that one file is what can be compared."""
    module = examples.load("grep")
    lines = [line for _, line in expected(corpus, "é")]
    text = b"".join(line.replace(b"\\", b"\\\\").replace(b"\t", b"\\t") + b"\n" for line in lines)
    for executor in (mr.Inline(), mr.Local(1), mr.Local(2)):
        for split in (None, "4KiB"):
            module.matching_lines("books", "é").write_text(
                "found", single=True, overwrite=True, executor=executor, split=split
            )
            assert (shell.folder / "found").read_bytes() == text


def test_a_file_whose_name_is_not_utf8(examples, shell):
    shell.write(b"\xff.txt", b"one\ntwo\n")
    job = examples.load("grep").Grep("w")
    assert list(mr.run(job, b"\xff.txt").read()) == [(b"\xff.txt", b"two")]
