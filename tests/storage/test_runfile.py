"""Run files: what was written comes back, and whatever else is there is a CorruptionError."""

import itertools
import os
import random
import struct
import tracemalloc

import lz4.block
import pytest
import xxhash

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.errors import CorruptionError, DiskFullError, InputError, MrcoreError, OutputExistsError
from mrcore.kernels.merge import Merge, decode
from mrcore.storage.runfile import BLOCK_SIZE, KINDS, VERSION, RunReader, RunWriter
from mrcore.testing import reference

# A partition each, of runs each. The first and the last are empty; some blocks are compressed, some are not.
SHORT = [(b"be", 24), (b"not", -12), (b"or", 1 << 40)]
LONG = [(b"key %05d" % i, i) for i in range(60)]
CONTENT = [[], [SHORT, LONG], [[(b"\xff\0" + b"y" * 40, 1)]], []]
HEAD, TRAILER, ENTRY, BLOCK_HEAD = 16, 40, 56, 24


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


# ---- numbers that lie under right checksums --------------------------------------------------------------


def checked(data):
    return data + struct.pack("<Q", xxhash.xxh3_64_intdigest(data))


def block(raw_size, stored, stored_size=None):
    sizes = struct.pack("<QQ", raw_size, len(stored) if stored_size is None else stored_size)
    return sizes + struct.pack("<Q", xxhash.xxh3_64_intdigest(sizes + stored)) + stored


def forge(path, blocks, segments=None, *, footer=None, count=None, partitions=1, kind=0):
    """A run file whose checksums are right, whatever its numbers say."""
    head = b"mrcrun" + struct.pack("<HQ", VERSION, kind)
    body = head + b"".join(blocks)
    segments = [(0, HEAD, len(body) - HEAD, 1, 5, 5)] if segments is None else segments
    places = struct.pack("<QQQ", len(body) if footer is None else footer, len(segments) if count is None else count,
                         partitions)  # fmt: skip
    entries = b"".join(checked(struct.pack("<QQQQQQ", *segment)) for segment in segments)
    check = struct.pack("<Q", xxhash.xxh3_64_intdigest(head + places))
    replace(path, body + entries + places + check + b"mrcend" + struct.pack("<H", VERSION))


ONE = block(5, reference.encode_records([(b"abc", 1)]))  # 29 bytes, one record
ZEROS = lz4.block.compress(b"\0" * 1000, store_size=False)
HUGE = 1 << 60
LIES = {
    "a raw size beyond all": {"blocks": [block(HUGE, b"abcde")]},
    "a raw size of 2^64 - 1": {"blocks": [block((1 << 64) - 1, b"abcde")]},
    "a raw size of nothing": {"blocks": [block(0, b"")], "segments": [(0, 16, 24, 1, 2, 2)]},
    "a stored size beyond all": {"blocks": [block(5, b"abcde", HUGE)]},
    "both sizes beyond all": {"blocks": [block(HUGE, b"abcde", HUGE - 1)]},
    "a stored size above the raw one": {"blocks": [block(4, b"abcde")]},
    "a stored size that ends in the trailer": {"blocks": [block(40, b"abcde", 40)]},
    "more than LZ4 can": {"blocks": [block(256 * len(ZEROS), ZEROS)],
                          "segments": [(0, 16, 24 + len(ZEROS), 1, 256 * len(ZEROS), 256 * len(ZEROS))]},
    "as much as LZ4 can": {"blocks": [block(255 * len(ZEROS), ZEROS)],
                           "segments": [(0, 16, 24 + len(ZEROS), 1, 255 * len(ZEROS), 255 * len(ZEROS))]},
    "less than is inside": {"blocks": [block(999, ZEROS)], "segments": [(0, 16, 24 + len(ZEROS), 1, 999, 999)]},
    "what is not LZ4": {"blocks": [block(9, b"\xff\xff\xff\xff")], "segments": [(0, 16, 28, 1, 9, 9)]},
    "a block larger than block_max": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 4)]},
    "block_max larger than every block": {"blocks": [ONE, ONE], "segments": [(0, 16, 58, 2, 10, 6)]},
    "block_max above raw_bytes": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 6)]},
    "block_max beyond all": {"blocks": [ONE], "segments": [(0, 16, 29, 1, HUGE, HUGE)]},
    "block_max of nothing": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 0)]},
    "raw_bytes above the sum": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 6, 5)]},
    "raw_bytes below the sum": {"blocks": [ONE, ONE], "segments": [(0, 16, 58, 2, 9, 5)]},
    "records of nothing": {"blocks": [ONE], "segments": [(0, 16, 29, 0, 5, 5)]},
    "records beyond all": {"blocks": [ONE], "segments": [(0, 16, 29, HUGE, 5, 5)]},
    "a segment of nothing": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 5), (0, 45, 0, 0, 0, 0)]},
    "a size beyond all": {"blocks": [ONE], "segments": [(0, 16, HUGE, 1, 5, 5)]},
    "an offset beyond all": {"blocks": [ONE], "segments": [(0, 1 << 63, 29, 1, 5, 5)]},
    "offset and size that wrap": {"blocks": [ONE], "segments": [(0, (1 << 64) - 13, 29, 1, 5, 5)]},
    "a segment that begins in the head": {"blocks": [ONE], "segments": [(0, 15, 30, 1, 5, 5)]},
    "a segment that ends in the footer": {"blocks": [ONE], "segments": [(0, 16, 30, 1, 5, 5)]},
    "a segment that ends inside its block": {"blocks": [ONE], "segments": [(0, 16, 28, 1, 5, 5)]},
    "a segment that ends inside a block's head": {"blocks": [ONE], "segments": [(0, 16, 23, 1, 5, 5)]},
    "a segment that begins inside a block": {"blocks": [ONE], "segments": [(0, 17, 28, 1, 5, 5)]},
    "a partition that there is not": {"blocks": [ONE], "segments": [(1, 16, 29, 1, 5, 5)]},
    "no partitions": {"blocks": [ONE], "partitions": 0},
    "the same segment twice": {"blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 5)] * 2},
    "the same segment in two partitions": {
        "blocks": [ONE], "segments": [(0, 16, 29, 1, 5, 5), (1, 16, 29, 1, 5, 5)], "partitions": 2},
    "segments that overlap": {"blocks": [ONE, ONE], "segments": [(0, 16, 58, 2, 10, 5), (0, 45, 29, 1, 5, 5)]},
    "segments of a partition in the wrong order": {
        "blocks": [ONE, ONE], "segments": [(0, 45, 29, 1, 5, 5), (0, 16, 29, 1, 5, 5)]},
    "a footer in the wrong order": {
        "blocks": [ONE, ONE], "segments": [(1, 16, 29, 1, 5, 5), (0, 45, 29, 1, 5, 5)], "partitions": 2},
    "a block of no segment": {"blocks": [ONE, ONE], "segments": [(0, 16, 29, 1, 5, 5)]},
    "a block before the first segment": {"blocks": [ONE, ONE], "segments": [(0, 45, 29, 1, 5, 5)]},
    "a footer beyond all": {"blocks": [ONE], "footer": HUGE},
    "a footer in the head": {"blocks": [ONE], "footer": 15},
    "a footer too early": {"blocks": [ONE], "footer": 16},
    "more segments than there are": {"blocks": [ONE], "count": 2},
    "segments beyond all": {"blocks": [ONE], "count": 1 << 59},
    "segments whose size wraps": {"blocks": [ONE], "count": (1 << 61) + 1},
    "a kind that there is not": {"blocks": [ONE], "kind": 2},
}  # fmt: skip


