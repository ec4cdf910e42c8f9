"""Simulated disks: what was synced is there after any crash, and everything else may go wrong."""

import dataclasses
import errno
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.disk import PowerCutError, SimulatedDisk
from mrcore.testing.simulation.faults import CALM_DISK, DiskFaults


def make_disk(seed=0, rates=CALM_DISK, **how):
    coverage = Coverage()
    return SimulatedDisk(random.Random(seed), coverage, rates, **how), coverage


def only(**rates):
    return dataclasses.replace(CALM_DISK, **rates)


def contents(directory):
    return {name: directory.open(name).read(0, 1 << 30) for name in directory.names()}


def test_files_are_written_read_cut_renamed_and_removed():
    disk, _ = make_disk()
    directory = disk.directory(b"/journal/")
    file = directory.open("a")
    file.write(3, b"def")
    file.append(bytearray(b"ghi"))
    file.write(0, b"abc")
    assert (file.size(), file.read(2, 3), file.read(7, 100), file.read(100, 1)) == (9, b"cde", b"hi", b"")
    file.truncate(4)
    directory.open("b").append(b"old")
    directory.rename("a", "b")
    assert contents(directory) == {"b": b"abcd"}
    assert disk.used_bytes == 4
    assert disk.directory(b"/other").names() == []
    directory.unlink("b")
    assert directory.names() == [] and disk.used_bytes == 0
    file.append(b"nobody sees this")
    assert disk.used_bytes == 0


@pytest.mark.parametrize("operation", ["unlink", "rename"])
def test_what_is_not_there_is_not_found(operation):
    directory = make_disk()[0].directory(b"/a")
    with pytest.raises(FileNotFoundError):
        getattr(directory, operation)(*["x", "y"][: 1 + (operation == "rename")])


def test_a_directory_is_held_by_one_until_it_is_closed_or_power_fails():
    disk, _ = make_disk()
    first, second, other = disk.directory(b"/a"), disk.directory(b"/a"), disk.directory(b"/b")
    first.lock()
    first.lock()
    other.lock()
    with pytest.raises(BlockingIOError):
        second.lock()
    second.close()
    with pytest.raises(BlockingIOError):
        disk.directory(b"/a").lock()
    first.close()
    first.close()
    disk.directory(b"/a").lock()
    disk.crash()
    disk.directory(b"/a").lock()


def test_what_was_open_when_power_failed_or_was_closed_is_dead():
    disk, _ = make_disk()
    directory = disk.directory(b"/a")
    file, closed = directory.open("x"), directory.open("x")
    closed.close()
    closed.close()
    with pytest.raises(OSError, match=r"\[Errno 9\]"):
        closed.read(0, 1)
    disk.crash()
    for operation in (file.size, file.sync, directory.names, directory.sync_directory, directory.lock):
        with pytest.raises(OSError, match=r"\[Errno 9\]"):
            operation()
    directory.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from("xy"), st.binary(min_size=1, max_size=4), st.integers(1, 1500)),
        st.tuples(st.just("rename"), st.sampled_from("xy")),
        st.tuples(st.just("unlink"), st.sampled_from("xy")),
    ),
    max_size=10,
)


def play(directory, steps):
    for kind, name, *rest in steps:
        if kind == "append":
            directory.open(name).append(rest[0] * rest[1])
        elif name in directory.names():
            directory.rename(name, "z") if kind == "rename" else directory.unlink(name)


@given(before=STEPS, after=STEPS, seed=st.integers(0, 2**32), cut=st.integers(0, 12))
def test_synced_data_survive_every_crash(before, after, seed, cut):
    disk, _ = make_disk(seed)
    directory = disk.directory(b"/a")
    play(directory, before)
    for name in directory.names():
        directory.open(name).sync()
    directory.sync_directory()
    synced = contents(directory)
    disk.cut_power_after(cut)
    try:
        play(directory, [step for step in after if step[0] == "append"])
    except PowerCutError:
        assert disk.used_bytes >= 0
    disk.crash()
    left = contents(disk.directory(b"/a"))
    assert all(left[name].startswith(data) for name, data in synced.items())
    assert disk.used_bytes == sum(map(len, left.values()))
    disk.crash()
    assert contents(disk.directory(b"/a")) == left, "nothing is left to lose"


