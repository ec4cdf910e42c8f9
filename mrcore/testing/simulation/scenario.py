"""What a story is made of, drawn from its seed: machines, jobs, and all that is going to happen to them.

Kinds of faults are switched off for a seed by the toss of a coin (swarm testing: Groce and others, ISSTA 2012). A
:class:`Scenario` is plain data; :mod:`cluster` plays it.
"""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

from mrcore.runtime.cluster_translation import record_name
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.events import FailureClass
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.testing.simulation.computation import INPUT_BYTES, TASKS_MAX, expect, task_specs
from mrcore.testing.simulation.faults import CALM, Faults
from mrcore.testing.simulation.themes import MENDABLE, THEMES, Theme
from mrcore.wire.cluster_fields import RecordPosition

if TYPE_CHECKING:
    from mrcore.testing.simulation.computation import TaskSpec

S = 1_000_000_000
MEMORY_BYTES = 1 << 20  # of an attempt, in multiples

PATH = b"/input"


def position_of(number: int) -> RecordPosition:
    """Where a record stands."""
    return RecordPosition(PATH, 100 * number)


def number_at(position: RecordPosition) -> int:
    """Which record stands there."""
    return position.offset // 100


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerPlan:
    """A worker, and what is wrong with it until the calm. Intervals are mean times; 0: never."""

    name: str
    host: str
    slots: int
    memory_bytes: int
    keeps_outputs: bool
    slowness: int = 1  # an attempt takes so many times as long
    dies_ns: int = 0
    dies_with_machine: bool = False  # now and then
    stalls_ns: int = 0  # it does nothing for a while, and then goes on as if nothing had been
    lies: bool = False  # about progress
    is_zombie: bool = False  # it goes on with attempts after it lost its lease
    fails: float = 0.0  # of attempts
    failures: tuple[FailureClass, ...] = MENDABLE
    hangs: float = 0.0  # of attempts
    forgets: float = 0.0  # of attempts: they are gone, or have stopped as they were told to, and nothing is said of it
    restless_ns: int = 0  # it drops all that it runs and registers anew, on the same connection
    slanders: float = 0.0  # of attempts that finish: later it says that an input was damaged which was not
    drains: bool = False  # now and then it asks for no more work, and leaves


