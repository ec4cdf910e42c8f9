"""Interrupts and deaths: every process is gone within two seconds, and nothing is left behind."""

import errno
import os
import random
import signal
import time

import pytest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
JOBS = {
    "in this process": ("-j", "0"),
    "in this process, to a folder": ("-j", "0", "-o", "out"),
    "workers": ("-j", "2"),
    "workers, to a folder": ("-j", "2", "-o", "out"),
    "workers, to a file": ("-j", "2", "--single", "-o", "out"),
}


class Fifos(list):
    """Names of pipes that are never written to nor closed: a job that reads them goes on for ever."""

    def __init__(self, folder):
        super().__init__(["fifo-1", "fifo-2"])
        self._paths = [folder / name for name in self]
        self._writers = []
        for path in self._paths:
            os.mkfifo(path)

    def opened(self, count=2):
        """Whether the job reads so many of them by now."""
        try:
            while len(self._writers) < count:  # fails as long as there is no reader
                self._writers.append(os.open(self._paths[len(self._writers)], os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            assert error.errno == errno.ENXIO
            return False
        return True

    def close(self):
        while self._writers:
            os.close(self._writers.pop())


@pytest.fixture
def fifos(shell):
    made = Fifos(shell.folder)
    yield made
    made.close()


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.005)


def working(shell):
    """Whether the job has its work directory."""
    return os.listdir(shell.tmp) or os.path.exists(shell.folder / "out" / "_work")


def stopped(shell, process, number, files):
    """Checks everything about a job that was stopped by a signal and leaves nothing."""
    start = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - start < 2
    word = b"interrupted" if number == signal.SIGINT else b"terminated"
    assert (process.returncode, err) == (128 + number, b"mrcore: " + word + b"\n")
    assert out == b""
    assert shell.gone()
    assert os.listdir(shell.tmp) == []
    assert sorted(os.listdir(shell.folder)) == sorted(files)


@pytest.mark.parametrize("group", [True, False], ids=["to the group", "to the parent"])
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("job", JOBS)
def test_a_signal_while_tasks_read(shell, fifos, job, number, group):
    with shell.start("wordcount", *JOBS[job], *fifos) as process:
        wait_for(lambda: working(shell) and fifos.opened(2 if "2" in JOBS[job] else 1))
        (os.killpg if group else os.kill)(process.pid, number)
        stopped(shell, process, number, fifos)  # a stream cannot be gone on with


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_workers_start(shell, fifos, number):
    with shell.start("wordcount", *fifos, "-j", "2") as process:
        wait_for(lambda: len(shell.processes()) > 1)
        os.killpg(process.pid, number)
        stopped(shell, process, number, fifos)


def answer(folder):
    """The lines of all parts, sorted."""
    parts = [path.read_bytes() for path in folder.iterdir() if path.name.startswith("part-")]
    return b"".join(sorted(b"".join(parts).splitlines(keepends=True)))


def test_a_signal_at_any_moment(shell, text, count_lines):
    """The moments are drawn; what counts is what is left, for a job may also be through already."""
    moments = random.Random(7)
    shell.write("in", text * 40)
    wanted = count_lines(text * 40)
    for turn in range(12):
        number = moments.choice(SIGNALS)
        args = ("-j", str(turn % 3), "--split", "500K", "-R", "4", "-o", "out")
        with shell.start("wordcount", *args, "in") as process:
            wait_for(lambda process=process: working(shell) or process.poll() is not None)
            time.sleep(moments.uniform(0, 0.5))
            (os.killpg if turn % 2 else os.kill)(process.pid, number)
            _, err = process.communicate(timeout=10)
        assert process.returncode in (0, 128 + number, -number), err
        assert err.count(b"\n") == (process.returncode > 0)
        assert shell.gone()
        assert os.listdir(shell.tmp) == []
        if process.returncode <= 0:  # it was through, and below 0 Python was already shutting down
            assert (shell.folder / "out" / "_SUCCESS").exists()
        elif turn % 3 == 0:  # without workers nothing is left, unless it was through
            assert not (shell.folder / "out" / "_work").exists()
        if (shell.folder / "out" / "_work").exists():
            assert err.endswith(b": out: go on with --resume\n")
            assert shell.run("wordcount", *args, "--resume", "in").status == 0
        if (shell.folder / "out").exists():  # then it is whole
            assert (shell.folder / "out" / "_SUCCESS").exists()
            assert len(os.listdir(shell.folder / "out")) == 6
            assert answer(shell.folder / "out") == wanted
            shell.sh("rm -r out")


def test_a_signal_while_nobody_reads_the_output(shell, text):
    shell.write("in", text * 2)
    with shell.start("wordcount", "-j", "2", "in") as process:
        wait_for(lambda: working(shell))
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(2)
        assert (process.returncode, process.stderr.read()) == (130, b"mrcore: interrupted\n")
    assert shell.gone()


def test_a_request_to_end_that_comes_twice_as_timeout_sends_it(shell, fifos):
    with shell.start("wordcount", *fifos, "-j", "2") as process:
        wait_for(lambda: fifos.opened())
        for _ in range(3):
            os.kill(process.pid, signal.SIGTERM)
            os.killpg(process.pid, signal.SIGTERM)
        stopped(shell, process, signal.SIGTERM, fifos)


def test_signals_that_were_ignored_stay_ignored(shell, text, counted):
    shell.write("in", text)
    os.mkfifo(shell.folder / "fifo")
    done = shell.sh(
        "trap '' INT TERM HUP; mrcore wordcount -j 2 fifo & sleep 0.4; kill -INT $!; kill -TERM $!; kill -HUP $!;"
        "cat in > fifo; wait $!"
    )
    assert (done.status, done.out, done.err) == (0, counted, b"")


def test_children_that_the_system_reaps(shell, text, counted):
    """A parent that ignores SIGCHLD hands that down; then nobody can wait for a worker."""
    shell.write("in", text)
    done = shell.run("wordcount", "-j", "2", "in", prefix=["env", "--ignore-signal=CHLD"])
    assert (done.status, done.out, done.err) == (0, counted, b"")


@pytest.mark.parametrize("args", [(), ("-o", "out"), ("--single", "-o", "out")], ids=str)
def test_a_worker_that_is_killed_ends_the_job_with_its_name(shell, fifos, args):
    with shell.start("wordcount", "-j", "2", *fifos, *args) as process:
        wait_for(lambda: fifos.opened())
        worker = next(pid for pid in shell.processes() if pid != process.pid)
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"mrcore: a worker process ended: pid %d, killed by SIGKILL" % worker)
    assert err.count(b"\n") == 1
    assert shell.gone()
    assert sorted(os.listdir(shell.folder)) == fifos


