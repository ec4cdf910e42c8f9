"""Disk budgets: how many bytes of intermediate files a job may have at a time, over all its processes.

The processes share counters: a file in the work directory, mapped by each and added to in one
instruction. Whoever writes takes bytes before it writes them, in steps, and gives them back when
its file is gone; so the sum of the files never passes the limit, and what was held at most is
known afterwards::

    file := held:i64 peak:i64 slot:i64*      in the machine's byte order, SLOTS_MAX slots

A worker that is killed gives nothing back. So each has a slot, which says what its attempt has
taken by now, and whoever removes a dead worker's files gives that back for it: :meth:`DiskBudget.reclaim`.
``held`` is raised before the slot and lowered after it, so that a worker that dies between the
two leaves too much counted, never too little: a step at most. Slot 0 belongs to the coordinator,
whose death ends the job; nothing is counted in it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys

from mrcore.errors import BudgetError, shown
from mrcore.kernels.process import atomic_add, atomic_max
from mrcore.storage.files import reading, writing

STEP = 1 << 20
"""Bytes taken at a time: small steps would meet in the counter, large ones would be refused too early."""

SLOTS_MAX = 1024 + 1
"""Slots of a counter: of the coordinator, and of so many workers."""

_HELD, _PEAK, _SLOTS = 0, 1, 2  # the first slot's place
_BYTES = 8 * (_SLOTS + SLOTS_MAX)


class DiskBudget:
    """The bytes that a job's intermediate files may take.

    Args:
        path: of the counter's file, made by :meth:`create`.
        limit: bytes, or None to count only.
        slot: of this process, below :data:`SLOTS_MAX`; 0: it is nobody's worker.

    Raises:
        InputError: the counter cannot be opened.
    """

    def __init__(self, path: bytes, limit: int | None, slot: int = 0) -> None:
        assert 0 <= slot < SLOTS_MAX, slot
        self.path, self.limit, self.slot = path, limit, slot
        with reading(path):
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._counter = mmap.mmap(fd, _BYTES)
            finally:
                os.close(fd)

    @classmethod
    def create(cls, path: bytes, limit: int | None, held: int = 0, *, replace: bool = False) -> DiskBudget:
        """A budget whose counter is a new file.

        Args:
            held: bytes of files that are there already, of a job that is resumed. They may be more
                than the limit: then nothing can be taken before some are given back.
            replace: another counter may stand at ``path``; whoever has it open counts in that one.

        Raises:
            OutputExistsError: the file cannot be made, or is there and not to be replaced.
        """
        with writing(path):
            if replace:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            with open(path, "xb") as file:
                file.write(held.to_bytes(8, sys.byteorder) * 2 + bytes(_BYTES - 16))
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
        if self.slot:
            atomic_add(self._counter, _SLOTS + self.slot, step)
        atomic_max(self._counter, _PEAK, held)
        return step

    def give(self, size: int) -> None:
        """Gives bytes back."""
        if self.slot:
            atomic_add(self._counter, _SLOTS + self.slot, -size)
        atomic_add(self._counter, _HELD, -size)

    def begin(self) -> None:
        """An attempt begins in this process: what the one before it left is not its own, and stays held."""
        self.settle(self.slot)

    def settle(self, slot: int) -> None:
        """What a worker's attempt has taken stays held, and its worker may die: its output was accepted."""
        self._empty(slot)

    def reclaim(self, slot: int) -> int:
        """Gives back what the attempt of a dead worker has taken, once its files are gone; how many bytes.

        An attempt whose output is kept is to be settled before its worker dies or another one begins.
        """
        size = max(0, self._empty(slot))
        atomic_add(self._counter, _HELD, -size)
        return size

    def _empty(self, slot: int) -> int:
        assert 0 <= slot < SLOTS_MAX, slot
        size = atomic_add(self._counter, _SLOTS + slot, 0)
        atomic_add(self._counter, _SLOTS + slot, -size)
        return size

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
