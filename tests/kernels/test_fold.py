"""Sums, means, least, largest and first of groups: exact, in whatever order and grouping."""
import tracemalloc

import pytest

from mrcore.kernels.codec import ValueCodec, encode_values
from mrcore.kernels.fold import Folder, fold_blocks
from mrcore.testing import reference


class Counter:
    records = 0


@pytest.mark.parametrize("kind", ["sum", "mean"])
@pytest.mark.parametrize("value", [True, 2**63 - 1, 2**70, -(2**70)])
def test_a_group_of_any_size_is_folded_in_a_little_memory(kind: str, value: int) -> None:
    block = reference.encode_bytes_records([(b"key", encode_values([value] * 5000, None))])
    codec = ValueCodec(None, None)
    tracemalloc.start()
    try:
        list(fold_blocks((block for _ in range(40)), 1000, Folder(kind, codec), codec, Counter()))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
