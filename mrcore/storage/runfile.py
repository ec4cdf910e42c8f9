"""Run files: sorted records in checksummed blocks, in segments of one partition and one run each.

A map task's output is one run file, however often its memory was full: each spill adds a run,
with a segment for each partition that has records in it. A merge of too many runs writes more
of them. ``docs/formats/runfile.md`` has a worked example.

Grammar, all integers little-endian::

    file     := head block* footer trailer
    head     := "mrcrun" version:u16 kind:u64
    version  := 2
    kind     := 0 (values are sums) | 1 (values are postings) | 2 (values are byte strings)
    block    := raw_size:u64 stored_size:u64 check:u64 stored
                stored is LZ4-compressed when stored_size < raw_size, else as it is;
                check is XXH3-64 of the two sizes and of stored
    footer   := segment*, by partition, those of one partition in the order of their runs
    segment  := partition:u64 offset:u64 size:u64 records:u64 raw_bytes:u64 block_max:u64 check:u64
                its blocks stand one after the other in [offset, offset + size); block_max is the
                largest raw_size; check is XXH3-64 of the six numbers
    trailer  := footer_offset:u64 segments:u64 partitions:u64 check:u64 "mrcend" version
                check is XXH3-64 of the head and of the three numbers

Invariants: the records of a segment ascend by key bytes, and but for kind 2, where the order of a
key's records is that of its values, no key stands twice; a block holds
whole records, one at least; the segments are all that is between head and footer; every length
is checked against the file's size before it is used. A reader finds its partition's segments by
bisection, so a file of many partitions costs each of their readers no more than a few of them.
"""

from __future__ import annotations

import contextlib
import os
import struct
from bisect import bisect_left
from typing import NamedTuple

import lz4.block
from xxhash import xxh3_64, xxh3_64_intdigest

from mrcore.errors import CorruptionError, shown
from mrcore.kernels.process import start_writeback
from mrcore.storage.files import WRITEBACK_BYTES, reading, write_error, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedWriter
    from types import TracebackType

    from mrcore.storage.budget import DiskBudget

BLOCK_SIZE = 64 << 10  # raw bytes that a block aims at; LZ4's window is as large
VERSION = 2
KINDS = ("sum", "posting", "values")  # by their number in the file
LZ4_ACCELERATION = 8  # on sorted words 970 MB/s and 80 % of the size, against 460 MB/s and 62 % at 1
LZ4_RAW_MAX = 4 << 20  # a larger block is one giant record: its compressed copy would be held beside it
LZ4_WORTH = 0.75  # of the size: packing costs more than writing and reading a third more in the page cache
TRY_EVERY = 16  # of the blocks after one that was not worth it, so many are not tried

_HEAD = struct.Struct("<6sHQ")
_SIZES = struct.Struct("<QQ")
_CHECK = struct.Struct("<Q")
_SEGMENT = struct.Struct("<QQQQQQ")
_PLACES = struct.Struct("<QQQ")
_TRAILER = struct.Struct("<QQQQ6sH")
_BLOCK_HEAD = _SIZES.size + _CHECK.size
_SEGMENT_SIZE = _SEGMENT.size + _CHECK.size
_RECORD_MIN = 2  # bytes of a record: an empty key's length, and a value
_LZ4_RATIO_MAX = 255  # of the LZ4 block format: a length byte stands for at most 255 bytes
_WRITE_BUFFER = 128 << 10


class Segment(NamedTuple):
    """One run of one partition, inside a run file."""

    partition: int
    offset: int
    size: int  # of its blocks in the file
    records: int
    raw_bytes: int
    block_max: int  # raw bytes of its largest block


