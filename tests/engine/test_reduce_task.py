"""Reduce tasks through their one door: merge, add, select, write."""

import os
import random
from collections import Counter

import pytest
import xxhash

from mrcore.engine import merging, reduce_task
from mrcore.engine.spec import Disk, Keys, MapSpec, ReduceSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import BudgetError, CorruptionError, DiskFullError, InputError, MrcoreError, OutputExistsError
from mrcore.kernels.merge import decode
from mrcore.storage.budget import DiskBudget
from mrcore.storage.runfile import RunReader, RunWriter
from mrcore.testing import reference

MIB = 1 << 20
LEAST = merging.LEAST_BYTES


@pytest.fixture
def fan_in(monkeypatch):
    """Sets how many runs a merge takes."""
    def set_most(most):
        monkeypatch.setattr(reduce_task, "Limits", lambda memory, files: merging.Limits(memory, files, most))

    return set_most


def make_runs(folder, texts, reducers=1):
    """A run file for each text; their paths."""
    env, runs = TaskEnv(), []
    for index, text in enumerate(texts):
        source, run = folder / "text", os.fsencode(folder / f"run-{index}")
        source.write_bytes(text)
        span = Span(os.fsencode(source), 0, len(text), len(text))
        run_task(MapSpec(index, run, (span,), Keys(), reducers, None, 64 * MIB, sync=False), env)
        source.unlink()
        runs.append(run)
    return tuple(runs)


def reduce(folder, runs, task=0, memory=64 * MIB, **options):
    """Runs a reduce task; its result and what it wrote."""
    path = folder / f"part-{task}"
    result = run_task(ReduceSpec(task, os.fsencode(path), runs, memory, sync=False, **options), TaskEnv())
    written = path.read_bytes()
    path.unlink()
    assert result.bytes_out == len(written)
    assert result.check == xxhash.xxh3_64_hexdigest(written)
    assert result.records_out == written.count(b"\n")
    return result, written


def words_of(index):
    rng = random.Random(index)
    return b" ".join(b"w%d" % min(rng.randrange(1, 300), rng.randrange(1, 300)) for _ in range(200))


@pytest.mark.parametrize(("count", "passes"), [(1, 1), (3, 1), (4, 1), (5, 2), (8, 2), (16, 2), (17, 3), (65, 4)])
def test_more_runs_than_one_merge_takes_are_first_merged_into_fewer(tmp_path, count_lines, fan_in, count, passes):
    fan_in(4)
    texts = [words_of(index) for index in range(count)]
    runs = make_runs(tmp_path, texts)
    result, written = reduce(tmp_path, runs)
    assert written == count_lines(b" ".join(texts))
    assert result.passes == passes
    assert (result.merged_bytes > 0) == (passes > 1)
    assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted(map(os.path.basename, runs))


def test_passes_over_passes_of_each_partition(tmp_path, count_lines, fan_in):
    fan_in(3)
    texts = [words_of(index) for index in range(28)]
    runs = make_runs(tmp_path, texts, reducers=2)
    both = b"".join(reduce(tmp_path, runs, task)[1] for task in range(2))
    assert b"".join(sorted(both.splitlines(keepends=True))) == count_lines(b" ".join(texts))


def spilled(folder, count, seed=1):
    """A run file of so many runs, as a map task with little memory writes it; the sum of them."""
    rng, total = random.Random(seed), Counter()
    path = os.fsencode(folder / "run-0")
    with RunWriter(path, 1, sync=False) as run:
        for _ in range(count):
            pairs = [(b"%05d" % key, 1 + key % 7) for key in sorted(rng.sample(range(20_000), 8000))]
            run.segment(0, [reference.encode_records(pairs)], pairs.__len__)  # a block of about 55 KiB
            total.update(dict(pairs))
    return (path,), reference.encode_lines(sorted(total.items()))


