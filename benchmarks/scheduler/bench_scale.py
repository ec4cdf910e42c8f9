#!/usr/bin/env python3
"""What a scheduler costs at 10,000 workers and a million tasks, in processor time of one thread and in memory.

Virtual workers of one slot each run map tasks of random length, 5 s on the average, then the reduce tasks that read
all of them. They register, send a heartbeat every 2 s with what they run, and the driver ticks every 250 ms, as real
ones do; so each second of the job has 5,000 heartbeats and 2,000 ends of attempts. Timed is ``Scheduler.handle`` and the
encoding of each record of the journal; making the events, doing what is answered, the wire and the disk are not.

``--jobs`` runs so many jobs of ``--tasks`` tasks, one after the other: a hundred jobs of 10,000 tasks have as many
events as one of a million, and an event should cost the same.

The collector: a coordinator's state is long-lived, and its short-lived objects are freed by their counts. ``frozen``,
the default, is ``gc.freeze()`` when the workers are there and a first threshold of 50,000; ``default`` leaves Python's
settings, ``off`` is ``gc.disable()``.

Memory is RssAnon of this process, which has nothing else that grows with the tasks.

Run: benchmarks/scheduler/bench_scale.py [--tasks 1000000] [--workers 10000] [--jobs 1] [--gc frozen]
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from typing import NamedTuple

from mrcore.scheduler.actions import CancelAttempt, EndJob, StartAttempt
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.events import AttemptFailed, AttemptFinished, Event, FailureClass, JobSubmitted
from mrcore.scheduler.job import StageSpec
from mrcore.testing.fleet import Cost, Fleet

TASK_BYTES = 64 << 20
TASK_S = 5
REDUCE_S = 20
TICKS_MAX = 1_000_000  # of a job: three days


class _Attempt(NamedTuple):
    worker: str
    generation: int
    started_ns: int
    length_ns: int


class RandomLengths:
    """A load of attempts that end when their random length is over.

    Attributes:
        ended: outcomes of jobs, by name.
        finished: attempts that did, by stage.
    """

    def __init__(self, seed: int, tick_ns: int) -> None:
        self._rng, self._tick_ns = random.Random(seed), tick_ns
        self._attempts: dict[AttemptId, _Attempt] = {}
        self._of: dict[str, dict[AttemptId, None]] = {}
        self._wheel: dict[int, list[AttemptId]] = {}
        self._stopped: list[AttemptId] = []
        self.ended: dict[str, str] = {}
        self.finished: dict[int, int] = {}

    def take(self, action: object, now_ns: int) -> None:
        """See :class:`mrcore.testing.fleet.Load`."""
        if isinstance(action, StartAttempt):
            length_ns = int((REDUCE_S if action.attempt.stage else TASK_S) * 1e9 * self._rng.uniform(0.5, 1.5))
            name = action.attempt
            self._attempts[name] = _Attempt(action.worker, action.generation, now_ns, length_ns)
            self._of.setdefault(action.worker, {})[name] = None
            self._wheel.setdefault((now_ns + length_ns) // self._tick_ns + 1, []).append(name)
        elif isinstance(action, CancelAttempt):
            self._stopped.append(action.attempt)
        elif isinstance(action, EndJob):
            self.ended[action.job] = action.outcome

    def due(self, now_ns: int) -> list[Event]:
        """See :class:`mrcore.testing.fleet.Load`."""
        events: list[Event] = []
        for name in self._wheel.pop(now_ns // self._tick_ns, ()):
            if attempt := self._remove(name):
                self.finished[name.stage] = self.finished.get(name.stage, 0) + 1
                events.append(AttemptFinished(attempt.worker, attempt.generation, name, TASK_BYTES, now_ns))
        stopped, self._stopped = self._stopped, []
        return events + [
            AttemptFailed(attempt.worker, attempt.generation, name, FailureClass.CANCELLED)
            for name in stopped
            if (attempt := self._remove(name))
        ]

    def running(self, worker: str, now_ns: int) -> tuple[tuple[AttemptId, int], ...]:
        """See :class:`mrcore.testing.fleet.Load`."""
        read = []
        for name in self._of.get(worker, ()):
            attempt = self._attempts[name]
            read.append((name, TASK_BYTES * (now_ns - attempt.started_ns) // attempt.length_ns))
        return tuple(read)

    def _remove(self, name: AttemptId) -> _Attempt | None:
        attempt = self._attempts.pop(name, None)
        if attempt is not None:
            del self._of[attempt.worker][name]
        return attempt


class Figures(NamedTuple):
    """What was measured. Microseconds are of processor time, bytes of RssAnon; of the last job where there are many."""

    outcome: str
    ends: int  # of attempts
    virtual_s: float
    register_us: float
    submit_ms: float
    end_us: float
    end_first_us: float  # of the first tenth of the map tasks
    end_last_us: float  # of the last tenth
    heartbeat_us: float
    tick_us: float
    tick_dearest_us: float
    batch_dearest_ms: float  # of what ended in one tick
    journal_bytes: float  # of an end
    submitted_bytes: float  # a task
    mapped_bytes: float  # a task, when all map tasks are committed
    collections: int  # of the oldest generation
    snapshot_bytes: int
    snapshot_ms: float


def rss_anon() -> int:
    """Bytes of our own memory that is there."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def measure(tasks: int, reduces: int, workers: int, jobs: int, seed: int = 1, freeze: bool = False) -> Figures:
    """Runs the jobs."""
    config = SchedulerConfig()
    load = RandomLengths(seed, config.tick_ns)
    fleet = Fleet(config, load)
    fleet.register((f"worker-{number:05}" for number in range(workers)), slots=1)
    if freeze:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)
    ends = Cost()
    for number in range(jobs):
        job = f"job-{number}"
        before = rss_anon()
        submit = fleet.costs["tell"] = Cost()
        fleet.tell([_job(job, tasks, reduces)])
        submitted = rss_anon() - before
        fleet.costs["tell"] = Cost()
        first, last, mapped = _run(fleet, load, job, tasks)
        ends.add(fleet.costs["tell"].count, fleet.costs["tell"].spent_ns)
        ends.dearest_ns = max(ends.dearest_ns, fleet.costs["tell"].dearest_ns)
    start_ns = time.process_time_ns()
    snapshot = fleet.scheduler.snapshot()
    snapshot_ns = time.process_time_ns() - start_ns
    return Figures(
        outcome=load.ended[job],
        ends=ends.count,
        virtual_s=fleet.now_ns / 1e9,
        register_us=fleet.costs["register"].each_us,
        submit_ms=submit.spent_ns / 1e6,
        end_us=ends.each_us,
        end_first_us=first,
        end_last_us=last,
        heartbeat_us=fleet.costs["heartbeat"].each_us,
        tick_us=fleet.costs["tick"].each_us,
        tick_dearest_us=fleet.costs["tick"].dearest_ns / 1000,
        batch_dearest_ms=ends.dearest_ns / 1e6,
        journal_bytes=fleet.journal_bytes / ends.count,
        submitted_bytes=submitted / tasks,
        mapped_bytes=(mapped - before) / tasks,
        collections=gc.get_stats()[2]["collections"],
        snapshot_bytes=len(snapshot),
        snapshot_ms=snapshot_ns / 1e6,
    )


