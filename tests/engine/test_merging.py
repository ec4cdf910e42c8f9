"""Merging: the same records in however many passes, in their order, within memory, descriptors and disk."""

import gc
import os
import random
import tracemalloc
from collections import Counter

import pytest

from mrcore.engine.merging import LEAST_BYTES, Limits, Merging, Run, fan_in, find_runs
from mrcore.errors import BudgetError, CorruptionError, InputError
from mrcore.kernels.merge import decode
from mrcore.kernels.postings import decode as decode_postings
from mrcore.kernels.postings import encode as encode_postings
from mrcore.storage.budget import DiskBudget
from mrcore.storage.runfile import BLOCK_SIZE, RunReader, RunWriter, Segment
from mrcore.testing import reference

MIB = 1 << 20
FILE_BYTES = 16 + 24 + 56 + 40  # of a run file of one block, beside its records
RECORD_BYTES = 10


@pytest.fixture
def name(tmp_path):
    return os.fsencode(tmp_path / "part")


@pytest.fixture(autouse=True)
def no_descriptor_is_left():
    gc.collect()  # what tests before this one left may go at any time
    before = set(os.listdir("/proc/self/fd"))
    yield
    gc.collect()  # an error's traceback holds a counter, and a map holds a descriptor
    assert set(os.listdir("/proc/self/fd")) <= before


def posting_record(key, pairs):
    value = encode_postings(pairs)
    return reference.encode_varint(len(key)) + key + reference.encode_varint(len(value)) + value


def write(tmp_path, files, kind="sum"):
    """A run file for each list of runs, all of partition 1 of three; a run is a list of records. Their paths."""
    paths = []
    for index, runs in enumerate(files):
        paths.append(os.fsencode(tmp_path / f"run-{index}"))
        with RunWriter(paths[-1], 3, kind=kind, sync=False) as run:
            for records in runs:
                run.segment(0, [records[0]], lambda: 1)  # of others
                run.segment(1, records, records.__len__)
    return tuple(paths)


KEYS = sorted({random.Random(1).randbytes(8 * 70)[at : at + 8] for at in range(0, 560, 8)})  # LZ4 can do nothing


def record(index):
    return reference.encode_record(KEYS[index], 7)


def single_records(tmp_path, count):
    """So many runs, each in a file of its own and of one record of ten bytes that no other has."""
    return find_runs(write(tmp_path, [[[record(index)]] for index in range(count)]), 1)


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(("run-", "counter")))


def merge(runs, limits, name, **how):
    with Merging(runs, limits, name, **how) as merging:
        lines = b"".join(map(bytes, merging.final("lines", None)))
        return merging, lines


# runs, fan-in, passes, and how many runs went into each intermediate file
PLANS = [
    (0, 3, 1, []), (1, 3, 1, []), (2, 3, 1, []), (3, 3, 1, []), (4, 3, 2, [2]), (5, 3, 2, [3]), (6, 3, 2, [3, 2]),
    (7, 3, 2, [3, 3]), (9, 3, 2, [3, 3, 3]), (10, 3, 3, [3, 3, 3, 6]),
    (1, 2, 1, []), (2, 2, 1, []), (3, 2, 2, [2]), (4, 2, 2, [2, 2]), (5, 2, 3, [2, 2, 4]),
    (7, 8, 1, []), (8, 8, 1, []), (9, 8, 2, [2]), (16, 8, 2, [8, 2]), (65, 8, 3, [8] * 8 + [16]),
]  # fmt: skip


@pytest.mark.parametrize(("count", "k", "passes", "merges"), PLANS)
def test_passes_and_what_they_write(tmp_path, name, count, k, passes, merges):
    runs = single_records(tmp_path, count)
    merging, lines = merge(runs, Limits(LEAST_BYTES, runs=k), name)
    assert lines == b"".join(key + b"\t7\n" for key in KEYS[:count])
    assert merging.passes == passes
    assert merging.merged_bytes == sum(FILE_BYTES + RECORD_BYTES * records for records in merges)
    assert left(tmp_path) == []


def random_runs(count, seed=1):
    rng = random.Random(seed)
    runs = []
    for _ in range(count):
        counts = Counter(b"w%d" % min(rng.randrange(1, 300), rng.randrange(1, 300)) for _ in range(200))
        pairs = sorted(counts.items())
        runs.append([reference.encode_records(pairs[at : at + 50]) for at in range(0, len(pairs), 50)])
    return runs


