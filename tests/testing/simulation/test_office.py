"""The coordinator's machine: it falls in every way, rises again, and nothing durable is lost on the way."""

from __future__ import annotations

import dataclasses

import pytest

from mrcore.scheduler.records import EpochBegan
from mrcore.testing.simulation.cluster import Cluster, Witness
from mrcore.testing.simulation.faults import CALM
from mrcore.testing.simulation.scenario import draw_scenario, honest

S = 1_000_000_000


def bad_records(scenario):
    return [spec.bad for plan in scenario.jobs for stage in plan.tasks for spec in stage]


def calm_scenario(**changes):
    drawn = next(drawn for drawn in map(draw_scenario, range(100)) if not any(bad_records(drawn)))
    workers = tuple(honest(worker) for worker in drawn.workers)
    return dataclasses.replace(drawn, faults=CALM, workers=workers, crashes=(), shared_crashes_ns=(), **changes)


@pytest.mark.parametrize("kind", ["process", "machine", "power", "between"])
def test_it_falls_and_rises_again(kind):
    scenario = calm_scenario()
    cluster = Cluster(dataclasses.replace(scenario, crashes=tuple((n * S, kind) for n in range(1, 12, 4))))
    story = cluster.play()
    assert story.is_over and story.coverage[f"coordinator.crash_{kind}"] > 0
    epochs = [record.epoch for record in cluster.office.history if isinstance(record, EpochBegan)]
    assert epochs == list(range(1, 1 + len(epochs))) and len(epochs) > 1


def test_a_calm_story_has_one_life_and_no_failures():
    story = Cluster(calm_scenario()).play()
    assert story.is_over and story.coverage["coordinator.start"] == 1
    kinds = ("die_process", "disconnected", "lease_lost", "refused", "disk_error", "fail_user_code")
    assert [story.coverage[f"worker.{kind}"] for kind in kinds if story.scenario.calm_ns > story.ended_ns] in (
        [],
        [0] * len(kinds),
    )


def test_a_journal_that_forgets_is_found_out():
    class Forgetful(Witness):
        def on_started(self, coordinator):
            self.cluster.office.history.append(EpochBegan(77))  # as if that had been durable

    with pytest.raises(AssertionError, match="records were durable"):
        Cluster(dataclasses.replace(calm_scenario(), crashes=((S, "process"),)), [Forgetful()]).play()


def test_decisions_are_heard_before_they_are_done():
    class Order(Witness):
        def __init__(self):
            self.decided = []

        def on_answered(self, event, decided, now_ns):
            self.decided += decided

        def on_action(self, action, now_ns):
            if type(action).__module__.startswith("mrcore.scheduler"):
                assert action in self.decided

    order = Order()
    assert Cluster(calm_scenario(), [order]).play().is_over and order.decided
