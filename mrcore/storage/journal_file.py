"""Journal files: their grammar, how a batch is encoded, how a file is read back, and what its end means.

:mod:`mrcore.storage.journal` writes them. ``docs/formats/journal.md`` has a worked example.

Grammar, all integers little-endian::

    file    := head batch+
    head    := "mrcjnl" version:u16 generation:u64 salt:u64 seed:u64
               seed is XXH3-64 of the 24 bytes before it, and the seed of all other checksums
    batch   := "mrcbatch" offset:u64 sequence:u64 records:u64 size:u64 body:u64 check:u64 record*
               offset is the batch's own, sequence the number of its first record, size the bytes of
               its records, body their XXH3-64, check that of the 48 bytes before it
    record  := length:u32 bytes

The first batch holds the snapshot, or nothing. Records are numbered from 0 through all generations; a
snapshot takes a number as well. What lay on the same blocks before, another journal or an older
generation, has another seed, so none of it passes for a part of this one. One checksum for a
whole batch, and none for a record alone: of a torn batch that lay there before, sound records of the
same number may show in place of the new ones.

**A torn tail and damage are told apart** by one invariant of the writer: a batch is written only after
the sync of the batch before it returned. A batch counts whole or not at all.

- A bad batch, and anywhere behind it a sound head with a greater offset: the bad one was durable when
  that head was written. This is damage: a CorruptionError with file and byte.
- A bad batch and no such head: it is the last one, whose sync may never have returned. Its
  blocks may have reached the disk in any combination, the first lost and the last there, zeros or garbage in
  between. All of it is dropped, and counted. None of its records was acknowledged.
- A bad head of the file or a bad first batch: always damage. They were synced before the file got its name.

Two kinds of damage cannot be seen so. A file that lost its end looks like one that never had it. And
damage to the last batch looks like a torn one, even if its sync had returned; that a log cannot
always tell the two apart is proved by Alagappan et al., "Protocol-Aware Recovery for Consensus-Based
Distributed Storage", ACM TOS 14(3), 2018. An empty batch at the end narrows the gap: it shows that
the one before it was durable, and has nothing to lose itself.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from xxhash import xxh3_64, xxh3_64_intdigest

from mrcore.errors import CorruptionError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcore.storage.disk import DiskFile

VERSION = 1
LENGTH_SIZE = 4

_READ_BYTES = 1 << 20
_MARK = b"mrcbatch"
_HEAD = struct.Struct("<6sHQQ")
_BATCH = struct.Struct("<8s5Q")
_CHECK = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_HEAD_SIZE = _HEAD.size + _CHECK.size
_BATCH_SIZE = _BATCH.size + _CHECK.size  # of a batch's head


class Head(NamedTuple):
    """The head of a file."""

    generation: int
    salt: int
    seed: int  # of the checksums


def encode_generation(generation: int, salt: int, sequence: int, snapshot: bytes | None) -> tuple[Head, list[bytes]]:
    """The head of a new file, and all of its bytes, in pieces. ``sequence`` is the snapshot's number."""
    numbers = _HEAD.pack(b"mrcjnl", VERSION, generation, salt)
    head = Head(generation, salt, xxh3_64_intdigest(numbers))
    batch = encode_batch(head, _HEAD_SIZE, sequence, [] if snapshot is None else [snapshot])
    return head, [numbers + _CHECK.pack(head.seed), *batch]


def encode_batch(head: Head, offset: int, sequence: int, records: Sequence[bytes]) -> list[bytes]:
    """The bytes of a batch that begins at ``offset``, in pieces: its head, lengths and records."""
    pieces = [piece for record in records for piece in (_LENGTH.pack(len(record)), record)]
    if len(records) > 1:  # many are small; one may be a large snapshot, and is not copied
        pieces = [b"".join(pieces)]
    check = xxh3_64(seed=head.seed)
    for piece in pieces:
        check.update(piece)
    numbers = _BATCH.pack(_MARK, offset, sequence, len(records), sum(map(len, pieces)), check.intdigest())
    return [numbers + _CHECK.pack(xxh3_64_intdigest(numbers, head.seed)), *pieces]


