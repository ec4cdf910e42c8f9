"""Pairs to lines: ns a pair, by the type of the value.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_output.py
"""
import pytest
import xxhash

from mrcore.engine.python_output import literal
from mrcore.kernels.chain import Chain
from mrcore.kernels.output import Output

COUNT = 50_000
VALUES = {"int": 7, "float": 0.5, "str": "word", "list": [1, 2]}


@pytest.mark.parametrize("kind", VALUES)
def test_output(benchmark, report, kind: str) -> None:
    chunks: list[bytes] = []
    pairs = [("key", VALUES[kind])] * COUNT

    def run() -> None:
        chunks.clear()
        output = Output(lambda view: chunks.append(bytes(view)), literal=literal)
        Chain([], output).push_all(pairs, "pairs")
        output.finish()

    benchmark.pedantic(run, rounds=4, warmup_rounds=1)
    report(xxhash.xxh3_64_hexdigest(b"".join(chunks)), COUNT)
