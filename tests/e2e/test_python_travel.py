"""How users' functions reach the workers, whatever program they stand in; and JOB.py on the command line."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import mrcore as mr

LIMIT = 3

class Word:
    def __init__(self, text): self.text = text

class Count(mr.MapReduce):
    combine = mr.Sum()
    def map(self, record, ctx):
        for word in record.split():
            if len(Word(word).text) >= LIMIT:
                yield word, 1

def longer(n):
    return lambda word: len(word) > n

workers = mr.Local(workers=2)
print(list(mr.run(Count, "in", executor=workers, split=10).read()))
words = mr.read_text("in").words().filter(longer(2)).map(lambda word: (word, Word(word)))
print([(key, [one.text for one in values]) for key, values in words.group_by_key().collect(workers)])
"""
TEXT = b"one two to\nthree one a\ntwo one"
PRINTED = (
    "[(b'one', 3), (b'three', 1), (b'two', 2)]\n"
    "[(b'one', [b'one', b'one', b'one']), (b'three', [b'three']), (b'two', [b'two', b'two'])]\n"
)


def python(shell, *args, stdin=""):
    """Runs Python in the shell's folder; what it prints."""
    shell.write("in", TEXT)
    done = subprocess.run([sys.executable, *args], cwd=shell.folder, env=shell.env, input=stdin, text=True,
                          capture_output=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_script_without_a_guard(shell):
    shell.write("script.py", SCRIPT.encode())
    assert python(shell, "script.py") == PRINTED


def test_a_program_on_standard_input(shell):
    assert python(shell, "-", stdin=SCRIPT) == PRINTED


def test_an_interactive_session_has_no_file(shell):
    assert python(shell, "-c", f"import code; code.InteractiveInterpreter().runcode({SCRIPT!r})") == PRINTED
    typed = SCRIPT.replace("\nclass", "\n\nclass").replace("\ndef", "\n\ndef").replace("\nworkers", "\n\nworkers")
    done = subprocess.run([sys.executable, "-i", "-q", "-c", ""], cwd=shell.folder, env=shell.env, input=typed,
                          text=True, capture_output=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, PRINTED)


def test_a_module_run_by_its_name(shell):
    (shell.folder / "package").mkdir()
    shell.write("package/__init__.py", b"")
    shell.write("package/beside.py", b"def double(x): return 2 * x\n")
    shell.write("package/__main__.py", (SCRIPT + "from .beside import double\n"
                "print(mr.from_items([1, 2]).map(double).collect(workers))\n").encode())  # fmt: skip
    assert python(shell, "-m", "package") == PRINTED + "[2, 4]\n"


JOB = b"""
import dataclasses, functools, mrcore as mr
from beside import Pair, split

CACHE = {}

@functools.lru_cache
def length(word):
    return len(word)

class Count(mr.MapReduce):
    combine = mr.Sum()
    def __init__(self, least="0", *more):
        self.least, self.more = int(least), more
    def map(self, record, ctx):
        for word in split(record):
            CACHE[word] = 1
            if length(word) >= self.least:
                yield Pair(word.decode(), 1)[0] + "".join(self.more), 1

class Lengths(mr.MapReduce):
    def map(self, record, ctx):
        yield len(record), record
    def reduce(self, key, values, ctx):
        yield key, sorted(values)

def firsts(inputs, count="1"):
    n = int(count)
    return mr.read_text(inputs).words().map(lambda word: (word[:n], 1)).reduce_by_key(lambda a, b: a + b)

def as_job(inputs, least):
    return Count(least)

def nothing(inputs):
    return mr.read_text(inputs)
"""
BESIDE = b"""from typing import NamedTuple
def split(record): return record.split()
class Pair(NamedTuple):
    a: str
    b: int
"""


@pytest.fixture
def folder(shell):
    """JOB.py with a module beside it, in another folder than the one where the command is run."""
    (shell.folder / "jobs").mkdir()
    shell.write("jobs/job.py", JOB)
    shell.write("jobs/beside.py", BESIDE)
    shell.write("in", TEXT)
    return shell


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_job_by_name_with_arguments_and_a_module_beside_it(folder, workers):
    def printed(*args):
        done = folder.run("run", "-j", workers, *args)
        assert (done.status, done.err) == (0, b"")
        return done.out

    assert printed("jobs/job.py:Count", "in", "--", "3") == b"one\t3\nthree\t1\ntwo\t2\n"
    assert printed("jobs/job.py:Count", "in", "--", "3", "-x", "--") == b"one-x--\t3\nthree-x--\t1\ntwo-x--\t2\n"
    assert printed("jobs/job.py:as_job", "in", "--", "5") == b"three\t1\n"
    assert printed("jobs/job.py:firsts", "in") == b"a\t1\no\t3\nt\t4\n"
    assert printed("jobs/job.py:firsts", "in", "--", "2") == b"a\t1\non\t3\nth\t1\nto\t1\ntw\t2\n"
    assert printed("jobs/job.py:Lengths", "in") == b"7\t[b'two one']\n10\t[b'one two to']\n11\t[b'three one a']\n"


def test_where_a_job_is_named_badly(folder):
    folder.write("a:b.py", JOB + BESIDE)
    assert folder.run("run", "jobs/job.py", "in").failed(2, "jobs/job.py has Count, Lengths: write jobs/job.py:NAME")
    assert folder.run("run", "jobs/job.py:Nobody", "in").failed(2, "no class or function is called Nobody")
    assert folder.run("run", "jobs/job.py:CACHE", "in").failed(2, "no class or function is called CACHE")
    assert folder.run("run", "jobs/job.py:as_job", "in").failed(2, "does not take these arguments", "see behind --")
    assert folder.run("run", "jobs/job.py:nothing", "in").failed(
        2, "returned TextDataset: return a dataset not yet run"
    )
    assert folder.run("run", "jobs/none.py", "in").failed(3, "jobs/none.py: no such file")
    assert folder.run("run", "in", "in").failed(2, "not a Python file: in")


def test_a_job_whose_file_is_no_identifier(folder):
    (folder.folder / "jobs" / "job.py").rename(folder.folder / "jobs" / "my job-2.py")
    done = folder.run("run", "jobs/my job-2.py:Lengths", "in", "-j", "1")
    assert (done.status, done.err, done.out.count(b"\n")) == (0, b"", 3)


def test_what_a_job_prints_is_no_data_and_its_log_is_said(folder):
    folder.write("loud.py", b"import mrcore as mr\nprint('loaded')\nclass Loud(mr.MapReduce):\n"
                 b"    def map(self, record, ctx):\n        print('noise')\n        ctx.log('line\\n2')\n"
                 b"        ctx.status('at it')\n        yield record, 1\n")  # fmt: skip
    for workers in ("0", "1"):
        done = folder.run("run", "loud.py", "in", "-j", workers)
        assert (done.status, done.out) == (0, b"one two to\t1\nthree one a\t1\ntwo one\t1\n")
        said = [done.err.count(words) for words in (b"loaded", b"noise", rb"mrcore: log: line\n2")]
        assert said == [1, 3 if workers == "0" else 0, 3]


def test_the_manifest_and_json_name_the_job(folder):
    done = folder.run("run", "jobs/job.py:Count", "in", "-o", "out", "--json", "-j", "0")
    about = json.loads(done.out)
    assert about["job"] == {"verb": "run", "name": "Count", "stages": 1}
    assert about["outputs"] == ["out/part-00000"]
    assert {name: about["counters"][name] for name in ("bytes_in", "records_in", "map_pairs", "records_out")} == {
        "bytes_in": len(TEXT), "records_in": 3, "map_pairs": 8, "records_out": 5,
    }  # fmt: skip
    manifest = json.loads((folder.folder / "out" / "_manifest.json").read_bytes())
    assert manifest["job"] == {"verb": "run", "name": "Count", "stages": 1, "reducers": 1}
    assert manifest["parts"][0]["records"] == 5
    assert folder.run("inspect", "out").out.startswith(b"output of 1 parts: 5 records, 29 bytes\nok")


def test_the_job_file_is_read_as_it_stands_and_nothing_is_left_beside_it(folder):
    """An edit in the same second that changes no size is one that a cache of bytecode would not see."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
        folder.env.pop(name, None)
    job = "import mrcore as mr\nclass Job(mr.MapReduce):\n    def map(self, record, ctx):\n        yield 'k', {}\n"
    folder.write("in", b"a\n")
    for value in (1, 2):
        folder.write("twice.py", job.format(value).encode())
        os.utime(folder.folder / "twice.py", ns=(10**18, 10**18))
        assert folder.run("run", "twice.py", "in", "-j", "0").out == b"k\t%d\n" % value
    assert not (folder.folder / "__pycache__").exists()


def test_a_job_file_in_a_folder_that_is_called_as_we_are_is_the_users(folder):
    (folder.folder / "mrcore").mkdir()
    folder.write("in", b"a\n")
    head = b"import os\nimport mrcore as mr\nclass Job(mr.MapReduce):\n    def map(self, record, ctx):\n"
    folder.write("mrcore/job.py", head + b"        os.chdir('/')\n        yield b'\\xff'.decode(), 1\n")
    for workers in ("0", "1"):
        done = folder.run("run", "mrcore/job.py", "in", "-j", workers)
        assert (done.status, done.out) == (1, b"")
        assert b"UnicodeDecodeError" in done.err and b"/mrcore/job.py\", line 6, in map" in done.err
        assert b"b'\\xff'.decode()" in done.err, "the line itself is in the traceback"
