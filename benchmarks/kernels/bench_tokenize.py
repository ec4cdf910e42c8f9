"""Tokenize on every CPU path: GB/s and a digest of the result, which all paths share.

Run with ``pytest benchmarks/kernels/bench_tokenize.py --benchmark-only``; the text is
synthetic and the same each time. A text of your own: ``MRCORE_BENCH_TEXT=FILE``, of which
the first 64 MiB are read.
"""
import os
import random

import pytest
import xxhash

from mrcore.kernels import cpu, tokenize

TEXT_BYTES_MAX = 64 << 20
SYNTHETIC_BYTES = 16 << 20
WORDS_A_LINE = 10
SPANS_BYTES = 1 << 20  # spans() makes two integers and a tuple for each token


@pytest.fixture(scope="module")
def text() -> bytes:
    if path := os.environ.get("MRCORE_BENCH_TEXT"):
        with open(path, "rb") as file:
            return file.read(TEXT_BYTES_MAX)
    draw = random.Random(2019)
    words = [bytes(draw.choices(b"etaoinshrdlu", k=1 + min(rank, draw.randrange(12)))) for rank in range(1000)]
    drawn = [words[int(1000 ** draw.random()) - 1] for _ in range(1 << 16)]
    page = b"\n".join(b" ".join(drawn[at:at + WORDS_A_LINE]) for at in range(0, len(drawn), WORDS_A_LINE)) + b"\n"
    return (page * (SYNTHETIC_BYTES // len(page) + 1))[:SYNTHETIC_BYTES]


def report(benchmark, size: int, result: object) -> None:
    benchmark.extra_info["digest"] = xxhash.xxh3_64_hexdigest(repr(result).encode())
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["GB/s"] = round(size / benchmark.stats.stats.min / 1e9, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


@pytest.mark.parametrize("level", cpu.available())
@pytest.mark.parametrize("tokenizer", tokenize.TOKENIZERS)
def test_count(benchmark, text: bytes, tokenizer: str, level: str) -> None:
    benchmark.group = f"count {tokenizer}"
    with cpu.forced(level):
        tokens = benchmark.pedantic(tokenize.count, (text, tokenizer), rounds=7, warmup_rounds=1)
    report(benchmark, len(text), tokens)


@pytest.mark.parametrize("level", cpu.available())
def test_spans(benchmark, text: bytes, level: str) -> None:
    benchmark.group = "spans"
    part = text[:SPANS_BYTES]
    with cpu.forced(level):
        spans = benchmark.pedantic(tokenize.spans, (part,), rounds=3, warmup_rounds=1)
    report(benchmark, len(part), spans)
