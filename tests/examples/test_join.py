"""docs/examples/join.py against a join of two dicts of lists."""

import random

import pytest


@pytest.fixture
def tables(write_rows):
    """Rows of both sides; keys that one side has only, and keys with several rows on either side."""
    rng = random.Random(11)
    names = ["Ada", "Bjørn", "李", "a\\b", "", "two words"]
    left = [(f"k{rng.randrange(300)}", f"{rng.choice(names)} {n}") for n in range(400)]
    right = [(f"k{rng.randrange(150, 450)}", f"{rng.choice(names)}, {n}") for n in range(900)]
    write_rows("left.tsv", left)
    write_rows("right-1.tsv", right[:500])
    write_rows("right-2.tsv", right[500:])
    return left, right


INPUTS = ["right-1.tsv", "left.tsv", "right-2.tsv"]


def expected(left, right):
    """Joined rows: by key, then in the order of the left rows, then of the right ones."""
    found = [(a, (one.encode(), other.encode())) for a, one in left for b, other in right if a == b]
    return sorted(((key.encode(), rows) for key, rows in found), key=lambda pair: pair[0])


def test_each_left_row_meets_each_right_row_of_its_key(examples, tables):
    result = examples.same_in_all_ways(examples.load("join").Join("left.tsv"), INPUTS)
    joined = expected(*tables)
    assert sorted(result.read(), key=lambda pair: pair[0]) == joined
    assert len({key for key, _ in joined}) < len({key for key, _ in tables[0]})


def test_the_command_prints_keys_and_rows(examples, tables):
    lines = [b"%s\t%s" % (key, repr(rows).replace("\\", "\\\\").encode()) for key, rows in expected(*tables)]
    assert examples.command("join.py", INPUTS, "left.tsv").split(b"\n") == [*lines, b""]


def test_an_empty_side_joins_nothing(examples, shell, tables):
    shell.write("none.tsv", b"")
    assert examples.command("join.py", ["none.tsv", "right-1.tsv"], "none.tsv") == b""
