#!/usr/bin/env python3
"""The sort of the MapReduce paper (OSDI 2004, section 5.3) in virtual time, by the real scheduler.

Three runs, as in the paper's figure 3: as it is, without second attempts (the paper's backup tasks), and with 200 of
the 1,746 worker processes killed. The paper lost what the killed ones had written; here they are started again under
new names for that. Another run lets them come back under their own names, with their disks, as our workers do.

``paper_cluster`` says what the tasks take, and what of that is assumed. No rate is fitted to the total times.

Each worker has a map slot and a reduce slot, as the paper's machines: two slots, and processors and memory such that
two tasks of one kind do not fit. Reduce tasks fetch from the first committed map task on.

Run: benchmarks/scheduler/bench_paper.py [--seeds 1] [--only normal|alone|killed|returned] [--set piece_s=0.010 ...]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import NamedTuple

from paper_cluster import PART_BYTES, SPLIT_BYTES, PaperCluster, S, Sizes

from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.events import EndCause, JobSubmitted, WorkerEnded
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.testing.fleet import GIB, Fleet

RUNS = {
    "normal": "as it is",
    "alone": "no second attempts",
    "killed": "200 killed",
    "returned": "200 killed, disks stay",
}
PAPER_S = {"normal": "891", "alone": "1283", "killed": "933", "returned": ""}
KILLED = 200 / 1746  # of the machines
KILLED_AT_S = 240  # of the job, after the start-up: "several minutes into the computation"
HOURS_MAX = 3


class Result(NamedTuple):
    """Of one run. Seconds from the start, with the start-up."""

    outcome: str
    total_s: float
    maps_s: float  # until the last map task ended
    fetched_s: float  # until the last piece was fetched
    started: tuple[int, int]  # attempts of map and reduce tasks
    second: tuple[int, int]  # of these, speculative ones
    processor_s: float


def sort(run: str, sizes: Sizes, seed: int = 1, killed_at_s: float = KILLED_AT_S) -> Result:
    """Runs the job in one of the ways of ``RUNS``."""
    start_s = time.process_time()
    load = PaperCluster(sizes, seed)
    fleet = Fleet(SchedulerConfig(), load)
    load.outputs = fleet.scheduler.outputs
    fleet.register(load.names(), slots=2, keeps_outputs=True, cpu_milli=1000, memory_bytes=2 * GIB)
    fleet.tell([_job(sizes, run != "alone")])
    pending_kill = run in ("killed", "returned")
    while not load.ended_ns and fleet.now_ns < HOURS_MAX * 3600 * S:
        fleet.step()
        if pending_kill and fleet.now_ns >= killed_at_s * S:
            pending_kill = False
            _kill(fleet, load, seed, forgets=run == "killed")
    seconds = [sizes.startup_s + ns / S for ns in (load.ended_ns, load.maps_done_ns, load.fetched_ns)]
    return Result(
        load.outcome, *seconds, tuple(load.started), tuple(load.second), time.process_time() - start_s
    )  # fmt: skip


def _job(sizes: Sizes, speculate: bool) -> JobSubmitted:
    stages = (
        StageSpec(sizes.maps, memory_bytes=0, cpu_milli=1000, task_bytes=SPLIT_BYTES),
        StageSpec(sizes.reduces, (0,), memory_bytes=2 * GIB, cpu_milli=0, task_bytes=PART_BYTES, fetch_from_percent=0),
    )
    return JobSubmitted("sort", stages, JobOptions(speculate=speculate))


def _kill(fleet: Fleet, load: PaperCluster, seed: int, forgets: bool) -> None:
    names = random.Random(seed).sample(sorted(fleet.generations), max(1, round(KILLED * load.sizes.machines)))
    ended = [WorkerEnded(name, fleet.generations.pop(name), EndCause.PROCESS_ENDED) for name in names]
    anew = load.kill(names, forgets)
    fleet.tell(list(ended))
    fleet.register(anew, slots=2, keeps_outputs=True, cpu_milli=1000, memory_bytes=2 * GIB)


def main(arguments: list[str]) -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="so many runs of each, of seeds 1, 2, ...")
    parser.add_argument("--only", choices=RUNS)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a field of Sizes")
    given = parser.parse_args(arguments)
    sizes = Sizes()
    for name, number in (each.split("=") for each in given.set):
        sizes = sizes._replace(**{name: type(getattr(sizes, name))(number)})
    print(f"{'run':24}{'paper':>7}{'ours':>7}{'maps':>7}{'fetched':>9}{'attempts':>16}{'second':>12}{'processor':>11}")
    for run in [given.only] if given.only else RUNS:
        for seed in range(1, given.seeds + 1):
            result = sort(run, sizes, seed)
            attempts, second = (f"{maps:,} + {reduces:,}" for maps, reduces in (result.started, result.second))
            print(
                f"{RUNS[run]:24}{PAPER_S[run]:>7}{result.total_s:7.0f}{result.maps_s:7.0f}{result.fetched_s:9.0f}"
                f"{attempts:>16}{second:>12}{result.processor_s:9.1f} s  {result.outcome}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
