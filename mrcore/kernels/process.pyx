"""What processes ask of the operating system, and share, that Python has no call for."""
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t


def die_with_parent():
    """Asks for SIGKILL when the thread that started this process ends (Linux, prctl(2)).

    The caller must look at its parent once more afterwards: it may be gone already.

    Raises:
        OSError: the system refused.
    """
    if _c.prctl(_c.PR_SET_PDEATHSIG, 9, 0, 0, 0):
        raise OSError("cannot set PR_SET_PDEATHSIG")


def start_writeback(int fd, long long start, long long size):
    """Asks that written bytes ``[start, start + size)`` of a file go to the disk, without waiting.

    A later fsync then finds little left to do. It promises nothing by itself, so that a file
    system that refuses is no error (Linux, sync_file_range(2)).
    """
    _c.sync_file_range(fd, start, size, _c.SYNC_FILE_RANGE_WRITE)


cdef int64_t *counter_of(uint8_t[::1] shared, size_t index) except NULL:
    if index >= <size_t>shared.shape[0] // 8:
        raise IndexError(f"counter {index} of {shared.shape[0]} bytes")
    return <int64_t *>&shared[0] + index


def atomic_add(uint8_t[::1] shared not None, size_t index, int64_t delta):
    """Adds to an int64 in shared memory, in one step for all processes; the sum."""
    return _c.mr_shared_add(counter_of(shared, index), delta)


def atomic_max(uint8_t[::1] shared not None, size_t index, int64_t value):
    """Raises an int64 in shared memory to ``value`` if it is below."""
    _c.mr_shared_max(counter_of(shared, index), value)
