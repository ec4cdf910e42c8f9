#!/usr/bin/env python3
"""What a scheduler costs at 10,000 workers and a million tasks, in processor time of one thread and in memory.

Virtual workers of one slot each run map tasks of random length, 5 s on the average, then the reduce tasks that read
all of them. They register, send a heartbeat every 2 s with what they run, and the driver ticks every 250 ms, as real
ones do; so each second of the job has 5,000 heartbeats and 2,000 ends of attempts. Timed is ``Scheduler.handle`` and
the encoding of each record of the journal; making the events, doing what is answered, the wire and the disk are not.

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
    """What was measured. Microseconds are of processor time, bytes of RssAnon; marks are those of the last job."""

    outcome: str
    ends: Cost  # of attempts
    heartbeat: Cost
    tick: Cost
    virtual_s: float
    register_us: float
    submit_ms: float
    submitted_bytes: float  # a task
    journal_bytes: float  # an end
    marks: Marks


class Marks:
    """What is seen on the way through one job.

    Attributes:
        first_us, last_us: of an end, in the first and the last tenth of the map tasks.
        mapped_bytes: a task, when all map tasks are committed.
        snapshot_bytes, snapshot_ms: then.
        loss_ms: of the dearest tick behind the loss of workers.
    """

    def __init__(self, tasks: int, lose: int) -> None:
        self._tasks, self._lose = tasks, lose
        self._at: dict[int, tuple[int, int]] = {}  # tenths of map tasks: what had ended until then, and its cost
        self._rss = rss_anon()
        self.first_us = self.last_us = self.mapped_bytes = self.snapshot_ms = self.loss_ms = 0.0
        self.snapshot_bytes = 0

    def look(self, fleet: Fleet, finished: int) -> None:
        """After each tick."""
        for tenth in (1, 5, 9, 10):
            if finished >= self._tasks * tenth // 10 and tenth not in self._at:
                cost = fleet.costs["tell"]
                self._at[tenth] = cost.count, cost.spent_ns
                self._mark(fleet, tenth)

    def _mark(self, fleet: Fleet, tenth: int) -> None:
        if tenth == 1:
            self.first_us = self._between((0, 0), self._at[1])
        elif tenth == 5 and self._lose:
            fleet.costs["tick"] = Cost()
            for name in sorted(fleet.generations)[: self._lose]:
                del fleet.generations[name]
        elif tenth == 10:
            self.last_us = self._between(self._at[9], self._at[10])
            self.loss_ms = fleet.costs["tick"].dearest_ns / 1e6 if self._lose else 0.0
            self.mapped_bytes = (rss_anon() - self._rss) / self._tasks
            start_ns = time.process_time_ns()
            self.snapshot_bytes = len(fleet.scheduler.snapshot())
            self.snapshot_ms = (time.process_time_ns() - start_ns) / 1e6

    @staticmethod
    def _between(old: tuple[int, int], new: tuple[int, int]) -> float:
        return (new[1] - old[1]) / max(1, new[0] - old[0]) / 1000


def rss_anon() -> int:
    """Bytes of our own memory that is there."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def measure(tasks: int, reduces: int, workers: int, jobs: int = 1, lose: int = 0, freeze: bool = False) -> Figures:
    """Runs the jobs."""
    config = SchedulerConfig()
    load = RandomLengths(1, config.tick_ns)
    fleet = Fleet(config, load)
    fleet.register((f"worker-{number:05}" for number in range(workers)), slots=1, keeps_outputs=bool(lose))
    if freeze:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)
    ends = Cost()
    for number in range(jobs):
        marks = Marks(tasks, lose)
        before = rss_anon()
        submit = fleet.costs["tell"] = Cost()
        fleet.tell([_job(f"job-{number}", tasks, reduces)])
        submitted = rss_anon() - before
        told = fleet.costs["tell"] = Cost()
        _run(fleet, load, f"job-{number}", marks)
        ends.count, ends.spent_ns = ends.count + told.count, ends.spent_ns + told.spent_ns
        ends.dearest_ns = max(ends.dearest_ns, told.dearest_ns)
    return Figures(
        outcome=load.ended[f"job-{jobs - 1}"],
        ends=ends,
        heartbeat=fleet.costs["heartbeat"],
        tick=fleet.costs["tick"],
        virtual_s=fleet.now_ns / 1e9,
        register_us=fleet.costs["register"].each_us,
        submit_ms=submit.spent_ns / 1e6,
        submitted_bytes=submitted / tasks,
        journal_bytes=fleet.journal_bytes / ends.count,
        marks=marks,
    )


def _job(name: str, tasks: int, reduces: int) -> JobSubmitted:
    return JobSubmitted(name, (StageSpec(tasks, task_bytes=TASK_BYTES), StageSpec(reduces, (0,))))


def _run(fleet: Fleet, load: RandomLengths, job: str, marks: Marks) -> None:
    load.finished.clear()
    for _ in range(TICKS_MAX):
        fleet.step()
        marks.look(fleet, load.finished.get(0, 0))
        if job in load.ended:
            return


def report(figures: Figures, tasks: int, workers: int, lose: int = 0) -> list[str]:
    """Lines for people."""
    ends, tick, marks = figures.ends, figures.tick, figures.marks
    beats_percent = figures.heartbeat.each_us * workers / 2 / 1e4
    ticks_percent = tick.each_us * 4 / 1e4
    ends_percent = ends.spent_ns / figures.virtual_s / 1e7
    lines = [
        f"{tasks:,} map tasks, {workers:,} workers: {figures.outcome} after {figures.virtual_s:,.0f} s of virtual time",
        f"an end of an attempt   {ends.each_us:8.1f} us, {1e6 / ends.each_us:,.0f} a second"
        f" (first tenth of the maps {marks.first_us:.1f}, last tenth {marks.last_us:.1f})",
        f"all ends of one tick   {ends.dearest_ns / 1e6:8.1f} ms, the dearest",
        f"a heartbeat            {figures.heartbeat.each_us:8.1f} us",
        f"a tick                 {tick.each_us:8.1f} us, the dearest {tick.dearest_ns / 1000:,.0f}",
        f"a registration         {figures.register_us:8.1f} us",
        f"a submission           {figures.submit_ms:8.1f} ms",
        f"of a processor         {ends_percent + beats_percent + ticks_percent:8.1f} %:"
        f" ends {ends_percent:.1f}, heartbeats {beats_percent:.1f}, ticks {ticks_percent:.1f}",
        f"journal                {figures.journal_bytes:8.0f} bytes an end",
        f"memory                 {figures.submitted_bytes:8.1f} bytes a task when submitted,"
        f" {marks.mapped_bytes:.1f} when mapped",
        f"a snapshot when mapped {marks.snapshot_ms:8.1f} ms, {marks.snapshot_bytes:,} bytes",
    ]
    if lose:
        lines.append(f"loss of {lose:,} workers  {marks.loss_ms:8.1f} ms, the dearest tick")
    return lines


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--reduces", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--lose", type=int, default=0, help="workers that fall silent half way, with their outputs")
    parser.add_argument("--gc", choices=("frozen", "default", "off"), default="frozen")
    given = parser.parse_args(arguments)
    if given.gc == "off":
        gc.disable()
    figures = measure(
        given.tasks, given.reduces, given.workers, given.jobs, given.lose, freeze=given.gc == "frozen"
    )  # fmt: skip
    print(*report(figures, given.tasks, given.workers, given.lose), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
