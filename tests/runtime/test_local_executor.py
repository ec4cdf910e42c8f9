"""What the executor of worker processes does beyond the contract: deaths, lost files, streams, what a crash leaves."""

import errno
import os
import signal
import threading
import time

import pytest

from mrcore.engine.program import Program, write_program
from mrcore.engine.spec import Keys, MapSpec, PythonMapSpec, Span
from mrcore.errors import DiskFullError, MrcoreError, UserCodeError, WorkerLostError
from mrcore.executors.base import Merge, Step
from mrcore.executors.unix_socket import connect
from mrcore.runtime import coordinator, local_executor
from mrcore.runtime.local_cluster import LocalCluster
from mrcore.runtime.local_executor import LocalExecutor, Place
from mrcore.runtime.local_timeline import Timeline
from mrcore.runtime.plan import Faults
from mrcore.testing.executor_contract import MEMORY, PARTITIONS, Work, lines_of, read

ONCE = Faults(attempts_max=2)


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def executor_of(work, workers=2, *, durable=False, faults=ONCE, timeline=None, **how):
    place = Place(work.folder, os.path.dirname(work.folder), durable=durable)
    return LocalExecutor(workers, place, faults, timeline or Timeline(None), **how)


def python_step(work, mapper, tasks=1):
    """Tasks of one record each, whose offset is the task's number."""
    name = b"code-%d" % len(os.listdir(os.path.dirname(work.folder)))
    code = write_program(os.path.join(os.path.dirname(work.folder), name), Program((("map_record", mapper),)))
    path = os.path.join(os.path.dirname(work.folder), b"lines")
    with open(path, "wb") as file:
        file.write(b"\n" * tasks)
    spans = [(Span(path, task, task + 1, tasks),) for task in range(tasks)]
    return Step("map", [PythonMapSpec(task, b"", code, MEMORY, spans[task], emit="lines") for task in range(tasks)])


def marks(work):
    """A directory where functions leave marks, one for each call."""
    path = os.path.join(os.path.dirname(work.folder), b"marks")
    os.makedirs(path, exist_ok=True)
    return os.fsdecode(path)


def marking(folder, then=lambda task: None):
    """A mapper that leaves a mark, and does something."""

    def mapper(record, ctx):
        import os
        import uuid

        open(os.path.join(folder, f"{ctx.task}.{uuid.uuid4()}"), "x").close()
        then(ctx.task)
        yield ctx.task, os.getpid()

    return mapper


def calls(folder):
    """How often each task's function was called."""
    tasks = [int(name.split(".")[0]) for name in os.listdir(folder)]
    return {task: tasks.count(task) for task in sorted(set(tasks))}


# ---- deaths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_death_of_a_process_costs_one_attempt(work, number):
    folder = marks(work)

    def dies_once(task):
        if task == 1 and len([name for name in os.listdir(folder) if name.startswith("1.")]) == 1:
            os.kill(os.getpid(), number)

    timeline = Timeline(None)
    with executor_of(work, timeline=timeline) as executor:
        results = list(executor.run(python_step(work, marking(folder, dies_once), 4)))
    assert sorted(result.task for _, result in results) == [0, 1, 2, 3]
    assert calls(folder) == {0: 1, 1: 2, 2: 1, 3: 1}
    assert timeline.failed == 1
    assert sorted(work.files()) == sorted(result.output for _, result in results)


def test_a_task_whose_process_always_dies_ends_the_job_and_says_how(work):
    folder = marks(work)
    step = python_step(work, marking(folder, lambda task: os._exit(3)))
    with (
        executor_of(work, faults=Faults(attempts_max=3)) as executor,
        pytest.raises((WorkerLostError, UserCodeError)) as error,
    ):
        list(executor.run(step))
    assert "exit status 3" in str(error.value)
    assert "map task 0" in str(error.value) or "lines" in str(error.value)
    assert calls(folder)[0] in (2, 3)
    assert work.files() == []


def test_who_watches_is_told_of_processes_and_failures(work):
    folder, told = marks(work), []

    def dies_once(task):
        if len(os.listdir(folder)) == 1:
            os._exit(1)
        time.sleep(0.6)

    with executor_of(work, 1, changed=lambda workers, failed: told.append((workers, failed))) as executor:
        list(executor.run(python_step(work, marking(folder, dies_once))))
    assert told[-1] == (1, 1)


# ---- processes -------------------------------------------------------------------------------


def test_processes_stay_for_the_next_step(work):
    folder = marks(work)
    pids = []
    with executor_of(work, 1) as executor:
        for _ in range(2):
            ((_, result),) = executor.run(python_step(work, marking(folder)))
            pids.append(read(result.output).split()[1])
    assert pids[0] == pids[1]


