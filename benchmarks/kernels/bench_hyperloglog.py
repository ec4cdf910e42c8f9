"""The distinct-count sketch on every CPU path: GB/s and ns a token of feeding, us of merging and estimating.

Two texts, the same in every run: words of 1-12 letters, whose lengths the hash cannot
foretell, and numbers of six digits. The digest is that of the registers, the same on every path.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_hyperloglog.py
"""
import random

import pytest
import xxhash

from mrcore.kernels import cpu
from mrcore.kernels.hyperloglog import HyperLogLog

TEXT_BYTES = 8 << 20


def make_words() -> bytes:
    draw = random.Random(2007)
    words = [bytes(draw.choices(b"etaoinshrdlucmfwypvbgk", k=draw.randint(1, 12))) for _ in range(30_000)]
    return b" ".join(draw.choices(words, k=TEXT_BYTES // 7))[:TEXT_BYTES]


def make_numbers() -> bytes:
    return b" ".join(b"%06d" % number for number in range(TEXT_BYTES // 7))


@pytest.fixture(scope="module", params=[make_words, make_numbers], ids=["words", "numbers"])
def text(request: pytest.FixtureRequest) -> bytes:
    return request.param()


def report(benchmark, digest: str, **figures: float) -> None:
    """Prints a digest and figures: each is a count a run, shown as the time or rate that its name says."""
    benchmark.extra_info["digest"] = digest
    if benchmark.stats:  # absent under --benchmark-disable
        best_ns = benchmark.stats.stats.min * 1e9
        if "bytes" in figures:
            benchmark.extra_info["GB/s"] = round(figures["bytes"] / best_ns, 2)
            benchmark.extra_info["ns a token"] = round(best_ns / figures["tokens"], 1)
        else:
            benchmark.extra_info["us"] = round(best_ns / 1e3, 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def fed(text: bytes, precision: int, lower: bool) -> HyperLogLog:
    sketch = HyperLogLog(precision, lower=lower)
    sketch.feed(text, 0, len(text), True)
    return sketch


@pytest.mark.parametrize("level", cpu.available())
@pytest.mark.parametrize(("precision", "lower"), [(14, False), (14, True), (18, False)], ids=["14", "14-lower", "18"])
def test_feed(benchmark, text: bytes, precision: int, lower: bool, level: str) -> None:
    benchmark.group = f"feed precision {precision}{' lower' if lower else ''}"
    with cpu.forced(level):
        sketch = benchmark.pedantic(fed, (text, precision, lower), rounds=4, warmup_rounds=1)
    report(benchmark, xxhash.xxh3_64_hexdigest(sketch.registers), bytes=len(text), tokens=len(text.split()))


@pytest.mark.parametrize("precision", [14, 18])
def test_merge(benchmark, precision: int) -> None:
    benchmark.group = f"merge precision {precision}"
    text = make_numbers()
    sketch, others = fed(text[:TEXT_BYTES // 2], precision, False), fed(text, precision, False).registers
    benchmark.pedantic(sketch.merge, (others,), rounds=20, warmup_rounds=1)
    report(benchmark, xxhash.xxh3_64_hexdigest(sketch.registers))


@pytest.mark.parametrize("precision", [14, 18])
def test_estimate(benchmark, precision: int) -> None:
    benchmark.group = f"estimate precision {precision}"
    estimate = benchmark.pedantic(fed(make_numbers(), precision, False).estimate, rounds=20, warmup_rounds=1)
    report(benchmark, estimate.hex())
