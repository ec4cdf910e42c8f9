"""docs/examples/kmeans.py against the same steps over lists.

Means are floats, and equal to the last bit all the same: ``mr.Mean()`` is the float nearest to the
exact mean, which plain Python finds with fractions.
"""

import math
import random
import subprocess
import sys
from fractions import Fraction

import pytest

import mrcore as mr

CENTRES = [(0.0, 0.0, 0.0), (5.0, 5.0, 5.0), (-4.0, 4.0, 1e20)]  # nothing is near the last one


@pytest.fixture
def points(write_rows):
    """Points around two places in two files; some far larger than others, so that the order of additions would show."""
    rng = random.Random(2)
    found = [tuple(rng.gauss(middle, 1) for _ in range(3)) for middle in (0, 5) for _ in range(600)]
    found += [(1e15, -1e15, 0.1), (-1e15, 1e15, 0.1), (1e-300, 0.0, -0.0)]
    rng.shuffle(found)
    write_rows("points-1", found[:700], " ")
    write_rows("points-2", found[700:], " \t")
    return found


INPUTS = ["points-1", "points-2"]


def expected(points, centres):
    """Exact means, by centre and axis."""
    groups = {}
    for point in points:
        distances = [math.dist(point, centre) for centre in centres]
        groups.setdefault(distances.index(min(distances)), []).append(point)
    return {
        (number, axis): float(sum(map(Fraction, column)) / len(group))
        for number, group in groups.items()
        for axis, column in enumerate(zip(*group, strict=True))
    }


def test_a_step_is_exact(examples, points):
    module = examples.load("kmeans")
    result = examples.same_in_all_ways(lambda inputs: module.means(inputs, CENTRES), INPUTS)
    assert dict(result.read()) == expected(points, CENTRES)


def test_the_command_makes_one_step(examples, points):
    texts = [" ".join(map(repr, centre)) for centre in CENTRES]
    lines = [b"%r\t%r" % pair for pair in sorted(expected(points, CENTRES).items())]
    assert examples.command("kmeans.py:step", INPUTS, *texts).split(b"\n") == [*lines, b""]


def test_all_steps_end_where_no_centre_moves(examples, points):
    module = examples.load("kmeans")
    centres = CENTRES
    for _ in range(module.STEPS_MAX):
        found = expected(points, centres)
        moved = [tuple(found.get((n, axis), x) for axis, x in enumerate(c)) for n, c in enumerate(centres)]
        if moved == centres:
            break
        centres = moved
    assert module.kmeans(INPUTS, CENTRES) == centres == module.kmeans(INPUTS, CENTRES, mr.Inline("32MiB"))
    assert centres[2] == CENTRES[2]


def test_the_script_prints_a_centre_a_line(examples, shell):
    shell.write("points", b"\n0 0\n0 1\r\n\n9 9\n10 9")
    script = examples.load("kmeans").__file__
    done = subprocess.run([sys.executable, script, "2", "points"], env=shell.env, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"0.0 0.5\n9.5 9.0\n", b"")
