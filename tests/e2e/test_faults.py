"""Worker processes that die, hang, stop, dawdle or take all they can get: what it costs, and what the job says."""

import contextlib
import json
import os
import re
import signal
import time

import pytest
from marked_jobs import PATIENCE_S, wait_for

from mrcore import resources

LARGE = bool(os.environ.get("MRCORE_TEST_LARGE"))
RECORDS = 4000
BAD = 2345
TEXT = b"".join(b"%d\n" % number for number in range(RECORDS))
PLACE = f"in, byte {TEXT.index(b'%d' % BAD)}"
JOB = """
import ctypes, os, resource, signal, subprocess, sys, time
import mrcore as mr

def first(name):
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False

class Job(mr.MapReduce):
    def setup(self, ctx):
        open(f"ran.{ctx.phase}.{ctx.task}.{os.getpid()}.{time.monotonic_ns()}", "w").close()
    def map(self, record, ctx):
        if record == b"2345":
            {bad}
        ctx.counter("lines").add()
        yield record[:2], int(record)
    def reduce(self, key, values, ctx):
        yield key, sum(values)
"""
ARGS = ("run", "job.py", "in", "--split", "2K", "-R", "2", "-j", "2", "--speculation", "off")


def write_job(shell, bad):
    shell.write("in", TEXT)
    shell.write("job.py", JOB.replace("{bad}", bad).encode())


def expected(leave_out=()):
    sums = {}
    for number in range(RECORDS):
        if number not in leave_out:
            key = b"%d" % number
            sums[key[:2]] = sums.get(key[:2], 0) + number
    return sorted(b"%s\t%d" % pair for pair in sums.items())


def lines(shell):
    found = [(shell.folder / "out" / f"part-{part:05d}").read_bytes() for part in range(2)]
    assert sorted(os.listdir(shell.folder / "out")) == ["_SUCCESS", "_manifest.json", "part-00000", "part-00001"]
    return sorted(b"".join(found).splitlines())


def ran(shell, phase="map"):
    """How often a task of a phase was begun, beyond once each."""
    tasks = [name.split(".")[2] for name in os.listdir(shell.folder) if name.startswith(f"ran.{phase}.")]
    return len(tasks) - len(set(tasks))


@contextlib.contextmanager
def started(shell, *args):
    with shell.start(*args) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def workers(shell, process):
    return [pid for pid in shell.processes() if pid != process.pid]


DEATHS = {  # what a function does: how its end is told
    "os.kill(os.getpid(), signal.SIGKILL)": "killed by SIGKILL",
    "ctypes.string_at(0)": "killed by SIGSEGV",
    "os._exit(9)": "exit status 9",
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_process_that_dies_costs_one_attempt(shell, death):
    write_job(shell, f"first('died') and {death}")
    done = shell.run(*ARGS, "-o", "out", "--json")
    assert (done.status, done.err) == (0, b"")
    assert lines(shell) == expected()
    assert ran(shell) == 1
    assert json.loads(done.out)["counters"]["lines"] == RECORDS


@pytest.mark.parametrize("death", DEATHS)
def test_a_record_that_kills_each_time_is_named(shell, death):
    write_job(shell, death)
    done = shell.run(*ARGS, "-o", "out", "--max-attempts", "2")
    assert done.failed(1, "a worker process ended", DEATHS[death], PLACE)
    assert not (shell.folder / "out").exists()
    assert ran(shell) == 1


def test_a_function_that_takes_memory_without_end(shell):
    """What a task says it needs bounds what its process may take: it is an error of its own, not of the machine's."""
    write_job(shell, "held = []\n            while True: held.append(bytes(1 << 22))")
    code = (shell.folder / "job.py").read_text()
    (shell.folder / "job.py").write_text(code.replace("Reduce):", "Reduce):\n    resources = {'memory': '64MiB'}"))
    done = shell.run(*ARGS, "-o", "out", "--max-attempts", "2")
    assert done.status == 1 and b"out of memory in the job's own code" in done.err and PLACE.encode() in done.err
    assert not (shell.folder / "out").exists()


@pytest.mark.parametrize("bad", ["raise ValueError('bad')", "os._exit(5)"], ids=["an exception", "a process's end"])
def test_bad_records_are_left_out(shell, bad):
    write_job(shell, bad)
    done = shell.run(*ARGS, "-o", "out", "--skip-bad", "1", "--json")
    assert done.status == 0, done
    assert lines(shell) == expected([BAD])
    assert json.loads(done.out)["counters"]["lines"] == RECORDS - 1


def test_more_bad_records_than_allowed_are_too_many(shell):
    write_job(shell, "pass")
    code = (shell.folder / "job.py").read_text().replace('record == b"2345"', 'record in (b"7", b"2345", b"3456")')
    (shell.folder / "job.py").write_text(code.replace("pass", "raise ValueError('bad')", 1))
    done = shell.run(*ARGS, "-o", "out", "--skip-bad", "2")
    assert done.status == 1 and b"ValueError: bad" in done.err.splitlines()[-1]
    assert not (shell.folder / "out").exists()
    done = shell.run(*ARGS, "-o", "out", "--skip-bad", "3")
    assert done.status == 0, done
    assert lines(shell) == expected([7, 2345, 3456])


@pytest.mark.skipif(not LARGE, reason="waits for a lease of 10 s: set MRCORE_TEST_LARGE=1")
def test_a_worker_that_is_stopped_longer_than_its_lease(shell):
    """It is given up, and killed; what it wrote does not count."""
    write_job(shell, "first('stopped') and os.kill(os.getpid(), signal.SIGSTOP)")
    with started(shell, *ARGS, "-o", "out") as process:
        wait_for(lambda: (shell.folder / "stopped").exists())
        stopped = [pid for pid in workers(shell, process) if resources.process_state(pid) == "T"]
        wait_for(lambda: process.poll() is not None or not os.path.exists(f"/proc/{stopped[0]}"))
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, b"")
    assert lines(shell) == expected()
    assert ran(shell) == 1


