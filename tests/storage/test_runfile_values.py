"""Run files of kind ``values``: written block by block, a key's records in their order, read back, and inspected."""

import itertools
import os

import pytest

from mrcore.cli.inspect import check_segment, read_records, run_lines
from mrcore.errors import CorruptionError
from mrcore.kernels.codec import encode_values
from mrcore.kernels.groups import read_groups
from mrcore.storage.runfile import BLOCK_SIZE, RunReader, RunWriter
from mrcore.testing import reference

GROUPS = [(b"", [None]), (b"a", [1, "x", 2.5, b"\0"]), (b"a\0", [(1, ("b",))]), (b"b" * 300, list(range(500)))]


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def blocks_of(groups, values_a_record, records_a_block):
    """Blocks and how many records each has."""
    records = [
        (key, encode_values(values[at : at + values_a_record], None))
        for key, values in groups
        for at in range(0, len(values), values_a_record)
    ]
    starts = range(0, len(records), records_a_block)
    return [reference.encode_bytes_records(records[at : at + records_a_block]) for at in starts], len(records)


def write(path, groups, values_a_record=2, records_a_block=3):
    """A file of three partitions, of which the last has two equal runs; records of each run."""
    blocks, records = blocks_of(groups, values_a_record, records_a_block)
    with RunWriter(path, 3, kind="values", sync=False) as run:
        for _ in range(2):
            run.begin()
            for block in blocks:
                run.block(block)
            run.end(2, lambda: records)
        assert run.segments == 2 * bool(blocks)
    return records


@pytest.mark.parametrize(("values_a_record", "records_a_block"), [*itertools.product([1, 2, 1000], [1, 3, 1000])])
def test_groups_come_back_however_records_and_blocks_cut_them(path, values_a_record, records_a_block):
    records = write(path, GROUPS, values_a_record, records_a_block)
    with RunReader(path) as reader:
        assert (reader.kind, reader.partitions, reader.segment_count) == ("values", 3, 2)
        for segment in reader.check_footer():
            assert (segment.partition, segment.records) == (2, records)
            assert list(read_groups(reader.blocks(segment))) == GROUPS
            check_segment(reader, segment)
        assert reader.segments(0) == reader.segments(1) == []


def test_a_run_that_was_begun_and_is_empty_leaves_nothing(path):
    write(path, [])
    with RunReader(path) as reader:
        assert (reader.kind, reader.check_footer()) == ("values", [])


def test_a_record_larger_than_a_block(path):
    groups = [(b"k", ["x" * (BLOCK_SIZE * 3), os.urandom(BLOCK_SIZE)]), (b"l" * BLOCK_SIZE, [1])]
    write(path, groups)
    with RunReader(path) as reader:
        assert [list(read_groups(reader.blocks(segment))) for segment in reader.check_footer()] == [groups] * 2


def test_inspect_counts_and_checks_them(path):
    records = write(path, GROUPS)
    lines = list(run_lines(path, blocks=False, records=0))
    assert (
        f"kind values: {os.path.getsize(path):,} bytes, 3 partitions, 2 segments, {2 * records:,} records" in lines[0]
    )
    assert [line.split()[:2] for line in lines[2:]] == [["2", "0"], ["2", "1"]]


def test_inspect_shows_their_records(path):
    records = write(path, GROUPS)
    with RunReader(path) as reader:
        segment = reader.segments(2)[0]
        keys = [key for key, _ in read_records(reader, segment)]
    assert len(keys) == records and [key for key, _ in itertools.groupby(keys)] == [key for key, _ in GROUPS]
    assert len(list(run_lines(path, blocks=False, records=-1))) == 4 + 2 * records


@pytest.mark.parametrize(
    ("count", "groups"), [(1, GROUPS), (3, [(b"b", [1]), (b"a", [2]), (b"c", [3])])], ids=["count", "order"]
)
def test_inspect_notices_a_wrong_number_and_a_wrong_order(path, count, groups):
    blocks, _ = blocks_of(groups, 1, 100)
    with RunWriter(path, 1, kind="values", sync=False) as run:
        run.begin()
        run.block(blocks[0])
        run.end(0, lambda: count)
    with pytest.raises(CorruptionError, match=r"out of order|the footer says 1"):
        list(run_lines(path, blocks=False, records=0))
