"""The pool of worker processes: none is ever left, and each end is explained."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mrcore.engine.spec import Keys, MapSpec, Span
from mrcore.errors import MrcoreError, WorkerLostError
from mrcore.executors.process import ProcessPool


def children():
    """Our child processes, zombies included."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


@pytest.fixture(autouse=True)
def no_child_is_left():
    before = children()
    yield
    assert children() == before


def spec_of(task, output, *spans):
    """A map task of few bytes."""
    return MapSpec(task, os.fsencode(output), spans, Keys("ascii"), 1, None, 8 << 20)


def endless(tmp_path, task=0):
    """A task that waits for a pipe that nobody writes to."""
    fifo = tmp_path / f"fifo-{task}"
    os.mkfifo(fifo)
    return spec_of(task, tmp_path / f"out-{task}", Span(os.fsencode(fifo), 0, 0, -1))


def test_workers_that_still_work_are_stopped_at_once(tmp_path):
    start = time.monotonic()
    pool = ProcessPool(2)
    running = pool.run([endless(tmp_path)], lambda count: None)
    for worker in pool._pool:
        assert os.path.exists(f"/proc/{worker.pid}")
    pool.close()
    pool.close()
    running.close()
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(("number", "said"), [
    (signal.SIGKILL, "killed by SIGKILL, while it ran map task 1 .*fifo-1.*: the system may be out of memory"),
    (signal.SIGSEGV, "killed by SIGSEGV, while it ran map task 1 .*fifo-1.*: run again with -v"),
])  # fmt: skip
def test_a_worker_that_dies_is_named_with_its_end(tmp_path, number, said):
    with ProcessPool(2) as pool:
        pid = pool._pool[1].pid
        os.kill(pid, number)
        with pytest.raises(WorkerLostError, match=f"pid {pid}, {said}"):
            list(pool.run([endless(tmp_path, task) for task in range(3)], lambda count: None))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_whole_group_are_the_coordinators_to_handle(tmp_path, number):
    (tmp_path / "in").write_bytes(b"a b")
    span = Span(os.fsencode(tmp_path / "in"), 0, 3, 3)
    with ProcessPool(2) as pool:
        for pause in (0, 0.1):  # while a worker starts, and when it stands
            time.sleep(pause)
            for worker in pool._pool:
                os.kill(worker.pid, number)
        spec = spec_of(0, tmp_path / "out", span)
        assert [result.tokens for result in pool.run([spec], lambda count: None)] == [2]


def test_too_many_processes_is_an_error_that_says_so(monkeypatch):
    real, calls = os.posix_spawn, []

    def refuse(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(*args, **options)

    monkeypatch.setattr(os, "posix_spawn", refuse)
    with pytest.raises(MrcoreError, match="cannot start a worker process: Resource temporarily unavailable: lower -j"):
        ProcessPool(5)


def test_a_module_in_the_current_directory_cannot_pose_as_ours(tmp_path, monkeypatch):
    for name in ("mrcore", "msgspec", "socket"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('posed')")
    monkeypatch.chdir(tmp_path)
    with ProcessPool(1) as pool:
        spec = spec_of(0, tmp_path / "out")
        assert [result.tokens for result in pool.run([spec], lambda count: None)] == [0]


def test_a_worker_inherits_its_socket_and_the_standard_three_and_nothing_else(tmp_path):
    with open(tmp_path / "open", "w"), ProcessPool(2) as pool:
        for worker in pool._pool:
            spec = spec_of(0, tmp_path / f"out-{worker.pid}")
        list(pool.run([spec], lambda count: None))
        for worker in pool._pool:
            links = [os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{worker.pid}/fd")]
            assert str(tmp_path / "open") not in links
            assert sum(link.startswith("socket:") for link in links) == 1


def test_a_worker_whose_parent_is_not_who_it_says_ends_at_once():
    command = [sys.executable, "-P", "-m", "mrcore.executors.worker", "0", "1"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
