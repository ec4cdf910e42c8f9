"""Groups of values folded to their states: ns a value, by kind and type.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_fold.py
"""
import random

import pytest
import xxhash

from mrcore.kernels.codec import ValueCodec, encode_values
from mrcore.kernels.fold import KINDS, Folder, fold_blocks
from mrcore.testing import reference

GROUPS, EACH = 2_000, 20


class Counter:
    records = 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_", ["int", "float"])
def test_fold(benchmark, report, kind: str, type_: str) -> None:
    draw = random.Random(8)
    make = (lambda: draw.randrange(1000)) if type_ == "int" else (lambda: draw.lognormvariate(0, 5))
    block = reference.encode_bytes_records(
        [(b"%06d" % i, encode_values([make() for _ in range(EACH)], None)) for i in range(GROUPS)]
    )
    codec = ValueCodec(None, None)
    states = benchmark.pedantic(
        lambda: b"".join(fold_blocks([block], 1 << 16, Folder(kind, codec), codec, Counter())), rounds=4
    )
    report(xxhash.xxh3_64_hexdigest(states), GROUPS * EACH)
