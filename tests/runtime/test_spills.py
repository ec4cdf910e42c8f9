"""Spills, passes of the merge and the bytes they write: exact for an input, a memory and a fan-in."""

import functools
import os
import random

import pytest

from mrcore.config import MIB
from mrcore.engine import reduce_task
from mrcore.engine.merging import Limits
from mrcore.engine.spec import Keys
from mrcore.runtime.job import run_job
from mrcore.runtime.jobs import CountJob, DistinctJob, IndexJob
from mrcore.runtime.plan import Options
from mrcore.runtime.sinks import MemorySink

WORD = 13  # bytes of a word of 12 letters and a space


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    """A million words, all distinct."""
    path = tmp_path_factory.mktemp("spills") / "million"
    path.write_text(random.Random(9).randbytes(6_000_000).hex(" ", 6))
    return str(path)


@pytest.fixture(autouse=True)
def tmp(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    yield
    assert os.listdir(tmp_path / "tmp") == []


def counters(job, **options):
    """Of a job whose records are all counted in the end."""
    result = run_job(job, Options(**{"workers": 0, **options}), MemorySink())
    assert result.distinct or result.counters["records_out"] >= 1
    return result.counters


@pytest.mark.parametrize(("mebibytes", "spills"), [(6, 5), (8, 3), (12, 2), (24, 1), (64, 0)])
def test_counts_are_spilled_as_often_as_memory_is_full(million, mebibytes, spills):
    found = counters(CountJob((million,)), memory=mebibytes * MIB)
    assert (found["spills"], found["merge_passes"], found["merged_bytes"]) == (spills, 1, 0)
    assert (found["tokens"], found["map_records"], found["records_out"]) == (10**6, 10**6, 10**6)


@pytest.mark.parametrize(("mebibytes", "spills"), [(6, 5), (8, 4), (12, 2), (24, 1), (64, 0)])
def test_postings_are_spilled_as_often_as_memory_is_full(million, mebibytes, spills):
    found = counters(IndexJob((million,)), memory=mebibytes * MIB)
    assert (found["spills"], found["merge_passes"], found["merged_bytes"]) == (spills, 1, 0)
    assert (found["tokens"], found["records_out"]) == (10**6, 10**6)


def test_text_that_repeats_is_not_spilled(tmp_path, text):
    (tmp_path / "in").write_bytes(text * 20)
    assert counters(CountJob((str(tmp_path / "in"),)), memory=12 * MIB)["spills"] == 0


PASSES = {  # runs: passes of a merge of 4 at a time, and runs that it merges before the last pass
    1: (1, 0), 2: (1, 0), 4: (1, 0), 5: (2, 2), 6: (2, 3), 7: (2, 4), 8: (2, 6), 10: (2, 8), 13: (2, 12), 16: (2, 16),
    17: (3, 24), 20: (3, 28),
}  # fmt: skip


@pytest.fixture
def four_at_a_time(monkeypatch):
    monkeypatch.setattr(reduce_task, "Limits", functools.partial(Limits, runs=4))


def merge_runs(tmp_path, runs, job=CountJob):
    """Counters of a job of so many runs, and the bytes of one."""
    path = tmp_path / "in"
    path.write_text(random.Random(runs).randbytes(6 * 10_000 * runs).hex(" ", 6))
    found = counters(job((str(path),)), reducers=1, split=WORD * 10_000, memory=16 * MIB)
    assert (found["map_tasks"], found["spills"]) == (runs, 0)
    return found, found["map_bytes"] / runs


@pytest.mark.parametrize("runs", PASSES)
def test_passes_and_their_bytes_follow_from_runs_and_fan_in(tmp_path, four_at_a_time, runs):
    found, size = merge_runs(tmp_path, runs)
    passes, merged = PASSES[runs]
    assert found["merge_passes"] == passes
    assert found["merged_bytes"] == pytest.approx(merged * size, rel=0.01), "fewer cannot do"
    assert found["records_out"] == 10_000 * runs


@pytest.mark.parametrize("job", [IndexJob, DistinctJob, lambda paths: CountJob(paths, Keys("unicode"))])
def test_passes_of_other_jobs(tmp_path, four_at_a_time, job):
    found, _ = merge_runs(tmp_path, 17, job)
    assert found["merge_passes"] == 3


@pytest.mark.parametrize(("memory", "passes"), [(4 * MIB + 4096, 2), (16 * MIB, 1)])
def test_memory_decides_the_fan_in(tmp_path, memory, passes):
    """A run holds its block of 64 KiB: in 4 MiB there is room for some 50."""
    path = tmp_path / "in"
    path.write_text(random.Random(3).randbytes(6 * 600_000).hex(" ", 6))
    found = counters(CountJob((str(path),)), split=WORD * 6_000, memory=memory)
    assert (found["map_tasks"], found["merge_passes"]) == (100, passes)
    assert (found["merged_bytes"] > 0) == (passes > 1)
    assert found["records_out"] == 600_000
