"""Run files whose checksums are right and whose numbers lie: CorruptionError, and no memory for what they promise."""

import os
import struct
import tracemalloc

import lz4.block
import pytest
import xxhash

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.errors import CorruptionError
from mrcore.kernels.merge import Merge, decode
from mrcore.storage.runfile import VERSION, RunReader
from mrcore.testing import reference

HEAD, BLOCK_HEAD = 16, 24


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def content(path):
    """All that a file holds, by partition and run, after every check that there is."""
    with RunReader(path) as reader:
        reader.check_footer()
        return [
            [[pair for block in reader.blocks(segment) for pair in decode(block)] for segment in reader.segments(p)]
            for p in range(reader.partitions)
        ]


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
    with open(path, "wb") as file:
        file.write(body + entries + places + check + b"mrcend" + struct.pack("<H", VERSION))


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
    "a kind that there is not": {"blocks": [ONE], "kind": 3},
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
