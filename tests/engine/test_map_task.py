"""Map tasks through their one door: the tokens of their spans, each once, wherever a border falls."""

import os
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from mrcore.engine import map_task
from mrcore.engine.spec import MapSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import BudgetError, InputError
from mrcore.kernels.merge import decode
from mrcore.storage.runfile import RunReader
from mrcore.testing import reference

SPLITTERS = (b"3", b"a\0", b"c", b"y" * 300)


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


def write(folder, content, name=b"in"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def run(folder, spans, env=None, tokenizer="whitespace", lower=False, reducers=1, splitters=None, task=0):
    """Runs a map task; its result and, for each partition, its pairs."""
    output = os.path.join(folder, b"run-%d" % task)
    spec = MapSpec(task, output, tuple(spans), tokenizer, lower, reducers, splitters, sync=False)
    result = run_task(spec, env or TaskEnv())
    reader = RunReader(output)
    pairs = [[pair for block in reader.blocks(p) for pair in decode(block)] for p in range(len(reader.segments))]
    os.unlink(output)
    return result, pairs


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
    monkeypatch.setattr(map_task, "WINDOW", window)
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

    class Table(map_task.CountTable):
        def feed(self, data, start, stop, final):
            fed.append(stop - start)
            return super().feed(data, start, stop, final)

    size = 8 << 20
    reading, thread = feed_pipe([b"z" * (1 << 16)] * (size >> 16))
    env = TaskEnv()
    env.give_table("whitespace", False, Table())
    _, (pairs,) = run(folder, [Span(b"/proc/self/fd/%d" % reading, 0, 0, -1)], env)
    thread.join()
    os.close(reading)
    assert pairs == [(b"z" * size, 1)]
    assert sum(fed) < 4 * size


def test_progress_tells_every_byte_once(folder, text):
    told = []
    path = write(folder, text)
    run(folder, [whole(path, len(text))], TaskEnv(told.append))
    assert sum(told) == len(text)


def test_the_table_is_used_again_and_is_clean(folder):
    env, path = TaskEnv(), write(folder, b"a b a")
    first = env.take_table("whitespace", False)
    env.give_table("whitespace", False, first)
    assert run(folder, [whole(path, 5)], env)[1] == [[(b"a", 2), (b"b", 1)]]
    assert run(folder, [whole(path, 5)], env)[1] == [[(b"a", 2), (b"b", 1)]]
    assert env.take_table("whitespace", False) is first
    assert env.take_table("whitespace", False) is not first
    assert env.take_table("ascii", False) is not first


def test_a_file_that_shrank_is_an_input_error_and_leaves_nothing(folder):
    path = write(folder, b"a b")
    with pytest.raises(InputError, match="changed"):
        run(folder, [whole(path, 4)])
    assert os.listdir(folder) == [b"in"]


def test_no_memory_is_a_budget_error_that_says_where(folder, text, monkeypatch):
    class Table(map_task.CountTable):
        def feed(self, data, start, stop, final):
            raise MemoryError

    env, path = TaskEnv(), write(folder, text)
    env.give_table("whitespace", False, Table())
    with pytest.raises(BudgetError, match="in, byte 0: lower -j"):
        run(folder, [whole(path, len(text))], env)
    env.give_table("whitespace", False, Table())
    with pytest.raises(BudgetError, match="map task 3: lower -j"):
        run(folder, [Span(b"/dev/null", 0, 0, -1)], env, task=3)


def test_the_worked_example_of_the_run_file_page_is_what_a_map_task_writes(tmp_path):
    page = (Path(__file__).parents[2] / "docs/formats/runfile.md").read_text()
    dump = "".join(re.findall(r"^[0-9a-f]{8}: ((?:[0-9a-f]{2} ){1,16})", page, re.MULTILINE))
    (tmp_path / "text").write_bytes(b"to be or not to be")
    span = Span(os.fsencode(tmp_path / "text"), 0, 18, 18)
    run_task(MapSpec(0, os.fsencode(tmp_path / "run"), (span,), "whitespace", False, 2, None), TaskEnv())
    assert (tmp_path / "run").read_bytes() == bytes.fromhex(dump)
