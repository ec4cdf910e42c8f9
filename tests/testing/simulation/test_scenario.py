"""Scenarios: the same from the same seed, of all kinds, and such that the jobs can be done."""

from __future__ import annotations

import collections

from mrcore.runtime.cluster_translation import check_submission
from mrcore.scheduler.events import FailureClass
from mrcore.testing.simulation.computation import TASKS_MAX
from mrcore.testing.simulation.scenario import draw_scenario, honest, number_at, position_of

SCENARIOS = [draw_scenario(seed) for seed in range(300)]


def test_a_seed_is_one_scenario():
    assert draw_scenario(5) == SCENARIOS[5] != SCENARIOS[6]


def test_every_job_can_be_submitted_and_fits_into_some_worker():
    for scenario in SCENARIOS:
        memory_bytes = min(worker.memory_bytes for worker in scenario.workers)
        for job in scenario.jobs:
            check_submission(job.name, job.stages, job.options)
            assert max(stage.memory_bytes for stage in job.stages) <= memory_bytes
            assert max(stage.tasks for stage in job.stages) <= TASKS_MAX
            assert job.outcomes and set(job.outcomes) <= {"succeeded", "failed", "cancelled"}


def test_a_job_with_more_bad_records_than_may_be_skipped_cannot_succeed():
    doomed = [
        job
        for scenario in SCENARIOS
        for job in scenario.jobs
        if sum(len(spec.bad) for stage in job.tasks for spec in stage) > job.options.skip_bad_max
    ]
    assert doomed and all("succeeded" not in job.outcomes and "failed" in job.outcomes for job in doomed)


def test_every_kind_of_fault_is_in_some_scenario_and_in_others_not():
    kinds = ("slowness", "dies_ns", "dies_with_machine", "stalls_ns", "lies", "is_zombie", "fails", "hangs", "forgets")
    counts = collections.Counter(
        kind
        for scenario in SCENARIOS
        for kind in kinds
        if any(getattr(worker, kind) != getattr(honest(worker), kind) for worker in scenario.workers)
    )
    assert all(30 < counts[kind] < 270 for kind in kinds), counts
    crashes = {kind for scenario in SCENARIOS for _, kind in scenario.crashes}
    assert crashes == {"process", "machine", "power", "between"}
    failures = {failure for scenario in SCENARIOS for worker in scenario.workers for failure in worker.failures}
    assert failures == set(FailureClass)


def test_records_have_places():
    assert [number_at(position_of(number)) for number in range(20)] == list(range(20))