def honest(plan: WorkerPlan) -> WorkerPlan:
    """The same worker without its faults."""
    return dataclasses.replace(
        plan,
        slowness=1,
        dies_ns=0,
        dies_with_machine=False,
        stalls_ns=0,
        lies=False,
        is_zombie=False,
        fails=0.0,
        hangs=0.0,
        forgets=0.0,
        restless_ns=0,
        slanders=0.0,
        drains=False,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class JobPlan:
    """A job, when it is submitted, and how it may end.

    Attributes:
        name: of the job.
        stages, options: as submitted.
        tasks: what is to be computed.
        submit_ns: when first.
        again_ns: when again, known or not.
        cancel_ns: when it is cancelled; 0: it is not.
        outcomes: that it may have.
        outputs, counters: of one that succeeds.
    """

    name: str
    stages: tuple[StageSpec, ...]
    options: JobOptions
    tasks: list[list[TaskSpec]] = dataclasses.field(repr=False)
    submit_ns: int
    again_ns: tuple[int, ...]
    cancel_ns: int
    outcomes: tuple[str, ...]
    outputs: dict[tuple[int, int], bytes] = dataclasses.field(repr=False)
    counters: dict[str, int] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """A story before it is told.

    Attributes:
        seed: that it was drawn from.
        config: of the scheduler.
        workers, jobs: all of them.
        faults: of clocks, network and disks.
        crashes: when the coordinator falls, and how: process, machine, power (inside an operation of its disk) or
            between (two actions).
        shared_crashes_ns: when the disk that all share loses its power.
        batch_ns: the coordinator gathers input for so long at most before it syncs.
        compact_bytes: of the journal.
        strangers_ns: when somebody connects who makes no sense.
        calm_ns: when all faults end.
        bound_ns: when all jobs have ended at the latest.
    """

    seed: int
    config: SchedulerConfig
    workers: tuple[WorkerPlan, ...]
    jobs: tuple[JobPlan, ...]
    faults: Faults
    crashes: tuple[tuple[int, str], ...]
    shared_crashes_ns: tuple[int, ...]
    batch_ns: int
    compact_bytes: int
    strangers_ns: tuple[int, ...]
    calm_ns: int
    bound_ns: int


def draw_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(seed)
    theme = rng.choice(THEMES)
    calm_ns = rng.choice(theme.calm_s) * S
    config = SchedulerConfig(
        lease_ns=rng.choice(theme.lease_s) * S,
        heartbeat_ns=rng.choice((1, 2)) * S,
        tick_ns=S // 2,
        avoid_ns=rng.choice(theme.avoid_s) * S,
        failures_to_avoid=rng.choice(theme.failures_to_avoid),
        speculation_started_ns=rng.choice((0, 1)) * S,
        speculation_done_min=rng.choice((1, 3)),
    )
    workers = _workers(rng, theme)
    jobs = tuple([_job(rng, theme, f"job-{number}", workers, calm_ns) for number in range(rng.choice(theme.jobs))])
    kinds = [kind for kind in theme.crash_kinds if _tossed(rng)] or theme.crash_kinds[:1]
    crashes = [(rng.randrange(calm_ns), rng.choice(kinds)) for _ in range(rng.choice(theme.crashes))]
    return Scenario(
        seed,
        config,
        workers,
        jobs,
        theme.faults if theme.is_harsh else theme.faults.swarm(rng) if rng.random() < 0.9 else CALM,
        tuple(sorted(crashes)),
        tuple([rng.randrange(calm_ns) for _ in range(rng.choice(theme.shared_crashes))]),
        rng.choice(theme.batch_ns),
        rng.choice(theme.compact_bytes),
        tuple([rng.randrange(calm_ns) for _ in range(rng.choice(theme.strangers))]),
        calm_ns,
        calm_ns + 200 * S,
    )


def _tossed(rng: random.Random, chance: float = 0.5) -> bool:
    return rng.random() < chance


_TROUBLES = ("slow", "die", "machine", "stall", "lie", "zombie", "fail", "hang", "forget", "restless", "slander")


def _workers(rng: random.Random, theme: Theme) -> tuple[WorkerPlan, ...]:
    count = rng.randint(theme.workers_min, 6)
    hosts = rng.randint(1, count)
    keeps = rng.choice(theme.keeps)
    off = {
        name: name not in theme.on and not _tossed(rng)
        for name in _TROUBLES
    }
    failures = tuple([failure for failure in theme.failures if _tossed(rng)]) or theme.failures[:1]
    if rng.random() < theme.bad_input:
        failures += (FailureClass.BAD_INPUT,)

    def some(name: str, value: float, chance: float = 0.6) -> float:
        return value if _tossed(rng, chance) and not off[name] else 0

    return tuple([
        WorkerPlan(
            f"w{number}",
            f"h{number % hosts}",
            rng.randint(1, 3),
            rng.choice((4, 8)) * MEMORY_BYTES,
            rng.random() < keeps,
            slowness=int(some("slow", rng.choice(theme.slowness), 0.4)) or 1,
            dies_ns=int(some("die", rng.choice(theme.dies_s) * S)),
            dies_with_machine=bool(some("machine", 1, 0.9)),
            stalls_ns=int(some("stall", rng.choice(theme.stalls_s) * S)),
            lies=bool(some("lie", 1)),
            is_zombie=bool(some("zombie", 1)),
            fails=some("fail", rng.choice(theme.fails)),
            failures=failures,
            hangs=some("hang", theme.hangs),
            forgets=some("forget", theme.forgets),
            restless_ns=int(some("restless", rng.choice(theme.restless_s) * S)),
            slanders=some("slander", theme.slanders),
            drains=rng.random() < theme.drains,
        )
        for number in range(count)
    ])  # fmt: skip


def _job(rng: random.Random, theme: Theme, name: str, workers: tuple[WorkerPlan, ...], calm_ns: int) -> JobPlan:
    stages = _stages(rng, theme, sorted({worker.host for worker in workers}))
    skip_bad_max = rng.choice((0, 0, 1, 3))
    attempts_max = rng.choice(theme.attempts_max)
    bad: dict[tuple[int, int], tuple[int, ...]] = {}
    for index, stage in enumerate(stages):
        for task in range(stage.tasks if not stage.reads else 0):
            if rng.random() < (0.1 if skip_bad_max else 0.005):
                bad[index, task] = tuple(sorted(rng.sample(range(10), rng.choice((1, 1, 2)))))
    options = JobOptions(
        attempts_max=attempts_max,
        backoff_ns=rng.choice((S // 10, S)),
        backoff_ns_max=4 * S,
        skip_bad_max=skip_bad_max,
        speculate=_tossed(rng, 0.7),
        weight=rng.choice((1, 1, 3)),
        timeout_ns=rng.choice(theme.timeout_s) * S,
    )
    tasks = task_specs(rng.randrange(1 << 16), stages, bad)
    outputs, counters = expect(tasks)
    cancel_ns = rng.randrange(1, calm_ns) if rng.random() < theme.cancels else 0
    is_doomed = sum(map(len, bad.values())) > skip_bad_max
    may_fail = attempts_max < 200 or is_doomed or any(FailureClass.BAD_INPUT in worker.failures for worker in workers)
    outcomes = ["failed"] * may_fail + ["cancelled"] * bool(cancel_ns) + ["succeeded"] * (not is_doomed)
    submit_ns = rng.randrange(calm_ns // 2)
    again_ns = tuple([rng.randrange(submit_ns, calm_ns + 20 * S) for _ in range(rng.choice((0, 1, 3)))])
    return JobPlan(name, stages, options, tasks, submit_ns, again_ns, cancel_ns, tuple(outcomes), outputs, counters)


def _stages(rng: random.Random, theme: Theme, hosts: list[str]) -> tuple[StageSpec, ...]:
    """A chain, or any graph; every task fits into the smallest worker."""
    count, is_chain = rng.randint(theme.stages_min, 4), _tossed(rng)
    tasks_max = TASKS_MAX if count < 3 else 6
    made: list[StageSpec] = []
    for index in range(count):
        if is_chain or index < 2:
            reads: tuple[int, ...] = (index - 1,) if index else ()
        else:
            reads = tuple([source for source in range(index) if _tossed(rng, 0.6)])
        tasks = rng.randint(min(theme.tasks_min, tasks_max), tasks_max)
        local = not reads and _tossed(rng)
        made.append(
            StageSpec(
                tasks,
                reads,
                memory_bytes=rng.choice((0, 1, 4)) * MEMORY_BYTES,
                task_bytes=rng.choice((0, INPUT_BYTES)),
                cpu_milli=rng.choice((500, 1000)),
                hosts=tuple([(rng.choice(hosts),) for _ in range(tasks)]) if local else (),
                fetch_from_percent=rng.choice((0, 50, 100)),
            )
        )
    return tuple(made)


def bad_record(number: int) -> bytes:
    """A record as the scheduler names it."""
    return record_name(position_of(number))