class RunWriter:
    """Writes a run file; a context manager.

    The file is synced on a clean exit and removed on an error.

    Args:
        partitions: how many there are; those without a segment are empty.
        kind: one of :data:`KINDS`.
        disk: what the file may take is taken from it.
    """

    def __init__(
        self, path: bytes, partitions: int, *, kind: str = "sum", sync: bool = True, disk: DiskBudget | None = None
    ) -> None:
        self.path = path
        self.partitions = partitions
        self._sync = sync
        self._disk = disk
        self._check = xxh3_64()
        self._skip = 0  # blocks that are not worth a try at compression
        self._segments: list[Segment] = []
        self.size = self._at = self._taken = self._sent = 0
        self._start = self._raw = self._largest = 0  # of the run that was begun
        with writing(path):
            # typeshed knows the class only for a literal buffer size; closed in __exit__
            self._file: BufferedWriter = open(path, "xb", _WRITE_BUFFER)  # type: ignore[assignment]  # noqa: SIM115
        try:
            self._head = _HEAD.pack(b"mrcrun", VERSION, KINDS.index(kind))
            self._write(self._head)
        except BaseException:
            self._abandon()
            raise

    def _write(self, data: bytes | memoryview) -> None:
        self._at += len(data)
        if self._disk is not None and self._at > self._taken:
            self._taken += self._disk.take(self._at - self._taken, self.path)
        try:
            self._file.write(data)
        except OSError as error:
            raise write_error(self.path, error) from error
        self._check.update(data)
        if self._sync and self._at - self._sent >= WRITEBACK_BYTES:
            # What the buffer still holds is sent with the next piece.
            start_writeback(self._file.fileno(), self._sent, self._at - self._sent - _WRITE_BUFFER)
            self._sent = self._at - _WRITE_BUFFER

    def segment(self, partition: int, blocks: Iterable[memoryview | bytes], count: Callable[[], int]) -> None:
        """Adds a run of a partition: its blocks of records; ``count`` says afterwards how many records they held."""
        self.begin()
        for block in blocks:
            if len(block):
                self.block(block)
        self.end(partition, count)

    def begin(self) -> None:
        """Begins a run of a partition, whose blocks are given one by one."""
        self._start, self._raw, self._largest = self._at, 0, 0

    def end(self, partition: int, count: Callable[[], int]) -> None:
        """Ends the run that was begun; ``count`` says how many records its blocks held, if there were any."""
        if self._raw:
            size = self._at - self._start
            self._segments.append(Segment(partition, self._start, size, count(), self._raw, self._largest))

    def block(self, block: memoryview | bytes) -> None:
        """Writes a block of whole records, not empty, of the run that was begun."""
        self._raw += len(block)
        self._largest = max(self._largest, len(block))
        stored: bytes | memoryview = block
        if self._skip:
            self._skip -= 1
        elif len(block) <= LZ4_RAW_MAX:
            packed = lz4.block.compress(block, mode="fast", acceleration=LZ4_ACCELERATION, store_size=False)
            if len(packed) < LZ4_WORTH * len(block):
                stored = packed
            elif 4 * len(block) >= BLOCK_SIZE:  # a small one says nothing about others
                self._skip = TRY_EVERY
        sizes = _SIZES.pack(len(block), len(stored))
        check = xxh3_64(sizes)
        check.update(stored)
        self._write(sizes + _CHECK.pack(check.intdigest()))
        self._write(stored)

    @property
    def check(self) -> str:
        """XXH3-64 of all bytes that were written, as 16 hexadecimal digits."""
        return self._check.hexdigest()

    @property
    def segments(self) -> int:
        """Segments that were written: sorted runs, by partition."""
        return len(self._segments)

    @property
    def records(self) -> int:
        """Records in all segments."""
        return sum(segment.records for segment in self._segments)

    def _finish(self) -> None:
        where = _PLACES.pack(self._at, len(self._segments), self.partitions)
        for segment in sorted(self._segments, key=lambda segment: segment.partition):
            numbers = _SEGMENT.pack(*segment)
            self._write(numbers + _CHECK.pack(xxh3_64_intdigest(numbers)))
        check = _CHECK.pack(xxh3_64_intdigest(self._head + where))
        self._write(where + check + struct.pack("<6sH", b"mrcend", VERSION))
        self._file.flush()
        if self._sync:
            os.fsync(self._file.fileno())
        self.size = self._at
        if self._disk is not None:
            self._disk.give(self._taken - self._at)
            self._taken = self._at  # closing may still fail, and then the rest is given back

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None:
                with writing(self.path):
                    self._finish()
                    self._file.close()
                return
        except BaseException:
            self._abandon()
            raise
        self._abandon()

    def _abandon(self) -> None:
        try:
            self._file.close()
        except OSError:
            self._file.raw.close()  # what could not be flushed is not wanted any more
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        if self._disk is not None:
            self._disk.give(self._taken)


