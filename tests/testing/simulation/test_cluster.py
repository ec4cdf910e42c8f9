"""Stories of the simulated cluster: they end well, are the same each time, and reach every kind of fault.

Run as a program it prints what two processes must agree on: ``test_cluster.py SEED...``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mrcore
from mrcore.scheduler import actions
from mrcore.scheduler.records import AttemptCommitted, EpochBegan, JobAdmitted
from mrcore.testing.simulation import office, worker
from mrcore.testing.simulation.cluster import Witness, play
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.scenario import draw_scenario
from mrcore.testing.simulation.trace import Trace

SEEDS = range(60)


class Listener(Witness):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.records, self.done, self.started, self.ended, self.lives, self.stories = [], [], [], [], 0, []
        self.recovered = []
        self.slots_exceeded = 0

    def on_record_durable(self, record):
        self.records.append(record)

    def on_recovered(self, recovery, scheduler):
        self.recovered.append(len(self.records))

    def on_action(self, action, now_ns):
        self.done.append(action)

    def on_started(self, coordinator):
        self.lives += 1

    def on_attempt_started(self, process, run):
        self.started.append(run.name)
        self.slots_exceeded += len(process.runs) > process.plan.slots

    def on_attempt_ended(self, process, run):
        self.ended.append(run.name)

    def on_end(self, story):
        self.stories.append(story)


@pytest.fixture(scope="module")
def stories():
    told = []
    for seed in SEEDS:
        listener = Listener()
        told.append((play(seed, [listener]), listener))
    return told


def test_every_job_ends_as_it_may(stories):
    for story, _ in stories:
        assert story.is_over, story.trace.text()
        for plan in story.scenario.jobs:
            assert story.outcomes[plan.name] in plan.outcomes, (story.seed, plan)


def test_outputs_of_jobs_that_succeeded_are_those_of_the_oracle(stories):
    succeeded = 0
    for story, _ in stories:
        for plan in story.scenario.jobs:
            if story.outcomes[plan.name] == "succeeded":
                succeeded += 1
                finals = {(spec.stage, spec.task) for stage in plan.tasks for spec in stage if spec.is_final}
                assert story.published(plan.name) == {key: plan.outputs[key] for key in finals}, story.seed
    assert succeeded > len(SEEDS) // 2


def test_witnesses_hear_all_of_it(stories):
    for story, heard in stories:
        assert heard.stories == [story]
        assert heard.records == story.cluster.office.history
        assert [record.epoch for record in heard.records if isinstance(record, EpochBegan)] == list(
            range(1, 1 + sum(isinstance(record, EpochBegan) for record in heard.records))
        )
        assert {record.job for record in heard.records if isinstance(record, JobAdmitted)} == set(story.outcomes)
        assert heard.lives and heard.lives <= story.coverage["coordinator.start"]
        assert heard.slots_exceeded == 0
        assert set(heard.ended) <= set(heard.started)
    assert any(isinstance(action, actions.PublishOutput) for _, heard in stories for action in heard.done)
    assert any(isinstance(record, AttemptCommitted) for _, heard in stories for record in heard.records)


def test_kinds_of_faults_befall_some_seed(stories):
    names = [*(f"worker.{kind}" for kind in worker.KINDS), *(f"coordinator.{kind}" for kind in office.KINDS)]
    total = Coverage(names)
    for story, _ in stories:
        total.merge(story.coverage)
    never = {name for name in names if not total[name]}
    assert never <= {"worker.fail_bad_input", "coordinator.peer_error", "worker.power_cut"}, total.table()


def test_a_scenario_without_faults_is_played_without_any():
    seed = next(seed for seed in range(1000) if not draw_scenario(seed).crashes)
    story = play(seed)
    assert story.coverage["coordinator.start"] == 1 and story.coverage["coordinator.recovered"] == 0


def test_a_trace_may_be_written_whole():
    pieces: list[str] = []
    story = play(3, trace=Trace(None, pieces.append))
    story.trace.flush()
    assert "".join(pieces) == story.trace.text() and len(story.trace) > 100


def test_a_seed_tells_the_same_story_in_every_process():
    told_by = []
    for hash_seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(mrcore.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-P", __file__, "1", "2", "3", "110"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        told_by.append(done.stdout)
    assert told_by[0].count("coordinator.start") == 4 and told_by[0] == told_by[1]


def told(seed: int) -> str:
    """Digest, number of lines and counts of a story."""
    story = play(seed)
    return f"{seed} {story.ended_ns} {story.trace.digest()} {len(story.trace)}\n{story.coverage.table()}"


if __name__ == "__main__":
    print("".join(told(int(seed)) for seed in sys.argv[1:]), end="")
