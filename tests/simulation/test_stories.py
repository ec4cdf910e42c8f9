"""Stories of a cluster, played under all laws; and those that once broke one."""

from pathlib import Path

import pytest

from mrcore.testing.simulation.checkers.laws import declared, try_seed
from mrcore.testing.simulation.coverage import Coverage

SEEDS = 300
STEP = 50
ONCE_BROKEN = [int(line.split()[0]) for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()]


@pytest.mark.parametrize("first", range(0, SEEDS, STEP))
def test_no_story_breaks_a_law(first):
    coverage = Coverage()
    for seed in range(first, first + STEP):
        coverage.merge(try_seed(seed).coverage)
    assert set(coverage) <= set(declared()), "something happened that is not declared, and so would not be missed"


def test_stories_that_once_broke_a_law():
    for seed in ONCE_BROKEN:
        try_seed(seed)
