"""docs/examples/secondary_sort.py against a sort of tuples."""

import random

import pytest

VISITORS = ["ann", "bob", "李", "été", "d\\e", "x"]


@pytest.fixture
def visits(write_rows):
    """Visits in no order, several in the same second."""
    rng = random.Random(9)
    found = [(rng.choice(VISITORS), rng.randrange(-50, 2000), f"/page{n}") for n in range(3000)]
    write_rows("monday.log", found[:1400])
    write_rows("tuesday.log", found[1400:], "  ")
    return found


INPUTS = ["monday.log", "tuesday.log"]


def expected(visits):
    """Visits with their pauses, by visitor and second; those of the same second in input order."""
    before, found = {}, []
    for visitor, second, page in sorted(visits, key=lambda visit: (visit[0].encode(), visit[1])):
        found.append(((visitor, second), (second - before.get(visitor, second), page)))
        before[visitor] = second
    return found


def test_pauses_of_each_visitor(examples, visits):
    result = examples.same_in_all_ways(examples.load("secondary_sort").Pauses(), INPUTS)
    pairs = list(result.read())
    assert sorted(pairs, key=lambda pair: (pair[0][0].encode(), pair[0][1])) == expected(visits)


def test_one_part_has_all_visits_of_a_visitor(examples, visits):
    from mrcore.formats.typed_text import read_typed

    result = examples.same_in_all_ways(examples.load("secondary_sort").Pauses(), INPUTS)
    of_parts = [
        {key[0] for key, _ in read_typed(path.encode(), types)}
        for path, types in zip(result.outputs, result.types, strict=True)
    ]
    assert sum(map(len, of_parts)) == len(VISITORS) == len(set().union(*of_parts))


def test_the_command_and_a_pipe_print_the_same(examples, visits, shell):
    lines = [f"{key!r}\t{value!r}".replace("\\", "\\\\") for key, value in expected(visits)]
    printed = examples.command("secondary_sort.py", INPUTS)
    assert printed.decode().split("\n") == [*lines, ""]
    whole = b"\n".join((shell.folder / name).read_bytes() for name in INPUTS)
    assert examples.piped("secondary_sort.py", whole) == printed