def _job(name: str, tasks: int, reduces: int) -> JobSubmitted:
    return JobSubmitted(name, (StageSpec(tasks, task_bytes=TASK_BYTES), StageSpec(reduces, (0,))))


def _run(fleet: Fleet, load: RandomLengths, job: str, tasks: int) -> tuple[float, float, int]:
    """Microseconds of an end in the first and the last tenth of the map tasks, and RssAnon behind them."""
    load.finished.clear()
    cost = fleet.costs["tell"]
    marks = {}  # at which count of finished map tasks: what had ended until then, and its cost
    mapped = 0
    for _ in range(TICKS_MAX):
        fleet.step()
        finished = load.finished.get(0, 0)
        for tenth in (1, 9, 10):
            if finished >= tasks * tenth // 10 and tenth not in marks:
                marks[tenth] = (cost.count, cost.spent_ns)
                mapped = rss_anon()
        if job in load.ended:
            break
    first, nine, ten = marks[1], marks[9], marks[10]
    last_us = (ten[1] - nine[1]) / max(1, ten[0] - nine[0]) / 1000
    return first[1] / max(1, first[0]) / 1000, last_us, mapped


def report(figures: Figures, tasks: int, workers: int) -> list[str]:
    """Lines for people."""
    beats = figures.heartbeat_us * workers / 2 / 1e4
    ticks = figures.tick_us * 4 / 1e4
    ends = figures.end_us * figures.ends / figures.virtual_s / 1e4
    return [
        f"{tasks:,} map tasks, {workers:,} workers: {figures.outcome} after {figures.virtual_s:,.0f} s of virtual time",
        f"an end of an attempt   {figures.end_us:8.1f} us, {1e6 / figures.end_us:,.0f} a second"
        f" (first tenth {figures.end_first_us:.1f}, last tenth {figures.end_last_us:.1f})",
        f"a heartbeat            {figures.heartbeat_us:8.1f} us",
        f"a tick                 {figures.tick_us:8.1f} us, the dearest {figures.tick_dearest_us:,.0f}",
        f"a registration         {figures.register_us:8.1f} us",
        f"a submission           {figures.submit_ms:8.1f} ms",
        f"all ends of one tick   {figures.batch_dearest_ms:8.1f} ms, the dearest",
        f"processor at this rate {ends + beats + ticks:8.1f} %:"
        f" ends {ends:.1f}, heartbeats {beats:.1f}, ticks {ticks:.1f}",
        f"journal                {figures.journal_bytes:8.0f} bytes an end",
        f"memory                 {figures.submitted_bytes:8.1f} bytes a task when submitted,"
        f" {figures.mapped_bytes:.1f} when mapped",
        f"a snapshot             {figures.snapshot_ms:8.0f} ms, {figures.snapshot_bytes:,} bytes",
        f"collections            {figures.collections:8} of the oldest generation",
    ]


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--reduces", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--gc", choices=("frozen", "default", "off"), default="frozen")
    given = parser.parse_args(arguments)
    if given.gc == "off":
        gc.disable()
    figures = measure(given.tasks, given.reduces, given.workers, given.jobs, freeze=given.gc == "frozen")
    print(*report(figures, given.tasks, given.workers), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
