"""What simulated tasks compute: every input counts, and the oracle does the same without a cluster."""

from __future__ import annotations

import pytest

from mrcore.scheduler.job import StageSpec
from mrcore.testing.simulation.computation import OUTPUT_BYTES, SPEC, compute, encode_spec, expect, task_specs

STAGES = (StageSpec(3), StageSpec(2), StageSpec(4, (0, 1)), StageSpec(1, (2,)))
TASKS = task_specs(7, STAGES, {(0, 1): (2, 5)})


def test_a_task_comes_back_from_its_specification():
    for stage in TASKS:
        for spec in stage:
            assert SPEC.decode(encode_spec(spec)) == spec


def test_the_oracle_knows_each_output_and_the_sums_of_counters():
    outputs, counters = expect(TASKS)
    assert len(set(outputs.values())) == 10 and {len(output) for output in outputs.values()} == {OUTPUT_BYTES}
    assert counters["tasks"] == 10 and counters["skipped"] == 2 and counters["inputs"] == 4 * 5 + 4
    assert counters["records"] == sum(spec.records for spec in TASKS[0] + TASKS[1]) - 2


def test_only_the_last_stage_is_final():
    assert [[spec.is_final for spec in stage] for stage in TASKS] == [[False] * 3, [False] * 2, [False] * 4, [True]]


@pytest.mark.parametrize("change", ["another output", "two exchanged", "a record more"])
def test_whatever_goes_wrong_shows_in_the_output(change):
    outputs, _ = expect(TASKS)
    right = compute(TASKS[2][1], outputs, ())
    skip = ()
    if change == "another output":
        outputs[0, 1] = compute(TASKS[0][1], {}, (2,))[0]
    elif change == "two exchanged":
        outputs[0, 0], outputs[1, 0] = outputs[1, 0], outputs[0, 0]
    else:
        skip = (1,)
    assert compute(TASKS[2][1], outputs, skip)[0] != right[0]


def test_a_missing_input_is_not_passed_over():
    outputs, _ = expect(TASKS)
    del outputs[1, 1]
    with pytest.raises(KeyError):
        compute(TASKS[2][0], outputs, ())
