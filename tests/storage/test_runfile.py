"""Run files: what was written comes back, and whatever else is there is a CorruptionError."""

import itertools
import os
import random
import struct

import pytest
import xxhash

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.errors import CorruptionError, DiskFullError, InputError, MrcoreError, OutputExistsError
from mrcore.kernels.merge import decode
from mrcore.storage.partfile import file_check
from mrcore.storage.runfile import BLOCK_SIZE, KINDS, RunReader, RunWriter
from mrcore.testing import reference

# A partition each, of runs each. The first and the last are empty; some blocks are compressed, some are not.
SHORT = [(b"be", 24), (b"not", -12), (b"or", 1 << 40)]
LONG = [(b"key %05d" % i, i) for i in range(60)]
CONTENT = [[], [SHORT, LONG], [[(b"\xff\0" + b"y" * 40, 1)]], []]
HEAD, TRAILER, BLOCK_HEAD = 16, 40, 24


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


@pytest.fixture(autouse=True)
def no_descriptor_is_left():
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def write(path, content, block_records=20, **how):
    """A run file of partitions of runs of pairs, run by run as a map task writes it; its bytes."""
    with RunWriter(path, len(content), **how) as run:
        for index in range(max(map(len, content), default=0)):
            for partition, runs in enumerate(content):
                if index < len(runs):
                    pairs = runs[index]
                    blocks = [reference.encode_records(pairs[at : at + block_records])
                              for at in range(0, len(pairs), block_records)]  # fmt: skip
                    run.segment(partition, map(memoryview, blocks), pairs.__len__)
    return read(path)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def replace(path, content):
    with open(path, "wb") as file:
        file.write(content)


def content(path):
    """All that a file holds, by partition and run, read in both ways that there are."""
    with RunReader(path) as reader:
        by_order = reader.check_footer()
        by_partition = [reader.segments(p) for p in range(reader.partitions)]
        assert list(itertools.chain(*by_partition)) == by_order
        return [[[pair for block in reader.blocks(segment) for pair in decode(block)] for segment in runs]
                for runs in by_partition]  # fmt: skip


@pytest.fixture
def good(path):
    return write(path, CONTENT)


def test_what_was_written_comes_back(path, good):
    assert content(path) == CONTENT
    with RunReader(path) as reader:
        assert (reader.size, reader.partitions, reader.kind) == (len(good), 4, "sum")
        assert [segment.records for segment in reader.segments(1)] == [3, 60]
        assert reader.segments(0) == reader.segments(3) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("partitions", [0, 1, 4096])
def test_a_file_without_records(path, partitions, kind):
    assert len(write(path, [[]] * partitions, kind=kind)) == HEAD + TRAILER
    assert content(path) == [[]] * partitions
    with RunReader(path) as reader:
        assert reader.kind == kind