def test_two_threads_run_two_jobs(tmp_path):
    answers = {}

    def run(name):
        work = Work(tmp_path / name)
        with executor_of(work, 1) as executor:
            parts = [result.output for half, result in executor.run(work.count_step(3)) if half == 1]
        answers[name] = lines_of(parts) == work.answer()

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {"a": True, "b": True}


def test_a_stream_is_read_once_and_no_more(work):
    fifo = os.path.join(os.path.dirname(work.folder), b"fifo")
    os.mkfifo(fifo)
    spec = MapSpec(0, b"", (Span(fifo, 0, 0, -1),), Keys(), 1, None, MEMORY, sync=False)
    timeline = Timeline(None)
    pids = []
    timeline.worker_began = lambda worker, pid: pids.append(pid)

    def kill():
        with open(fifo, "wb") as file:  # opens when the worker reads
            file.write(b"some words")
            file.flush()
            os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with executor_of(work, 1, timeline=timeline) as executor, pytest.raises(WorkerLostError) as error:
        list(executor.run(Step("map", [spec])))
    thread.join()
    assert "killed by SIGKILL" in str(error.value)
    assert "a stream, which cannot be read again" in str(error.value)


def test_a_file_system_without_sockets_is_no_hindrance(work, monkeypatch):
    real, asked = local_executor.listen, []

    def listen(folder):
        asked.append(folder)
        if len(asked) == 1:
            raise OSError(errno.EPERM, "Operation not permitted")
        return real(folder)

    monkeypatch.setattr(local_executor, "listen", listen)
    with executor_of(work) as executor:
        parts = [result.output for half, result in executor.run(work.count_step(2)) if half == 1]
    assert lines_of(parts) == work.answer()
    assert asked[0] == work.folder
    assert not os.path.exists(asked[1])


# ---- what a crash leaves -----------------------------------------------------------------------


def interrupted(work, step, after):
    """Runs a step until so many results are there, and leaves."""
    with executor_of(work, 1, durable=True) as executor:
        for _, (_, _) in zip(range(after), executor.run(step), strict=False):
            pass


@pytest.mark.parametrize("after", [1, 3, 5])
def test_what_was_done_before_a_crash_is_not_done_again(work, after):
    folder = marks(work)
    step = python_step(work, marking(folder), 5)
    interrupted(work, step, after)
    done = calls(folder)
    with executor_of(work, 1, durable=True) as executor:
        results = list(executor.run(step))
    assert sorted(result.task for _, result in results) == [0, 1, 2, 3, 4]
    again = calls(folder)
    assert sum(again.values()) - 5 <= 1  # the task that was at work is run again
    assert len(done) >= after


@pytest.mark.parametrize("harm", [os.unlink, lambda path: os.truncate(path, 1)])
def test_what_a_crash_took_is_made_again_and_only_that(work, harm):
    folder = marks(work)
    step = python_step(work, marking(folder), 4)
    with executor_of(work, 1, durable=True) as executor:
        before = [result for _, result in executor.run(step)]
    harm(before[2].output)
    with executor_of(work, 1, durable=True) as executor:
        after = [result for _, result in executor.run(step)]
    assert sorted(result.output for result in after) == sorted(result.output for result in before)
    assert calls(folder) == {task: 2 if task == before[2].task else 1 for task in range(4)}


@pytest.mark.parametrize("after", [0, 2, 4, 5])
def test_two_halves_go_on_to_the_same_bytes(work, after):
    interrupted(work, work.count_step(4), after)
    told = []
    with executor_of(work, 2, durable=True) as executor:
        results = list(executor.run(work.count_step(4), told.append))
    assert sorted(result.task for half, result in results if half == 1) == list(range(PARTITIONS))
    assert lines_of([result.output for half, result in results if half == 1]) == work.answer()
    assert sum(told) == len(work.text)


@pytest.mark.parametrize("durable", [False, True])
def test_a_later_step_reads_what_an_earlier_one_made_even_if_it_was_lost(work, durable):
    with executor_of(work, 2, durable=durable, faults=Faults(attempts_max=1)) as executor:
        maps = [result for _, result in executor.run(Step("map", work.map_specs(3)))]
        runs = tuple(result.output for result in sorted(maps, key=lambda result: result.task))
        os.truncate(runs[1], 100)
        parts = [result.output for _, result in executor.run(Step("reduce", work.reduce_specs(runs)))]
    assert lines_of(parts) == work.answer()


def test_files_of_a_step_whose_journal_is_gone_are_nobodys(work):
    stray = os.path.join(work.folder, b"p0.0.0.3")
    open(stray, "wb").close()
    with executor_of(work, 1, durable=True) as executor:
        list(executor.run(Step("map", work.map_specs(1))))
    assert not os.path.exists(stray)


