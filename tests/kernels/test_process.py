"""Counters that processes share: added to and raised in one step. The system calls are tested where they are used."""
import mmap
import os
import struct
import threading

import pytest

from mrcore.kernels.process import atomic_add, atomic_max

INT64_MIN, INT64_MAX = -2**63, 2**63 - 1


def counters(shared: mmap.mmap | bytearray, count: int) -> list[int]:
    return list(struct.unpack_from(f"={count}q", shared))


def test_a_counter_has_its_eight_bytes_and_no_others() -> None:
    shared = bytearray(24)
    assert [atomic_add(shared, 1, delta) for delta in (5, -7, 0, INT64_MAX)] == [5, -2, -2, INT64_MAX - 2]
    assert counters(shared, 3) == [0, INT64_MAX - 2, 0]
    for value, expected in ((-5, 0), (3, 3), (2, 3), (INT64_MIN, 3), (INT64_MAX, INT64_MAX)):
        atomic_max(shared, 2, value)
        assert counters(shared, 3) == [0, INT64_MAX - 2, expected]


@pytest.mark.parametrize(("size", "index"), [(0, 0), (7, 0), (8, 1), (15, 1), (4096, 512), (8, 2**40)])
def test_a_counter_outside_of_the_memory_is_refused(size: int, index: int) -> None:
    for call in (atomic_add, atomic_max):
        with pytest.raises(IndexError, match=f"counter {index} of {size} bytes"):
            call(bytearray(size), index, 1)
        with pytest.raises(OverflowError):
            call(bytearray(size), -1, 1)


def test_processes_and_threads_lose_no_addition() -> None:
    shared = mmap.mmap(-1, 4096)

    def add() -> None:
        for value in range(10_000):
            atomic_add(shared, 0, 1)
            atomic_max(shared, 1, value)

    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            add()
            os._exit(0)
        children.append(child)
    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert counters(shared, 2) == [50_000, 9_999]


def test_memory_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(BufferError):
        atomic_add(b"12345678", 0, 1)  # type: ignore[arg-type]