def test_a_worker_that_is_stopped_for_a_moment(shell):
    write_job(shell, "first('stopped') and os.kill(os.getpid(), signal.SIGSTOP)")
    with started(shell, *ARGS, "-o", "out") as process:
        wait_for(lambda: (shell.folder / "stopped").exists())
        time.sleep(0.5)
        for pid in workers(shell, process):
            os.kill(pid, signal.SIGCONT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, b"")
    assert lines(shell) == expected()
    assert ran(shell) == 0


@pytest.mark.parametrize("hang", ["time.sleep(99)", "while True: pass"], ids=["asleep", "busy"])
def test_a_function_that_hangs_is_ended(shell, hang):
    write_job(shell, f"if first('hung'):\n                {hang}".replace("if first", "\n            if first"))
    done = shell.run(*ARGS, "-o", "out", "--task-timeout", "1")
    assert (done.status, done.err) == (0, b"")
    assert lines(shell) == expected()
    assert ran(shell) == 1


def test_a_function_that_always_hangs_is_the_end(shell):
    write_job(shell, "time.sleep(99)")
    done = shell.run(*ARGS, "-o", "out", "--task-timeout", "0.5", "--max-attempts", "2")
    assert done.failed(1, "read nothing for too long", "map task ")
    assert done.seconds < PATIENCE_S
    assert shell.gone()


def test_a_slow_attempt_is_overtaken_by_a_second_one(shell):
    """The first attempt would sleep for an hour; where speculation is off nothing else would end it."""
    write_job(shell, "first('slow') and time.sleep(3600)")
    done = shell.run(*ARGS, "-o", "out", "--speculation", "auto")
    assert (done.status, done.err) == (0, b"")
    assert lines(shell) == expected()
    assert ran(shell) >= 1
    assert shell.gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["map", "reduce", "back-off"])
def test_stopped_in_each_phase_within_two_seconds(shell, phase, number):
    bad = {"map": "open('here', 'w'); time.sleep(99)", "back-off": "os._exit(1)", "reduce": "pass"}[phase]
    write_job(shell, bad)
    if phase == "reduce":
        code = (shell.folder / "job.py").read_text()
        (shell.folder / "job.py").write_text(code.replace("yield key, sum", "open('here', 'w'); time.sleep(99)#"))
    more = ("--max-attempts", "50")
    with started(shell, *ARGS, "-o", "out", *more) as process:
        wait_for(lambda: (shell.folder / "here").exists() or (phase == "back-off" and ran(shell) >= 3))
        start = time.monotonic()
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - start < 2
        assert shell.gone(1)
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert (process.returncode, out) == (128 + number, b"")
    assert err.decode() == f"mrcore: {word}: out: go on with --resume\n"


