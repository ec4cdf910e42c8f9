"""A generator drained into lines, beside a loop that only consumes it: ns an element.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_chain.py
"""
import collections

import xxhash

from mrcore.kernels.chain import Chain
from mrcore.kernels.output import Output

COUNT = 200_000


def numbers(count: int):
    yield from range(count)


def test_chain(benchmark, report) -> None:
    chunks: list[bytes] = []

    def run() -> None:
        chunks.clear()
        output = Output(lambda view: chunks.append(bytes(view)), columns=1)
        Chain([("map", lambda n: n + 1), ("flat_map", lambda n: [n])], output).push_all(numbers(COUNT), "numbers")
        output.finish()

    benchmark.pedantic(run, rounds=4, warmup_rounds=1)
    report(xxhash.xxh3_64_hexdigest(b"".join(chunks)), COUNT)


def test_consumed_only(benchmark, report) -> None:
    benchmark.pedantic(lambda: collections.deque(numbers(COUNT), maxlen=0), rounds=4, warmup_rounds=1)
    report("none", COUNT)
