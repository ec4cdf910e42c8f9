"""The sort buffer: ns a token of feeding text on every CPU path, of taking a table's keys, of sorting and encoding.

Tokens are nearly all distinct, for which the buffer is made: hexadecimal numbers of 5-11
digits behind a head, of which the longer one leaves every range with the same first bytes.
The digest is that of all blocks, the same on every path.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_radix.py
"""
import random

import pytest
import xxhash

from mrcore.kernels import cpu
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

TOKENS = 700_000
BUFFER_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16
HEADS = {"any head": b"", "one head": b"id"}


def text_of(head: bytes) -> bytes:
    draw = random.Random(1889)
    return b" ".join(head + b"%x" % draw.getrandbits(4 * draw.randrange(5, 12)) for _ in range(TOKENS))


def aimed(partitions: int, text: bytes) -> SortBuffer:
    """An empty buffer whose ranges suit the text, as a map task would choose them."""
    sample, buffer = CountTable(), SortBuffer(BUFFER_BYTES, partitions)
    sample.feed(text, 0, text.index(b" ", len(text) // 20), True)
    buffer.aim(sample, TOKENS)
    return buffer


def fed(buffer: SortBuffer, text: bytes) -> None:
    buffer.clear()
    assert buffer.feed(text, 0, len(text), True) == len(text)


def written(buffer: SortBuffer) -> tuple[int, str]:
    """Records and digest of the runs, partition by partition."""
    hasher, records = xxhash.xxh3_64(), 0
    while buffer.begin_run():
        for p in range(buffer.partitions):
            for block in buffer.blocks(p, BLOCK_BYTES):
                hasher.update(block)
            records += buffer.records
    return records, hasher.hexdigest()


def report(benchmark, tokens: int, records: int, digest: str) -> None:
    benchmark.extra_info.update(digest=digest, records=records)
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["ns a token"] = round(benchmark.stats.stats.min * 1e9 / tokens, 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


@pytest.mark.parametrize("level", cpu.available())
@pytest.mark.parametrize("partitions", [1, 16])
@pytest.mark.parametrize("head", HEADS)
def test_feed(benchmark, head: str, partitions: int, level: str) -> None:
    benchmark.group = f"feed {head}, {partitions} partitions"
    text = text_of(HEADS[head])
    buffer = aimed(partitions, text)
    with cpu.forced(level):
        benchmark.pedantic(fed, (buffer, text), rounds=3, warmup_rounds=1)
    report(benchmark, buffer.tokens, *written(buffer))


@pytest.mark.parametrize("kind", ["sum", "posting"])
def test_take(benchmark, kind: str) -> None:
    benchmark.group = "take a table's keys"
    table, buffer, text = CountTable(), SortBuffer(BUFFER_BYTES, kind=kind), text_of(b"")
    table.feed(text, 0, len(text), True)
    buffer.aim(table, TOKENS)

    def taken() -> None:
        buffer.clear()
        buffer.take(table, 7)
        assert not buffer.full

    benchmark.pedantic(taken, rounds=3, warmup_rounds=1)
    report(benchmark, table.distinct, *written(buffer))


@pytest.mark.parametrize("partitions", [1, 16])
def test_sort_and_encode(benchmark, partitions: int) -> None:
    """Each round writes what was fed before it, outside of its time."""
    benchmark.group = "sort and encode"
    text = text_of(b"")
    buffer = aimed(partitions, text)
    records, digest = benchmark.pedantic(written, setup=lambda: (fed(buffer, text), ((buffer,), {}))[1], rounds=4)
    report(benchmark, TOKENS, records, digest)