def test_files_of_attempts_that_a_crash_cut_off_are_nobodys(work):
    interrupted(work, work.count_step(4), 2)
    strays = [os.path.join(work.folder, name) for name in (b"p0.0.1.77", b"p0.1.0.5.merge-1")]
    for stray in strays:
        open(stray, "wb").close()
    with executor_of(work, 1, durable=True) as executor:
        next(executor.run(work.count_step(4)))
        assert not any(map(os.path.exists, strays))


def test_merges_are_asked_for_again_where_only_the_first_half_was_done(work):
    asked = []

    def specs(results):
        asked.append(len(results))
        return work.reduce_specs()

    step = Step("map", work.map_specs(2), Merge("reduce", PARTITIONS, specs))
    for _ in range(2):
        with executor_of(work, 1, durable=True) as executor:
            list(executor.run(step))
    assert asked == [2]  # the second time all was there


def test_a_step_that_was_given_up_before_a_crash_is_begun_anew(work):
    path = os.path.join(os.path.dirname(work.folder), b"mended")

    def fails(task):
        if not os.path.exists(path):
            raise ValueError(task)

    folder = marks(work)
    step = python_step(work, marking(folder, fails), 2)
    with executor_of(work, 1, durable=True) as executor, pytest.raises(UserCodeError):
        list(executor.run(step))
    open(path, "xb").close()
    with executor_of(work, 1, durable=True) as executor:
        assert sorted(result.task for _, result in executor.run(step)) == [0, 1]


@pytest.mark.parametrize("memory", [1 << 20, 1 << 40])
def test_tasks_that_need_less_or_more_than_before_a_crash_are_run(work, memory):
    with executor_of(work, 1, durable=True, memory_bytes=1 << 30, cpu=1.5) as executor:
        next(executor.run(work.count_step(4)))
    with executor_of(work, 1, durable=True, memory_bytes=memory, cpu=0.5) as executor:
        parts = [result.output for half, result in executor.run(work.count_step(4)) if half == 1]
    assert lines_of(parts) == work.answer()


# ---- the thread ----------------------------------------------------------------------------------


def test_who_is_interrupted_while_it_waits_for_the_end_waits_again(work, monkeypatch):
    class Interrupted(threading.Event):
        times = 0

        def wait(self, timeout=None):
            Interrupted.times += 1
            if Interrupted.times == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(local_executor.threading, "Event", Interrupted)
    ended = []
    timeline = Timeline(None)
    timeline.flush = lambda: (time.sleep(0.3), ended.append(1))
    with pytest.raises(KeyboardInterrupt), executor_of(work, 1, timeline=timeline) as executor:
        list(executor.run(Step("map", work.map_specs(1))))
    assert ended == [1]
    assert Interrupted.times >= 2


def test_a_stranger_on_the_socket_is_let_go_when_a_step_fails(work):
    folder = marks(work)

    def fails(task):
        time.sleep(0.5)
        raise ValueError(task)

    def come():
        while not os.listdir(folder):
            time.sleep(0.01)
        strangers.append(connect(work.folder))

    strangers = []
    thread = threading.Thread(target=come)
    thread.start()
    with executor_of(work, 1) as executor, pytest.raises(UserCodeError):
        list(executor.run(python_step(work, marking(folder, fails))))
    thread.join()
    with strangers[0] as stranger:
        stranger.settimeout(5)
        while stranger.recv(1 << 16):  # the other side's part of the handshake, then its end
            pass


def test_a_journal_that_cannot_be_closed_harms_no_other_job(work, tmp_path, monkeypatch):
    other = Work(tmp_path / "other")
    real = coordinator.Coordinator.stop

    def stop(self, now_ns):
        real(self, now_ns)
        raise DiskFullError("no space left")

    with executor_of(other, 1) as bystander:
        running = bystander.run(other.count_step(3))
        next(running)
        with executor_of(work, 1, durable=True) as executor:
            monkeypatch.setattr(coordinator.Coordinator, "stop", stop)
            for _ in range(2):
                assert len(list(executor.run(work.count_step(2)))) == 2 + PARTITIONS
            monkeypatch.undo()
        assert len(list(running)) == 2 + PARTITIONS


def test_a_step_that_no_thread_runs_any_more_is_told_so(work, monkeypatch):
    monkeypatch.setattr(local_executor, "_LOOK_S", 0.05)
    cluster = LocalCluster()
    monkeypatch.setattr(local_executor, "local_cluster", lambda: cluster)
    with executor_of(work, 1) as executor:
        cluster.close()
        with pytest.raises(MrcoreError, match="thread that minds worker processes has ended"):
            list(executor.run(work.count_step(1)))
