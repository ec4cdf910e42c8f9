"""Groups of 20 ints read as Python objects: ns a value.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_groups.py
"""
from mrcore.kernels.codec import encode_values
from mrcore.kernels.groups import read_groups
from mrcore.testing import reference

GROUPS, EACH = 5_000, 20


def test_groups(benchmark, report) -> None:
    values = encode_values(list(range(EACH)), None)
    block = reference.encode_bytes_records([(b"%06d" % i, values) for i in range(GROUPS)])
    found = benchmark.pedantic(lambda: list(read_groups([block])), rounds=4, warmup_rounds=1)
    assert len(found) == GROUPS
    report(str(sum(sum(group) for _, group in found)), GROUPS * EACH)
