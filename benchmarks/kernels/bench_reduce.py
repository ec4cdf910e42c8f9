"""Groups of one value through a reducer to lines: ns a key, with a user's function and without.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_reduce.py
"""
import pytest
import xxhash

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec, encode_values
from mrcore.kernels.fold import Folder
from mrcore.kernels.output import Output
from mrcore.kernels.reduce import Reducer
from mrcore.testing import reference

KEYS = 50_000


def summed(key, values, ctx):
    yield key, sum(values)


@pytest.mark.parametrize("function", [None, summed], ids=["aggregate", "function"])
def test_reduce(benchmark, report, function) -> None:
    one = encode_values([1], None)
    block = reference.encode_bytes_records([(b"%06d" % i, one) for i in range(KEYS)])
    chunks: list[bytes] = []

    def run() -> None:
        chunks.clear()
        output, codec = Output(lambda view: chunks.append(bytes(view))), ValueCodec(None, None)
        fold = None if function else Folder("sum", codec)
        reducer = Reducer([block], KeyCodec("b"), codec, Chain([], output), output, fold=fold, reduce=function)
        while reducer.run(1000):
            pass
        output.finish()

    benchmark.pedantic(run, rounds=4, warmup_rounds=1)
    report(xxhash.xxh3_64_hexdigest(b"".join(chunks)), KEYS)
