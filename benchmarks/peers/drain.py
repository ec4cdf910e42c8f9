#!/usr/bin/env python3
"""What Python itself takes for a mapper, on one core: drain.py TEXT prints lines of `what TAB seconds TAB pairs`.

The ceiling is the generators chained and drained: between two pairs there is only the generator's own code, and
``collections.deque`` drops what it gets. An engine that calls a generator for each line and looks at each pair does at
least this. Reading the lines is in every figure. run.py runs this as `python-ceiling`.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, repeat

ROUNDS = 3  # of which the fastest counts


class Mapper:
    def map(self, record: bytes, ctx: None) -> Iterator[tuple[bytes, int]]:
        for word in record.split():
            yield word, 1


def lines_only(path: str) -> None:
    with open(path, "rb") as source:
        deque(source, maxlen=0)


def split_only(path: str) -> None:
    """A list of words for each line, and no generator."""
    with open(path, "rb") as source:
        deque(map(bytes.split, source), maxlen=0)


def drain_chained(path: str) -> None:
    """Nothing but the generators is Python."""
    with open(path, "rb") as source:
        deque(chain.from_iterable(map(Mapper().map, source, repeat(None))), maxlen=0)


def drain_each_line(path: str) -> None:
    """The same with a deque for each line, which costs more than what it saves in lines as short as these."""
    mapper = Mapper().map
    with open(path, "rb") as source:
        for record in source:
            deque(mapper(record, None), maxlen=0)


def loop_over_pairs(path: str) -> None:
    """A loop in Python that does nothing with a pair."""
    mapper = Mapper().map
    with open(path, "rb") as source:
        for record in source:
            for _, _ in mapper(record, None):
                pass


DRAINS: dict[str, Callable[[str], None]] = {
    "lines only": lines_only,
    "lines, split": split_only,
    "generators, chained and drained": drain_chained,
    "generators, drained one by one": drain_each_line,
    "generators, looped over in Python": loop_over_pairs,
}


def main() -> None:
    (path,) = sys.argv[1:]
    with open(path, "rb") as source:
        pairs = sum(len(record.split()) for record in source)
    for what, drain in DRAINS.items():
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            drain(path)
            seconds.append(time.perf_counter() - start)
        print(what, min(seconds), pairs, sep="\t")


if __name__ == "__main__":
    main()