@pytest.mark.parametrize(("memory", "passes"), [(LEAST, 2), (5 * MIB, 1), (2048 * MIB, 1)])
def test_the_lines_are_the_same_whatever_the_memory(tmp_path, memory, passes):
    runs, expected = spilled(tmp_path, 40)
    result, written = reduce(tmp_path, runs, memory=memory)
    assert written == expected
    assert result.passes == passes


def test_the_bytes_and_records_that_a_task_tells(tmp_path):
    runs, expected = spilled(tmp_path, 3)
    with RunReader(runs[0]) as reader:
        segments = reader.segments(0)
        records = sum(len(decode(block)) for segment in segments for block in reader.blocks(segment))
    result, _ = reduce(tmp_path, runs)
    assert result.bytes_in == sum(segment.size for segment in segments)
    assert (result.records_in, result.records_out) == (records, expected.count(b"\n"))
    assert (result.passes, result.merged_bytes) == (1, 0)


def test_only_how_many_keys_there_are(tmp_path):
    runs, expected = spilled(tmp_path, 30)
    spec = ReduceSpec(0, os.fsencode(tmp_path / "part"), runs, LEAST, "nothing")
    result = run_task(spec, TaskEnv())
    assert (result.records_out, result.bytes_out, result.check) == (expected.count(b"\n"), 0, "")
    assert os.listdir(tmp_path) == ["run-0"]


def test_no_runs_give_an_empty_part(tmp_path):
    result, written = reduce(tmp_path, ())
    assert (written, result.records_in) == (b"", 0)


@pytest.mark.parametrize("least", [1, 2, 5, 1000, (1 << 63) - 1])
def test_a_minimum_counts_the_sum_over_all_runs(tmp_path, count_lines, least):
    texts = [words_of(index) for index in range(5)]
    _, written = reduce(tmp_path, make_runs(tmp_path, texts), min_count=least)
    assert written == count_lines(b" ".join(texts), min_count=least)


@pytest.mark.parametrize("top", [1, 2, 10, 100, 299, 300, 5000, (1 << 63) - 1])
@pytest.mark.parametrize("least", [1, 30])
def test_top_is_by_count_then_word(tmp_path, top, least):
    texts = [words_of(index) for index in range(20)]
    counts = Counter(b" ".join(texts).split())
    best = sorted(((-n, word) for word, n in counts.items() if n >= least))[:top]
    _, written = reduce(tmp_path, make_runs(tmp_path, texts), top=top, min_count=least)
    assert written == b"".join(b"%s\t%d\n" % (word, -n) for n, word in best)


def test_top_over_many_chunks_drops_what_cannot_be_among_them(tmp_path, monkeypatch):
    monkeypatch.setattr(reduce_task, "TOP_BUFFER", 64)
    texts = [b" ".join(b"%d" % i for i in range(5000)), b"4999 4999 0 0 77"]
    _, written = reduce(tmp_path, make_runs(tmp_path, texts), top=4)
    assert written == b"0\t3\n4999\t3\n77\t2\n1\t1\n"


def test_a_line_longer_than_every_buffer(tmp_path):
    text = b"x" * 3_000_000 + b" a"
    runs = make_runs(tmp_path, [text, text])
    assert reduce(tmp_path, runs)[1] == b"a\t2\n" + b"x" * 3_000_000 + b"\t2\n"
    assert reduce(tmp_path, runs, top=1)[1] == b"a\t2\n"


def test_another_attempts_output_is_not_overwritten(tmp_path):
    (tmp_path / "part-0").write_bytes(b"theirs")
    with pytest.raises(OutputExistsError, match="file exists"):
        reduce(tmp_path, make_runs(tmp_path, [b"a"]))
    assert (tmp_path / "part-0").read_bytes() == b"theirs"