@pytest.mark.parametrize(("partitions", "runs"), [(1, 300), (2, 1), (7, 13), (1000, 2), (65_536, 1)])
def test_many_partitions_and_many_runs_of_each(path, partitions, runs):
    """Every third partition has fewer runs, and the last has none."""
    some = [[[(b"%d" % p, r)] for r in range(runs if p % 3 else runs // 2)] for p in range(partitions - 1)] + [[]]
    write(path, some, sync=False)
    with RunReader(path) as reader:
        for partition in {0, 1, 2, partitions // 2, partitions - 2, partitions - 1} & set(range(partitions)):
            found = [decode(b"".join(reader.blocks(segment))) for segment in reader.segments(partition)]
            assert found == some[partition]
        assert len(reader.check_footer()) == sum(map(len, some))


def test_a_reader_of_one_partition_looks_at_few_entries_of_many(path, monkeypatch):
    write(path, [[[(b"k", p)]] for p in range(4096)], sync=False)
    asked = []
    with RunReader(path) as reader:
        segment = reader.segment
        monkeypatch.setattr(reader, "segment", lambda index: asked.append(index) or segment(index))
        assert [s.partition for s in reader.segments(1234)] == [1234]
    assert len(asked) <= 12 + 2


def test_the_writer_tells_sizes(path):
    raw = b"".join(reference.encode_records(pairs) for pairs in CONTENT[1])
    with RunWriter(path, 2) as run:
        for pairs in CONTENT[1]:
            run.segment(1, iter([reference.encode_records(pairs)]), pairs.__len__)
        assert (run.segments, run.records) == (2, 63)
    assert run.size == os.path.getsize(path)
    with RunReader(path) as reader:
        first, second = reader.segments(1)
        assert (first.offset, second.offset) == (HEAD, HEAD + first.size)
        assert first.raw_bytes + second.raw_bytes == len(raw)
        assert (first.block_max, second.block_max) == (first.raw_bytes, second.raw_bytes)


def test_many_blocks_of_which_some_do_not_compress(path):
    rng = random.Random(1)
    same, noise = b"same" * 1000, [rng.randbytes(4000) for _ in range(40)]
    blocks = [same, same, *noise, same, *[same] * 20, b"", same, same[:1]]  # an empty block leaves no trace
    with RunWriter(path, 1) as run:
        run.segment(0, map(memoryview, blocks), lambda: 9)
    with RunReader(path) as reader:
        assert list(reader.blocks(reader.segments(0)[0])) == [block for block in blocks if block]
    assert run.size < 41 * 4100 + 16 * 4100  # after one that did not become smaller, 16 are not tried


def test_only_empty_blocks_are_no_segment(path):
    with RunWriter(path, 1) as run:
        run.segment(0, [b"", b""], lambda: 0)
        run.segment(0, [], lambda: 0)
    assert (run.segments, content(path)) == (0, [[]])


@pytest.mark.parametrize("size", [BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 1_000_000, 5 << 20])
@pytest.mark.parametrize("noise", [False, True])
def test_a_record_larger_than_a_block(path, size, noise):
    key = random.Random(size).randbytes(size) if noise else b"z" * size
    write(path, [[[(key, 7), (b"~", 1)]]], block_records=1)
    assert content(path) == [[[(key, 7), (b"~", 1)]]]
    assert (os.path.getsize(path) < 30_000) == (not noise and size < 4 << 20)  # larger ones are not tried


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_single_byte_that_is_changed_is_noticed(path, good, flip):
    for at in range(len(good)):
        damaged = bytearray(good)
        damaged[at] ^= flip
        replace(path, damaged)
        with pytest.raises(CorruptionError, match="run, byte "):
            content(path)


def test_a_damaged_block_is_named_by_its_byte(path, good):
    with RunReader(path) as reader:
        segments = reader.check_footer()
    for segment in segments:
        damaged = bytearray(good)
        damaged[segment.offset + BLOCK_HEAD] ^= 1
        replace(path, damaged)
        with pytest.raises(CorruptionError, match=f"run, byte {segment.offset}: a block fails its checksum"):
            content(path)


def test_every_truncation_is_noticed(path, good):
    for size in range(len(good)):
        replace(path, good[:size])
        with pytest.raises(CorruptionError, match="run, byte "):
            content(path)


def test_every_truncation_after_the_file_was_opened_is_noticed(path, good):
    """A part of the file may be read whole before; what is read after is never taken for the file's own."""
    with RunReader(path) as reader:
        segments = reader.check_footer()
    last = max(segments, key=lambda segment: segment.offset)
    for size in range(last.offset + last.size):
        replace(path, good)
        with RunReader(path) as reader:
            os.truncate(path, size)
            with pytest.raises(CorruptionError, match="run, byte "):
                for segment in segments:
                    list(reader.blocks(segment))
            with pytest.raises(CorruptionError, match="entry fails its checksum"):
                reader.segments(1)


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(path, good):
    with RunReader(path) as reader:
        os.unlink(path)
        write(path, [])
        assert [decode(b"".join(reader.blocks(segment))) for segment in reader.segments(1)] == CONTENT[1]


@pytest.mark.parametrize("more", [b"\0", b"mrcend\x02\0", b"x" * 100])
def test_bytes_after_the_end_are_noticed(path, good, more):
    replace(path, good + more)
    with pytest.raises(CorruptionError):
        content(path)


@pytest.mark.parametrize("version", [0, 1, 3, 65_535])
def test_another_version_is_refused_by_its_number(path, good, version):
    replace(path, good[:6] + struct.pack("<H", version) + good[8:])
    with pytest.raises(CorruptionError, match=f"run, byte 6: version {version}, and this mrcore reads version 2"):
        RunReader(path)


def test_version_1_is_refused_by_its_number(path):
    """An empty file as version 1 was: head of eight bytes, trailer of 32."""
    where = struct.pack("<QQ", 8, 0)
    check = struct.pack("<Q", xxhash.xxh3_64_intdigest(where))
    replace(path, b"mrcrun\x01\0" + where + check + b"mrcend\x01\0")
    with pytest.raises(CorruptionError, match="version 1, and this mrcore reads version 2"):
        RunReader(path)


@pytest.mark.parametrize("data", [b"", b"mrcrun", b"\x7fELF" + b"\0" * 100, b"PK\3\4" * 30])
def test_what_is_no_run_file_is_refused(path, data):
    replace(path, data)
    with pytest.raises(CorruptionError, match="run, byte 0: not a run file"):
        RunReader(path)


def test_a_run_file_that_is_not_there(path, tmp_path):
    with pytest.raises(InputError, match="run: no such file"):
        RunReader(path)
    with pytest.raises(InputError, match="is a directory"):
        RunReader(os.fsencode(tmp_path))


# ---- what becomes of the file on an error ----------------------------------------------------------------


def test_an_error_leaves_no_file(path):
    with pytest.raises(ZeroDivisionError), RunWriter(path, 1) as run:
        run.segment(0, [b"\1a\2"], lambda: 1)
        raise ZeroDivisionError
    assert not os.path.exists(path)


def test_an_error_of_what_makes_the_blocks_leaves_no_file(path):
    with pytest.raises(ZeroDivisionError), RunWriter(path, 1) as run:
        run.segment(0, (b"x" * (1 // size) for size in (1, 0)), lambda: 1)
    assert not os.path.exists(path)


def test_another_attempts_file_is_not_overwritten(path, good):
    with pytest.raises(OutputExistsError, match="file exists"):
        RunWriter(path, 1)
    assert content(path) == CONTENT


def test_a_run_that_vanished_before_the_merge_is_an_input_error(path, good):
    runs = find_runs((path,), 1)
    os.unlink(path)
    with pytest.raises(InputError, match="run: no such file"), Merging(runs, Limits(4 << 20), path) as merging:
        list(merging.final("lines", None))


def test_a_full_disk_leaves_no_file_at_whatever_byte_it_fills_up(small_disk):
    path = os.fsencode(small_disk / "run")
    noise = random.Random(1).randbytes(1 << 20)
    for fill in range(0, 2 << 20, 1 << 18):
        (small_disk / "fill").write_bytes(b"\0" * fill)
        try:
            with RunWriter(path, 1) as run:
                run.segment(0, iter([memoryview(noise)] * 2), lambda: 1)
        except MrcoreError as error:
            assert isinstance(error, DiskFullError)
        assert os.listdir(small_disk) == ["fill"]


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("given", [[], CONTENT], ids=["empty", "segments"])
def test_a_writers_check_is_that_of_the_whole_file(path, given, sync):
    with RunWriter(path, len(given), sync=sync) as run:
        for partition, runs in enumerate(given):
            for pairs in runs:
                run.segment(partition, [reference.encode_records(pairs)], pairs.__len__)
    assert (run.size, run.check) == file_check(path) == (len(read(path)), xxhash.xxh3_64_hexdigest(read(path)))
