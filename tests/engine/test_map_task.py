"""Map tasks through their one door: the tokens of their spans, each once, wherever a border falls."""

import os
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from mrcore.engine import combiner, map_task
from mrcore.engine.combiner import GIANT_SHARE, Combiner, least_memory
from mrcore.engine.spec import Disk, Keys, MapSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import BudgetError, InputError, MrcoreError
from mrcore.kernels.merge import decode
from mrcore.storage.budget import DiskBudget
from mrcore.storage.partfile import file_check
from mrcore.storage.runfile import RunReader
from mrcore.testing import reference

MIB = 1 << 20
SPLITTERS = (b"3", b"a\0", b"c", b"y" * 300)


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


def write(folder, content, name=b"in"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def run(
    folder, spans, env=None, tokenizer="whitespace", lower=False, reducers=1, splitters=None, task=0, memory=64 * MIB,
    disk=None,
):  # fmt: skip
    """Runs a map task; its result and, for each partition, its pairs: equal keys of its runs added."""
    output = os.path.join(folder, b"run-%d" % task)
    keys = Keys(tokenizer, lower)
    spec = MapSpec(task, output, tuple(spans), keys, reducers, splitters, memory, disk=disk, sync=False)
    result = run_task(spec, env or TaskEnv())
    parts = []
    with RunReader(output) as reader:
        assert (result.bytes_out, result.check) == file_check(output)
        assert result.bytes_out == reader.size
        for partition in range(reader.partitions):
            total = Counter()
            for segment in reader.segments(partition):
                total.update(dict(pair for block in reader.blocks(segment) for pair in decode(block)))
            parts.append(sorted(total.items()))
        assert result.records_out == sum(segment.records for segment in reader.check_footer())
    os.unlink(output)
    assert result.memory <= memory
    return result, parts


def whole(path, size):
    return Span(path, 0, size, size)


@pytest.mark.parametrize("tokenizer", ["whitespace", "ascii"])
@pytest.mark.parametrize("lower", [False, True])
def test_a_split_is_counted_exactly(folder, text, tokenizer, lower):
    path = write(folder, text)
    result, (pairs,) = run(folder, [whole(path, len(text))], tokenizer=tokenizer, lower=lower)
    expected = Counter(reference.tokenize(text, tokenizer, lower))
    assert pairs == sorted(expected.items())
    assert (result.tokens, result.records_out, result.bytes_in) == (expected.total(), len(expected), len(text))
    assert result.spills == 0


def distinct(count):
    return b" ".join(b"%d-%s" % (i, b"p" * (i % 17)) for i in range(count))


@pytest.mark.parametrize("splitters", [None, SPLITTERS])
@pytest.mark.parametrize("memory", [least_memory(5), 5 * MIB, 64 * MIB, 2048 * MIB])
def test_the_pairs_are_the_same_whatever_the_memory(folder, text, memory, splitters):
    some = distinct(200_000) + b" " + text
    path = write(folder, some)
    spans = [Span(path, 0, 999_999, len(some)), Span(path, 999_999, len(some), len(some))]
    result, parts = run(folder, spans, reducers=5, splitters=splitters, memory=memory)
    expected = Counter(some.split())
    place = reference.partition if splitters is None else lambda key, _: reference.partition_range(key, list(splitters))
    for partition, pairs in enumerate(parts):
        assert pairs == sorted(pair for pair in expected.items() if place(pair[0], 5) == partition)
    assert result.tokens == expected.total()
    assert (result.spills > 0) == (memory < 6 * MIB)


def test_so_many_spills_has_this_text_in_this_memory(folder):
    some = distinct(400_000)
    path = write(folder, some)
    results = [run(folder, [whole(path, len(some))], memory=memory * MIB)[0] for memory in (4, 8, 16, 64)]
    assert [result.spills for result in results] == [4, 1, 0, 0]
    assert [result.records_out for result in results] == [400_000] * 4


def test_partitions_follow_the_hash_of_the_key(folder, text):
    path = write(folder, text)
    _, parts = run(folder, [whole(path, len(text))], reducers=7)
    expected = Counter(text.split())
    assert len(parts) == 7
    for partition, pairs in enumerate(parts):
        assert pairs == sorted(pair for pair in expected.items() if reference.partition(pair[0], 7) == partition)


def test_partitions_follow_the_splitters(folder, text):
    path = write(folder, text)
    _, parts = run(folder, [whole(path, len(text))], splitters=SPLITTERS)
    expected = sorted(Counter(text.split()).items())
    assert [pair for pairs in parts for pair in pairs] == expected
    for pairs, low, high in zip(parts, (b"", *SPLITTERS), (*SPLITTERS, b"\xff" * 9), strict=True):
        assert all(low <= key < high for key, _ in pairs)


@pytest.mark.parametrize("content", [
    b"", b" ", b"a", b" a", b"a ", b"aa bb", b"aaa bb c  dddd\n", b"\n\na\nb\n", b"\0 \0\0 a\0", b"\r\na\r\n",
], ids=ascii)  # fmt: skip
def test_every_cut_of_a_small_text_gives_the_same_counts(folder, content):
    path, size = write(folder, content), len(content)
    for first in range(size + 1):
        for second in range(first, size + 1):
            cuts = [Span(path, 0, first, size), Span(path, first, second, size), Span(path, second, size, size)]
            total = Counter()
            for span in cuts:
                total.update(dict(run(folder, [span])[1][0]))
            assert total == Counter(content.split()), (first, second)


@pytest.mark.parametrize("split", [1000, 4096, 65_536, 70_001])
def test_tokens_that_span_borders_and_whole_splits_are_counted_once(folder, text, split):
    path, size, total = write(folder, text), len(text), Counter()
    env = TaskEnv()
    for start in range(0, size, split):
        total.update(dict(run(folder, [Span(path, start, min(start + split, size), size)], env)[1][0]))
    assert total == Counter(text.split())


def test_spans_of_several_files_do_not_run_together(folder):
    files = {b"1": b"a b", b"2": b"c", b"3": b"", b"4": b"b\n"}
    paths = [write(folder, content, name) for name, content in files.items()]
    _, (pairs,) = run(folder, [whole(path, os.path.getsize(path)) for path in paths])
    assert pairs == [(b"a", 1), (b"b", 2), (b"c", 1)]


@pytest.mark.parametrize("window", [1, 7, 4096])
def test_windows_shorter_than_a_token(folder, text, window, monkeypatch):
    monkeypatch.setattr(combiner, "WINDOW", window)
    monkeypatch.setattr(combiner, "FIRST_WINDOW", window)
    some = text[:20_000] if window < 100 else text
    path = write(folder, some)
    assert run(folder, [whole(path, len(some))])[1] == [sorted(Counter(some.split()).items())]


def feed_pipe(pieces):
    """A named descriptor that these pieces come out of."""
    reading, writing = os.pipe()

    def pump():
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for piece in pieces:
                pipe.write(piece)

    thread = threading.Thread(target=pump)
    thread.start()
    return reading, thread


@pytest.mark.parametrize("piece", [1, 3, 100, 1 << 16])
@pytest.mark.parametrize("buffer", [1, 16, 1 << 20])
def test_a_stream_is_counted_whatever_its_pieces_and_the_buffer(folder, text, piece, buffer, monkeypatch):
    monkeypatch.setattr(map_task, "STREAM_BUFFER", buffer)
    some = text if piece > 1000 and buffer > 1000 else text[:5000] + b" " + b"y" * 3000 + b" end"
    reading, thread = feed_pipe(some[at : at + piece] for at in range(0, len(some), piece))
    result, (pairs,) = run(folder, [Span(b"/proc/self/fd/%d" % reading, 0, 0, -1)])
    thread.join()
    os.close(reading)
    assert pairs == sorted(Counter(some.split()).items())
    assert result.bytes_in == len(some)


def test_a_long_token_in_a_stream_is_fed_a_bounded_number_of_times(folder, monkeypatch):
    """Were it fed after each read of 64 KiB, a token of 1 GiB would take days."""
    fed = []
    feed = Combiner.feed

    def count(self, data, start, stop, final):
        fed.append(stop - start)
        return feed(self, data, start, stop, final)

    monkeypatch.setattr(Combiner, "feed", count)
    size = 8 << 20
    reading, thread = feed_pipe([b"z" * (1 << 16)] * (size >> 16))
    _, (pairs,) = run(folder, [Span(b"/proc/self/fd/%d" % reading, 0, 0, -1)])
    thread.join()
    os.close(reading)
    assert pairs == [(b"z" * size, 1)]
    assert len(fed) > 1
    assert sum(fed) < 4 * size


# ---- giant tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [4 * MIB, 5 * MIB, 20 * MIB])
@pytest.mark.parametrize("before", [b"", b"a b\n", distinct(100_000) + b" "], ids=len)
def test_a_token_of_a_fifth_of_the_memory_is_counted_and_in_a_stream_one_of_a_sixth(folder, before, memory):
    """A stream's buffer, which doubles until it holds the token, takes its part too."""
    for share, stream in ((GIANT_SHARE, False), (6, True)):
        some = before + b"x" * (memory // share) + b" end"
        path = write(folder, some)
        span = Span(path, 0, 0, -1) if stream else whole(path, len(some))
        result, (pairs,) = run(folder, [span], memory=memory)
        assert pairs == sorted(Counter(some.split()).items())
        assert result.tokens == len(some.split())


@pytest.mark.parametrize("piece", [1 << 16, 1 << 20])
@pytest.mark.parametrize("before", [b"", b"a b\n", distinct(150_000) + b"  "], ids=len)
def test_a_token_too_long_for_the_memory_is_named_by_its_byte(folder, before, piece):
    """In a file, in spans that do not begin at its begin, and in a stream; the same byte each time."""
    memory, some = 4 * MIB, before + b"x" * (3 * MIB) + b" end"
    path = write(folder, some)
    said = f"a token of [0-9,]+ bytes or more: .*, byte {len(before)}: a task has 4,194,304 bytes of memory, and only"
    for span in (whole(path, len(some)), Span(path, len(before), len(some), len(some)), Span(path, 0, 0, -1)):
        with pytest.raises(BudgetError, match=said):
            run(folder, [span], memory=memory)
    reading, thread = feed_pipe(some[at : at + piece] for at in range(0, len(some), piece))
    with pytest.raises(BudgetError, match=said):
        run(folder, [Span(b"/proc/self/fd/%d" % reading, 0, 0, -1)], memory=memory)
    while os.read(reading, 1 << 20):
        pass
    thread.join()
    os.close(reading)
    assert os.listdir(folder) == [b"in"]


def test_a_giant_token_is_counted_by_the_split_of_its_first_byte(folder):
    some = b"a " + b"x" * 700_000 + b" b"
    path, size, total = write(folder, some), len(some), Counter()
    env = TaskEnv()
    for start in range(0, size, 100_000):
        span = Span(path, start, min(start + 100_000, size), size)
        total.update(dict(run(folder, [span], env, memory=4 * MIB)[1][0]))
    assert total == Counter(some.split())


# ---- progress, reuse, errors -----------------------------------------------------------------------------


def test_progress_tells_every_byte_once(folder, text):
    told = []
    path = write(folder, text)
    run(folder, [whole(path, len(text))], TaskEnv(told.append))
    assert sum(told) == len(text)


def test_the_combiner_is_used_again_and_is_clean(folder):
    env, path = TaskEnv(), write(folder, b"a b a")
    made = []

    class Counted(Combiner):
        def __init__(self, scheme):
            made.append(scheme)
            super().__init__(scheme)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_task, "Combiner", Counted)
        for _ in range(3):
            assert run(folder, [whole(path, 5)], env)[1] == [[(b"a", 2), (b"b", 1)]]
        assert len(made) == 1
        for how in ({"tokenizer": "ascii"}, {"lower": True}, {"memory": 5 * MIB}, {"splitters": (b"b",)}):
            before = len(made)
            parts = run(folder, [whole(path, 5)], env, **how)[1]
            assert [pair for pairs in parts for pair in pairs] == [(b"a", 2), (b"b", 1)]
            assert len(made) == before + 1


def test_a_combiner_that_met_an_error_is_not_used_again(folder, text):
    env, path = TaskEnv(), write(folder, text)
    run(folder, [whole(path, len(text))], env)
    with pytest.raises(InputError):
        run(folder, [whole(path, len(text)), Span(b"missing", 0, 1, 1)], env)
    assert run(folder, [whole(path, len(text))], env)[1] == [sorted(Counter(text.split()).items())]


@pytest.mark.parametrize("limit", [0, 100_000, 2_000_000])
def test_a_disk_budget_that_is_too_small_is_said_and_given_back(folder, limit):
    some = distinct(400_000)
    path, counter = write(folder, some), os.path.join(folder, b"counter")
    budget = DiskBudget.create(counter, limit)
    with pytest.raises(BudgetError, match=f"temporary files would take more than {limit:,} bytes"):
        run(folder, [whole(path, len(some))], memory=4 * MIB, disk=Disk(counter, limit))
    assert (budget.held, sorted(os.listdir(folder))) == (0, [b"counter", b"in"])
    assert budget.peak <= limit


def test_a_task_holds_the_bytes_of_its_output(folder, text):
    path, counter = write(folder, text), os.path.join(folder, b"counter")
    budget = DiskBudget.create(counter, None)
    result, _ = run(folder, [whole(path, len(text))], disk=Disk(counter, None))
    assert budget.held == result.bytes_out > 0


def test_a_file_that_shrank_is_an_input_error_and_leaves_nothing(folder):
    path = write(folder, b"a b")
    with pytest.raises(InputError, match="changed"):
        run(folder, [whole(path, 4)])
    assert os.listdir(folder) == [b"in"]


def test_no_memory_is_a_budget_error_that_names_the_task(folder, text, monkeypatch):
    def fail(self, data, start, stop, final):
        raise MemoryError

    monkeypatch.setattr(Combiner, "feed", fail)
    path = write(folder, text)
    with pytest.raises(BudgetError, match="out of memory: map task 3: lower --memory or -j"):
        run(folder, [whole(path, len(text))], task=3)
    assert os.listdir(folder) == [b"in"]


def test_whoever_is_told_the_progress_may_stop_the_task(folder, text):
    class Stop(MrcoreError):
        pass

    def stop(count):
        raise Stop

    path = write(folder, text)
    with pytest.raises(Stop):
        run(folder, [whole(path, len(text))], TaskEnv(stop))
    assert os.listdir(folder) == [b"in"]


def test_the_worked_example_of_the_run_file_page_is_what_a_map_task_writes(tmp_path):
    page = (Path(__file__).parents[2] / "docs/formats/runfile.md").read_text()
    dump = "".join(re.findall(r"^[0-9a-f]{8}: ((?:[0-9a-f]{2} ){1,16})", page, re.MULTILINE))
    (tmp_path / "text").write_bytes(b"to be or not to be")
    span = Span(os.fsencode(tmp_path / "text"), 0, 18, 18)
    run_task(MapSpec(0, os.fsencode(tmp_path / "run"), (span,), Keys(), 2, None, 64 * MIB), TaskEnv())
    assert (tmp_path / "run").read_bytes() == bytes.fromhex(dump)