def test_the_forger_can_write_the_truth(path):
    forge(path, [ONE, ONE], [(0, 16, 29, 1, 5, 5), (3, 45, 29, 1, 5, 5)], partitions=4)
    assert content(path) == [[[(b"abc", 1)]], [], [], [[(b"abc", 1)]]]


@pytest.mark.parametrize("lie", LIES)
def test_numbers_that_lie_under_right_checksums_are_noticed_and_allocate_nothing(path, lie):
    forge(path, **LIES[lie])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptionError, match="run, byte "):
            content(path)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_a_block_may_hold_no_more_than_lz4_allows_of_what_is_stored(path):
    """A small file costs at most what its bytes can stand for: 255 each, and never above 4 MiB a block."""
    stored = lz4.block.compress(b"\0" * (4 << 20) + b"\0", store_size=False)
    size = (4 << 20) + 1
    forge(path, [block(size, stored)], [(0, HEAD, BLOCK_HEAD + len(stored), 1, size, size)])
    with pytest.raises(CorruptionError, match="a block promises more than it can hold"):
        content(path)


def merged(path):
    runs = find_runs((path,), 0)
    with Merging(runs, Limits(4 << 20), path) as merging:
        return b"".join(map(bytes, merging.final("lines", None)))


@pytest.mark.parametrize(("stored", "said"), [
    (b"\xff" * 9, "does not parse or is out of order"), (b"\1b\2\1a\2", "does not parse or is out of order"),
    (b"\1a\2\4", "does not parse"), (b"\1a" + b"\xff" * 9 + b"\2", "does not parse"),
], ids=["no number", "out of order", "cut off", "a number past 64 bits"])  # fmt: skip
def test_records_that_lie_under_right_checksums_are_noticed_by_the_merge(path, stored, said):
    forge(path, [block(len(stored), stored)], [(0, 16, 24 + len(stored), 1, len(stored), len(stored))])
    with pytest.raises(CorruptionError, match=f"run, segment at byte 16: a record that {said}"):
        merged(path)


def test_values_of_another_kind_are_not_merged(path):
    forge(path, [ONE], kind=1)
    with pytest.raises(CorruptionError, match="run, byte 8: values of kind posting where sum is merged"):
        merged(path)


def test_the_merge_names_the_run_as_it_is_told(path):
    with pytest.raises(CorruptionError, match="named by the caller"):
        list(Merge([[b"\xff" * 9]], names=["named by the caller"]))


# ---- what becomes of the file on an error ----------------------------------------------------------------


def test_an_error_leaves_no_file(path):
    with pytest.raises(ZeroDivisionError), RunWriter(path, 1) as run:
        run.segment(0, [ONE], lambda: 1)
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
