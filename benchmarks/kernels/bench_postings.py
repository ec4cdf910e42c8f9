"""Posting lists: the combiner in ns a posting, the text form in GB/s of output, and a digest of each.

20,000 paths of some 35 bytes. A few words stand in every tenth file and most in a few, as in
the index of a source tree; the combiner gets groups of one posting, as a map task emits them.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_postings.py
"""
import random

import pytest
import xxhash

from mrcore.kernels.postings import PostingsText, encode, pack
from mrcore.testing import reference

DOCUMENTS = 20_000
WORDS = {"long lists": (300, DOCUMENTS // 10), "lists of 1-5": (100_000, 5)}  # words, postings at most
BLOCK_BYTES = 1 << 16


def paths() -> list[bytes]:
    draw = random.Random(35)
    folders = [b"drivers/%s/%s/" % (draw.randbytes(draw.randrange(2, 5)).hex().encode(),
                                    draw.randbytes(draw.randrange(1, 4)).hex().encode()) for _ in range(900)]
    return sorted(draw.choice(folders) + draw.randbytes(draw.randrange(3, 8)).hex().encode() + b".c"
                  for _ in range(DOCUMENTS))


def blocks_of(words: int, postings_max: int) -> list[bytes]:
    draw = random.Random(7)
    blocks, block = [], bytearray()
    for number in range(words):
        size = draw.randrange(1, postings_max + 1)
        documents = sorted(draw.sample(range(DOCUMENTS), size))
        value = encode([(document, min(999, int(draw.paretovariate(1)))) for document in documents])
        key = b"word%d" % number
        block += reference.encode_varint(len(key)) + key + reference.encode_varint(len(value)) + value
        if len(block) >= BLOCK_BYTES:
            blocks.append(bytes(block))
            block.clear()
    return [*blocks, bytes(block)]


def formatted(text: PostingsText, blocks: list[bytes]) -> int:
    return sum(map(len, text.lines(blocks)))


@pytest.mark.parametrize("counts", [False, True], ids=["files", "counts"])
@pytest.mark.parametrize("kind", WORDS)
def test_format(benchmark, kind: str, counts: bool) -> None:
    benchmark.group = f"posting lists as text: {kind}"
    blocks, text, hasher = blocks_of(*WORDS[kind]), PostingsText(paths(), counts), xxhash.xxh3_64()
    for chunk in text.lines(blocks):
        hasher.update(chunk)
    size = benchmark.pedantic(formatted, (text, blocks), rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(digest=hasher.hexdigest(), output_bytes=size)
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["GB/s"] = round(size / benchmark.stats.stats.min / 1e9, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


@pytest.mark.parametrize("repeats", [1, 3], ids=["once", "three-times"])
def test_pack(benchmark, repeats: int) -> None:
    benchmark.group = "posting lists: pack"
    draw, postings = random.Random(11), 100_000
    ids = sorted(draw.sample(range(10 * postings), postings // repeats)) * repeats
    value = b"".join(encode([(document, draw.randrange(1, 40))]) for document in sorted(ids))
    packed = benchmark.pedantic(pack, (value,), rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(digest=xxhash.xxh3_64_hexdigest(packed), input_bytes=len(value), bytes=len(packed))
    if benchmark.stats:
        benchmark.extra_info["ns a posting"] = round(benchmark.stats.stats.min * 1e9 / len(ids), 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