class RunReader:
    """Reads a run file, checking everything it says about itself; a context manager that closes it.

    Raises:
        CorruptionError: naming file and byte, where the file is not what was written.
        InputError: the file cannot be opened or read.
    """

    def __init__(self, path: bytes) -> None:
        self.path = path
        with reading(path):
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with reading(path):
                self.size = os.fstat(self._fd).st_size
                self._read_head()
                self._read_trailer()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_head(self) -> None:
        head = os.pread(self._fd, _HEAD.size, 0)
        if head[:6] != b"mrcrun" or len(head) < 8:
            raise self.corrupt(0, "not a run file")
        if (version := struct.unpack_from("<H", head, 6)[0]) != VERSION:
            raise self.corrupt(6, f"version {version}, and this mrcore reads version {VERSION}")
        if self.size < _HEAD.size + _TRAILER.size or len(head) < _HEAD.size:
            raise self.corrupt(self.size, "the file ends inside its trailer")
        self._head, kind = head, _HEAD.unpack(head)[2]
        if kind >= len(KINDS):
            raise self.corrupt(8, f"values of an unknown kind {kind}")
        self.kind = KINDS[kind]

    def _read_trailer(self) -> None:
        at = self.size - _TRAILER.size
        trailer = os.pread(self._fd, _TRAILER.size, at)
        if len(trailer) < _TRAILER.size:
            raise self.corrupt(at, "the file became shorter")
        self._footer, self.segment_count, self.partitions, check, magic, version = _TRAILER.unpack(trailer)
        if magic != b"mrcend" or version != VERSION:
            raise self.corrupt(at, "no trailer: the file is cut off")
        if xxh3_64_intdigest(self._head + trailer[: _PLACES.size]) != check:
            raise self.corrupt(at, "head and trailer fail their checksum")
        if not _HEAD.size <= self._footer <= at or self.segment_count * _SEGMENT_SIZE != at - self._footer:
            raise self.corrupt(at, "the trailer points outside the file")

    def corrupt(self, at: int, what: str) -> CorruptionError:
        """The error for this file."""
        return CorruptionError(f"corrupt run file: {shown(self.path)}, byte {at}: {what}")

    def segment(self, index: int) -> Segment:
        """The segment at a position of the footer."""
        at = self._footer + index * _SEGMENT_SIZE
        with reading(self.path):
            entry = os.pread(self._fd, _SEGMENT_SIZE, at)
        if len(entry) < _SEGMENT_SIZE or xxh3_64_intdigest(entry[: _SEGMENT.size]) != _CHECK.unpack_from(
            entry, _SEGMENT.size
        )[0]:
            raise self.corrupt(at, "a segment's entry fails its checksum")
        found = Segment(*_SEGMENT.unpack_from(entry))
        if found.offset < _HEAD.size or found.offset + found.size > self._footer or found.partition >= self.partitions:
            raise self.corrupt(at, "a segment lies outside the file")
        if not (
            0 < found.block_max <= found.raw_bytes <= found.size * _LZ4_RATIO_MAX
            and 0 < found.records <= found.raw_bytes // _RECORD_MIN
        ):
            raise self.corrupt(at, "a segment promises what it cannot hold")
        return found

    def segments(self, partition: int) -> list[Segment]:
        """The runs of a partition, in the order they were written."""
        low = bisect_left(range(self.segment_count), partition, key=lambda index: self.segment(index).partition)
        found: list[Segment] = []
        while low < self.segment_count and (segment := self.segment(low)).partition == partition:
            if found and segment.offset < found[-1].offset + found[-1].size:
                raise self.corrupt(self._footer + low * _SEGMENT_SIZE, "a segment lies in another one")
            found.append(segment)
            low += 1
        return found

    def check_footer(self) -> list[Segment]:
        """All segments, after a look at what one partition's reader cannot see: their order, gaps and overlaps."""
        found = [self.segment(index) for index in range(self.segment_count)]
        for index in range(1, len(found)):
            if found[index].partition < found[index - 1].partition:
                raise self.corrupt(self._footer + index * _SEGMENT_SIZE, "the segments are not in their order")
        end = _HEAD.size
        for segment in sorted(found, key=lambda segment: segment.offset):
            if segment.offset != end:
                raise self.corrupt(end, "a gap between two segments, or one lies in another")
            end += segment.size
        if end != self._footer:
            raise self.corrupt(end, "bytes that belong to no segment")
        return found

    def blocks(self, segment: Segment) -> Iterator[bytes | memoryview]:
        """A segment's blocks, decompressed and checked, one at a time: it holds none while it reads the next."""
        at, end = segment.offset, segment.offset + segment.size
        left, largest = segment.raw_bytes, 0
        head = self._read(at, min(_BLOCK_HEAD, end - at))
        while at < end:
            if len(head) < _BLOCK_HEAD:
                raise self.corrupt(at, "the segment ends inside a block")
            raw_size, stored_size = self._check_sizes(head, at, end, segment.block_max)
            body = at + _BLOCK_HEAD
            # With the block, the head of the next one: a call less for each.
            data = self._read(body, min(stored_size + _BLOCK_HEAD, end - body))
            if len(data) < stored_size:
                raise self.corrupt(at, "the file ends inside a block")
            block = self._unpack(head, memoryview(data)[:stored_size], raw_size, at)
            head, at = data[stored_size:], body + stored_size
            left, largest = left - raw_size, max(largest, raw_size)
            del data
            yield block
            del block
        if left or largest != segment.block_max:
            raise self.corrupt(end, "the segment's sizes are not those of its blocks")

    def block_sizes(self, segment: Segment) -> Iterator[tuple[int, int, int]]:
        """Offset, raw and stored bytes of a segment's blocks, without a look at what is stored."""
        at, end = segment.offset, segment.offset + segment.size
        while at < end:
            head = self._read(at, min(_BLOCK_HEAD, end - at))
            if len(head) < _BLOCK_HEAD:
                raise self.corrupt(at, "the segment ends inside a block")
            raw_size, stored_size = self._check_sizes(head, at, end, segment.block_max)
            yield at, raw_size, stored_size
            at += _BLOCK_HEAD + stored_size

    def _read(self, at: int, size: int) -> bytes:
        with reading(self.path):
            data = os.pread(self._fd, size, at)
            while len(data) < size:  # more than the system reads at once, or the file became shorter
                more = os.pread(self._fd, size - len(data), at + len(data))
                if not more:
                    break
                data += more
        return data

    def _check_sizes(self, head: bytes, at: int, end: int, block_max: int) -> tuple[int, int]:
        raw_size, stored_size = _SIZES.unpack_from(head)
        if stored_size > end - at - _BLOCK_HEAD or stored_size > raw_size:
            raise self.corrupt(at, "a block is larger than its segment")
        compressed = stored_size < raw_size
        most = min(stored_size * _LZ4_RATIO_MAX, LZ4_RAW_MAX) if compressed else raw_size
        if not 0 < raw_size <= min(block_max, most):
            raise self.corrupt(at, "a block promises more than it can hold")
        return raw_size, stored_size

    def _unpack(self, head: bytes, stored: memoryview, raw_size: int, at: int) -> bytes | memoryview:
        check = xxh3_64(head[: _SIZES.size])
        check.update(stored)
        if check.intdigest() != _CHECK.unpack_from(head, _SIZES.size)[0]:
            raise self.corrupt(at, "a block fails its checksum")
        if len(stored) == raw_size:
            return stored
        try:
            block: bytes = lz4.block.decompress(stored, uncompressed_size=raw_size)
        except lz4.block.LZ4BlockError as error:
            raise self.corrupt(at, f"a block does not decompress ({error})") from error
        if len(block) != raw_size:
            raise self.corrupt(at, "a block decompresses to another size")
        return block
