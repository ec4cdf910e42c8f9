"""Programs that run several jobs: their worker processes are kept warm, and what they keep is never stale."""

import ast
import sys

import pytest

PROGRAM = """
import os, sys, threading, time
import mrcore as mr

LOCAL = mr.Local(2)

class Pids(mr.MapReduce):
    def map(self, record, ctx):
        yield os.getpid(), 1
        time.sleep(0.0002)

class Words(mr.MapReduce):
    combine = mr.Sum()
    def map(self, record, ctx):
        for word in record.split():
            yield word, 1

def pids(local=LOCAL):
    return {pid for pid, _ in mr.run(Pids, "in", executor=local, split="2K", speculation="off").read()}

def once(function):
    return next(iter(mr.read_text("one").map(function).collect(LOCAL)))

if __name__ == "__main__":
    {body}
"""


@pytest.fixture
def program(shell):
    shell.write("in", b"".join(b"%d\n" % number for number in range(3000)))
    shell.write("one", b"one\n")
    shell.command = [sys.executable, "program.py"]

    def run(body):
        lines = "\n    ".join(body.strip("\n").split("\n"))
        shell.write("program.py", PROGRAM.replace("{body}", lines).encode())
        done = shell.run()
        assert (done.status, done.err) == (0, b""), done
        assert shell.gone()
        return [ast.literal_eval(line) for line in done.out.decode().splitlines()]

    return run


def test_a_second_job_has_the_same_processes(program):
    first, second, of_words = program("""
print(pids())
print(pids())
mr.read_text("in").words().count().collect(LOCAL)
print(pids())
""")
    assert len(first) == 2
    assert first == second == of_words


def test_a_job_that_failed_leaves_processes_behind_that_are_sound(program):
    (error,), result = program("""
def fail(line):
    raise ValueError("mine")
try:
    once(fail)
except mr.UserCodeError as error:
    print([str(error)])
print(sum(count for _, count in mr.run(Words, "in", executor=LOCAL, split="2K").read()))
""")
    assert "ValueError: mine" in error
    assert result == 3000


def test_two_jobs_at_once_from_two_threads(program):
    results = program("""
found = {}
def work(number):
    found[number] = sorted(mr.run(Words, "in", executor=LOCAL, split="2K").read())
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print([len(pairs) for pairs in found.values()] == [3000] * 3 or found)
print(found[0] == found[1] == found[2])
""")
    assert results == [True, True]


def test_a_module_that_is_edited_between_two_jobs(program, shell):
    shell.write("mine.py", b"ANSWER = 1\ndef answer(line):\n    return ANSWER\n")
    assert program("""
import importlib
import mine
print(once(mine.answer))
open("mine.py", "w").write("ANSWER = 22\\ndef answer(line):\\n    return ANSWER\\n")
print(once(mine.answer))
""") == [1, 22]


def test_a_module_that_many_warm_processes_have_loaded_is_edited(program, shell):
    shell.write("mine.py", b"ANSWER = 1\ndef answer(item):\n    return ANSWER\n")
    assert program("""
import mine
many = mr.Local(5)
for _ in range(2):
    print(set(mr.from_items(range(20)).map(lambda item: mine.answer(item)).collect(many)))
    open("mine.py", "a").write("# edited\\n")
""") == [{1}, {1}]


def test_another_directory_and_other_variables(program, shell):
    (shell.folder / "deeper").mkdir()
    shell.write("deeper/one", b"two\n")
    here = str(shell.folder)
    assert program("""
def where(line):
    return (line, os.getcwd(), os.environ.get("MINE"))
print(once(where))
os.chdir("deeper")
print(once(where))
os.environ["MINE"] = "new"
print(once(where))
del os.environ["MINE"]
print(once(where))
""") == [(b"one", here, None), *((b"two", here + "/deeper", mine) for mine in (None, "new", None))]


def test_a_job_after_a_fork_has_processes_of_its_own(program):
    first, forked, again = program("""
print(pids())
sys.stdout.flush()
child = os.fork()
if child == 0:
    print(pids())
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print(pids())
""")
    assert first == again
    assert not first & forked


def test_processes_that_died_between_two_jobs_are_replaced(program):
    first, second = program("""
import signal
first = pids()
print(first)
for pid in first:
    os.kill(pid, signal.SIGKILL)
print(pids())
""")
    assert len(second) == 2
    assert not first & second


def test_a_module_that_many_warm_workers_have_loaded_is_edited(program, shell):
    shell.write("mine.py", b"ANSWER = 1\ndef answer(line):\n    return ANSWER\n")
    assert program("""
import mine
def many():
    return mr.from_items(list(range(40))).map(mine.answer).collect(mr.Local(workers=5))
print(sum(many()))
open("mine.py", "w").write("ANSWER = 22\\ndef answer(line):\\n    return ANSWER\\n")
print(sum(many()))
""") == [40, 880]


def test_threads_and_variables_that_functions_leave_are_not_the_next_jobs(program):
    assert program("""
def leave(line):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    os.environ["LEFT"] = "here"
    return 0
def found(line):
    return threading.active_count(), os.environ.get("LEFT")
before = once(found)
once(leave)
print([before == once(found), before[1]])
""") == [[True, None]]


def test_a_umask_a_handler_and_a_priority_that_functions_leave_are_not_the_next_jobs(program):
    assert program("""
import resource, signal
def state():
    umask = os.umask(0o22)
    os.umask(umask)
    return umask, str(signal.getsignal(signal.SIGUSR1)), os.getpriority(os.PRIO_PROCESS, 0)
def leave(line):
    os.umask(0o111)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.nice(3)
    return 0
def found(line):
    return state()
before = once(found)
once(leave)
print([before == once(found), before == state()])
""") == [[True, True]]
