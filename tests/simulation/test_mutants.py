"""The simulator finds defects: each mutant breaks the law that it names, within so many seeds."""

import pytest

from tests.simulation import mutants as of


@pytest.mark.parametrize("mutant", of.mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_is_found(mutant, tmp_path):
    """By the seed that the patch names or a later one: tests/simulation/mutants.py begins with the first."""
    assert of.hunt(mutant, tmp_path, mutant.seed).law == mutant.law


def test_there_are_enough_of_them():
    assert len(of.mutants()) >= 15
