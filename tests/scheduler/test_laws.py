"""Any events in any order: the scheduler never raises, its books agree, replay gives the same, and jobs end."""

import random

import pytest

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.scheduler.ledger import decode_ledger, encode_ledger
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler
from mrcore.testing.simulation.checkers.bookkeeping import disagreements

S = 1_000_000_000
CONFIG = SchedulerConfig(tick_ns=3 * S)  # time passes in leaps here; a longer one is the coordinator's own pause
FAILURES = list(of.FailureClass)
SHAPES = [
    (StageSpec(1),),
    (StageSpec(0),),
    (StageSpec(5), StageSpec(2, (0,))),
    (StageSpec(4), StageSpec(3, (0,), fetch_from_percent=20), StageSpec(2, (1,), fetch_from_percent=0)),
    (StageSpec(3), StageSpec(2), StageSpec(0, (0,)), StageSpec(3, (0, 1)), StageSpec(1, (2, 3)), StageSpec(2, (0,))),
    (StageSpec(6, memory_bytes=3, task_bytes=(9, 9, 9, 9, 9, 0), hosts=(("a",), ("b",), (), ("c", "a"), (), ())),),
]


def draw_stages(rng):
    """Any graph of stages, of which some have no tasks."""
    return tuple(
        StageSpec(
            rng.choice((0, 1, 1, 2, 5)),
            tuple(sorted(rng.sample(range(index), rng.randrange(index + 1)))),
            memory_bytes=rng.choice((0, 3, 6)),
            cpu_milli=rng.choice((0, 1000)),
            fetch_from_percent=rng.choice((0, 1, 50, 100, 1000)),
        )
        for index in range(rng.randrange(1, 7))
    )


class Chaos:
    """Draws events, half of them sensible, and keeps what a journal would hold."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now_ns = 0
        self.records, self.snapshot, self.ended = [], None, {}
        self.recover()

    def recover(self):
        self.started, self.granted = [], []
        self.scheduler, actions = Scheduler.recover(CONFIG, self.snapshot, self.records, self.now_ns)
        self.take(actions)

    def take(self, actions):
        for action in actions:
            if isinstance(action, do.AppendJournal):
                self.records.append(encode_record(action.record))
            elif isinstance(action, do.StartAttempt):
                self.started.append(action)
            elif isinstance(action, do.GrantLease):
                self.granted.append((action.worker, action.generation))
            elif isinstance(action, do.EndJob):
                assert self.ended.setdefault(action.job, action.outcome) == action.outcome

    def tell(self, event):
        self.take(self.scheduler.handle(event, self.now_ns))
        found = list(disagreements(self.scheduler))
        assert not found, found

    def speaker(self):
        if self.granted and self.rng.random() < 0.95:
            return self.rng.choice(self.granted[-6:])
        return self.rng.choice("abcd"), self.rng.choice([0, 1, 1 << 32, 2 << 32])

    def attempt(self):
        if self.started and self.rng.random() < 0.9:
            chosen = self.rng.choice(self.started[-12:])
            return (chosen.worker, chosen.generation), chosen.attempt
        random_id = AttemptId(self.rng.choice(["j0", "j1", "x"]), *(self.rng.randrange(-1, 7) for _ in range(3)))
        return self.speaker(), random_id

    def event(self):
        rng = self.rng
        speaker, attempt = self.attempt()
        draw = rng.random()
        if draw < 0.3:
            return of.AttemptFinished(*speaker, attempt, rng.randrange(9), rng.randrange(9), {"n": rng.randrange(3)})
        if draw < 0.4:
            record = rng.choice([b"", b"", b"1", b"2"])
            return of.AttemptFailed(*speaker, attempt, rng.choice(FAILURES), "text", record)
        if draw < 0.5:
            return of.FetchFailed(*self.speaker(), attempt, rng.choice(list(of.LossReason)))
        if draw < 0.65:
            running = tuple((self.attempt()[1], rng.randrange(9)) for _ in range(rng.randrange(4)))
            return of.HeartbeatReceived(*self.speaker(), running)
        if draw < 0.75:
            name = rng.choice("abcd")
            return of.WorkerRegistered(name, rng.randrange(4), 6, 3000, name, rng.random() < 0.5)
        if draw < 0.78:
            return of.WorkerEnded(*self.speaker(), rng.choice(list(of.EndCause)), rng.choice([b"", b"1"]))
        if draw < 0.79:
            return of.WorkerDrained(*self.speaker())
        if draw < 0.82:
            options = JobOptions(rng.randrange(1, 8), skip_bad_max=rng.randrange(3), weight=2, timeout_ns=3 * S)
            stages = rng.choice(SHAPES) if rng.random() < 0.5 else draw_stages(rng)
            return of.JobSubmitted(f"j{rng.randrange(19)}", stages, options)
        if draw < 0.825:
            return of.JobCancelled(f"j{rng.randrange(19)}")
        return of.TimePassed()

    def step(self):
        self.now_ns += self.rng.choice([0, 0, S // 10, S, 3 * S, -S])
        if self.rng.random() < 0.01:
            if self.rng.random() < 0.3:
                self.snapshot, self.records = self.scheduler.snapshot(), []
            before = self.scheduler.snapshot()
            self.recover()
            ledger = decode_ledger(before)
            ledger.epoch += 1
            assert encode_ledger(ledger) == self.scheduler.snapshot()
        else:
            self.tell(self.event())

    def calm_down(self):
        """From now on one honest worker does all that is asked."""
        self.now_ns += 100 * S
        self.tell(of.TimePassed())
        self.started.clear()
        self.tell(of.WorkerRegistered("honest", 3, 6, 3000))
        for _ in range(2000):
            if not self.scheduler._core.jobs:
                return
            self.now_ns += S
            started, self.started = self.started, []
            for start in started:
                self.tell(of.AttemptFinished(start.worker, start.generation, start.attempt))
            self.tell(of.HeartbeatReceived(*self.granted[-1]))
            self.tell(of.TimePassed())
        raise AssertionError(f"jobs do not end: {list(self.scheduler._core.jobs)}")


@pytest.mark.parametrize("seeds", [range(40), range(40, 80)], ids=str)
def test_events_in_any_order(seeds):
    fired = {}
    for seed in seeds:
        chaos = Chaos(seed)
        for _ in range(400):
            chaos.step()
        chaos.calm_down()
        for name, machine in chaos.scheduler.machines.items():
            fired[name] = [a + b for a, b in zip(machine.fired, fired.get(name, machine.fired), strict=True)]
    assert all(any(counts) for counts in fired.values())
