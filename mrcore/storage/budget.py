"""Disk budgets: how many bytes of intermediate files a job may have at a time, over all its processes.

The processes share a counter: eight bytes of a file in the work directory, mapped by each and
added to in one instruction. Whoever writes takes bytes before it writes them, in steps, and
gives them back when its file is gone; so the sum of the files never passes the limit, and what
was held at most is known afterwards. A worker that is killed does not give back: its job ends.
"""

from __future__ import annotations

import mmap
import os

from mrcore.errors import BudgetError, shown
from mrcore.kernels.process import atomic_add, atomic_max
from mrcore.storage.files import reading, writing

STEP = 1 << 20
"""Bytes taken at a time: small steps would meet in the counter, large ones would be refused too early."""

_HELD, _PEAK, _BYTES = 0, 1, 16


class DiskBudget:
    """The bytes that a job's intermediate files may take.

    Args:
        path: of the counter's file, made by :meth:`create`.
        limit: bytes, or None to count only.

    Raises:
        InputError: the counter cannot be opened.
    """

    def __init__(self, path: bytes, limit: int | None) -> None:
        self.path, self.limit = path, limit
        with reading(path):
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._counter = mmap.mmap(fd, _BYTES)
            finally:
                os.close(fd)

    @classmethod
    def create(cls, path: bytes, limit: int | None) -> DiskBudget:
        """A budget whose counter is a new file."""
        with writing(path), open(path, "xb") as file:
            file.write(bytes(_BYTES))
        return cls(path, limit)

    def take(self, size: int, path: bytes) -> int:
        """Takes at least ``size`` bytes for the file at ``path``; how many.

        Raises:
            BudgetError: the job would have more than its limit.
        """
        step = max(size, STEP)
        held = atomic_add(self._counter, _HELD, step)
        if self.limit is not None and held > self.limit:
            held = atomic_add(self._counter, _HELD, size - step)
            step = size
            if held > self.limit:
                atomic_add(self._counter, _HELD, -size)
                raise BudgetError(
                    f"temporary files would take more than {self.limit:,} bytes: {shown(path)}: raise --tmp-limit"
                )
        atomic_max(self._counter, _PEAK, held)
        return step

    def give(self, size: int) -> None:
        """Gives bytes back."""
        atomic_add(self._counter, _HELD, -size)

    @property
    def held(self) -> int:
        """Bytes taken now."""
        return atomic_add(self._counter, _HELD, 0)

    @property
    def peak(self) -> int:
        """Bytes taken at most."""
        return atomic_add(self._counter, _PEAK, 0)

    def close(self) -> None:
        """Lets the counter go."""
        self._counter.close()
