"""A directory in memory does what one on a disk does, as far as a journal sees."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.storage.disk import RealDisk
from mrcore.storage.journal import open_journal
from mrcore.storage.memory_disk import MemoryDisk

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("ab"), st.integers(0, 50), st.binary(max_size=20)),
        st.tuples(st.just("truncate"), st.sampled_from("ab"), st.integers(0, 10), st.none()),
        st.tuples(st.just("rename"), st.just("a"), st.just(0), st.none()),
        st.tuples(st.just("unlink"), st.sampled_from("ab"), st.just(0), st.none()),
    ),
    max_size=20,
)


def story(disk, calls):
    """What a disk answers to some calls."""
    told = []
    for call, name, number, data in calls:
        there = name in disk.names()
        if call == "write":
            file = disk.open(name)
            file.write(number, data)
            file.sync()
            told.append((file.size(), file.read(0, 100), file.read(3, 4)))
            file.close()
        elif call == "truncate" and there:
            file = disk.open(name)
            file.truncate(min(number, file.size()))
            told.append(file.size())
            file.close()
        elif call == "rename" and there:
            disk.rename("a", "b")
        elif call == "unlink" and there:
            disk.unlink(name)
        disk.sync_directory()
        told.append(sorted(set(disk.names()) & {"a", "b"}))
    return told


@given(CALLS)
@settings(max_examples=60)
def test_it_answers_as_a_real_directory_does(tmp_path_factory, calls):
    real = RealDisk(os.fsencode(tmp_path_factory.mktemp("disk")))
    try:
        real.lock()
        memory = MemoryDisk()
        memory.lock()
        assert story(memory, calls) == story(real, calls)
    finally:
        real.close()


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_journal_in_memory_comes_back_while_the_directory_lives(count):
    disk = MemoryDisk()
    journal, recovery = open_journal(disk, 1 << 30)
    assert (recovery.snapshot, recovery.records) == (None, [])
    for number in range(count):
        journal.append(b"%d" % number)
    journal.close()
    _, recovery = open_journal(disk, 1 << 30)
    assert recovery.records == [b"%d" % number for number in range(count)]
