"""The bytes of a file across a loss of power: every block and the size are of some moment since the last sync."""

import random

from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.blocks import BLOCK_BYTES, Content

WRITES = st.tuples(st.just("write"), st.integers(0, 6000), st.binary(min_size=1, max_size=3), st.integers(1, 3000))
STEPS = st.lists(
    st.one_of(WRITES, st.tuples(st.just("truncate"), st.integers(0, 9000)), st.just(("sync",))), max_size=8
)
SEEDS = st.integers(0, 2**32)


def played(steps):
    """The file after the steps, and each state that it was in since the last sync."""
    content, states = Content(), [b""]
    for kind, *rest in steps:
        if kind == "write":
            offset, piece, times = rest
            content.write(offset, piece * times)
        elif kind == "truncate":
            content.truncate(*rest)
        else:
            content.sync()
            states.clear()
        states.append(bytes(content.live))
    return content, states


def pieces(data, width, count):
    padded = data.ljust(width * count, b"\0")
    return [padded[index * width : (index + 1) * width] for index in range(count)]


def is_torn_from(data, states, width):
    """Whether each block is as it was in one of the states, or, where the first of them had none, zeros."""
    if len(data) not in map(len, states):
        return False
    count = -(-len(data) // width)
    for index, found in enumerate(pieces(data, width, count)):
        allowed = [pieces(state, width, max(count, 1))[index] for state in states]
        if index * width >= len(states[0]):
            allowed.append(bytes(width))
        room = min(width, len(data) - index * width)
        if found[:room] not in [block[:room] for block in allowed]:
            return False
    return True


@given(steps=STEPS, seed=SEEDS)
def test_after_a_crash_every_block_and_the_size_are_of_some_moment_since_the_sync(steps, seed):
    content, states = played(steps)
    assert content.synced == states[0]
    content.crash(random.Random(seed))
    assert content.live == content.synced
    assert any(is_torn_from(content.synced, states, width) for width in BLOCK_BYTES)


@given(steps=STEPS, seed=SEEDS)
def test_what_was_synced_survives_every_crash(steps, seed):
    content, _ = played([*steps, ("sync",)])
    before = bytes(content.live)
    rng = random.Random(seed)
    assert content.crash(rng) == ()
    assert content.live == before
    content.write(len(before), b"more" * 1000)
    content.crash(rng)
    assert content.live.startswith(before)


@given(steps=STEPS, seed=SEEDS)
def test_a_sync_that_failed_is_not_made_up_for_by_a_later_one(steps, seed):
    content, states = played(steps)
    content.fail_sync(random.Random(seed))
    on_disk = content.synced
    content.sync()
    assert content.synced == on_disk
    assert bytes(content.live) in (on_disk, states[-1])
    assert any(is_torn_from(on_disk, states, width) for width in BLOCK_BYTES)


def test_a_file_grows_over_zeros_or_over_what_a_removed_file_left():
    seen = {}
    for seed in range(300):
        content = Content()
        content.write(0, b"n" * 20_000)
        kinds = content.crash(random.Random(seed), stale=b"s" * 10_000)
        for kind in kinds:
            seen.setdefault(kind, set()).update(bytes(content.live))
        if "stale_block" in kinds:
            assert content.live[9728:10_000] in (b"n" * 272, b"s" * 272), "its blocks come in their places"
            assert content.live[10_000:10_240] in (b"n" * 240, bytes(240)), "and it was no longer"
    assert seen.keys() == {"lost_write", "torn_write", "kept_write", "zero_block", "stale_block"}
    assert seen["lost_write"] <= set(b"s\0") and seen["kept_write"] == set(b"n")
    assert seen["zero_block"] == set(b"n\0") and seen["stale_block"] == set(b"ns\0")


def test_a_flipped_bit_stays():
    content = Content()
    content.write(0, b"\0\0")
    content.sync()
    content.flip(9)
    assert content.crash(random.Random(0)) == () and content.live == b"\0\2"
