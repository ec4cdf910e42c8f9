"""The stable radix sort against sorted(): the order of bytes, equal keys in their order."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels.sort import argsort
from mrcore.testing import reference

SMALL = 24  # mr_sort.c: up to so many keys, insertion sort
WORD = 7  # MR_WORD_BYTES: key bytes of one prefix word
DEPTH_MAX = 16 * WORD  # MR_SORT_DEPTH_MAX: shared bytes after which a merge sort takes over
SIZES = [0, 1, 2, 3, SMALL - 1, SMALL, SMALL + 1, 255, 256, 257, 1000, 5000]


def check(keys: list[bytes]) -> None:
    assert argsort(keys) == reference.sort(keys)


def shuffled(keys: list[bytes]) -> list[bytes]:
    random.Random(len(keys)).shuffle(keys)
    return keys


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("distinct", [1, 2, 10, 10**9])
def test_sizes_with_few_and_many_duplicates(size: int, distinct: int) -> None:
    draw = random.Random(size)
    words = [draw.randbytes(draw.randrange(20)) for _ in range(min(distinct, size))]
    check([draw.choice(words) for _ in range(size)])


@pytest.mark.parametrize("size", [2, SMALL, SMALL + 1, 1000])
@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 14, 15, 100, 118, 119, 120, 300])
def test_equal_keys_keep_their_order(size: int, length: int) -> None:
    assert argsort([b"k" * length] * size) == list(range(size))


@pytest.mark.parametrize("order", [1, -1])
def test_keys_that_are_sorted_already_either_way(order: int) -> None:
    check([b"%07d" % i for i in range(3000)][::order])
    check([b"the same head %07d" % i for i in range(3000)][::order])


@pytest.mark.parametrize("length", range(201))
def test_shared_prefix_of_every_length(length: int) -> None:
    """Groups of SMALL and of more, behind a head of any length past the depth where merging begins."""
    draw = random.Random(length)
    head = draw.randbytes(length)
    tails = [b"", b"\0", b"\0\0", b"\xff", *(draw.randbytes(draw.randrange(1, 12)) for _ in range(60))]
    check([head + draw.choice(tails) for _ in range(120)])
    check([head + tail for tail in tails[:SMALL]])


@pytest.mark.parametrize("byte", [b"\0", b"a", b"\xff"])
def test_keys_that_are_prefixes_of_each_other(byte: bytes) -> None:
    """For NUL this is the order of keys that a zero-padded word alone could not tell apart."""
    check(shuffled([byte * length for length in range(2 * DEPTH_MAX)]))
    check(shuffled([byte * length for length in range(20)] * 30))
    check(shuffled([b"k" * 6 + byte * length for length in range(6)] * 30))


def test_every_byte_value_at_every_position_of_two_words() -> None:
    for position in range(2 * WORD + 2):
        check(shuffled([b"m" * position + bytes([value]) + b"m" * 3 for value in range(256)] * 2))


@pytest.mark.parametrize("depth", [DEPTH_MAX - WORD, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, DEPTH_MAX + WORD, 5000])
@pytest.mark.parametrize("size", [SMALL, SMALL + 1, 127, 128, 129, 1000])
def test_merge_sort_behind_the_deepest_prefix(depth: int, size: int) -> None:
    """Every width of its passes, odd rests included, and few distinct keys so that stability shows."""
    draw = random.Random(size)
    check([b"d" * depth + draw.randbytes(1) * draw.randrange(3) for _ in range(size)])


def test_groups_of_different_depths_do_not_disturb_each_other() -> None:
    draw = random.Random(5)
    heads = [draw.randbytes(1) * depth for depth in (0, 3, 7, 8, 30, 113, 150)]
    check([draw.choice(heads) + draw.randbytes(draw.randrange(3)) for _ in range(6000)])


@pytest.mark.parametrize("length", [65534, 65535, 65536])
def test_keys_whose_length_stands_before_their_bytes(length: int) -> None:
    """From 65535 bytes on, a reference keeps the length in memory (MR_REF_LONG)."""
    head = b"z" * (length - 1)
    check(shuffled([head + bytes([tail]) for tail in range(30)] + [head, head + b"\x05!"] * 2))


# Many keys from few pieces, so that groups of more than SMALL share words at several depths.
pieces = st.sampled_from([b"", b"\0", b"a", b"b", b"\xff", b"\0" * 7, b"a" * 6, b"a" * 7, b"a" * 8, b"a" * 105,
                          b"q" * 40])
keys = st.lists(pieces, max_size=5).map(b"".join)


@given(st.lists(keys, max_size=200))
def test_any_keys_of_few_pieces(some: list[bytes]) -> None:
    check(some)


@given(st.lists(keys, min_size=1, max_size=12), st.integers(SMALL + 1, 300), st.randoms(use_true_random=False))
def test_any_few_keys_many_times(some: list[bytes], size: int, draw: random.Random) -> None:
    check([draw.choice(some) for _ in range(size)])


@given(st.lists(st.binary(max_size=20), max_size=100))
def test_any_bytes(some: list[bytes]) -> None:
    check(some)


def test_arguments_are_left_as_they_were_and_must_be_bytes() -> None:
    given_keys = [b"b", b"a"]
    assert argsort(given_keys) == [1, 0]
    assert given_keys == [b"b", b"a"]
    with pytest.raises(TypeError):
        argsort(["b", "a"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        argsort(None)  # type: ignore[arg-type]
