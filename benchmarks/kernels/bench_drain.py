"""A word count's generator into the table, beside the same generator consumed by nothing: ns a pair.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_drain.py
"""
import collections
import pickle
import random

import pytest

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import TAG_INT, KeyCodec, ValueCodec
from mrcore.kernels.drain import Drain, RecordFeed
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

WORDS, LINES = 100_000, 10_000


def pairs(record, ctx):
    for word in record.split():
        yield word, 1


def text() -> bytes:
    draw = random.Random(4)
    words = [b"w%d" % min(int(draw.paretovariate(1)), 50_000) for _ in range(WORDS)]
    each = WORDS // LINES
    return b"".join(b" ".join(words[i * each : (i + 1) * each]) + b"\n" for i in range(LINES))


@pytest.mark.parametrize("adds", [True, False], ids=["table", "buffer"])
def test_drain(benchmark, report, adds: bool) -> None:
    data, found = text(), []

    def run() -> None:
        buffer = SortBuffer(32 << 20, kind="values", tag=TAG_INT)
        table = CountTable("lines") if adds else None
        drain = Drain(None, KeyCodec(), ValueCodec(pickle.dumps, pickle.loads), buffer, table)
        RecordFeed(Chain([("map_record", pairs)], drain)).feed(data, 0, len(data), True)
        drain.finish()
        found[:] = [drain.pairs, table.distinct if table is not None else 0]

    benchmark.pedantic(run, rounds=4, warmup_rounds=1)
    assert found[0] == WORDS
    report(str(found), WORDS)


def test_generator_alone(benchmark, report) -> None:
    lines = text().split(b"\n")

    def run() -> None:
        for line in lines:
            collections.deque(pairs(line, None), maxlen=0)

    benchmark.pedantic(run, rounds=4, warmup_rounds=1)
    report("none", WORDS)
