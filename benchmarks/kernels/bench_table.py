"""The combiner table on every CPU path: GB/s and ns a token of feeding generated text.

Words follow Zipf's law (rank r with weight 1 / r) over 30,000 words of 1-12 letters, in
lines; the text is the same in every run, and the digest the same on every path.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_table.py
"""
import itertools
import random

import pytest
import xxhash

from mrcore.kernels import cpu
from mrcore.kernels.table import CountTable
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference

TEXT_BYTES = 8 << 20
VOCABULARY = 30_000


@pytest.fixture(scope="module")
def text() -> bytes:
    draw = random.Random(1949)
    words = [bytes(draw.choices(b"etaoinshrdlucmfwypvbgk", k=min(1 + draw.randrange(1 + rank.bit_length()), 12)))
             for rank in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    lines = [b" ".join(draw.choices(words, cum_weights=weights, k=10)) for _ in range(TEXT_BYTES // 40)]
    return b"\n".join(lines)[:TEXT_BYTES]


def report(benchmark, size: int, tokens: int, digest: str) -> None:
    benchmark.extra_info["digest"] = digest
    if benchmark.stats:  # absent under --benchmark-disable
        best_s = benchmark.stats.stats.min
        benchmark.extra_info["GB/s"] = round(size / best_s / 1e9, 2)
        benchmark.extra_info["ns a token"] = round(best_s * 1e9 / tokens, 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def fed(table: CountTable, text: bytes) -> None:
    table.clear()
    table.feed(text, 0, len(text), True)


def digest_of(table: CountTable) -> str:
    return xxhash.xxh3_64_hexdigest(reference.encode_records(sorted(table.items())))


@pytest.mark.parametrize("level", cpu.available())
@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_feed(benchmark, text: bytes, tokenizer: str, lower: bool, level: str) -> None:
    benchmark.group = f"feed {tokenizer}{' lower' if lower else ''}"
    table = CountTable(tokenizer, lower)
    with cpu.forced(level):
        benchmark.pedantic(fed, (table, text), rounds=4, warmup_rounds=1)
    report(benchmark, len(text), table.tokens, digest_of(table))
