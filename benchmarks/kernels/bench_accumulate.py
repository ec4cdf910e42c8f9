"""Accumulators of each kind: ns a row of adding to many keys and to few, and of draining, merging and finishing states.

Keys and values are the same in every run; the digest is that of the drained states. A row
includes what the wrapper does with its key, a Python object.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_accumulate.py
"""
import math
import random
from array import array

import pytest
import xxhash

from mrcore.kernels.accumulate import KINDS, AccumulatorTable, finish, merge_states

ROWS = 200_000


def make_rows(kind: str, distinct: int) -> tuple[list[bytes], array]:
    draw = random.Random(1505)
    keys = [b"key %d" % draw.randrange(distinct) for _ in range(ROWS)]
    if kind.endswith("float64"):
        return keys, array("d", [draw.lognormvariate(0, 10) * draw.choice((1, -1)) for _ in range(ROWS)])
    return keys, array("q", [draw.randrange(-(2**40), 2**40) for _ in range(ROWS)])


def report(benchmark, digest: str, rows: int) -> None:
    benchmark.extra_info["digest"] = digest
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["ns a row"] = round(benchmark.stats.stats.min * 1e9 / rows, 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def digest_of(drained: list[tuple[bytes, bytes]]) -> str:
    return xxhash.xxh3_64_hexdigest(b"".join(key + state for key, state in drained))


@pytest.mark.parametrize("distinct", [10, 50_000])
@pytest.mark.parametrize("kind", KINDS)
def test_add(benchmark, kind: str, distinct: int) -> None:
    benchmark.group = f"add to {distinct} keys"
    keys, values = make_rows(kind, distinct)

    def add() -> AccumulatorTable:
        table = AccumulatorTable(kind)
        table.add_array(keys, values)
        return table

    report(benchmark, digest_of(benchmark.pedantic(add, rounds=4, warmup_rounds=1).drain()), ROWS)


@pytest.mark.parametrize("kind", ["sum_int64", "sum_float64"])
def test_drain_merge_and_finish(benchmark, kind: str) -> None:
    benchmark.group = "drain, merge with itself, finish"
    keys, values = make_rows(kind, 50_000)
    tables = [AccumulatorTable(kind) for _ in range(4)]
    for table in tables:
        table.add_array(keys, values)

    def spend() -> list[tuple[bytes, bytes]]:
        drained = tables.pop().drain()
        for _, state in drained:
            finish(kind, merge_states(kind, state, state))
        return drained

    drained = benchmark.pedantic(spend, rounds=3 if benchmark.enabled else 1)
    report(benchmark, digest_of(drained), len(drained))


def test_fsum_of_the_same_values(benchmark) -> None:
    """For comparison: one key, no table, and the interpreter's own exact sum."""
    benchmark.group = "add to 10 keys"
    total = benchmark.pedantic(math.fsum, (make_rows("sum_float64", 10)[1],), rounds=4, warmup_rounds=1)
    report(benchmark, total.hex(), ROWS)
