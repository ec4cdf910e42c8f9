"""XXH3-64: GB/s of a block and ns of a call for a key, beside the xxhash package.

A call for a key is mostly the interpreter's (measured 2.3 ns of it in C for 5 bytes), so
the short sizes show what a Python caller pays, not what the native loops pay.

Run: pytest -o addopts= --import-mode=importlib benchmarks/kernels/bench_hash.py
"""
import random

import pytest
import xxhash

from mrcore.kernels.hash import xxh3_64

CALLS = 2000
FUNCTIONS = {"mrcore": xxh3_64, "xxhash": xxhash.xxh3_64_intdigest}


def inputs(length):
    """Enough different keys of `length` bytes, at least one, and the same in every run."""
    count = max(1, min(CALLS, 65536 // length))
    return [random.Random(index).randbytes(length) for index in range(count)]


def run_all(function, keys, calls):
    for _ in range(calls // len(keys)):
        for key in keys:
            function(key)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("length", [5, 12, 40, 200, 4096, 65536])
def test_hash(benchmark, length, name):
    function, keys = FUNCTIONS[name], inputs(length)
    calls = max(len(keys), (CALLS if length < 4096 else 200) // len(keys) * len(keys))
    benchmark.group = f"xxh3_64 of {length} bytes"
    benchmark.pedantic(run_all, args=(function, keys, calls), rounds=20, warmup_rounds=2)

    best_ns = benchmark.stats.stats.min * 1e9 / calls if benchmark.stats else 0.0
    digest = xxhash.xxh3_64_hexdigest(b"".join(function(key).to_bytes(8, "little") for key in keys))
    benchmark.extra_info.update(digest=digest, ns_per_call=round(best_ns, 1),
                                gb_per_s=round(length / best_ns, 2) if best_ns else None)
    print(f"{name:>8} {length:>6} bytes: {best_ns:10.1f} ns a call, digest {digest}")
