"""k-means: groups points around k centres.

    python kmeans.py 3 points.txt                                 # from the first 3 points on, to the end
    mrcore run kmeans.py:step points.txt -- '0 0' '5 5' '9 1'     # one step from these centres

A line of the input is a point: its coordinates, between white space. The script prints a centre a
line. A step gives lines ``(centre, axis) TAB coordinate``, where the mean of a centre's points is::

    (0, 0)  0.25
    (0, 1)  -0.125
    (1, 0)  5.5

Floats that are added up in another order differ in the last digits. ``mr.Mean()`` is exact, so the
new centres are the same bits for any split and any number of workers; an ``mr.Aggregate`` that adds
vectors of floats would not give that.

(Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28, 1982.)
"""

import math
import sys

import mrcore as mr

STEPS_MAX = 100


def parse(text):
    """The coordinates of a point."""
    return tuple(float(number) for number in text.split())


def means(inputs, centres):
    """Pairs ((centre, axis), coordinate): each point goes to its nearest centre, where the mean is taken."""

    def coordinates(line):
        point = parse(line)
        distances = [math.dist(point, centre) for centre in centres]
        nearest = distances.index(min(distances))
        for axis, coordinate in enumerate(point):
            yield (nearest, axis), coordinate

    lines = mr.read_text(inputs).filter(bytes.strip)  # not the empty ones
    return lines.flat_map(coordinates).reduce_by_key(mr.Mean())


def step(inputs, *centres):
    """One step, for the command: its arguments are text."""
    return means(inputs, [parse(centre) for centre in centres])


def kmeans(inputs, centres, executor=None):
    """Steps until no centre moves. Each one is a job, whose small result decides about the next."""
    for _ in range(STEPS_MAX):
        found = dict(means(inputs, centres).collect(executor))
        moved = [
            tuple(found.get((number, axis), coordinate) for axis, coordinate in enumerate(centre))
            for number, centre in enumerate(centres)  # a centre without points stays where it is
        ]
        if moved == centres:
            break
        centres = moved
    return centres


if __name__ == "__main__":
    count, points = int(sys.argv[1]), sys.argv[2:]
    first = mr.read_text(points).filter(bytes.strip).map(parse).take(count)
    for centre in kmeans(points, first):
        print(*centre)
