"""The merge of 8 sorted runs: ns a record and GB/s of what is read, and a digest of the output.

Runs share a part of their keys, as those of map tasks do, and come in blocks of 3,000 records.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_merge.py
"""
import random

import pytest
import xxhash

from mrcore.kernels.merge import EMITS, Merge
from mrcore.testing import reference

RUNS = 8
RECORDS = 15_000  # a run
BLOCK_RECORDS = 3_000
LETTERS = b"etaoinshrdlucmfwypvbgk"
LENGTHS = {"words of 1-12": range(1, 13), "keys of 16-40": range(16, 41)}


def runs_of(lengths: range, shared: bool) -> list[list[bytes]]:
    draw = random.Random(541)
    made = []
    size = RECORDS * (2 if shared else RUNS)
    vocabulary = [bytes(draw.choices(LETTERS, k=draw.choice(lengths))) for _ in range(size)]
    for _ in range(RUNS):
        run = [(key, draw.randrange(1, 1000)) for key in sorted(draw.sample(vocabulary, RECORDS))]
        made.append([reference.encode_records(run[at:at + BLOCK_RECORDS]) for at in range(0, RECORDS, BLOCK_RECORDS)])
    return made


def merged(runs: list[list[bytes]], emit: str) -> tuple[str, Merge]:
    merge, hasher = Merge(runs, emit=emit), xxhash.xxh3_64()
    for chunk in merge:
        hasher.update(chunk)
    return hasher.hexdigest(), merge


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "mostly-distinct"])
@pytest.mark.parametrize("kind", LENGTHS)
def test_merge(benchmark, kind: str, shared: bool, emit: str) -> None:
    benchmark.group = f"merge {RUNS} runs of {kind}"
    runs = runs_of(LENGTHS[kind], shared)
    digest, merge = benchmark.pedantic(merged, (runs, emit), rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(digest=digest, records_in=merge.records_in, records_out=merge.records_out)
    if benchmark.stats:  # absent under --benchmark-disable
        best_s = benchmark.stats.stats.min
        benchmark.extra_info["ns a record"] = round(best_s * 1e9 / merge.records_in, 1)
        benchmark.extra_info["GB/s"] = round(sum(len(block) for run in runs for block in run) / best_s / 1e9, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def lists_of(values: range) -> list[list[bytes]]:
    """Runs of posting lists; run after run its documents are higher, as those of map tasks are."""
    draw, made = random.Random(542), []
    vocabulary = [bytes(draw.choices(LETTERS, k=draw.randrange(1, 13))) for _ in range(2 * RECORDS)]
    for run in range(RUNS):
        lists = [[(document, 1) for document in range(1000 * run, 1000 * run + draw.choice(values))]
                 for _ in range(RECORDS)]
        keys = sorted(set(draw.sample(vocabulary, RECORDS)))
        block = [(key, reference.encode_postings(pairs)) for key, pairs in zip(keys, lists, strict=False)]
        made.append([reference.encode_bytes_records(block[at:at + BLOCK_RECORDS])
                     for at in range(0, len(block), BLOCK_RECORDS)])
    return made


@pytest.mark.parametrize("postings", [1, 30])
def test_merge_postings(benchmark, postings: int) -> None:
    benchmark.group = f"merge {RUNS} runs of posting lists"
    runs = lists_of(range(1, postings + 1))

    def joined() -> tuple[str, Merge]:
        merge, hasher = Merge(runs, emit="records", kind="posting"), xxhash.xxh3_64()
        for chunk in merge:
            hasher.update(chunk)
        return hasher.hexdigest(), merge

    digest, merge = benchmark.pedantic(joined, rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(digest=digest, records_in=merge.records_in, records_out=merge.records_out)
    if benchmark.stats:
        benchmark.extra_info["ns a record"] = round(benchmark.stats.stats.min * 1e9 / merge.records_in, 1)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