def test_cancelled_from_another_process(shell):
    write_job(shell, "open('here', 'w'); time.sleep(99)")
    with started(shell, *ARGS, "-o", "out") as process:
        wait_for(lambda: (shell.folder / "here").exists())
        start = time.monotonic()
        assert shell.run("jobs", "cancel", "last").status == 0
        out, err = process.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - start < 3
        assert shell.gone(2)
    assert (process.returncode, out) == (6, b"")
    assert err == b"mrcore: cancelled: by mrcore jobs cancel\n"
    assert not (shell.folder / "out").exists()
    assert b"cancelled" in shell.run("jobs", "list").out.splitlines()[-1]


@pytest.mark.parametrize("limit", [1024, 128, 64])
def test_few_file_descriptors(shell, limit):
    write_job(shell, "pass")
    args = ["8" if word == "2" and before == "-j" else word for before, word in zip(("", *ARGS), ARGS, strict=False)]
    done = shell.run(*args, "-o", "out", prefix=["prlimit", f"--nofile={limit}"])
    assert (done.status, done.err) == (0, b""), done
    assert lines(shell) == expected()


@pytest.mark.parametrize("limit", [40, 24, 16, 12])
def test_far_too_few_file_descriptors_are_a_clear_error_or_enough(shell, limit):
    write_job(shell, "pass")
    done = shell.run(*ARGS, "-o", "out", prefix=["prlimit", f"--nofile={limit}"])
    if done.status:
        assert b"Traceback" not in done.err and b"defect" not in done.err, done
        assert re.search(rb"too many open files|ulimit|open files", done.err, re.IGNORECASE), done
    else:
        assert lines(shell) == expected()
    assert shell.gone()


def test_what_functions_print_is_in_the_log(shell):
    write_job(shell, "print('from print'); sys.stderr.write('from stderr\\n'); os.system('echo from a shell'); "
              "first('died') and os._exit(3)")  # fmt: skip
    done = shell.run(*ARGS, "-o", "out")
    assert (done.status, done.out, done.err) == (0, b"", b"")
    logged = shell.run("jobs", "logs", "last").out
    for words in (b"from print", b"from stderr", b"from a shell"):
        assert logged.count(words + b"\n") == 2, logged
    failed = shell.run("jobs", "logs", "last", "--failed").out
    assert failed.count(b"from print\n") == 1, failed


def test_children_that_outlive_their_worker(shell):
    write_job(shell, "subprocess.Popen(['sleep', '77']); first('died') and os._exit(1)")
    done = shell.run(*ARGS, "-o", "out")
    assert (done.status, done.err) == (0, b"")
    assert lines(shell) == expected()
    assert shell.gone()


@pytest.mark.parametrize("bad", ["os._exit(1)", "first('died') and os._exit(1)"], ids=["each time", "once"])
def test_standard_input_cannot_be_read_twice(shell, bad):
    """What the dead worker had read is gone: an error, and never a part of the counts."""
    write_job(shell, bad)
    args = ["-" if word == "in" else word for word in ARGS]
    done = shell.run(*args, "-o", "out", stdin_bytes=TEXT)
    assert done.failed(1, "cannot be read again")
    assert not (shell.folder / "out").exists()


@pytest.mark.parametrize("pages", [1, 4, 16, 64])
def test_the_disk_is_full(shell, small_disk, pages):
    """While the journal grows, or files beside it: a clear error, nothing left, and with space it runs."""
    write_job(shell, "pass")
    with open(small_disk / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(small_disk / "ballast", (small_disk / "ballast").stat().st_size // 4096 * 4096 - 4096 * pages)
    args = ["1K" if word == "2K" else word for word in ARGS]
    done = shell.run(*args, "-o", small_disk / "out")
    if done.status:
        assert done.failed(5, "space") or done.failed(5, "full")
    (small_disk / "ballast").unlink()
    done = shell.run(*args, "-o", small_disk / "out", "--overwrite")
    assert (done.status, done.err) == (0, b"")
