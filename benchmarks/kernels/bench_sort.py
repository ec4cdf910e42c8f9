"""The stable radix sort of 100,000 keys: ns a key, beside sorted(), and a digest of the order.

``argsort`` has a list of bytes to read and a list of indices to make, which is most of its
time; ``bench_table.py`` has the sort without them.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_sort.py
"""
import array
import random

import pytest
import xxhash

from mrcore.kernels.sort import argsort
from mrcore.testing import reference

KEYS = 100_000
LETTERS = b"etaoinshrdlucmfwypvbgk"


def words(lengths: range, head: bytes = b"") -> list[bytes]:
    draw = random.Random(1993)
    return [head + bytes(draw.choices(LETTERS, k=draw.choice(lengths))) for _ in range(KEYS)]


KINDS = {
    "words of 1-12": lambda: words(range(1, 13)),
    "keys of 16-40": lambda: words(range(16, 41)),
    "a shared head of 30": lambda: words(range(1, 13), b"https://www.example.org/pages/"),
}


@pytest.mark.parametrize("function", [argsort, reference.sort], ids=["mrcore", "sorted"])
@pytest.mark.parametrize("kind", KINDS)
def test_sort(benchmark, kind: str, function) -> None:
    benchmark.group = f"sort {kind}"
    keys = KINDS[kind]()
    order = benchmark.pedantic(function, (keys,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["digest"] = xxhash.xxh3_64_hexdigest(array.array("I", order).tobytes())
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["ns a key"] = round(benchmark.stats.stats.min * 1e9 / len(keys), 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