def expected(runs):
    return reference.encode_lines(reference.merge([decode(b"".join(run)) for run in runs]))


@pytest.mark.parametrize("limits", [
    Limits(LEAST_BYTES, runs=2), Limits(LEAST_BYTES, runs=3), Limits(LEAST_BYTES, runs=7), Limits(LEAST_BYTES, files=2),
    Limits(LEAST_BYTES, files=3), Limits(64 * MIB), Limits(1024 * MIB),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("files", [[50], [1] * 50, [7, 1, 13, 1, 28]], ids=str)
def test_the_same_lines_whatever_the_limits_and_wherever_the_runs_stand(tmp_path, name, files, limits):
    runs = random_runs(sum(files))
    rest = iter(runs)
    paths = write(tmp_path, [[next(rest) for _ in range(count)] for count in files])
    found = find_runs(paths, 1)
    assert [run.path for run in found] == [path for path, count in zip(paths, files, strict=True) for _ in range(count)]
    merging, lines = merge(found, limits, name)
    assert lines == expected(runs)
    assert (merging.passes > 1) == (limits.runs < 50 or len(files) > limits.files)
    assert left(tmp_path) == []
    assert find_runs(paths, 1) == found  # the runs themselves are not touched


def test_find_runs_finds_nothing_in_other_partitions_and_files_without_runs(tmp_path):
    paths = write(tmp_path, [[[record(1)]], []])
    assert [run.segment.records for run in find_runs(paths, 1)] == [1]
    assert find_runs(paths, 2) == find_runs((), 0) == []


@pytest.mark.parametrize("emit", ["lines", "records", "nothing"])
def test_what_is_emitted(tmp_path, name, emit):
    runs = random_runs(9)
    with Merging(find_runs(write(tmp_path, [runs]), 1), Limits(LEAST_BYTES, runs=3), name) as merging:
        final = merging.final(emit, 20)
        out = b"".join(map(bytes, final))
    kept = [pair for pair in reference.merge([decode(b"".join(run)) for run in runs]) if pair[1] >= 20]
    assert out == {"lines": reference.encode_lines, "records": reference.encode_records, "nothing": lambda pairs: b""}[
        emit
    ](kept)
    assert final.records_out == len(kept)


@pytest.mark.parametrize("k", [2, 3, 5, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 26, 33])
def test_the_order_of_the_runs_is_kept_through_all_passes(tmp_path, name, count, k):
    """Postings of a key follow one another as their runs do: were two runs exchanged, documents would not ascend."""
    rng = random.Random(count)
    runs, lists = [], {}
    for document in range(count):
        keys = sorted({b"every", *(b"k%d" % rng.randrange(40) for _ in range(30))})
        runs.append([posting_record(key, [(document, 1), (document + 1, 2)]) for key in keys])
        for key in keys:
            lists.setdefault(key, []).append(document)
    paths = write(tmp_path, [runs[: count // 2], runs[count // 2 :]], kind="posting")
    with Merging(find_runs(paths, 1), Limits(LEAST_BYTES, runs=k), name, kind="posting") as merging:
        block = b"".join(map(bytes, merging.final("records", None)))
    found = {}
    while block:
        size, block = block[0], block[1:]
        key, block = block[:size], block[size:]
        size, at = reference.decode_varints(block[:2] if block[0] & 0x80 else block[:1])[0], 1 + (block[0] >> 7)
        found[key], block = decode_postings(block[at : at + size]), block[at + size :]
    assert list(found) == sorted(lists)
    for key, documents in lists.items():
        counts = Counter()
        for document in documents:
            counts.update({document: 1, document + 1: 2})
        assert found[key] == sorted(counts.items())


# ---- memory ----------------------------------------------------------------------------------------------


def run_of(block_max, path=b"a"):
    return Run(path, Segment(0, 16, 100, 1, block_max, block_max))


def test_fan_in_follows_from_memory_files_and_runs():
    blocks = [run_of(64 << 10)] * 1000
    assert fan_in([], Limits(LEAST_BYTES)) == 0
    assert fan_in(blocks, Limits(64 * MIB)) == 512
    assert fan_in(blocks, Limits(64 * MIB, runs=7)) == 7
    # A run holds its block and 4 KiB; beside them are the output, 256 KiB, and two blocks more.
    assert fan_in(blocks, Limits(2 * MIB)) == (2048 - 256 - 128) // 68
    assert fan_in([run_of(64 << 10, b"%d" % i) for i in range(1000)], Limits(64 * MIB, files=5)) == 5
    assert fan_in([run_of(64 << 10), run_of(MIB), run_of(9)], Limits(2 * MIB)) == 1
    assert fan_in([run_of(3 * MIB)], Limits(2 * MIB)) == 0


def big_runs(tmp_path, sizes):
    """A run of one record for each size, of which small ones stand in all runs."""
    runs = [[record(1), reference.encode_record(b"x%d" % index + b"y" * size, 1)] for index, size in enumerate(sizes)]
    return runs, find_runs(write(tmp_path, [[run] for run in runs]), 1)


@pytest.mark.parametrize("sizes", [
    [300_000] * 12, [60_000] * 60, [5] * 40 + [400_000] * 3 + [5] * 40, [MIB // 2], [400_000, 5, 400_000, 5, 5] * 5,
], ids=lambda sizes: f"{len(sizes)} to {max(sizes)}")  # fmt: skip
def test_a_merge_holds_no_more_than_its_memory(tmp_path, name, sizes):
    runs, found = big_runs(tmp_path, sizes)
    wanted = expected(runs)
    tracemalloc.start()
    try:
        with Merging(found, Limits(LEAST_BYTES), name) as merging:
            before = tracemalloc.get_traced_memory()[0]
            at = 0
            for chunk in merging.final("lines", None):
                assert wanted.startswith(chunk, at)
                at += len(chunk)
            peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert at == len(wanted)
    assert peak <= 1.01 * LEAST_BYTES  # the rest is the readers' own objects


@pytest.mark.parametrize("memory", [3, 4, 16])
def test_a_merge_of_long_posting_lists_holds_no_more_than_its_memory(tmp_path, name, memory):
    """A word of all documents has one record as large as its lists together."""
    lists = [[(document, 3) for document in range(r * 40_000, (r + 1) * 40_000)] for r in range(9)]
    paths = write(tmp_path, [[[posting_record(b"k", pairs)]] for pairs in lists], kind="posting")
    tracemalloc.start()
    try:
        with Merging(find_runs(paths, 1), Limits(memory * MIB), name, kind="posting") as merging:
            before = tracemalloc.get_traced_memory()[0]
            size = sum(map(len, merging.final("records", None)))
            peak = tracemalloc.get_traced_memory()[1] - before
        assert size > 9 * 80_000
    except BudgetError:
        assert memory == 3  # the lists are 720 KB, which must fit in four times
    else:
        assert peak <= memory * MIB
    finally:
        tracemalloc.stop()


def test_intermediate_runs_have_blocks_of_the_usual_size(tmp_path, name, monkeypatch):
    """Blocks as large as the output buffer would leave a later pass a fan-in of a few."""
    runs = [[reference.encode_records([(b"%06d" % i, 1) for i in range(r, 60_000, 40)])] for r in range(40)]
    found, seen = find_runs(write(tmp_path, [runs]), 1), []
    with Merging(found, Limits(8 * MIB, runs=8), name) as merging:
        final = merging.final("lines", None)
        for path in sorted(tmp_path.glob("part.merge-*")):
            with RunReader(os.fsencode(path)) as reader:
                seen += [segment.block_max for segment in reader.check_footer()]
        assert b"".join(map(bytes, final)) == expected(runs)
    assert 0 < max(seen) <= BLOCK_SIZE


@pytest.mark.parametrize(("sizes", "named"), [
    ([900_000], 0), ([5, 700_000], 1), ([700_000, 5], 0), ([400_000, 600_000], 1), ([5, 5, 5, 600_000, 600_001], 4),
], ids=str)  # fmt: skip
def test_records_too_large_for_the_memory_are_said(tmp_path, name, sizes, named):
    _, found = big_runs(tmp_path, sizes)
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    size = found[named].segment.block_max
    with pytest.raises(BudgetError) as error:
        merge(found, Limits(LEAST_BYTES), name, disk=counter)
    assert str(error.value).startswith("not enough memory to merge: ")
    assert str(error.value).endswith(
        f"run-{named} and others have records of {size:,} bytes, and the task has 2,097,152: "
        "raise --memory, or lower -j"
    )
    assert (left(tmp_path), counter.held) == ([], 0)


# ---- intermediate files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 8])
def test_intermediate_files_are_removed_as_soon_as_they_are_merged(tmp_path, name, k):
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    with Merging(single_records(tmp_path, 65), Limits(LEAST_BYTES, runs=k), name, disk=counter) as merging:
        final = merging.final("lines", None)
        there = left(tmp_path)
        assert 0 < len(there) <= k
        assert counter.held == sum((tmp_path / file).stat().st_size for file in there)
        assert len(b"".join(map(bytes, final))) == 65 * 11
        assert left(tmp_path) == there
    assert (left(tmp_path), counter.held) == ([], 0)
    assert counter.peak > 0


def damage(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x55]))


@pytest.mark.parametrize("bad", [0, 1, 5, 8, 9])
@pytest.mark.parametrize("k", [2, 3, 64])
def test_a_damaged_run_is_named_whichever_pass_meets_it_and_nothing_is_left(tmp_path, name, k, bad):
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    found = single_records(tmp_path, 10)
    damage(found[bad].path, found[bad].segment.offset + 24)
    with pytest.raises(CorruptionError, match=f"run-{bad}, byte {found[bad].segment.offset}: a block fails"):
        merge(found, Limits(LEAST_BYTES, runs=k), name, disk=counter)
    assert (left(tmp_path), counter.held) == ([], 0)


def test_a_damaged_intermediate_run_is_named_and_nothing_is_left(tmp_path, name):
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    with (
        pytest.raises(CorruptionError, match=r"part\.merge-0, byte 16: a block fails its checksum"),
        Merging(single_records(tmp_path, 4), Limits(LEAST_BYTES, runs=3), name, disk=counter) as merging,
    ):
        final = merging.final("lines", None)
        damage(tmp_path / "part.merge-0", 40)
        list(final)
    assert (left(tmp_path), counter.held) == ([], 0)


@pytest.mark.parametrize("k", [2, 3])
def test_a_run_that_vanishes_between_the_passes_is_named_and_nothing_is_left(tmp_path, name, k):
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    found = single_records(tmp_path, 10)
    os.unlink(found[7].path)
    with pytest.raises(InputError, match="run-7: no such file"):
        merge(found, Limits(LEAST_BYTES, runs=k), name, disk=counter)
    assert (left(tmp_path), counter.held) == ([], 0)


def test_a_pass_that_the_disk_budget_refuses(tmp_path, name):
    """Of three intermediate files the third does not fit."""
    runs = [[reference.encode_record(b"%d" % i + os.urandom(300_000), 1)] for i in range(9)]
    found = find_runs(write(tmp_path, [[run] for run in runs]), 1)
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), 2_000_000)
    with pytest.raises(BudgetError, match="temporary files would take more than 2,000,000 bytes"):
        merge(found, Limits(16 * MIB, runs=3), name, disk=counter)
    assert (left(tmp_path), counter.held) == ([], 0)
    assert 900_000 < counter.peak <= 2_000_000


def test_an_error_of_whoever_takes_the_output_leaves_nothing(tmp_path, name):
    counter = DiskBudget.create(os.fsencode(tmp_path / "counter"), None)
    with (
        pytest.raises(ZeroDivisionError),
        Merging(single_records(tmp_path, 10), Limits(LEAST_BYTES, runs=3), name, disk=counter) as merging,
    ):
        next(iter(merging.final("lines", None)))
        assert left(tmp_path)
        raise ZeroDivisionError
    assert (left(tmp_path), counter.held) == ([], 0)


def test_no_more_files_are_open_than_may_be(tmp_path, name):
    found = single_records(tmp_path, 30)
    before = len(os.listdir("/proc/self/fd"))
    with Merging(found, Limits(LEAST_BYTES, files=4), name) as merging:
        for _ in merging.final("lines", None):
            assert len(os.listdir("/proc/self/fd")) - before <= 4