@given(steps=STEPS, seed=st.integers(0, 2**32))
def test_the_death_of_a_process_loses_nothing(steps, seed):
    disk, _ = make_disk(seed)
    directory = disk.directory(b"/a")
    play(directory, steps)
    before = contents(directory)
    directory.close()
    assert contents(disk.directory(b"/a")) == before


@given(sizes=st.lists(st.integers(0, 40), max_size=10), capacity=st.integers(0, 100))
def test_a_full_disk_takes_what_fits_and_says_so(sizes, capacity):
    disk, coverage = make_disk(capacity_bytes=capacity)
    directory, left = disk.directory(b"/a"), capacity
    for number, size in enumerate(sizes):
        file = directory.open(str(number))
        if size > left:
            with pytest.raises(OSError, match="No space") as caught:
                file.append(b"x" * size)
            assert caught.value.errno == errno.ENOSPC
        else:
            file.append(b"x" * size)
        assert file.size() == min(size, left)
        left -= file.size()
        file.write(0, b"y" * file.size())
    assert disk.used_bytes == capacity - left
    assert (coverage["disk.full"] > 0) == (sum(sizes) > capacity)
    for name in directory.names():
        directory.unlink(name)
    directory.open("z").append(b"x" * capacity)


def test_a_sync_that_failed_leaves_nobody_knows_what():
    left = set()
    for seed in range(60):
        disk, coverage = make_disk(seed, only(sync_fails=1.0))
        directory = disk.directory(b"/a")
        file = directory.open("x")
        disk._names.sync("/a")
        file.append(b"x" * 5000)
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        with pytest.raises(OSError, match="Input/output"):
            directory.sync_directory()
        disk.calm()
        file.sync()
        seen = file.size()
        disk.crash()
        size = disk.directory(b"/a").open("x").size()
        assert size <= seen
        left.add((size, seen))
        assert coverage["disk.sync_fails"] == coverage["disk.sync_directory_fails"] == 1
    assert {(0, 0), (0, 5000), (5000, 5000)} <= left


def test_bits_flip_where_they_may_and_stay_flipped():
    disk, coverage = make_disk(0, only(flip=1.0), rots=lambda path: path.startswith("/output/"))
    for name in (b"/journal", b"/output"):
        file = disk.directory(name).open("x")
        file.append(bytes(100))
        file.sync()
    assert disk.directory(b"/journal").open("x").read(0, 100) == bytes(100)
    file = disk.directory(b"/output").open("x")
    found = file.read(10, 5)
    assert int.from_bytes(found, "big").bit_count() == 1
    assert file.read(0, 0) == b""
    disk.calm()
    assert file.read(10, 5) == found and coverage["disk.flip"] == 1
    disk.damage("/journal/x")
    assert disk.directory(b"/journal").open("x").read(0, 100).count(0) == 99


def test_power_is_cut_at_any_operation_and_a_part_of_it_is_done():
    ends = set()
    for seed in range(200):
        disk, coverage = make_disk(seed)
        directory = disk.directory(b"/a")
        disk.cut_power_after(seed % 5)
        done = 0
        with pytest.raises(PowerCutError):
            file = directory.open("x")
            for operation, *given in (
                (file.append, b"x" * 100), (file.sync,), (directory.sync_directory,), (file.truncate, 0)
            ):  # fmt: skip
                done += 1
                operation(*given)
        with pytest.raises(OSError, match=r"\[Errno 9\]"):
            directory.names()
        directory.close()
        disk.crash()
        left = contents(disk.directory(b"/a"))
        ends.add((done, tuple(map(len, left.values()))))
        assert coverage["disk.power_cut"] == 1
        if done == 4:
            assert left == {"x": b"x" * 100}, "what was durable when the truncation began"
    assert {done for done, _ in ends} == {0, 1, 2, 3, 4}
    assert {(0, ()), (1, ()), (2, ()), (2, (100,)), (3, ()), (3, (100,)), (4, (100,))} <= ends
    assert any(done == 1 and sizes and 0 < sizes[0] < 100 for done, sizes in ends), "a part of a write"


def test_each_rate_of_the_profile_is_drawn_from():
    coverage = Coverage()
    disk = SimulatedDisk(random.Random(1), coverage, DiskFaults())
    directory = disk.directory(b"/a")
    file = directory.open("x")
    for _ in range(20_000):
        try:
            file.write(0, b"x")
            file.read(0, 1)
            file.sync()
        except OSError:
            continue
    assert min(coverage[f"disk.{kind}"] for kind in ("full", "sync_fails", "flip")) > 2
