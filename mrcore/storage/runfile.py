"""Run files: sorted records in checksummed blocks, one segment a partition.

A map task's output is one run file with a segment for each reducer; a merge of too many runs
writes more of them. ``docs/formats/runfile.md`` has a worked example.

Grammar, all integers little-endian::

    file     := magic version block* footer trailer
    magic    := "mrcrun"
    version  := u16, 1
    block    := raw_size:u64 stored_size:u64 check:u64 stored
                stored is LZ4-compressed when stored_size < raw_size, else as it is;
                check is XXH3-64 of the two sizes and of stored
    footer   := segment*, one a partition
    segment  := offset:u64 size:u64 records:u64 raw_bytes:u64
                the blocks of a partition stand one after the other in [offset, offset + size)
    trailer  := footer_offset:u64 partitions:u64 check:u64 "mrcend" version
                check is XXH3-64 of footer, footer_offset and partitions

Invariants: the records of a segment ascend by key bytes, no key stands twice; a block holds
whole records; every length is checked against the file's size before it is used.
"""

from __future__ import annotations

import contextlib
import os
import struct

import lz4.block
from xxhash import xxh3_64

from mrcore.errors import CorruptionError, shown
from mrcore.storage.files import reading, write_error, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedWriter
    from types import TracebackType
    from typing import BinaryIO

BLOCK_SIZE = 64 << 10  # raw bytes that a block aims at; LZ4's window is as large
VERSION = 1
LZ4_ACCELERATION = 8  # on sorted words 970 MB/s and 80 % of the size, against 460 MB/s and 62 % at 1

_HEAD = struct.Struct("<6sH")
_SIZES = struct.Struct("<QQ")
_CHECK = struct.Struct("<Q")
_SEGMENT = struct.Struct("<QQQQ")
_TRAILER = struct.Struct("<QQQ6sH")
_BLOCK_HEAD = _SIZES.size + _CHECK.size
_LZ4_RATIO_MAX = 255  # of the LZ4 block format: a length byte stands for at most 255 bytes
_LZ4_INPUT_MAX = 0x7E000000
_WRITE_BUFFER = 1 << 20
_READ_BUFFER = 64 << 10


class RunWriter:
    """Writes a run file, partition after partition; a context manager.

    The file is synced on a clean exit and removed on an error.
    """

    def __init__(self, path: bytes, *, sync: bool = True) -> None:
        self.path = path
        self._sync = sync
        with writing(path):
            # typeshed knows the class only for a literal buffer size; closed in __exit__
            self._file: BufferedWriter = open(path, "xb", _WRITE_BUFFER)  # type: ignore[assignment]  # noqa: SIM115
        self._segments: list[tuple[int, int, int, int]] = []
        self._at = self._write(_HEAD.pack(b"mrcrun", VERSION))
        self.size = 0

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise write_error(self.path, error) from error

    def segment(self, blocks: Iterator[memoryview], records: int | None = None, count: object = None) -> None:
        """Adds the next partition: its blocks of records, and how many records they hold.

        ``records`` may be given later by a callable ``count``, for a merge that counts as it goes.
        """
        start, raw = self._at, 0
        for block in blocks:
            self._block(block)
            raw += len(block)
        if records is None:
            assert callable(count)
            records = count()
        self._segments.append((start, self._at - start, records, raw))

    def _block(self, block: memoryview) -> None:
        stored: bytes | memoryview = block
        if len(block) <= _LZ4_INPUT_MAX:
            packed = lz4.block.compress(block, mode="fast", acceleration=LZ4_ACCELERATION, store_size=False)
            if len(packed) < len(block):
                stored = packed
        sizes = _SIZES.pack(len(block), len(stored))
        check = xxh3_64(sizes)
        check.update(stored)
        self._write(sizes + _CHECK.pack(check.intdigest()))
        self._write(stored)
        self._at += _BLOCK_HEAD + len(stored)

    def _finish(self) -> None:
        footer = b"".join(_SEGMENT.pack(*segment) for segment in self._segments)
        where = _SIZES.pack(self._at, len(self._segments))
        self._write(footer)
        self._write(where + _CHECK.pack(xxh3_64(footer + where).intdigest()) + _HEAD.pack(b"mrcend", VERSION))
        self._file.flush()
        if self._sync:
            os.fsync(self._file.fileno())
        self.size = self._at + len(footer) + _TRAILER.size

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


