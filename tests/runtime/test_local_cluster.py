"""The thread that minds processes: warm ones are taken again, but only where they suit."""

import os
import queue
import signal
import time

import pytest

from mrcore import resources
from mrcore.runtime import local_cluster as module
from mrcore.runtime.local_cluster import LocalCluster, Surroundings, local_cluster

HERE = Surroundings({"A": "1"}, None)


@pytest.fixture
def cluster():
    made = LocalCluster()
    yield made
    made.close()
    assert not made._thread.is_alive()


def on(cluster, call):
    """Does it on the thread; what it answers."""
    answers = queue.SimpleQueue()
    cluster.soon(lambda: answers.put(call()))
    return answers.get(timeout=10)


def give_and_take(cluster, given, wanted, *, fresh=False):
    """Whether a process that was given back is taken again."""
    process = on(cluster, lambda: cluster.take(given, fresh=True))
    on(cluster, lambda: cluster.give(process, given, reusable=True))
    taken = on(cluster, lambda: cluster.take(wanted, fresh=fresh))
    same = taken is process
    on(cluster, taken.close)
    return same


@pytest.mark.parametrize(("given", "wanted", "suits"), [
    (HERE, HERE, True),
    (HERE, Surroundings({"A": "1"}, (b"/p",)), True),
    (HERE, Surroundings({"A": "2"}, None), False),
    (Surroundings({"A": "1"}, (b"/p",)), Surroundings({"A": "1"}, (b"/p",)), True),
    (Surroundings({"A": "1"}, (b"/p",)), Surroundings({"A": "1"}, (b"/q",)), False),
    (Surroundings({"A": "1"}, (b"/p",)), HERE, False),
])  # fmt: skip
def test_a_warm_process_is_taken_where_its_surroundings_suit(cluster, given, wanted, suits):
    assert given.suit(wanted) == suits
    assert give_and_take(cluster, given, wanted) == suits


def test_processes_of_another_environment_do_not_pile_up(cluster):
    old = on(cluster, lambda: cluster.take(HERE, fresh=True))
    on(cluster, lambda: cluster.give(old, HERE, reusable=True))
    new = on(cluster, lambda: cluster.take(Surroundings({"A": "2"}, None), fresh=False))
    assert gone(old.pid)
    on(cluster, new.close)


def test_a_fresh_process_is_a_new_one(cluster):
    assert not give_and_take(cluster, HERE, HERE, fresh=True)


def test_a_warm_process_that_died_is_not_taken(cluster):
    process = on(cluster, lambda: cluster.take(HERE, fresh=True))
    on(cluster, lambda: cluster.give(process, HERE, reusable=True))
    os.kill(process.pid, signal.SIGKILL)
    while resources.process_state(process.pid) not in ("Z", ""):
        time.sleep(0.01)
    other = on(cluster, lambda: cluster.take(HERE, fresh=False))
    assert other is not process
    on(cluster, other.close)


def gone(pid, seconds=5):
    end = time.monotonic() + seconds
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        time.sleep(0.01)
    return not os.path.exists(f"/proc/{pid}")


def test_a_warm_process_is_let_go_after_a_while(cluster, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    process = on(cluster, lambda: cluster.take(HERE, fresh=True))
    on(cluster, lambda: cluster.give(process, HERE, reusable=True))
    assert gone(process.pid)


def test_one_that_is_not_to_be_used_again_ends_at_once(cluster):
    process = on(cluster, lambda: cluster.take(HERE, fresh=True))
    on(cluster, lambda: cluster.give(process, HERE, reusable=False))
    assert gone(process.pid)


def test_closing_ends_all_warm_processes(cluster):
    process = on(cluster, lambda: cluster.take(HERE, fresh=True))
    on(cluster, lambda: cluster.give(process, HERE, reusable=True))
    cluster.close()
    cluster.close()
    assert gone(process.pid)


def test_tenants_work_after_each_round_and_now_and_then(cluster):
    class Tenant:
        def __init__(self):
            self.calls = queue.SimpleQueue()

        def work(self, now_ns):
            self.calls.put(now_ns)

    tenant = Tenant()
    on(cluster, lambda: cluster.add(tenant))
    times = [tenant.calls.get(timeout=5) for _ in range(3)]
    assert times == sorted(times)
    on(cluster, lambda: cluster.remove(tenant))


def test_a_program_has_one_and_a_forked_one_its_own():
    assert local_cluster() is local_cluster()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, b"%d" % (local_cluster().pid == os.getpid()))
        os._exit(0)
    os.close(write)
    assert os.read(read, 9) == b"1"
    os.close(read)
    assert os.waitpid(pid, 0)[1] == 0
