"""The benchmarks of the scheduler, small: they run, and what they run ends as it should. No time is looked at."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "scheduler"


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("bench_scale")


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("bench_paper")


def test_every_task_of_two_jobs_ends_once(scale: ModuleType) -> None:
    figures = scale.measure(tasks=500, reduces=10, workers=50, jobs=2)
    assert figures.outcome == "succeeded"
    assert figures.ends.count == 2 * (500 + 10)
    assert figures.heartbeat.count == pytest.approx(figures.virtual_s / 2 * 50, rel=0.1)
    assert figures.tick.count == figures.virtual_s * 4
    assert figures.marks.snapshot_bytes > 500 * 8
    assert len(scale.report(figures, 500, 50)) == 11


def test_the_job_survives_the_loss_of_workers_and_their_outputs(scale: ModuleType) -> None:
    figures = scale.measure(tasks=500, reduces=10, workers=50, lose=5)
    assert figures.outcome == "succeeded"
    assert figures.ends.count > 500 + 10
    assert figures.marks.loss_ms > 0
    assert "loss of 5 workers" in scale.report(figures, 500, 50, 5)[-1]


def test_small_sort_of_the_paper(paper: ModuleType) -> None:
    sizes = paper.Sizes(machines=40, maps=300, reduces=90, slow=1)
    results = {run: paper.sort(run, sizes, killed_at_s=100) for run in paper.RUNS}
    assert [result.outcome for result in results.values()] == ["succeeded"] * 4
    normal, alone, killed, returned = results.values()
    assert alone.started == (300, 90)
    assert alone.second == (0, 0)
    assert normal.second[1] > 0
    assert normal.total_s < alone.total_s
    assert killed.started[0] > returned.started[0] >= 300  # what the killed ones had written is made again, or was kept
    assert killed.started[1] > 90
    again = paper.sort("killed", sizes, killed_at_s=100)
    assert again._replace(processor_s=0) == killed._replace(processor_s=0)