class RunReader:
    """Reads a run file, checking everything it says about itself.

    Raises:
        CorruptionError: naming file and byte, where the file is not what was written.
        InputError: the file cannot be opened or read.
    """

    def __init__(self, path: bytes) -> None:
        self.path = path
        with reading(path), open(path, "rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size or head[:6] != b"mrcrun":
                raise self._corrupt(0, "not a run file")
            if (version := _HEAD.unpack(head)[1]) != VERSION:
                raise self._corrupt(6, f"version {version}, and this mrcore reads version {VERSION}")
            if self.size < _HEAD.size + _TRAILER.size:
                raise self._corrupt(self.size, "the file ends inside its trailer")
            self.segments = self._read_footer(file)

    def _read_footer(self, file: BinaryIO) -> list[tuple[int, int, int, int]]:
        at = self.size - _TRAILER.size
        file.seek(at)
        trailer = file.read(_TRAILER.size)
        offset, partitions, check, magic, version = _TRAILER.unpack(trailer)
        if magic != b"mrcend" or version != VERSION:
            raise self._corrupt(at, "no trailer: the file is cut off")
        if not _HEAD.size <= offset <= at or partitions * _SEGMENT.size != at - offset:
            raise self._corrupt(at, "the trailer points outside the file")
        file.seek(offset)
        footer = file.read(at - offset)
        if xxh3_64(footer + trailer[: _SIZES.size]).intdigest() != check:
            raise self._corrupt(offset, "the footer fails its checksum")
        segments = list(_SEGMENT.iter_unpack(footer))
        for start, size, _, _ in segments:
            if start < _HEAD.size or start + size > offset:
                raise self._corrupt(offset, "a segment lies outside the file")
        return segments

    def _corrupt(self, at: int, what: str) -> CorruptionError:
        return CorruptionError(f"corrupt run file: {shown(self.path)}, byte {at}: {what}")

    def records(self, partition: int) -> int:
        """Records in a partition."""
        return self.segments[partition][2]

    def blocks(self, partition: int) -> Iterator[bytes]:
        """The partition's blocks, decompressed and checked, one at a time.

        The file is open only while the iterator is in use.
        """
        at, size, _, raw_bytes = self.segments[partition]
        if not size:
            return
        end = at + size
        with reading(self.path), open(self.path, "rb", buffering=_READ_BUFFER) as file:
            file.seek(at)
            while at < end:
                block, taken = self._read_block(file, at, end)
                at += taken
                raw_bytes -= len(block)
                yield block
        if raw_bytes:
            raise self._corrupt(end, "the segment's size is not the sum of its blocks'")

    def _read_block(self, file: BinaryIO, at: int, end: int) -> tuple[bytes, int]:
        head = file.read(_BLOCK_HEAD)
        if len(head) < _BLOCK_HEAD or end - at < _BLOCK_HEAD:
            raise self._corrupt(at, "the file ends inside a block")
        raw_size, stored_size = _SIZES.unpack_from(head)
        if stored_size > end - at - _BLOCK_HEAD or stored_size > raw_size:
            raise self._corrupt(at, "a block is larger than its segment")
        if raw_size > stored_size * _LZ4_RATIO_MAX or (raw_size > stored_size and raw_size > _LZ4_INPUT_MAX):
            raise self._corrupt(at, "a block promises more than it can hold")
        stored = file.read(stored_size)
        if len(stored) < stored_size:
            raise self._corrupt(at, "the file ends inside a block")
        check = xxh3_64(head[: _SIZES.size])
        check.update(stored)
        if check.intdigest() != _CHECK.unpack_from(head, _SIZES.size)[0]:
            raise self._corrupt(at, "a block fails its checksum")
        if stored_size < raw_size:
            try:
                stored = lz4.block.decompress(stored, uncompressed_size=raw_size)
            except lz4.block.LZ4BlockError as error:
                raise self._corrupt(at, f"a block does not decompress ({error})") from error
            if len(stored) != raw_size:
                raise self._corrupt(at, "a block decompresses to another size")
        return stored, _BLOCK_HEAD + stored_size