@pytest.mark.parametrize("count", [2, 6])
def test_a_damaged_run_is_named_and_nothing_is_left(tmp_path, fan_in, count):
    fan_in(4)
    runs = make_runs(tmp_path, [words_of(index) for index in range(count)])
    with open(runs[1], "r+b") as file:
        file.seek(60)
        file.write(b"\xff\xff")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(CorruptionError, match="run-1, byte 16: a block fails its checksum"):
        reduce(tmp_path, runs)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_run_that_is_gone_is_an_input_error(tmp_path):
    runs = make_runs(tmp_path, [b"a", b"b"])
    os.unlink(runs[1])
    with pytest.raises(InputError, match="run-1: no such file"):
        reduce(tmp_path, runs)
    assert os.listdir(tmp_path) == ["run-0"]


@pytest.mark.parametrize("limit", [0, 50_000])
def test_a_disk_budget_that_is_too_small_is_said_and_given_back(tmp_path, limit):
    runs, _ = spilled(tmp_path, 40)
    counter = os.fsencode(tmp_path / "counter")
    budget = DiskBudget.create(counter, limit)
    with pytest.raises(BudgetError, match=f"temporary files would take more than {limit:,} bytes"):
        reduce(tmp_path, runs, memory=LEAST, disk=Disk(counter, limit))
    assert (budget.held, sorted(os.listdir(tmp_path))) == (0, ["counter", "run-0"])


def test_intermediate_files_are_counted_and_given_back(tmp_path):
    runs, _ = spilled(tmp_path, 40)
    counter = os.fsencode(tmp_path / "counter")
    budget = DiskBudget.create(counter, None)
    result, _ = reduce(tmp_path, runs, memory=LEAST, disk=Disk(counter, None))
    assert result.passes == 2
    assert budget.peak >= result.merged_bytes > 0
    assert budget.held == 0


def test_records_too_large_for_the_memory_are_said_and_nothing_is_left(tmp_path):
    runs = make_runs(tmp_path, [b"a " + b"x" * 700_000, b"b"])
    with pytest.raises(BudgetError, match=r"not enough memory to merge: .*run-0 and others have records of"):
        reduce(tmp_path, runs, memory=LEAST)
    assert sorted(os.listdir(tmp_path)) == ["run-0", "run-1"]


def test_whoever_is_told_the_progress_may_stop_the_task(tmp_path):
    class Stop(MrcoreError):
        pass

    def stop(count):
        raise Stop

    runs, _ = spilled(tmp_path, 30)
    with pytest.raises(Stop):
        run_task(ReduceSpec(0, os.fsencode(tmp_path / "part"), runs, LEAST), TaskEnv(stop))
    assert os.listdir(tmp_path) == ["run-0"]


@pytest.mark.parametrize("count", [2, 6])
def test_a_full_disk_in_a_merge_is_said_and_nothing_is_left(tmp_path, small_disk, fan_in, count):
    fan_in(4)
    rng = random.Random(1)
    texts = [b" ".join(b"%x" % rng.getrandbits(64) for _ in range(400_000 // count)) for _ in range(count)]
    runs = make_runs(tmp_path, texts)
    with pytest.raises(DiskFullError):
        reduce(small_disk, runs)
    assert os.listdir(small_disk) == []


@pytest.mark.parametrize("top", [1, 6, 6549, 6550, 6551, 7000])
def test_top_is_exact_wherever_a_chunk_of_lines_ends(tmp_path, top):
    # Rare words first, so that the kept ones are many and equal when the frequent ones come.
    counts = {b"w%06d" % i: 1 for i in range(6549)} | {b"w006549": 100} | {b"x%06d" % i: 5 for i in range(100)}
    (tmp_path / "text").write_bytes(b" ".join(word for word, count in counts.items() for _ in range(count)))
    size = (tmp_path / "text").stat().st_size
    span = Span(os.fsencode(tmp_path / "text"), 0, size, size)
    run = os.fsencode(tmp_path / "run")
    run_task(MapSpec(0, run, (span,), Keys(), 1, None, 64 * MIB), TaskEnv())
    run_task(ReduceSpec(0, os.fsencode(tmp_path / "part"), (run,), LEAST, top=top), TaskEnv())
    wanted = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
    assert (tmp_path / "part").read_bytes() == b"".join(b"%s\t%d\n" % pair for pair in wanted)
