"""Counts by name: merged over seeds in any order, and a table that shows what never happened."""

from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.coverage import Coverage


def counted(names, declared=()):
    coverage = Coverage(declared)
    for name in names:
        coverage.add(name)
    return coverage


def test_a_name_never_heard_of_happened_never():
    assert Coverage()["disk.flip"] == Coverage().seeds("disk.flip") == len(Coverage()) == 0


def test_the_counts_of_one_seed_are_those_of_one_seed():
    assert counted(["a", "a"], declared=["b"]).table() == "count  seeds  name\n    2      1  a\n    0      0  b\n"


def test_a_table_shows_declared_names_that_never_happened():
    total = Coverage(["network.heal"])
    total.merge(counted(["disk.flip"] * 1200))
    total.merge(counted(["disk.flip"], declared=["disk.full"]))
    assert total.table() == (
        "count  seeds  name\n"
        "1,201      2  disk.flip\n"
        "    0      0  disk.full\n"
        "    0      0  network.heal\n"
    )  # fmt: skip
    assert total.below(1) == ["disk.full", "network.heal"]
    assert total.below(1202) == ["disk.flip", "disk.full", "network.heal"]


@given(st.lists(st.lists(st.sampled_from("abc"))), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_order_or_grouping(seeds, rng):
    one = Coverage()
    for names in seeds:
        one.merge(counted(names))
    rng.shuffle(seeds)
    cut = rng.randint(0, len(seeds))
    halves = [Coverage(), Coverage()]
    for half, part in zip(halves, (seeds[:cut], seeds[cut:]), strict=True):
        for names in part:
            half.merge(counted(names))
    other = Coverage()
    for half in halves:
        other.merge(half)
    assert other.table() == one.table()
    for name in "abc":
        assert one[name] == sum(names.count(name) for names in seeds)
        assert one.seeds(name) == sum(name in names for names in seeds)
