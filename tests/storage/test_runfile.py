"""Run files: what was written comes back, and whatever else is there is a CorruptionError."""

import os
import struct
import tracemalloc

import lz4.block
import pytest
import xxhash

from mrcore.errors import CorruptionError, DiskFullError, InputError, MrcoreError, OutputExistsError
from mrcore.kernels.merge import Merge, decode
from mrcore.kernels.table import CountTable
from mrcore.storage.runfile import BLOCK_SIZE, RunReader, RunWriter

WORDS = [b"", b"to be or not to be " * 12, b"caf\xc3\xa9 \xff\0 x" + b"y" * 40]  # a partition each; the first is empty
CONTENT = [[], [(b"be", 24), (b"not", 12), (b"or", 12), (b"to", 24)],
           [(b"caf\xc3\xa9", 1), (b"x" + b"y" * 40, 1), (b"\xff\0", 1)]]  # fmt: skip


def encoded(text, block_size=BLOCK_SIZE):
    table = CountTable()
    table.feed(text, 0, len(text), True)
    entries = table.drain()
    return [bytes(block) for block in entries.blocks(0, block_size)], entries.records(0)


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


@pytest.fixture
def good(path):
    """A small run file of three partitions; its bytes."""
    with RunWriter(path) as run:
        for words in WORDS:
            blocks, records = encoded(words)
            run.segment(map(memoryview, blocks), records)
    with open(path, "rb") as file:
        return file.read()


def content(path):
    reader = RunReader(path)
    return [[pair for block in reader.blocks(p) for pair in decode(block)] for p in range(len(reader.segments))]


def test_what_was_written_comes_back(path, good):
    assert content(path) == CONTENT
    reader = RunReader(path)
    assert [reader.records(p) for p in range(3)] == [0, 4, 3]
    assert reader.size == len(good)


def test_the_writer_tells_sizes(path):
    blocks, records = encoded(WORDS[1])
    with RunWriter(path, sync=False) as run:
        run.segment(map(memoryview, blocks), count=lambda: records)
    assert RunReader(path).segments[0][3] == sum(map(len, blocks))
    assert run.size == os.path.getsize(path)


def test_many_blocks_of_which_some_do_not_compress(path):
    words = b" ".join(os.urandom(40).hex().encode() for _ in range(4000)) + b" " + b"same " * 10
    blocks, records = encoded(words, 4096)
    blocks.append(b"")  # an empty block is a block
    with RunWriter(path) as run:
        run.segment(map(memoryview, blocks), records)
    assert list(RunReader(path).blocks(0)) == blocks


def test_a_record_larger_than_a_block(path, text):
    blocks, records = encoded(b"z" * 1_000_000)
    with RunWriter(path) as run:
        run.segment(map(memoryview, blocks), records)
    assert content(path) == [[(b"z" * 1_000_000, 1)]]
    assert run.size < 20_000


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_single_byte_that_is_changed_is_noticed(path, good, flip):
    for at in range(len(good)):
        damaged = bytearray(good)
        damaged[at] ^= flip
        with open(path, "wb") as file:
            file.write(damaged)
        with pytest.raises(CorruptionError) as error:
            content(path)
        assert "run, byte " in str(error.value)


def test_every_truncation_is_noticed(path, good):
    for size in range(len(good)):
        with open(path, "wb") as file:
            file.write(good[:size])
        with pytest.raises(CorruptionError, match="byte"):
            content(path)


def test_every_truncation_after_the_file_was_opened_is_noticed(path, good):
    footer = RunReader(path).segments[-1]
    for size in range(8, footer[0] + footer[1]):
        with open(path, "wb") as file:
            file.write(good)
        reader = RunReader(path)
        os.truncate(path, size)
        with pytest.raises(CorruptionError):
            list(reader.blocks(1)) + list(reader.blocks(2))


@pytest.mark.parametrize("more", [b"\0", b"mrcend\x01\0", b"x" * 100])
def test_bytes_after_the_end_are_noticed(path, good, more):
    with open(path, "ab") as file:
        file.write(more)
    with pytest.raises(CorruptionError):
        content(path)


