"""What a worker process asks of the kernel that Python has no call for."""
from mrcore.kernels cimport _c


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
