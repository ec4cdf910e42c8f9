"""Disk budgets: however many processes take and give at once, together they never have more than the limit."""

import os
import subprocess
import sys

import pytest

import mrcore
from mrcore.errors import BudgetError, DiskFullError, InputError, OutputExistsError
from mrcore.storage.budget import SLOTS_MAX, STEP, DiskBudget
from mrcore.storage.runfile import RunReader, RunWriter

HEAD_AND_TRAILER = 16 + 40


@pytest.fixture
def counter(tmp_path):
    return os.fsencode(tmp_path / "counter")


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def test_what_is_taken_is_held_until_it_is_given_back(counter, path):
    budget = DiskBudget.create(counter, 10 * STEP)
    taken = [budget.take(size, path) for size in (1, STEP, STEP + 1)]
    assert taken == [STEP, STEP, STEP + 1]  # small sizes are rounded up
    assert (budget.held, budget.peak) == (sum(taken), sum(taken))
    for size in taken:
        budget.give(size)
    assert (budget.held, budget.peak) == (0, sum(taken))
    assert budget.take(5, path) == STEP
    assert (budget.held, budget.peak) == (STEP, sum(taken))


def test_without_a_limit_it_only_counts(counter, path):
    budget = DiskBudget.create(counter, None)
    assert budget.take(1 << 50, path) == 1 << 50
    assert (budget.held, budget.peak) == (1 << 50, 1 << 50)


def test_the_last_bytes_are_given_exactly_and_one_more_is_refused(counter, path):
    budget = DiskBudget.create(counter, STEP + 100)
    assert budget.take(1, path) == STEP
    assert budget.take(60, path) == 60  # a whole step would pass the limit
    assert budget.take(40, path) == 40
    with pytest.raises(BudgetError) as error:
        budget.take(1, path)
    assert str(error.value) == (
        f"temporary files would take more than 1,048,676 bytes: {path.decode()}: raise --tmp-limit"
    )
    assert not isinstance(error.value, DiskFullError)
    assert (budget.held, budget.peak) == (STEP + 100, STEP + 100)


@pytest.mark.parametrize("limit", [0, 1, STEP - 1])
def test_a_limit_below_a_step(counter, path, limit):
    budget = DiskBudget.create(counter, limit)
    if limit:
        assert budget.take(limit, path) == limit
    for size in (1, limit + 1, 1 << 62):
        with pytest.raises(BudgetError):
            budget.take(size, path)
    assert (budget.held, budget.peak) == (limit, limit)


def test_two_that_opened_the_same_file_count_together(counter, path):
    one, other = DiskBudget.create(counter, 3 * STEP), DiskBudget(counter, 3 * STEP)
    one.take(2 * STEP, path)
    assert other.held == 2 * STEP
    with pytest.raises(BudgetError):
        other.take(STEP + 1, path)
    other.give(STEP)  # also what another one took
    assert (one.held, one.peak) == (STEP, 2 * STEP)
    one.close()
    assert other.held == STEP


def test_a_counter_that_cannot_be_opened_or_made(counter, tmp_path):
    with pytest.raises(InputError, match="counter: no such file"):
        DiskBudget(counter, 1)
    with pytest.raises(OutputExistsError, match="nowhere/counter: no such file"):
        DiskBudget.create(os.fsencode(tmp_path / "nowhere" / "counter"), 1)
    before = os.listdir("/proc/self/fd")
    DiskBudget.create(counter, 1).close()
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(OutputExistsError, match="counter: file exists"):
        DiskBudget.create(counter, 1)


TAKER = """
import random, sys
from mrcore.errors import BudgetError
from mrcore.storage.budget import DiskBudget

budget, seed = DiskBudget(sys.argv[1].encode(), int(sys.argv[2])), int(sys.argv[3])
rng, mine, refused, beyond = random.Random(seed), [], 0, 0
sys.stdin.read(1)  # all begin at once
for _ in range(20_000):
    if mine and rng.random() < 0.5:
        budget.give(mine.pop(rng.randrange(len(mine))))
        continue
    try:
        mine.append(budget.take(rng.randrange(1, 3 << 20), b"file"))
    except BudgetError:
        refused += 1
    beyond += sum(mine) > budget.limit
while len(mine) > 3:
    budget.give(mine.pop())
print(sum(mine), refused, beyond)
"""


