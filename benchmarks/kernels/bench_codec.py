"""Keys to bytes, and values to bytes and back: ns each, by type.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_codec.py
"""
import pickle

import pytest
import xxhash

from mrcore.kernels.codec import decode_values, encode_key, encode_values

COUNT = 50_000
VALUES = {"int": 7, "float": 0.5, "str": "word", "bytes": b"word", "tuple": ("word", 1)}


@pytest.mark.parametrize("kind", VALUES)
def test_values(benchmark, report, kind: str) -> None:
    values = [VALUES[kind]] * COUNT
    back = benchmark.pedantic(
        lambda: decode_values(encode_values(values, pickle.dumps), pickle.loads), rounds=4, warmup_rounds=1
    )
    assert back == values
    report(xxhash.xxh3_64_hexdigest(encode_values(values, pickle.dumps)), COUNT)


@pytest.mark.parametrize("kind", VALUES)
def test_keys(benchmark, report, kind: str) -> None:
    """With the making of a codec for each, which a job does once."""
    benchmark.pedantic(lambda: [encode_key(VALUES[kind]) for _ in range(COUNT)], rounds=4, warmup_rounds=1)
    report(encode_key(VALUES[kind])[0].hex(), COUNT)
