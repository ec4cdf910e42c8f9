"""The promise about memory, for jobs of users' functions whose groups are larger than their memory."""

import os

import pytest

MIB = 1 << 20
BUDGET = 24 * MIB
JOB = b"""
import mrcore as mr

class Large(mr.MapReduce):
    def map(self, record, ctx):
        head = record[:1]
        for word in record.split():
            yield b"one", (word, ctx.input.offset)
            yield head, record

    def reduce(self, key, values, ctx):
        many = size = 0
        for value in values:
            many, size = many + 1, size + len(value[0] if type(value) is tuple else value)
        yield key, (many, size)

class Words(mr.MapReduce):
    combine = mr.Sum()

    def map(self, record, ctx):
        for word in record.split():
            yield word, 1
"""


@pytest.fixture
def source(shell, distinct_words):
    """A tenth of the distinct words: 6 MB, which the job makes 130 MB of pairs of."""
    with open(distinct_words, "rb") as file:
        content = file.read(6_000_000)
    shell.write("job.py", JOB)
    shell.write("in", content[: content.rindex(b"\n")])
    return content[: content.rindex(b"\n")]


def check(watched, processes):
    """The promise: 1.1 budgets, and for each process 32 MiB, and 16 more for the interpreter with what it imports."""
    assert (watched.status, watched.err) == (0, b"")
    assert watched.processes == processes
    assert 8 * MIB < watched.memory <= 1.1 * BUDGET + 32 * MIB * processes, f"{watched.memory / MIB:.0f} MiB"


@pytest.mark.parametrize("workers", [0, 2])
def test_groups_larger_than_the_memory(shell, watch, source, workers):
    """The group of one key is 130 MB of pairs in all, five times the budget."""
    watched = watch("run", "job.py:Large", "in", "--memory", "24MiB", "-j", str(workers), "--split", "1MiB")
    check(watched, workers + 1)
    lines = dict(line.split(b"\t") for line in (shell.folder / "stdout").read_bytes().splitlines())
    words = source.split()
    assert lines[b"one"] == b"(%d, %d)" % (len(words), sum(map(len, words)))
    assert len(lines) == 1 + len({line[:1] for line in source.split(b"\n")})


def test_many_keys(shell, watch, source):
    watched = watch(
        "run", "job.py:Words", "in", "--memory", "24MiB", "-j", "2", "--split", "1MiB", "-R", "2", "-o", "out"
    )
    check(watched, 3)
    assert sum(os.path.getsize(shell.folder / "out" / f"part-0000{p}") for p in range(2)) > 6_000_000