def test_processes_that_take_and_give_at_once_never_have_more_than_the_limit(counter):
    """What they still have at the end is what the counter says: not one addition was lost."""
    limit = 20 << 20
    budget = DiskBudget.create(counter, limit)
    command = [sys.executable, "-P", "-c", TAKER, os.fsdecode(counter), str(limit)]
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(mrcore.__file__))}
    takers = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        for seed in range(4)
    ]
    for taker in takers:
        taker.stdin.write(b"!")
        taker.stdin.flush()
    said = [tuple(map(int, taker.communicate()[0].split())) for taker in takers]
    held, refused, beyond = map(sum, zip(*said, strict=True))
    assert [taker.returncode for taker in takers] == [0] * 4
    assert budget.held == held <= limit
    assert held <= budget.peak <= limit
    assert refused > 0
    assert beyond == 0


# ---- slots of workers ------------------------------------------------------------------------------------


def test_what_a_dead_workers_attempt_took_is_given_back_for_it(counter, path):
    budget = DiskBudget.create(counter, None)
    budget.take(7 * STEP, path)  # the coordinator's own
    workers = [DiskBudget(counter, None, slot) for slot in (1, 2, SLOTS_MAX - 1)]
    for number, worker in enumerate(workers, 1):
        worker.take(number * STEP + 5, path)
        worker.give(5)
    assert budget.held == (7 + 1 + 2 + 3) * STEP
    assert [budget.reclaim(slot) for slot in (2, 2, SLOTS_MAX - 1, 3)] == [2 * STEP, 0, 3 * STEP, 0]
    assert (budget.held, budget.peak) == (8 * STEP, 13 * STEP + 5)
    workers[0].give(STEP)  # the living count on
    assert budget.held == 7 * STEP
    assert (budget.reclaim(1), budget.reclaim(0), budget.held) == (0, 0, 7 * STEP)


def test_a_finished_attempts_bytes_stay_held_when_its_worker_dies_in_the_next_one(counter, path):
    budget, worker = DiskBudget.create(counter, None), DiskBudget(counter, None, 5)
    worker.take(3 * STEP, path)
    worker.begin()
    worker.take(2 * STEP, path)
    assert budget.reclaim(5) == 2 * STEP
    assert budget.held == 3 * STEP


def test_a_worker_that_dies_after_its_output_was_accepted_takes_nothing_away(counter, path):
    budget, worker = DiskBudget.create(counter, None), DiskBudget(counter, None, 5)
    worker.take(3 * STEP, path)
    budget.settle(5)
    assert budget.reclaim(5) == 0
    assert budget.held == 3 * STEP


def test_a_refused_take_is_not_in_the_slot_and_an_exact_one_is(counter, path):
    budget, worker = DiskBudget.create(counter, STEP + 100), DiskBudget(counter, STEP + 100, 1)
    assert [worker.take(1, path), worker.take(60, path)] == [STEP, 60]
    with pytest.raises(BudgetError):
        worker.take(41, path)
    assert budget.reclaim(1) == STEP + 60
    assert budget.held == 0


def test_a_slot_below_zero_makes_no_room(counter):
    """Nothing of ours gives back more than it took; a worker that was out of its mind may have."""
    budget, worker = DiskBudget.create(counter, None, 50), DiskBudget(counter, None, 1)
    worker.give(20)
    assert (budget.reclaim(1), budget.held) == (0, 30)
    assert budget.reclaim(1) == 0


