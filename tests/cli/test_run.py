"""The verb `run`: which job of a file it takes, what goes where, and what it says of a plan and of a run."""

import json

import pytest

JOBS = b"""
import mrcore as mr

print("loaded")

class Count(mr.MapReduce):
    combine = mr.Sum()
    def __init__(self, least=0): self.least = int(least)
    def map(self, record, ctx):
        for word in record.split():
            if len(word) >= self.least:
                yield word, 1

class Last(mr.MapReduce):
    def combine(self, key, values, ctx):
        *_, last = values
        yield key, last
    def map(self, record, ctx): yield b"key", record
    def reduce(self, key, values, ctx):
        for value in values: yield key, value

class Difference(Last):
    def map(self, record, ctx): yield b"key", int(record)
    def combine(self, key, values, ctx):
        first, *others = values
        yield key, first - sum(others)

def made(inputs, least="0"):
    return Count(least)

def chained(inputs, least="0"):
    words = mr.read_text(inputs).words().filter(lambda word: len(word) >= int(least))
    return words.map(lambda word: (word, 1)).reduce_by_key(mr.Sum())

def nothing(inputs):
    return 5

other = 7
"""
COUNTED = b"four\t1\none\t2\nthree\t1\n"


@pytest.fixture
def folder(shell):
    shell.write("jobs.py", JOBS)
    shell.write("in", b"one two a\none three four\n")
    return shell


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("name", ["Count", "made", "chained"])
def test_a_class_or_a_function_that_makes_a_job_or_a_dataset(folder, name, workers):
    folder.write("in", b"one two a\none three four\n")
    done = folder.run("run", f"jobs.py:{name}", "in", "-j", workers, "--", "3")
    assert (done.status, done.err) == (0, b"loaded\n")
    assert done.out == b"four\t1\none\t2\nthree\t1\ntwo\t1\n"
    done = folder.run("run", f"jobs.py:{name}", "in", "-j", workers, "--", "4")
    assert done.out == b"four\t1\nthree\t1\n"


def test_a_function_is_given_the_inputs_and_a_class_reads_them(folder):
    folder.write("more", b"one\n")
    for name in ("Count", "chained"):
        done = folder.run("run", f"jobs.py:{name}", "in", "more", "-j", "0", "--", "3")
        assert b"one\t3\n" in done.out


def test_standard_input_is_read_where_nothing_is_named(folder):
    done = folder.run("run", "jobs.py:Count", "-j", "0", stdin_bytes=b"x y x")
    assert (done.status, done.out) == (0, b"x\t2\ny\t1\n")


@pytest.mark.parametrize(("job", "said"), [
    ("jobs.py", "which job: jobs.py has Count, Last, Difference: write jobs.py:NAME"),
    ("jobs.py:none", "no class or function is called none: jobs.py"),
    ("jobs.py:other", "no class or function is called other: jobs.py"),
    ("jobs.py:nothing", "nothing returned int: return a dataset not yet run"),
])  # fmt: skip
def test_a_name_that_is_no_job_is_bad_usage(folder, job, said):
    done = folder.run("run", job, "in")
    assert (done.status, done.out) == (2, b"")
    assert said in done.err.decode()


def test_arguments_that_the_job_does_not_take_are_bad_usage(folder):
    for job in ("jobs.py:Count", "jobs.py:chained"):
        done = folder.run("run", job, "in", "--", "1", "2", "3")
        assert done.status == 2
        assert b"does not take these arguments" in done.err


def test_a_plan_reads_nothing_and_makes_nothing(folder):
    done = folder.run("run", "jobs.py:chained", "in", "--dry-run", "-o", "out", "-R", "3")
    assert (done.status, done.err) == (0, b"loaded\n")
    assert b"Sum" in done.out
    assert b"one" not in done.out
    assert not (folder.folder / "out").exists()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_json_says_what_was_done_and_where_it_is(folder, workers):
    done = folder.run("run", "jobs.py:Count", "in", "-j", workers, "-o", "out", "-R", "2", "--json")
    about = json.loads(done.out)
    assert about["counters"]["records_in"] == 2
    assert about["counters"]["records_out"] == 5
    lines = b"".join((folder.folder / name).read_bytes() for name in about["outputs"])
    assert sorted(lines.splitlines()) == [b"a\t1", b"four\t1", b"one\t2", b"three\t1", b"two\t1"]
    done = folder.run("run", "jobs.py:Count", "in", "--json")
    assert done.status == 2


def test_verbose_says_records_and_seconds(folder):
    done = folder.run("run", "jobs.py:Count", "in", "-j", "0", "-v")
    assert b"mrcore: 2 records, 5 results; 25 bytes in " in done.err


def test_verify_finds_what_is_not_associative(folder):
    folder.write("in", b"9\n1\n2\n3\n")
    done = folder.run("run", "jobs.py:Last", "in", "-j", "0", "--verify")
    assert (done.status, done.out) == (0, b"key\t3\n")
    done = folder.run("run", "jobs.py:Difference", "in", "-j", "0", "--verify")
    assert (done.status, done.out) == (1, b"")
    assert b"associative" in done.err


def test_one_sorted_file_or_parts(folder):
    assert folder.run("run", "jobs.py:Count", "in", "-o", "parts", "-R", "3", "--", "3").status == 0
    assert folder.run("run", "jobs.py:Count", "in", "-o", "one", "--single", "-R", "3", "--", "3").status == 0
    parts = [(folder.folder / "parts" / f"part-{p:05d}").read_bytes() for p in range(3)]
    assert sorted(b"".join(parts).splitlines()) == (folder.folder / "one").read_bytes().splitlines()
