"""Themes: what a story is mostly about, so that what is rare in a bad day of any kind happens often in some.

A theme says how likely or how bad things are; :mod:`scenario` draws from it. :data:`ANYTHING` is a bad day with all
kinds of faults, each switched off in half of the seeds; each of the others has its kinds on, and bad.
"""

from __future__ import annotations

import dataclasses

from mrcore.scheduler.events import FailureClass
from mrcore.testing.simulation.faults import ClockFaults, DiskFaults, Faults, NetworkFaults

S = 1_000_000_000
_MS = 1_000_000

FAULTS = Faults(
    ClockFaults(jump_interval_ns=0),  # a monotonic clock drifts, and stands anywhere after a start
    NetworkFaults(break_lost=0.004, break_delivered=0.004, half_open=0.003, late=0.004, clog=0.01, refuse=0.05,
                  silence_ns_max=20 * S, partition_interval_ns=30 * S, partition_ns_max=15 * S),
    DiskFaults(full=0.01, sync_fails=0.005, flip=0.02),
)  # fmt: skip

MENDABLE = (
    FailureClass.USER_CODE, FailureClass.LOST_WORKER, FailureClass.OUT_OF_MEMORY, FailureClass.DISK_FULL,
    FailureClass.DEFECT, FailureClass.CORRUPT_INPUT, FailureClass.CANCELLED, FailureClass.TIMEOUT,
)  # fmt: skip
"""What an attempt may fail with and another one not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Theme:
    """What a scenario is drawn from. Of a tuple one is drawn; a chance is between 0 and 1.

    Attributes:
        calm_s: when all faults end.
        jobs: how many.
        faults: of clocks, network and disks; each kind is off in half of the seeds unless ``is_harsh``.
        is_harsh: nothing is switched off.
        on: kinds of trouble with workers that are never switched off.
        workers_min, stages_min, tasks_min: at least so many.
        keeps: share of workers whose outputs are on their own disk.
        slowness: of slow workers.
        dies_s, stalls_s, restless_s: mean times, where workers do so.
        fails, forgets, hangs, slanders: chances of an attempt.
        drains: chance of a worker.
        failures: what attempts fail with; each is left out by the toss of a coin if there are many.
        bad_input: chance that it is among them.
        lease_s, avoid_s, failures_to_avoid, timeout_s: of the configuration; a time-out of 0 is none.
        attempts_max: of a task.
        cancels: chance that a job is cancelled.
        crashes: of the coordinator, how many.
        crash_kinds: how; each is left out by the toss of a coin.
        shared_crashes: how often the shared disk loses its power.
        batch_ns, compact_bytes: of the coordinator.
        strangers: that connect and make no sense.
    """

    calm_s: tuple[int, ...] = (10, 20, 30, 60)
    jobs: tuple[int, ...] = (1, 1, 2, 3)
    faults: Faults = FAULTS
    is_harsh: bool = False
    on: tuple[str, ...] = ()
    workers_min: int = 1
    stages_min: int = 1
    tasks_min: int = 1
    keeps: tuple[float, ...] = (0.0, 0.5, 1.0)
    slowness: tuple[int, ...] = (2, 5, 20)
    dies_s: tuple[int, ...] = (5, 20)
    stalls_s: tuple[int, ...] = (10, 30)
    restless_s: tuple[int, ...] = (20,)
    fails: tuple[float, ...] = (0.1, 0.4)
    forgets: float = 0.1
    hangs: float = 0.1
    slanders: float = 0.1
    drains: float = 0.1
    failures: tuple[FailureClass, ...] = MENDABLE
    bad_input: float = 0.3
    lease_s: tuple[int, ...] = (4, 6, 10)
    avoid_s: tuple[int, ...] = (2, 10)
    failures_to_avoid: tuple[int, ...] = (1, 3)
    timeout_s: tuple[int, ...] = (0, 15, 30)
    attempts_max: tuple[int, ...] = (3, 200, 200, 200)
    cancels: float = 0.1
    crashes: tuple[int, ...] = (0, 1, 2, 3)
    crash_kinds: tuple[str, ...] = ("process", "machine", "power", "between")
    shared_crashes: tuple[int, ...] = (0, 0, 0, 1)
    batch_ns: tuple[int, ...] = (0, 0, 5 * _MS)
    compact_bytes: tuple[int, ...] = (500, 3_000, 1 << 20)
    strangers: tuple[int, ...] = (0, 1, 1)


ANYTHING = Theme()

FAILS = Theme(  # attempts that fail, with whatever they can
    jobs=(4,),
    on=("fail",),
    fails=(0.2, 0.5),
    bad_input=0.6,
    attempts_max=(3, 200),
)

LAG = Theme(  # words cross on their way: who is told to stop has just finished, or never hears it
    calm_s=(60,),
    jobs=(5,),
    faults=dataclasses.replace(
        FAULTS, network=dataclasses.replace(FAULTS.network, delay_ns_max=1500 * _MS, slow=0.1, slow_ns_max=2 * S)
    ),
    is_harsh=True,
    on=("slow", "hang", "forget", "lie"),
    workers_min=3,
    tasks_min=6,
    slowness=(3, 5),
    forgets=0.4,
    hangs=0.2,
    timeout_s=(6, 8),
    attempts_max=(200,),
    cancels=0.5,
    lease_s=(6, 10),
    crashes=(0,),
    strangers=(0,),
)

LOSSES = Theme(  # who holds outputs goes away, when they have been read, or have not, or had been once
    calm_s=(60, 90),
    jobs=(3,),
    on=("die", "machine", "slow", "slander"),
    workers_min=3,
    stages_min=3,
    keeps=(1.0,),
    slowness=(2, 3),
    slanders=1.0,
    dies_s=(6, 12),
    fails=(0.02,),
    lease_s=(3, 4),
    attempts_max=(200,),
    cancels=0.0,
    crashes=(0, 1),
)

DISGRACE = Theme(  # workers that fail, are avoided, and then leave, fall silent or come back
    calm_s=(60, 90),
    jobs=(3,),
    on=("fail", "stall", "restless", "die"),
    workers_min=3,
    tasks_min=6,
    dies_s=(15,),
    stalls_s=(8, 15),
    restless_s=(8,),
    fails=(0.3, 0.6),
    drains=0.7,
    failures=(FailureClass.DISK_FULL, FailureClass.OUT_OF_MEMORY, FailureClass.DEFECT),
    bad_input=0.0,
    lease_s=(3, 4),
    avoid_s=(10, 20),
    failures_to_avoid=(1, 2),
    attempts_max=(200,),
    crashes=(0, 1),
)

DISKS = Theme(  # bytes that were not synced, and syncs that fail
    calm_s=(30, 60),
    jobs=(2, 3),
    faults=dataclasses.replace(FAULTS, disk=DiskFaults(full=0.04, sync_fails=0.06, flip=0.03)),
    is_harsh=True,
    on=("die", "machine"),
    dies_s=(8,),
    fails=(0.05,),
    attempts_max=(200,),
    crashes=(8, 12),
    crash_kinds=("power", "power", "machine", "between"),
    shared_crashes=(1, 2, 4),
    batch_ns=(0, 20 * _MS, 200 * _MS),
    compact_bytes=(200, 500, 1_000),
    strangers=(0, 1, 3),
)

ZOMBIES = Theme(  # who was taken for dead goes on
    calm_s=(60,),
    jobs=(2, 3),
    on=("zombie", "stall", "restless", "forget"),
    workers_min=2,
    stalls_s=(6, 12),
    restless_s=(8,),
    lease_s=(3, 4),
    attempts_max=(200,),
)

THEMES = (
    *2 * (ANYTHING,), *3 * (FAILS,), *5 * (LAG,), *6 * (LOSSES,), *3 * (DISGRACE,), *6 * (DISKS,), *2 * (ZOMBIES,),
)  # fmt: skip
