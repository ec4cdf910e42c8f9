"""XXH3-64 against the xxhash package, which is its oracle: the partition of a key hangs on it."""
import array
import mmap
import random
import threading

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.hash import partition, xxh3_64
from mrcore.testing import reference

BYTES = random.Random(20240601).randbytes(2 * 1024 * 1024 + 64)
SEEDS = [0, 1, 2**63, 2**64 - 1, 0x9E3779B185EBCA87, random.Random(7).getrandbits(64)]
uint64s = st.integers(0, 2**64 - 1)


def same(data, seed=0):
    return xxh3_64(data, seed) == xxhash.xxh3_64_intdigest(data, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_length_to_2048_equals_the_xxhash_package(seed):
    assert [length for length in range(2049) if not same(BYTES[:length], seed)] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("length", [2**20 - 1, 2**20, 2**20 + 1, 1_000_003, 2 * 2**20 + 64])
def test_large_inputs_equal_the_xxhash_package(length, seed):
    assert same(BYTES[:length], seed)


# Stripes are 64 bytes, blocks 1024, and the GIL is released from 8192 bytes on.
@pytest.mark.parametrize("border", [3072, 4096, 8192, 16384, 65536])
def test_lengths_around_a_block_and_around_the_release_of_the_gil(border):
    lengths = [border + offset for offset in (-65, -64, -63, -1, 0, 1, 63, 64, 65)]
    assert [n for n in lengths for seed in SEEDS if not same(BYTES[:n], seed)] == []


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xFF])
def test_runs_of_one_byte_which_carry_or_cancel_in_the_products(byte):
    assert [n for n in range(600) if not same(bytes([byte]) * n)] == []


@given(data=st.binary(max_size=3000), seed=uint64s)
def test_any_bytes_and_any_seed_equal_the_xxhash_package(data, seed):
    assert same(data, seed)


@given(start=st.integers(0, 127), length=st.integers(0, 700), seed=uint64s)
def test_an_unaligned_view_hashes_as_its_copy(start, length, seed):
    view = memoryview(BYTES)[start:start + length]
    assert xxh3_64(view, seed) == xxhash.xxh3_64_intdigest(bytes(view), seed)


@pytest.mark.parametrize(("data", "seed", "expected"), [
    (b"", 0, 0x2D06800538D394C2),
    (b"a", 0, 0xE6C632B61E964E1F),
    (b"abc", 0, 0x78AF5F94892F3950),
])
def test_known_answers_that_no_package_can_change(data, seed, expected):
    assert xxh3_64(data, seed) == expected


def test_every_kind_of_bytes_like_object_gives_the_same_hash(tmp_path):
    data = BYTES[:4096]
    path = tmp_path / "page"
    path.write_bytes(data)
    words = array.array("Q")
    words.frombytes(data)
    grid = memoryview(data).cast("B", (64, 64))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        kinds = [data, bytearray(data), memoryview(data), memoryview(bytearray(data)), words, grid, mapped]
        assert {xxh3_64(kind, 3) for kind in kinds} == {xxhash.xxh3_64_intdigest(data, 3)}


def test_keys_at_the_very_end_of_a_mapped_page_are_not_over_read(tmp_path):
    """The page after a map may not exist: a read past its end would kill the test run.

    A neighbouring map could hide that, so this is a smoke test; AddressSanitizer sees all.
    """
    path = tmp_path / "page"
    path.write_bytes(BYTES[:4096])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as mapped:
        wrong = []
        for length in range(4097):
            with memoryview(mapped) as whole, whole[4096 - length:] as tail:
                if xxh3_64(tail, 5) != xxhash.xxh3_64_intdigest(BYTES[4096 - length:4096], 5):
                    wrong.append(length)
        assert wrong == []


@pytest.mark.parametrize("length", [100, 100_000])
def test_the_buffer_is_given_back(length):
    data = bytearray(BYTES[:length])
    xxh3_64(data)
    partition(data, 3)
    data.append(0)  # BufferError if an export were left open


def test_threads_hash_large_buffers_at_once():
    hashes = [0] * 4

    def run_thread(index):
        hashes[index] = xxh3_64(BYTES, index)

    threads = [threading.Thread(target=run_thread, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hashes == [xxhash.xxh3_64_intdigest(BYTES, index) for index in range(4)]


@pytest.mark.parametrize("data", ["text", None, 5, ["a"]])
def test_what_is_not_bytes_like_is_refused(data):
    with pytest.raises(TypeError):
        xxh3_64(data)
    with pytest.raises(TypeError):
        partition(data, 2)


def test_a_view_with_gaps_is_refused():
    with pytest.raises(BufferError):
        xxh3_64(memoryview(b"abcdef")[::2])


@pytest.mark.parametrize(("seed", "error"), [(-1, OverflowError), (2**64, OverflowError), (1.5, TypeError),
                                             ("1", TypeError), (None, TypeError)])
def test_a_seed_that_is_no_uint64_is_refused(seed, error):
    with pytest.raises(error):
        xxh3_64(b"key", seed)


@given(key=st.binary(max_size=300), reducers=st.integers(1, 2**64 - 1) | st.integers(1, 300))
def test_the_partition_is_the_hash_modulo_the_reducers(key, reducers):
    assert partition(key, reducers) == reference.partition(key, reducers)


def test_one_reducer_takes_every_key():
    assert {partition(b"%d" % key, 1) for key in range(100)} == {0}


def test_keys_spread_evenly_over_the_reducers():
    sizes = [0] * 16
    for key in range(16_000):
        sizes[partition(b"%d" % key, 16)] += 1
    assert min(sizes) > 850 and max(sizes) < 1150  # 1000 each, and five standard deviations are 153


@pytest.mark.parametrize("reducers", [0, -1, -2**70])
def test_fewer_than_one_reducer_is_refused(reducers):
    for function in (partition, reference.partition):
        with pytest.raises(ValueError, match="at least 1"):
            function(b"key", reducers)


@pytest.mark.parametrize(("reducers", "error"), [(2**64, OverflowError), (2.5, TypeError), ("2", TypeError)])
def test_reducers_that_are_no_uint64_are_refused(reducers, error):
    with pytest.raises(error):
        partition(b"key", reducers)
