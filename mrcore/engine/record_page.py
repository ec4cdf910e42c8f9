"""The record at work, named where another process can read it when this one has died.

A worker names the record that it gives to a user's function on a page of memory that it shares
with its parent. If the function takes the process with it, the parent reads there which record
did it. A name is what ``TaskEnv.skip`` takes and what ``UserCodeError.record`` is: a path and an
offset.

===========================  ====================================  ================================
record                       path                                  offset
===========================  ====================================  ================================
of text                      of its file, as the span has it       of its first byte in the file; about, of a
                                                                   token that a pattern or Unicode finds
of a batch of text           of the file                           of the batch's first record
an element                   of the file of its source             its index in the task's input
a group of a reduce task     ``key`` and its encoded key           the number of the partition
                             (:mod:`mrcore.kernels.reduce`)
===========================  ====================================  ================================

Grammar, integers in the machine's byte order, since both processes are on one machine::

    page  := state:u64 offset:u64 size:u32 path unused      RECORD_PAGE_BYTES together
    state := 0 (no file is open) | 1
             size is that of path, 0 while there is none; offset is 2**64 - 1 while no record is at work

One process writes, with plain stores in such an order that at each moment the page says what is so
or nothing. Native code stores the offset of each record, or the path of each group; all else is
written once a file. The page must stay mapped while a task runs.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    Record = tuple[bytes, int]

RECORD_PAGE_BYTES = 8192

_PAGE = struct.Struct("=QQI")
_OFFSET, _SIZE = 8, 16
_PATH = _PAGE.size
_OPEN = 1
_NO_RECORD = -1  # as int64
_OFFSET_MAX = (1 << 63) - 1
PATH_BYTES_MAX = RECORD_PAGE_BYTES - _PATH
"""A longer path is clipped; no system opens one."""


class RecordPage:
    """A page over a writable buffer of :data:`RECORD_PAGE_BYTES`, which begins at a multiple of 8 bytes.

    The buffer is held as long as the page or a feed that was given its cell: a mapping cannot be
    closed before.
    """

    __slots__ = ("_bytes", "_state", "cell", "name")

    def __init__(self, buffer: Buffer) -> None:
        self._bytes = memoryview(buffer).cast("B")
        assert len(self._bytes) == RECORD_PAGE_BYTES and not self._bytes.readonly
        self._state = self._bytes[:_OFFSET].cast("Q")
        self.cell = self._bytes[_OFFSET:_SIZE].cast("q")
        """Where a feed stores the offset of the record at work."""
        self.name = self._bytes[_SIZE:]
        """Where a reducer stores the path of the group at work, behind its size."""

    @classmethod
    def private(cls) -> RecordPage:
        """A page that nobody else reads."""
        return cls(bytearray(RECORD_PAGE_BYTES))

    def open(self, path: bytes, offset: int = _NO_RECORD) -> None:
        """The records that come are of this path; none of them is at work yet, if there is no offset."""
        self.close()
        path = path[:PATH_BYTES_MAX]
        self._bytes[_PATH : _PATH + len(path)] = path
        self._bytes[_SIZE:_PATH] = struct.pack("=I", len(path))
        self.cell[0] = offset
        self._state[0] = _OPEN

    def close(self) -> None:
        """No record is at work."""
        self._state[0] = 0
        self.cell[0] = _NO_RECORD

    def read(self) -> Record | None:
        """The record at work, or None. Whatever bytes stand on the page, this raises nothing."""
        state, offset, size = _PAGE.unpack_from(self._bytes)
        if state != _OPEN or offset > _OFFSET_MAX or not 0 < size <= PATH_BYTES_MAX:
            return None
        return bytes(self._bytes[_PATH : _PATH + size]), offset


def offsets_of(path: bytes, records: Iterable[Record]) -> frozenset[int] | None:
    """The offsets of those of the records that are of this path; None if there are none."""
    return frozenset(offset for name, offset in records if name == path) or None