class Replay:
    """Reads a journal file and judges its end; it changes nothing.

    Holds all records, and one batch of the file. ``OSError`` of the file passes through.

    Raises:
        CorruptionError: as the module says.
    """

    def __init__(self, file: DiskFile, path: bytes) -> None:
        self._path = path
        self._file, self._size = file, file.size()
        self._window, self._window_at = memoryview(b""), 0
        self.head = self._read_head()
        self.records: list[bytes] = []
        self.end = self.last = _HEAD_SIZE  # of the sound batches, and where the last of them begins
        self.sequence = -1  # of the record that would come next; the first batch may begin with any
        self.snapshot = self._read_snapshot()
        self._read_batches()
        self.dropped_bytes = self._size - self.end

    @property
    def sealed(self) -> bool:
        """Whether the last batch has no record that could be lost with it, or is the first, which cannot be torn."""
        return self.ends_with_first or self.end - self.last == _BATCH_SIZE

    @property
    def ends_with_first(self) -> bool:
        """Whether nothing stands behind the first batch."""
        return self.last == _HEAD_SIZE

    def _read_snapshot(self) -> bytes | None:
        try:
            self._read_batch()
        except _BadBatchError as bad:
            raise self._corrupt(bad.at, bad.what) from None
        if len(self.records) > 1:
            raise self._corrupt(_HEAD_SIZE, "the first batch holds more than a snapshot")
        return self.records.pop() if self.records else None

    def _read_batches(self) -> None:
        try:
            while self.end < self._size:
                self._read_batch()
        except _BadBatchError as bad:
            later = self._find_later(bad.at)
            if later is not None:
                what = f"{bad.what}, and a later batch begins at byte {later}: it was damaged after it was written"
                raise self._corrupt(bad.at, what) from None

    def _read_head(self) -> Head:
        data = bytes(self._take(0, _HEAD_SIZE))
        if data[:6] != b"mrcjnl" or len(data) < 8:
            raise self._corrupt(0, "not a journal")
        if (version := struct.unpack_from("<H", data, 6)[0]) != VERSION:
            raise self._corrupt(6, f"version {version}, and this mrcore reads version {VERSION}")
        if len(data) < _HEAD_SIZE:
            raise self._corrupt(len(data), "the file ends inside its head")
        seed = _CHECK.unpack_from(data, _HEAD.size)[0]
        if xxh3_64_intdigest(data[: _HEAD.size]) != seed:
            raise self._corrupt(0, "its head fails its checksum")
        _, _, generation, salt = _HEAD.unpack_from(data)
        return Head(generation, salt, seed)

    def _read_batch(self) -> None:
        at = self.end
        head = self._take(at, _BATCH_SIZE)
        if self._offset(head) != at:
            raise _BadBatchError(at, "no sound batch begins here")
        _, _, sequence, count, size, check = _BATCH.unpack_from(head)
        end = at + _BATCH_SIZE + size
        if end > self._size:
            raise _BadBatchError(at, "the file ends inside a batch")
        body = self._take(at + _BATCH_SIZE, size)
        if xxh3_64_intdigest(body, self.head.seed) != check:
            raise _BadBatchError(at, "a batch fails its checksum")
        # From here on the bytes are those that were written.
        if self.sequence not in (-1, sequence):
            raise self._corrupt(at, f"a batch begins with record {sequence} where {self.sequence} follows")
        self._read_records(body, count, at + _BATCH_SIZE)
        self.sequence = sequence + count
        self.last, self.end = at, end

    def _read_records(self, body: memoryview, count: int, start: int) -> None:
        at, size, unpack, records = 0, len(body), _LENGTH.unpack_from, self.records
        before = len(records)
        while at + _LENGTH.size <= size:
            begin = at + _LENGTH.size
            at = begin + unpack(body, at)[0]
            records.append(bytes(body[begin:at]))
        if at != size or len(records) - before != count:
            raise self._corrupt(start, "the records of a batch do not fill it")

    def _offset(self, head: memoryview) -> int:
        """What a batch's head says of its place; -1 if it is not sound."""
        if len(head) < _BATCH_SIZE or head[: len(_MARK)] != _MARK:
            return -1
        if xxh3_64_intdigest(head[: _BATCH.size], self.head.seed) != _CHECK.unpack_from(head, _BATCH.size)[0]:
            return -1
        offset: int = _BATCH.unpack_from(head)[1]
        return offset

    def _find_later(self, bad: int) -> int | None:
        """Where a sound head stands, of a batch that was written after the bad one.

        What a torn batch before this one left on its blocks, and what a record quotes of its journal, was
        written no later than the bad batch, so its offset is not greater.
        """
        at = bad + 1
        while len(piece := self._file.read(at, _READ_BYTES)) >= _BATCH_SIZE:
            found = piece.find(_MARK)
            while found >= 0:
                if self._offset(memoryview(piece)[found : found + _BATCH_SIZE]) > bad:
                    return at + found
                found = piece.find(_MARK, found + 1)
            at += len(piece) - _BATCH_SIZE + 1  # a head may lie across the end of the piece
        return None

    def _take(self, at: int, size: int) -> memoryview:
        """Bytes of the file, which is read forward in large pieces; fewer only where it ends."""
        begin = at - self._window_at
        if begin < 0 or begin + size > len(self._window):
            self._window, self._window_at, begin = memoryview(self._file.read(at, max(size, _READ_BYTES))), at, 0
        return self._window[begin : begin + size]

    def _corrupt(self, at: int, what: str) -> CorruptionError:
        return CorruptionError(f"corrupt journal: {shown(self._path)}, byte {at}: {what}")


class _BadBatchError(Exception):
    """A batch is not what was written: at which byte, and how."""

    def __init__(self, at: int, what: str) -> None:
        self.at, self.what = at, what
