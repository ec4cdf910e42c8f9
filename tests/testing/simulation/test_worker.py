"""Simulated workers: lives, leases and attempts, seen from outside."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace

from mrcore.testing.simulation.cluster import Cluster, Witness
from mrcore.testing.simulation.faults import CALM
from mrcore.testing.simulation.scenario import WorkerPlan, draw_scenario

S = 1_000_000_000


def story(*, seed: int = 8, witnesses=(), calm_s: int = 60, **plan):
    """A story of honest machines, in which all workers have what is given."""
    drawn = draw_scenario(seed)
    workers = tuple(
        WorkerPlan(f"w{number}", f"h{number}", 2, 8 << 20, keeps_outputs=number % 2 == 0, **plan) for number in range(3)
    )
    jobs = tuple(
        dataclasses.replace(job, options=replace(job.options, attempts_max=200), submit_ns=S, again_ns=(), cancel_ns=0)
        for job in drawn.jobs
    )
    scenario = dataclasses.replace(
        drawn, faults=CALM, workers=workers, jobs=jobs, crashes=(), shared_crashes_ns=(), calm_ns=calm_s * S,
        bound_ns=(calm_s + 200) * S,
    )  # fmt: skip
    played = Cluster(scenario, witnesses).play()
    assert played.is_over, played.trace.text()
    return played


def test_an_honest_worker_registers_once():
    coverage = story().coverage
    assert coverage["worker.start"] == 3 and coverage["worker.reconnect"] == 0


def test_a_worker_that_dies_comes_back():
    coverage = story(dies_ns=3 * S).coverage
    assert coverage["worker.die_process"] > 0
    assert coverage["worker.start"] > 3


def test_machines_fall_with_all_their_workers():
    coverage = story(dies_ns=2 * S, dies_with_machine=True).coverage
    assert coverage["worker.die_machine"] + coverage["worker.power_cut"] > 0 and coverage["disk.crash"] > 0


def test_a_worker_that_stalls_loses_its_lease_and_goes_on():
    class Lives(Witness):
        def __init__(self):
            self.generations = {}

        def on_attempt_started(self, process, run):
            self.generations.setdefault(process.name, set()).add(run.generation)

    lives = Lives()
    coverage = story(stalls_ns=4 * S, is_zombie=True, slowness=5, witnesses=[lives]).coverage
    assert coverage["worker.stall"] > 0 and coverage["worker.lease_over"] + coverage["worker.lease_lost"] > 0
    assert max(map(len, lives.generations.values())) > 1


def test_attempts_that_hang_or_are_forgotten_do_not_stop_a_job():
    coverage = story(hangs=0.5, forgets=0.5, calm_s=30).coverage
    assert coverage["worker.hang"] > 0 and coverage["worker.forget"] > 0


def test_attempts_that_fail_are_tried_again():
    coverage = story(fails=0.3).coverage
    assert sum(coverage[name] for name in coverage if name.startswith("worker.fail_")) > 0
    assert coverage["row.task.running.paused"] > 0


def test_a_worker_that_drains_leaves_and_comes_back():
    coverage = story(drains=True, slowness=5).coverage
    assert coverage["worker.goodbye"] > 0 and coverage["row.worker.draining.ended"] > 0


def test_lies_about_progress_are_believed_and_do_no_harm():
    assert story(lies=True, slowness=2).coverage["worker.lie"] > 0


def test_no_slot_is_given_twice():
    class Slots(Witness):
        most = 0

        def on_attempt_started(self, process, run):
            self.most = max(self.most, len(process.runs))
            assert len(process.runs) <= process.plan.slots

    slots = Slots()
    story(witnesses=[slots])
    assert slots.most == 2
