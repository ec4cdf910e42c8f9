"""Reduce tasks through their one door: merge, add, select, write."""

import os
import random
from collections import Counter

import pytest
import xxhash

from mrcore.engine import reduce_task
from mrcore.engine.spec import MapSpec, ReduceSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import CorruptionError, DiskFullError, OutputExistsError

FAN_IN = reduce_task.FAN_IN


def make_runs(folder, texts, reducers=1):
    """A run file for each text; their paths."""
    env, runs = TaskEnv(), []
    for index, text in enumerate(texts):
        source, run = folder / "text", os.fsencode(folder / f"run-{index}")
        source.write_bytes(text)
        span = Span(os.fsencode(source), 0, len(text), len(text))
        run_task(MapSpec(index, run, (span,), "whitespace", False, reducers, None, sync=False), env)
        source.unlink()
        runs.append(run)
    return tuple(runs)


def reduce(folder, runs, task=0, **options):
    """Runs a reduce task; its result and what it wrote."""
    path = folder / f"part-{task}"
    result = run_task(ReduceSpec(task, os.fsencode(path), runs, sync=False, **options), TaskEnv())
    written = path.read_bytes()
    path.unlink()
    assert result.bytes_out == len(written)
    assert result.check == xxhash.xxh3_64_hexdigest(written)
    assert result.records_out == written.count(b"\n")
    return result, written


def words_of(index):
    rng = random.Random(index)
    return b" ".join(b"w%d" % min(rng.randrange(1, 300), rng.randrange(1, 300)) for _ in range(200))


@pytest.mark.parametrize(("count", "merges"), [
    (1, 0), (FAN_IN - 1, 0), (FAN_IN, 0), (FAN_IN + 1, 2), (2 * FAN_IN, 2), (2 * FAN_IN + 1, 3),
])  # fmt: skip
def test_more_runs_than_one_merge_takes_are_first_merged_into_fewer(tmp_path, count_lines, monkeypatch, count, merges):
    made = []

    class Writer(reduce_task.RunWriter):
        def __init__(self, path, *, sync):
            made.append(path)
            super().__init__(path, sync=sync)

    monkeypatch.setattr(reduce_task, "RunWriter", Writer)
    texts = [words_of(index) for index in range(count)]
    runs = make_runs(tmp_path, texts)
    _, written = reduce(tmp_path, runs)
    assert written == count_lines(b" ".join(texts))
    assert len(made) == merges
    assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted(map(os.path.basename, runs))


def test_passes_over_passes(tmp_path, count_lines, monkeypatch):
    monkeypatch.setattr(reduce_task, "FAN_IN", 3)
    texts = [words_of(index) for index in range(28)]
    runs = make_runs(tmp_path, texts, reducers=2)
    both = b"".join(reduce(tmp_path, runs, task)[1] for task in range(2))
    assert b"".join(sorted(both.splitlines(keepends=True))) == count_lines(b" ".join(texts))


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


@pytest.mark.parametrize("count", [2, FAN_IN + 2])
def test_a_damaged_run_is_named_and_nothing_is_left(tmp_path, count):
    runs = make_runs(tmp_path, [words_of(index) for index in range(count)])
    with open(runs[1], "r+b") as file:
        file.seek(40)
        file.write(b"\xff\xff")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(CorruptionError, match="run-1, byte 8: a block fails its checksum"):
        reduce(tmp_path, runs)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("count", [2, FAN_IN + 2])
def test_a_full_disk_in_a_merge_is_said_and_nothing_is_left(tmp_path, small_disk, count):
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
    run_task(MapSpec(0, run, (span,), "whitespace", False, 1, None), TaskEnv())
    run_task(ReduceSpec(0, os.fsencode(tmp_path / "part"), (run,), top=top), TaskEnv())
    wanted = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
    assert (tmp_path / "part").read_bytes() == b"".join(b"%s\t%d\n" % pair for pair in wanted)
