"""Worker processes as their parent sees them: started clean, found dead, killed with all that they started."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from mrcore import resources
from mrcore.engine.record_page import RecordPage
from mrcore.errors import MrcoreError, UsageError
from mrcore.executors import worker_process
from mrcore.executors.attach import FREE, Attach
from mrcore.executors.unix_socket import listen
from mrcore.executors.worker_process import WorkerProcess, check_not_worker, shown_signal, start_error


@pytest.fixture
def process():
    made = WorkerProcess()
    yield made
    made.close()
    assert made.pid not in resources.children(os.getpid())


def wait(condition, seconds=10):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never is"
        time.sleep(0.005)


def is_ready(process):
    """Whether it has set its signals: it ignores Ctrl-C."""
    with open(f"/proc/{process.pid}/status") as file:
        ignored = next(line for line in file if line.startswith("SigIgn:"))
    return int(ignored.split()[1], 16) >> (signal.SIGINT - 1) & 1


def attach(folder, process):
    process.attach(Attach(folder, b"t" * 32, "w1", 1, 1 << 20, 1, b"", os.getcwdb()))


def test_one_lives_until_it_is_closed(process):
    assert process.is_alive()
    assert process.pid in resources.children(os.getpid())
    process.close()
    process.close()
    assert not os.path.exists(f"/proc/{process.pid}")


def test_one_ends_when_its_parent_lets_go_of_the_socket(process):
    wait(lambda: is_ready(process))
    process.control.close()
    wait(lambda: not process.is_alive())
    assert process.how_it_ended().startswith("exit status 0")


@pytest.mark.parametrize(("number", "said"), [
    (signal.SIGKILL, "killed by SIGKILL: the system may be out of memory: lower -j"),
    (signal.SIGSEGV, "killed by SIGSEGV: see the job's log"),
    (signal.SIGRTMIN + 2, f"killed by signal {signal.SIGRTMIN + 2}: see the job's log"),
])  # fmt: skip
def test_the_end_of_one_is_noticed_and_explained(process, number, said):
    wait(lambda: is_ready(process))
    os.kill(process.pid, number)
    assert select.select([process.pidfd], [], [], 10)[0]
    assert select.select([process.control], [], [], 10)[0]
    assert process.control.recv(1) == b""
    wait(lambda: not process.is_alive())
    assert process.how_it_ended() == said


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_whole_group_are_the_coordinators_to_handle(process, tmp_path, number, ready):
    if ready:
        wait(lambda: is_ready(process))
    os.kill(process.pid, number)
    wait(lambda: is_ready(process))
    os.kill(process.pid, number)
    folder = os.fsencode(tmp_path)
    with listen(folder) as listener:
        attach(folder, process)
        assert select.select([listener], [], [], 10)[0]
    assert process.is_alive()


def test_one_is_free_again_when_a_coordinator_lets_it_go(process, tmp_path):
    folder = os.fsencode(tmp_path)
    process.control.setblocking(True)
    process.control.settimeout(10)
    with listen(folder) as listener:
        attach(folder, process)
        assert select.select([listener], [], [], 10)[0]
        listener.accept()[0].close()  # before the handshake: no coordinator of its own
        assert process.control.recv(1) in (FREE, b"")


def test_one_that_is_stopped_is_known(process):
    assert not process.is_stopped()
    os.kill(process.pid, signal.SIGSTOP)
    wait(process.is_stopped)
    assert process.is_alive()
    process.close()
    assert not os.path.exists(f"/proc/{process.pid}")


def test_what_stands_on_its_page_is_read_when_it_is_dead(process):
    assert process.record() is None
    RecordPage(process._page).open(b"/data/in", 17)
    process.kill()
    assert process.record() == (b"/data/in", 17)


def test_a_worker_inherits_its_sockets_and_the_standard_three_and_nothing_else(process, tmp_path):
    with open(tmp_path / "open", "w"):
        other = WorkerProcess()
        try:
            wait(lambda: is_ready(other))
            links = [os.readlink(f"/proc/{other.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{other.pid}/fd")]
        finally:
            other.close()
    assert str(tmp_path / "open") not in links
    assert sum(link.startswith("socket:") for link in links) == 1


def test_a_module_in_the_current_directory_cannot_pose_as_ours(tmp_path, monkeypatch):
    for name in ("mrcore", "msgspec", "socket"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('posed')")
    monkeypatch.chdir(tmp_path)
    made = WorkerProcess()
    try:
        wait(lambda: is_ready(made))
        assert made.is_alive()
    finally:
        made.close()


def test_a_system_without_room_for_one_leaves_no_descriptor(monkeypatch):
    def refuse(*args, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "posix_spawn", refuse)
    with pytest.raises(BlockingIOError) as error:
        WorkerProcess()
    assert os.listdir("/proc/self/fd") == before
    said = start_error(error.value)
    assert type(said) is MrcoreError
    assert str(said) == "cannot start a worker process: Resource temporarily unavailable: lower -j"


@pytest.mark.parametrize("gone", ["_memory_file", "_pidfd"])
def test_one_works_where_the_system_has_no_shared_pages_or_descriptors_of_processes(monkeypatch, gone):
    monkeypatch.setattr(worker_process, gone, lambda *args: -1)
    made = WorkerProcess()
    try:
        wait(lambda: is_ready(made))
        assert made.record() is None
        os.kill(made.pid, signal.SIGKILL)
        wait(lambda: not made.is_alive())
    finally:
        made.close()


def test_a_worker_whose_parent_is_not_who_it_says_ends_at_once():
    command = [sys.executable, "-P", "-m", "mrcore.executors.worker", "0", "-1", "1"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_worker_starts_no_workers(monkeypatch):
    check_not_worker()

    class Spec:
        name = "mrcore.executors.worker"

    monkeypatch.setattr(sys.modules["__main__"], "__spec__", Spec())
    with pytest.raises(UsageError, match='put the start of a job under if __name__ == "__main__":'):
        check_not_worker()


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (64, "SIGRTMAX"), (40, "signal 40")])
def test_signals_have_names_or_numbers(number, name):
    assert shown_signal(number) == name
