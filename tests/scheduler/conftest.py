"""A scheduler, and who tells it things in one line."""

import itertools

import pytest

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler

S = 1_000_000_000


class Told:
    """A scheduler that remembers what it answered.

    Attributes:
        actions: of the last event.
        now_ns: the time of the next one.
        records: of its journal.
        running: what it started and did not end, by attempt.
    """

    def __init__(self, config=None):
        self.config = config or SchedulerConfig(tick_ns=S)
        self.now_ns, self.records, self.running, self.workers = 0, [], {}, {}
        self.scheduler, actions = Scheduler.recover(self.config, None, [], 0)
        self._take(actions)

    def recover(self):
        """The coordinator dies and another one begins from the journal."""
        self.running.clear()
        self.workers.clear()
        self.scheduler, actions = Scheduler.recover(self.config, None, self.records, self.now_ns)
        return self._take(actions)

    def tell(self, event):
        return self._take(self.scheduler.handle(event, self.now_ns))

    def _take(self, actions):
        self.actions = actions
        for action in actions:
            if isinstance(action, do.AppendJournal):
                self.records.append(encode_record(action.record))
            elif isinstance(action, do.StartAttempt):
                self.running[action.attempt] = action
            elif isinstance(action, do.GrantLease):
                self.workers[action.worker] = action.generation
        return actions

    def said(self, kind):
        """The actions of a kind among the last ones."""
        return [action for action in self.actions if isinstance(action, kind)]

    def placed(self):
        """(worker, stage, task) of what the last event started."""
        return [(action.worker, *action.attempt[1:3]) for action in self.said(do.StartAttempt)]

    def worker(self, name, slots=1, memory_bytes=1 << 30, cpu_milli=64_000, host="", keeps_outputs=False):
        return self.tell(of.WorkerRegistered(name, slots, memory_bytes, cpu_milli, host, keeps_outputs))

    def submit(self, *stages, job="j", **options):
        return self.tell(of.JobSubmitted(job, stages, JobOptions(**options)))

    def finish(self, attempt, **more):
        start = self.running.pop(attempt)
        return self.tell(of.AttemptFinished(start.worker, start.generation, attempt, **more))

    def fail(self, attempt, failure=of.FailureClass.USER_CODE, record=b""):
        start = self.running.pop(attempt)
        return self.tell(of.AttemptFailed(start.worker, start.generation, attempt, failure, "said why", record))

    def beat(self, **progress):
        """Heartbeats of all workers, in which each lists what it runs; and the time passes."""
        for name, generation in self.workers.items():
            mine = [attempt for attempt, start in self.running.items() if start.worker == name]
            listed = tuple((attempt, progress.get(name, 0)) for attempt in mine)
            self.tell(of.HeartbeatReceived(name, generation, listed))
        return self.tell(of.TimePassed())

    def wait(self, seconds):
        """Time passes, with heartbeats each second."""
        for _ in itertools.repeat(None, int(seconds)):
            self.now_ns += S
            self.beat()
        return self.actions


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def told_with():
    return lambda **settings: Told(SchedulerConfig(**settings))
