#!/usr/bin/env python3
"""What Python itself takes for a mapper, on one core: drain.py TEXT prints lines of `what TAB seconds TAB pairs`.

The ceiling is the generators chained and drained: between two pairs there is only the generator's own code, and
``collections.deque`` drops what it gets. An engine that calls a generator for each line and looks at each pair does at
least this. mrcore's own drain is the last figure. Reading the lines is in every figure. run.py runs this as
`python-ceiling`.
"""

import mmap
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from mrcore.engine.combiner import BUFFER_BYTES, TABLE_BYTES
from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec
from mrcore.kernels.drain import Drain, RecordFeed
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

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


def drain_into_table(path: str) -> None:
    """What mrcore does with them in a map task, from the mapped text to the sums in its table."""
    table, buffer = CountTable("lines", False, TABLE_BYTES), SortBuffer(BUFFER_BYTES, kind="values", tag=TAG_INT)
    drain = Drain(None, KeyCodec(), ValueCodec(None, None), buffer, table)  # the table holds all: nobody is asked
    feed = RecordFeed(Chain([("map_record", Mapper().map)], drain))
    with open(path, "rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as text:
        feed.feed(text, 0, len(text), True)
    drain.finish()


DRAINS: dict[str, Callable[[str], None]] = {
    "lines only": lines_only,
    "lines, split": split_only,
    "generators, chained and drained": drain_chained,
    "generators, drained one by one": drain_each_line,
    "generators, looped over in Python": loop_over_pairs,
    "generators, into mrcore's table": drain_into_table,
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