def test_a_newer_version_is_refused_by_its_number(path, good):
    with open(path, "r+b") as file:
        file.seek(6)
        file.write(struct.pack("<H", 2))
    with pytest.raises(CorruptionError, match="version 2, and this mrcore reads version 1"):
        RunReader(path)


@pytest.mark.parametrize("data", [b"", b"mrcrun", b"\x7fELF" + b"\0" * 100, b"PK\3\4" * 30])
def test_what_is_no_run_file_is_refused(path, data):
    with open(path, "wb") as file:
        file.write(data)
    with pytest.raises(CorruptionError, match="not a run file"):
        RunReader(path)


def test_a_run_file_that_is_not_there(path):
    with pytest.raises(InputError, match="no such file"):
        RunReader(path)


def forge(path, blocks, segment=None, footer_offset=None, partitions=1):
    """A run file whose checksums are right, whatever its lengths say."""
    body = b"mrcrun\x01\0" + b"".join(blocks)
    footer = struct.pack("<QQQQ", *(segment or (8, len(body) - 8, 1, 9)))
    where = struct.pack("<QQ", len(body) if footer_offset is None else footer_offset, partitions)
    check = struct.pack("<Q", xxhash.xxh3_64_intdigest(footer + where))
    with open(path, "wb") as file:
        file.write(body + footer + where + check + b"mrcend\x01\0")


def block(raw_size, stored, stored_size=None):
    sizes = struct.pack("<QQ", raw_size, len(stored) if stored_size is None else stored_size)
    return sizes + struct.pack("<Q", xxhash.xxh3_64_intdigest(sizes + stored)) + stored


PACKED = lz4.block.compress(b"a" * 1000, store_size=False)


@pytest.mark.parametrize("forged", [
    {"blocks": [block(1 << 60, b"abc")]},
    {"blocks": [block((1 << 64) - 1, b"abc")]},
    {"blocks": [block(10, b"abc", 1 << 60)]},
    {"blocks": [block(1 << 60, b"abc", (1 << 60) - 1)]},
    {"blocks": [block(255 * len(PACKED), PACKED)]},
    {"blocks": [block(999, PACKED)]},
    {"blocks": [block(5, b"abc")]},
    {"blocks": [block(3, b"abc")], "segment": (8, 1 << 60, 1, 9)},
    {"blocks": [block(3, b"abc")], "segment": (1 << 63, 1, 1, 9)},
    {"blocks": [block(3, b"abc")], "segment": (0, 27, 1, 3)},
    {"blocks": [block(3, b"abc")], "segment": (8, 27, 1, 1 << 60)},
    {"blocks": [block(3, b"abc")], "footer_offset": 1 << 60},
    {"blocks": [block(3, b"abc")], "partitions": 1 << 59},
    {"blocks": [block(3, b"abc")], "partitions": 0},
], ids=str)  # fmt: skip
def test_lengths_that_lie_under_right_checksums_allocate_nothing(path, forged):
    forge(path, **forged)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptionError):
            content(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_records_that_lie_under_right_checksums_are_noticed_by_the_merge(path):
    forge(path, [block(9, b"\xff" * 9)])
    with pytest.raises(CorruptionError, match="named by the caller"):
        list(Merge([RunReader(path).blocks(0)], names=["named by the caller"]))


def test_an_error_leaves_no_file(path):
    with pytest.raises(ZeroDivisionError), RunWriter(path) as run:
        run.segment(map(memoryview, encoded(WORDS[1])[0]), 4)
        raise ZeroDivisionError
    assert not os.path.exists(path)


def test_another_attempts_file_is_not_overwritten(path, good):
    with pytest.raises(OutputExistsError, match="file exists"):
        RunWriter(path)
    assert content(path) == CONTENT


def test_a_full_disk_leaves_no_file_at_whatever_byte_it_fills_up(small_disk):
    path = os.fsencode(small_disk / "run")
    noise = os.urandom(1 << 20)
    for fill in range(0, 2 << 20, 1 << 18):
        (small_disk / "fill").write_bytes(b"\0" * fill)
        try:
            with RunWriter(path) as run:
                run.segment(iter([memoryview(noise)] * 2), 1)
        except MrcoreError as error:
            assert isinstance(error, DiskFullError)
        assert os.listdir(small_disk) == ["fill"]
