"""Sums, means, least, largest and first of groups: exact, in whatever order and grouping."""
import tracemalloc

import pytest

from mrcore.kernels.codec import ValueCodec, encode_values
from mrcore.kernels.fold import Folder, fold_blocks
from mrcore.kernels.groups import read_groups
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


def test_states_as_large_as_their_group_are_cut_into_records() -> None:
    values = [bytes(100) for _ in range(5000)]
    codec, counter = ValueCodec(None, None), Counter()
    block = reference.encode_bytes_records([(b"key", encode_values(values, None))])
    blocks = list(fold_blocks([block], 30_000, lambda key, group: group, codec, counter))
    assert max(map(len, blocks)) < 50_000
    assert counter.records == 32  # of 161 values, the last one of 9
    assert list(read_groups(blocks)) == [(b"key", values)]
