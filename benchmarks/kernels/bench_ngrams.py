"""N-grams on every CPU path: GB/s of text read and of n-grams written, and a digest of these.

Words follow Zipf's law (rank r with weight 1 / r) over 30,000 words of 1-12 letters, ten a
line; the text is the same in every run, and the digest the same on every path.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_ngrams.py
"""
import itertools
import random

import pytest
import xxhash

from mrcore.kernels import cpu
from mrcore.kernels.ngrams import NgramExpander

TEXT_BYTES = 4 << 20
VOCABULARY = 30_000
OUT_BYTES = 64 << 20


@pytest.fixture(scope="module")
def text() -> bytes:
    draw = random.Random(1913)
    words = [bytes(draw.choices(b"etaoinshrdlucmfwypvbgk", k=min(1 + draw.randrange(1 + rank.bit_length()), 12)))
             for rank in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    lines = [b" ".join(draw.choices(words, cum_weights=weights, k=10)) for _ in range(TEXT_BYTES // 40)]
    return b"\n".join(lines)[:TEXT_BYTES]


@pytest.fixture(scope="module")
def out() -> bytearray:
    return bytearray(OUT_BYTES)


def measure(benchmark, expander: NgramExpander, text: bytes, out: bytearray) -> None:
    _, written = benchmark.pedantic(expander.expand, (text, 0, len(text), True, out), rounds=5, warmup_rounds=1)
    assert not expander.want
    benchmark.extra_info["digest"] = xxhash.xxh3_64_hexdigest(memoryview(out)[:written])
    if benchmark.stats:  # absent under --benchmark-disable
        best_s = benchmark.stats.stats.min
        benchmark.extra_info["GB/s in"] = round(len(text) / best_s / 1e9, 2)
        benchmark.extra_info["GB/s out"] = round(written / best_s / 1e9, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


@pytest.mark.parametrize("level", cpu.available())
@pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])
@pytest.mark.parametrize("tokenizer", ["whitespace", "ascii"])
def test_bigrams(benchmark, text: bytes, out: bytearray, tokenizer: str, lower: bool, level: str) -> None:
    benchmark.group = f"bigrams {tokenizer}{' lower' if lower else ''}"
    with cpu.forced(level):
        measure(benchmark, NgramExpander(tokenizer, 2, 2, lower), text, out)


@pytest.mark.parametrize(("n_min", "n_max"), [(1, 1), (3, 3), (5, 5), (1, 3)])
def test_other_sizes(benchmark, text: bytes, out: bytearray, n_min: int, n_max: int) -> None:
    benchmark.group = "n-grams whitespace"
    measure(benchmark, NgramExpander("whitespace", n_min, n_max), text, out)


def test_bigrams_of_tokens_in_lines(benchmark, text: bytes, out: bytearray) -> None:
    """The same n-grams, and so the same digest, as of the text itself."""
    benchmark.group = "bigrams of token lines"
    tokens = b"\n\n".join(b"\n".join(line.split()) for line in text.split(b"\n"))
    measure(benchmark, NgramExpander("lines", 2, 2, newlines_break=2), tokens, out)
