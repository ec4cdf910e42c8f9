"""Where functions print: in a process of its own, because it is about descriptors 1 and 2."""

import os
import subprocess
import sys

import pytest

import mrcore

START = """
import os, sys
from mrcore.executors import task_log
from mrcore.executors.task_log import TaskLog
log, path = TaskLog(), os.fsencode(sys.argv[1])
"""


@pytest.fixture
def run(tmp_path):
    """Runs a program with a log; what it wrote to its own standard error, and what stands in the log."""

    def run_program(program, path=tmp_path / "log"):
        env = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(mrcore.__file__))}
        command = [sys.executable, "-P", "-c", START + program, path]
        done = subprocess.run(command, capture_output=True, timeout=30, check=False, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr, path.read_bytes() if path.is_file() else None

    return run_program


def test_what_is_printed_goes_to_the_file_and_then_to_where_it_went_before(run):
    here, there = run("""
print("before", file=sys.stderr)
log.direct(path)
print("out"); print("err", file=sys.stderr); os.write(1, b"raw "); sys.stdout.flush(); os.system("echo shell")
log.direct(b"")
print("after", file=sys.stderr)
""")
    assert here == b"before\nafter\n"
    assert sorted(there.split()) == [b"err", b"out", b"raw", b"shell"]


def test_each_range_is_what_was_printed_between_two_looks(run):
    _, there = run("""
log.direct(path)
places = [log.position()]
for text in ("first", "", "third"):
    print(text, end="")
    places.append(log.position())
assert places == [0, 5, 5, 10], places
""")
    assert there == b"firstthird"


def test_a_log_is_gone_on_with(run, tmp_path):
    (tmp_path / "log").write_bytes(b"earlier\n")
    _, there = run("log.direct(path)\nassert log.position() == 8\nprint('later')\nlog.direct(b'')")
    assert there == b"earlier\nlater\n"


def test_a_function_that_closes_the_descriptor_is_no_reason_to_fail(run):
    _, there = run("log.direct(path)\nos.close(1)\nassert log.position() == 0\nlog.check_size()\nlog.direct(b'')")
    assert there == b""


def test_without_a_file_nothing_is_counted(run):
    here, _ = run("log.direct(b'')\nprint('here', file=sys.stderr)\nassert log.position() == 0\nlog.check_size()")
    assert here == b"here\n"


def test_a_log_that_cannot_be_written_is_no_reason_to_fail(run, tmp_path):
    program = "log.direct(path)\nprint('here', file=sys.stderr)\nassert log.position() == 0"
    assert run(program, tmp_path / "missing" / "log") == (b"here\n", None)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run(program, tmp_path / "link") == (b"here\n", None)


def test_a_file_that_is_full_says_so_and_takes_no_more_and_its_end_stays_known(run):
    here, there = run("""
task_log.LOG_BYTES_MAX = 1000
log.direct(path)
print("x" * 1000, end=""); assert log.position() == 1000; log.check_size()
print("y", end=""); assert log.position() == 1001; log.check_size()
end = log.position()
print("z" * 500); log.check_size()
assert log.position() == end == os.path.getsize(path)
log.direct(path)
print("w", end=""); assert log.position() == end + 1; log.direct(b"")
""")
    assert there.startswith(b"x" * 1000 + b"y\n[mrcore: this log is full")
    assert there.count(b"this log is full") == 1
    assert there.endswith(b"]\nw")
    assert here == b""


def test_functions_may_close_or_replace_their_streams(run):
    _, there = run("""
log.direct(path)
sys.stdout.close(); sys.stderr = None
assert log.position() == 0
os.write(1, b"still there")
assert log.position() == 11
""")
    assert there == b"still there"