KILLED = """
import os, signal, sys
from mrcore.storage.budget import DiskBudget
from mrcore.storage.runfile import RunWriter

budget = DiskBudget(sys.argv[1].encode(), 100 << 20, 3)
for attempt in ("finished", "killed"):
    budget.begin()
    with RunWriter((sys.argv[2] + attempt).encode(), 1, sync=False, disk=budget) as run:
        run.segment(0, (os.urandom(1 << 20) for _ in range(5)), lambda: 1)
        if attempt == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_is_killed_leaves_what_its_finished_files_have(counter, path):
    budget = DiskBudget.create(counter, 100 << 20)
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(mrcore.__file__))}
    done = subprocess.run([sys.executable, "-P", "-c", KILLED, os.fsdecode(counter), os.fsdecode(path)], env=env)
    assert done.returncode == -9
    finished = os.path.getsize(path + b"finished")
    assert budget.held - finished >= 5 << 20
    assert budget.reclaim(3) >= 5 << 20
    assert budget.held == finished


# ---- counters of jobs that are resumed -------------------------------------------------------------------


def test_a_counter_begins_with_the_bytes_that_are_there(counter, path):
    budget = DiskBudget.create(counter, 3 * STEP, 2 * STEP)
    assert (budget.held, budget.peak) == (2 * STEP, 2 * STEP)
    assert budget.take(1, path) == STEP
    with pytest.raises(BudgetError):
        budget.take(1, path)


def test_more_bytes_than_the_limit_must_go_before_any_are_taken(counter, path):
    budget = DiskBudget.create(counter, 100, 130)
    with pytest.raises(BudgetError):
        budget.take(1, path)
    budget.give(60)
    assert budget.take(30, path) == 30


def test_a_counter_that_is_replaced_is_counted_in_by_those_who_have_it_open_alone(counter, path):
    old = DiskBudget.create(counter, None)
    new = DiskBudget.create(counter, None, 9, replace=True)
    reader = DiskBudget(counter, None, 1)
    old.take(STEP, path)
    assert (old.held, new.held, reader.held) == (STEP, 9, 9)
    assert DiskBudget.create(counter + b"2", None, replace=True).held == 0  # there was none


# ---- the writer of run files -----------------------------------------------------------------------------


def test_a_run_file_holds_its_own_bytes_when_it_is_finished(counter, path):
    budget = DiskBudget.create(counter, 100 * STEP)
    with RunWriter(path, 1, disk=budget) as run:
        assert budget.held == STEP
        run.segment(0, (os.urandom(STEP) for _ in range(3)), lambda: 1)
        assert budget.held >= 3 * STEP
    assert budget.held == run.size == os.path.getsize(path)
    assert run.size <= budget.peak < run.size + STEP


def write_until_refused(path, budget, blocks=100):
    with RunWriter(path, 1, disk=budget) as run:
        for _ in range(blocks):
            run.segment(0, [os.urandom(100_000)], lambda: 1)


@pytest.mark.parametrize("limit", [0, HEAD_AND_TRAILER, 2 * STEP, 2 * STEP + 12_345])
def test_a_refused_file_gives_exactly_back_what_it_took(counter, path, limit):
    budget = DiskBudget.create(counter, 77 + limit)
    budget.take(77, path)  # there is not room for more
    budget.give(budget.held - 77)
    with pytest.raises(BudgetError, match="temporary files would take more than"):
        write_until_refused(path, budget)
    assert budget.held == 77
    assert budget.peak <= 77 + limit
    assert not os.path.exists(path)


def test_the_footer_too_is_within_the_limit(counter, path):
    """One byte less than the file needs, and there is no file; as many as it needs, and there is one."""
    with RunWriter(path, 1) as run:
        run.segment(0, [b"x" * 9], lambda: 1)
    os.unlink(path)
    for limit in (run.size - 1, run.size):
        budget = DiskBudget.create(counter + b"%d" % limit, limit)
        try:
            with RunWriter(path, 1, disk=budget) as again:
                again.segment(0, [b"x" * 9], lambda: 1)
        except BudgetError:
            assert (limit, budget.held, os.path.exists(path)) == (run.size - 1, 0, False)
        else:
            assert (limit, budget.held, os.path.exists(path)) == (run.size, run.size, True)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_in_the_middle_gives_everything_back(counter, path, error):
    budget = DiskBudget.create(counter, None)
    with pytest.raises(error), RunWriter(path, 1, disk=budget) as run:
        run.segment(0, [os.urandom(3 * STEP)], lambda: 1)
        assert budget.held > 3 * STEP
        raise error
    assert budget.held == 0


def test_an_error_of_the_sync_gives_everything_back(counter, path, monkeypatch):
    budget = DiskBudget.create(counter, None)

    def fail(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError), RunWriter(path, 1, disk=budget) as run:
        run.segment(0, [b"xx"], lambda: 1)
    assert budget.held == 0
    assert not os.path.exists(path)


def test_an_error_of_the_close_gives_everything_back_once(counter, path, monkeypatch):
    """What was not needed is given back before the file is closed, and the rest after that has failed."""
    budget = DiskBudget.create(counter, None)
    run = RunWriter(path, 1, disk=budget)

    class Closing:
        def __init__(self, file):
            self.write, self.flush, self.fileno, self.raw, self._file = file.write, file.flush, file.fileno, file, file

        def close(self):
            self._file.close()
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(run, "_file", Closing(run._file))
    with pytest.raises(OutputExistsError, match="input/output error"), run:
        run.segment(0, [b"xx"], lambda: 1)
    assert budget.held == 0
    assert not os.path.exists(path)


def test_a_name_that_is_taken_takes_nothing(counter, path):
    budget = DiskBudget.create(counter, None)
    with RunWriter(path, 1, disk=budget) as run:
        run.segment(0, [b"\1a\2"], lambda: 1)
    with pytest.raises(OutputExistsError):
        RunWriter(path, 1, disk=budget)
    assert budget.held == run.size
    with RunReader(path) as reader:
        assert len(reader.check_footer()) == 1