def test_workers_end_with_a_parent_that_is_killed_and_the_next_job_sweeps(shell, fifos):
    shell.write("x", b"a")
    for _ in range(2):
        with shell.start("wordcount", "-j", "2", *fifos) as process:
            wait_for(lambda: fifos.opened())
            process.kill()
        assert shell.gone()
        fifos.close()
    left = os.listdir(shell.tmp)
    assert len(left) == 2, "which is young: nobody else's sweep may take it yet"
    for name in left:
        os.utime(shell.tmp / name / "lock", (0, 0))
    assert shell.run("wordcount", "x").out == b"a\t1\n"
    assert os.listdir(shell.tmp) == []


def test_a_folder_that_a_killed_job_left_is_refused_and_can_be_replaced(shell, fifos):
    shell.write("x", b"a")
    with shell.start("wordcount", *fifos, "-j", "2", "-o", "out") as process:
        wait_for(lambda: fifos.opened())
        assert shell.run("wordcount", "x", "-o", "out", "--overwrite").failed(4, "another job writes there: out")
        process.kill()
    assert shell.gone()
    assert shell.run("wordcount", "x", "-o", "out").failed(4, "an unfinished job's output: out", "--overwrite")
    assert shell.run("wordcount", "x", "-o", "out", "--overwrite").status == 0
    assert sorted(os.listdir(shell.folder / "out")) == ["_SUCCESS", "_manifest.json", "part-00000"]


def test_a_reader_that_leaves_early_stops_the_job_quietly(shell):
    rng = random.Random(3)
    shell.write("in", b" ".join(b"%x" % rng.getrandbits(60) for _ in range(300_000)))
    for args in ("", "-j 2 --split 500K"):
        done = shell.sh(f"set -o pipefail; mrcore wordcount {args} in | head -n 2")
        assert (done.status, done.out.count(b"\n"), done.err) == (0, 2, b"")
    assert shell.gone()
