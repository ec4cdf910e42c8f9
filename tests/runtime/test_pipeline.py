"""Plans of pipelines: splits, partitions, workers and budgets, from names and sizes alone."""

import os

import pytest

from mrcore.config import MIB
from mrcore.engine.program import Program, Shuffle
from mrcore.errors import BudgetError, UsageError
from mrcore.runtime.pipeline import (
    PARTS_MAX,
    SPLIT_MAX,
    SPLIT_MIN,
    STREAM_PARTS,
    ItemsSource,
    Pipeline,
    TextSource,
    parts_of,
    plan_pipeline,
    python_split,
)  # fmt: skip
from mrcore.runtime.plan import Options


@pytest.fixture
def sparse(tmp_path):
    """A pipeline over a file of so many bytes, of which none is written."""

    def made(size, **how):
        path = tmp_path / f"{size}"
        with open(path, "wb") as file:
            file.truncate(size)
        return Pipeline(TextSource((str(path),)), (Program(shuffle=Shuffle(), **how),))

    return made


@pytest.mark.parametrize(("size", "split"), [
    (0, SPLIT_MIN), (1, SPLIT_MIN), (8 * MIB, MIB), (8 * MIB + 1, MIB + 1), (800 * MIB, 64 * MIB), (1 << 40, SPLIT_MAX),
])  # fmt: skip
def test_a_split_is_an_eighth_of_the_input_within_its_bounds(size, split):
    assert python_split(size) == split


@pytest.mark.parametrize("split", [None, 1000, 0])
def test_splits_cover_the_input_once(sparse, split):
    plan = plan_pipeline(sparse(3 * MIB + 5), Options(1, None, split))
    spans = [span for spans in plan.splits for span in spans]
    assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
    assert (spans[0].start, spans[-1].stop, plan.input_bytes) == (0, 3 * MIB + 5, 3 * MIB + 5)
    assert (len(plan.splits) == 1) == (split == 0)


def test_items_need_no_input():
    plan = plan_pipeline(Pipeline(ItemsSource((1, 2)), (Program(),)), Options(0))
    assert (plan.inputs, plan.splits, plan.workers, plan.input_bytes) == ([], [], 0, 0)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_least_memory_that_is_named_is_enough_and_less_is_not(sparse, workers):
    pipeline = sparse(MIB)
    least = plan_pipeline(pipeline, Options(workers)).memory_least
    plan = plan_pipeline(pipeline, Options(workers, memory=least))
    assert plan.share * max(1, workers) <= plan.memory == least
    with pytest.raises(BudgetError, match=r"not enough memory for this job: .* or more"):
        plan_pipeline(pipeline, Options(workers, memory=least - 1))


def test_by_default_as_many_workers_as_the_memory_lets(sparse):
    pipeline = sparse(MIB)
    one = plan_pipeline(pipeline, Options(1)).memory_least
    assert plan_pipeline(pipeline, Options(None, memory=one)).workers == 1


@pytest.mark.parametrize(("given", "parts"), [
    ({"wished": 7, "files": True, "known": True}, 7), ({"wished": None, "files": True, "known": True}, 1),
    ({"wished": None, "files": False, "known": False}, STREAM_PARTS),
    ({"wished": None, "files": False, "known": True}, 31),
], ids=["wished", "files", "stream", "elements"])  # fmt: skip
def test_partitions_of_a_shuffle(given, parts):
    options = Options(1)
    wished = given.pop("wished")
    size = 1000 * MIB if not given["files"] else MIB
    assert parts_of(size, options, wished, **given) == parts
    assert parts_of(1 << 50, options, None, files=False, known=True) == PARTS_MAX


def test_reducers_are_part_files():
    assert parts_of(0, Options(1, 9), None, files=True, known=True) == 9
    assert parts_of(0, Options(1, 9), None, files=False, known=True) == 1


def test_what_makes_no_sense_is_refused(sparse):
    with pytest.raises(UsageError, match="too many map tasks"):
        plan_pipeline(sparse(1 << 40), Options(1, None, 1))


def test_a_pipeline_describes_itself():
    pipeline = Pipeline(TextSource((os.devnull,)), (Program(), Program()), "Name")
    assert pipeline.describe() == {"verb": "run", "name": "Name", "stages": 2}
