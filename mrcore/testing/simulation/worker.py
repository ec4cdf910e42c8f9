"""Simulated workers: processes that speak the real protocol, and do what workers should not.

A :class:`Worker` is a name, a plan and a place on a host, through all its lives; :mod:`process` is one life.

What happens is counted as ``worker.KIND``, for the kinds in :data:`KINDS`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mrcore.testing.simulation.process import Process
from mrcore.wire import cluster_fields as fields

if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Cluster
    from mrcore.testing.simulation.machines import Host
    from mrcore.testing.simulation.scenario import WorkerPlan

KINDS = (
    "start", "die_process", "die_machine", "power_cut", "stall", "slow", "lie", "zombie_attempt", "zombie_heartbeat",
    "zombie_finish", "lease_lost", "lease_over", "disconnected", "refused", "reconnect", "register_again",
    "register_late", "restless", "hang", "forget", "bad_record", "disk_full", "disk_error", "cancelled",
    "cancelled_unknown", "slander", "drain", "goodbye", "fetch_missing", "fetch_corrupt", "fetch_unreachable",
    *(f"fail_{each.value}" for each in fields.FailureClass),
)  # fmt: skip
"""All that is counted, each as ``worker.KIND``."""


class Worker:
    """A worker through all its lives."""

    def __init__(self, cluster: Cluster, plan: WorkerPlan, host: Host) -> None:
        self.cluster, self.plan, self.host = cluster, plan, host
        self.rng = random.Random(f"{cluster.scenario.seed} {plan.name}")
        self.process: Process | None = None
        self.lives = 0

    def start(self) -> None:
        """A process of it starts, if none runs."""
        if self.process is None and self.host.is_up:
            self.lives += 1
            self.process = Process(self)

    def die(self, kind: str, pause_ns: int) -> None:
        """Its process ends, and another one starts after a pause."""
        process, self.process = self.process, None
        if process is not None:
            process.end_life()
            process.count(kind)
            self.cluster.say(self.plan.name, kind)
            self.cluster.network.crash(self.plan.name, silent=kind in ("die_machine", "power_cut"))
            self.cluster.clock.after(pause_ns, self.start)
