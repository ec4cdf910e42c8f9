"""Sizes as users write them, and the defaults that follow from the input's bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore import config
from mrcore.config import GIB, KIB, MIB
from mrcore.errors import UsageError


@pytest.mark.parametrize(("written", "size"), [
    ("0", 0), ("1", 1), ("7B", 7), ("64K", 64 * KIB), ("64KiB", 64 * KIB), ("64KB", 64_000), ("64k", 64 * KIB),
    ("3M", 3 * MIB), ("3MiB", 3 * MIB), ("3MB", 3_000_000), ("1.5G", 3 * GIB // 2), ("2GiB", 2 * GIB),
    ("2GB", 2_000_000_000), ("1T", 1 << 40), ("1TB", 10**12), ("64 MiB", 64 * MIB), (" 64mib ", 64 * MIB),
])  # fmt: skip
def test_a_size_is_a_number_and_a_unit(written, size):
    assert config.parse_size(written) == size


@pytest.mark.parametrize("written", [
    "", "K", "MiB", "64X", "64iB", "sixty", "1..5M", "-1", "1e30", "nan", "inf", "8388608TiB", "64M64", "0x10",
])  # fmt: skip
def test_what_is_no_size_is_refused_by_its_text(written):
    with pytest.raises(UsageError, match="size") as error:
        config.parse_size(written)
    assert repr(written) in str(error.value)


@given(st.integers(0, 1 << 50))
def test_every_count_of_bytes_is_read_as_itself(size):
    assert config.parse_size(str(size)) == size


@pytest.mark.parametrize(("input_bytes", "split"), [
    (0, 64 * MIB), (1, 64 * MIB), (GIB // 2, 64 * MIB), (GIB // 2 + 1, 64 * MIB + 1), (GIB, 128 * MIB),
    (4 * GIB, 512 * MIB), (4 * GIB + 8, 512 * MIB), (1 << 50, 512 * MIB),
])  # fmt: skip
def test_a_split_is_an_eighth_of_the_input_between_64_and_512_mib(input_bytes, split):
    assert config.split_size(input_bytes) == split


@pytest.mark.parametrize(("input_bytes", "reducers"), [
    (0, 1), (1, 1), (256 * MIB, 1), (256 * MIB + 1, 2), (GIB, 4), (64 * GIB, 256), (1 << 50, 256),
])  # fmt: skip
def test_reducers_follow_from_the_bytes_of_the_input_alone(input_bytes, reducers):
    assert config.reducers(input_bytes) == reducers
