"""A cluster in one process: the real coordinator, journal, codecs and handshake; simulated workers, disks and network.

:func:`play` tells the story of a seed. Faults happen until ``Scenario.calm_ns``; then the network and the disks are
good, workers honest and all of them started anew, and all jobs must end by ``Scenario.bound_ns``. The story is over
when the last job has ended and all that follows from that is done.

Who wants to know more than how it ended is a :class:`Witness`.
"""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

import xxhash

from mrcore.runtime.cluster_translation import encode_check
from mrcore.runtime.coordinator import Observer
from mrcore.testing.simulation.clock import Clock
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.machines import FINAL, SHARED, Host, SharedDisk, read_file
from mrcore.testing.simulation.network import Network
from mrcore.testing.simulation.office import Office, published_name
from mrcore.testing.simulation.process import COORDINATOR
from mrcore.testing.simulation.scenario import draw_scenario
from mrcore.testing.simulation.stranger import Stranger
from mrcore.testing.simulation.trace import Trace
from mrcore.testing.simulation.worker import Worker
from mrcore.wire.cluster_fields import LossReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.runtime.coordinator import Coordinator
    from mrcore.scheduler.scheduler import Scheduler
    from mrcore.testing.simulation.execution import Execution
    from mrcore.testing.simulation.process import Process
    from mrcore.testing.simulation.scenario import JobPlan, Scenario
    from mrcore.wire.cluster_fields import InputFile

S = 1_000_000_000
TOKEN = b"a token of the simulator"


class Witness(Observer):
    """Hears what happens in a story: what a coordinator says of itself, in all its lives, and what workers do.

    What it raises ends the story. Records that became durable in a life that did not live to say so are said by
    ``on_record_durable`` when the next one finds them, before ``on_recovered``.

    Attributes:
        cluster: that it watches.
    """

    cluster: Cluster

    def on_started(self, coordinator: Coordinator) -> None:
        """A life of the coordinator has begun, and its first actions are carried out."""

    def on_attempt_started(self, process: Process, run: Execution) -> None:
        """A worker runs an attempt, one of ``process.runs``, which are to be ``process.plan.slots`` at most."""

    def on_attempt_ended(self, process: Process, run: Execution) -> None:
        """It has finished, failed, been cancelled or been forgotten: nobody is told yet."""

    def on_end(self, story: Story) -> None:
        """The story is over, for better or worse."""


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """How a story ended.

    Attributes:
        seed, scenario: what was played.
        trace, coverage: what happened.
        cluster: as it was left.
        is_over: whether all jobs ended within the bound.
        ended_ns: when the story was.
    """

    seed: int
    scenario: Scenario
    trace: Trace
    coverage: Coverage
    cluster: Cluster
    is_over: bool
    ended_ns: int

    @property
    def outcomes(self) -> dict[str, str]:
        """How each job ended, by the coordinator's ledger; empty: it did not."""
        return {plan.name: self.cluster.outcome(plan.name) for plan in self.scenario.jobs}

    def published(self, job: str) -> dict[tuple[int, int], bytes]:
        """The outputs of a job that have their final names, by stage and task, as they are on the shared disk."""
        disk, found = self.cluster.shared.disk, {}
        plan = self.cluster.jobs[job]
        for stage in plan.tasks:
            for spec in stage:
                name = published_name(job, spec.stage, spec.task)
                data = read_file(disk, FINAL, name, 1 << 20) if spec.is_final else None
                if data is not None:
                    found[spec.stage, spec.task] = data
        return found


class Cluster:
    """The world of a story.

    Attributes:
        scenario, jobs: what is to happen.
        clock, network, trace, coverage: of the world.
        hosts, workers: by name.
        shared: the disk that all share.
        office: the coordinator's machine.
        is_calm: no more faults.
    """

    def __init__(self, scenario: Scenario, witnesses: Sequence[Witness] = (), trace: Trace | None = None) -> None:
        self.scenario, self.witnesses, self.token = scenario, witnesses, TOKEN
        for witness in witnesses:
            witness.cluster = self
        self.jobs: dict[str, JobPlan] = {plan.name: plan for plan in scenario.jobs}
        self.clock, self.trace, self.coverage = Clock(), Trace() if trace is None else trace, Coverage()
        self.is_calm = False
        self._rng = random.Random(f"{scenario.seed} cluster")
        rng = random.Random(f"{scenario.seed} network")
        self.network = Network(self.clock, rng, self.coverage, scenario.faults.network, self.trace)
        self.hosts = {plan.host: Host(self, plan.host) for plan in scenario.workers}
        self.shared = SharedDisk(self)
        self._wanted: dict[str, None] = {}
        self._unwanted: dict[str, None] = {}
        self.office = Office(self)
        self.workers = {plan.name: Worker(self, plan, self.hosts[plan.host]) for plan in scenario.workers}
        self._plan()

    def _plan(self) -> None:
        clock, scenario = self.clock, self.scenario
        self.office.start()
        for worker in self.workers.values():
            clock.after(self._rng.randint(0, S), worker.start)
        for job in scenario.jobs:
            clock.at(job.submit_ns, self._submit, job.name)
            for again_ns in job.again_ns:
                clock.at(again_ns, self._submit, job.name)
            if job.cancel_ns:
                clock.at(job.cancel_ns, self._cancel, job.name)
        for time_ns, kind in scenario.crashes:
            clock.at(time_ns, self.office.fall, kind)
        for time_ns in scenario.shared_crashes_ns:
            clock.at(time_ns, self.shared.disk.cut_power_after, self._rng.randrange(8))
        for time_ns in scenario.strangers_ns:
            clock.at(time_ns, Stranger, self, COORDINATOR, self._rng)
        self.network.torment()

    def play(self) -> Story:
        """Lets it all happen."""
        scenario, clock = self.scenario, self.clock
        while clock.now_ns < scenario.bound_ns and not self._is_over():
            if clock.now_ns >= scenario.calm_ns and not self.is_calm:
                self._calm()
            clock.run(clock.now_ns + S)
        is_over = self._is_over()
        if self.office.coordinator is not None:
            self.count_rows(self.office.coordinator.scheduler)
        story = Story(scenario.seed, scenario, self.trace, self.coverage, self, is_over, clock.now_ns)
        for witness in self.witnesses:
            witness.on_end(story)
        return story

    def outcome(self, job: str) -> str:
        """How a job ended; empty while it has not, or nobody can say."""
        coordinator = self.office.coordinator
        known = coordinator.scheduler.ledger.jobs.get(job) if coordinator is not None else None
        return known.outcome if known is not None else ""

    def say(self, node: str, *words: str | int) -> None:
        """A line of the trace."""
        self.trace.add(self.clock.now_ns, node, *words)

    def count_rows(self, scheduler: Scheduler) -> None:
        """Counts the transitions of a life."""
        for name, machine in scheduler.machines.items():
            for row, count in zip(machine.table.rows, machine.fired, strict=True):
                self.coverage.add(f"row.{name}.{row.source}.{row.event}", count)

    def _is_over(self) -> bool:
        coordinator = self.office.coordinator
        return coordinator is not None and not coordinator.has_work and all(map(self.outcome, self.jobs))

    def _calm(self) -> None:
        self.is_calm = True
        self.say("world", "calm")
        self.network.calm()
        self.office.calm()
        self.shared.disk.calm()
        for host in self.hosts.values():
            host.disk.calm()
            host.clock.calm()
            host.is_up = True
        for worker in self.workers.values():
            worker.die("die_process", 0)
            self.clock.after(self._rng.randint(0, S), worker.start)

    # Who submits

    def _submit(self, job: str) -> None:
        """Until it is known, then never again but for repetitions that are planned."""
        is_repetition = job in self._wanted
        self._wanted[job] = None
        plan, office = self.jobs[job], self.office
        office.count("submit_again" if is_repetition else "submit")
        office.ask(lambda it: it.submit(job, plan.stages, plan.options, b"%d" % plan.tasks[0][0].seed, office.now_ns))

    def _cancel(self, job: str) -> None:
        office = self.office
        self._unwanted[job] = None
        office.count("cancel")
        office.ask(lambda it: it.cancel(job, office.now_ns))

    def submit_unknown(self) -> None:
        """A coordinator has started: it is told of what it does not know."""
        coordinator = self.office.coordinator
        assert coordinator is not None
        jobs = coordinator.scheduler.ledger.jobs
        for job in self._wanted:
            if job not in jobs:
                self.clock.after(0, self._submit, job)
        for job in self._unwanted:
            self.clock.after(1, self._cancel, job)

    # What workers ask

    def attempt_started(self, process: Process, run: Execution) -> None:
        """Passes it on."""
        for witness in self.witnesses:
            witness.on_attempt_started(process, run)

    def attempt_ended(self, process: Process, run: Execution) -> None:
        """Passes it on."""
        for witness in self.witnesses:
            witness.on_attempt_ended(process, run)

    def fetch(self, reader: str, file: InputFile) -> bytes | LossReason:
        """An input, or what is wrong with it."""
        if file.addresses:
            holder = self.workers[file.addresses[0].partition(":")[0]]
            process = holder.process
            if process is None or process.is_stalled or process.address != file.addresses[0]:
                return LossReason.UNREACHABLE
            network = self.network
            if network.blocked(reader, process.name) or network.blocked(process.name, reader):
                return LossReason.UNREACHABLE
            data = read_file(holder.host.disk, f"/{process.name}", file.name, file.size_bytes + 1)
        else:
            data = read_file(self.shared.disk, SHARED, file.name, file.size_bytes + 1)
        if data is None:
            return LossReason.MISSING
        is_whole = len(data) == file.size_bytes and encode_check(xxhash.xxh3_64_intdigest(data)) == file.check
        return data if is_whole else LossReason.CORRUPT

    def fell(self, host: Host, kind: str = "power_cut") -> None:
        """A host lost its power: its workers are gone, and come back with it."""
        pause_ns = self._rng.randint(1, 10 * S)
        host.is_up = False
        for worker in self.workers.values():
            if worker.host is host:
                worker.die(kind, pause_ns)
        host.disk.crash()
        self.clock.after(pause_ns - 1, self._rise, host)

    @staticmethod
    def _rise(host: Host) -> None:
        host.is_up = True


def play(seed: int, witnesses: Sequence[Witness] = (), trace: Trace | None = None) -> Story:
    """The story of a seed: the same in every process.

    Args:
        seed: of the story.
        witnesses: that hear of what happens.
        trace: that lines go to; it may keep or write them all.
    """
    return Cluster(draw_scenario(seed), witnesses, trace).play()
