"""Datasets of users' functions from end to end: chains of stages, ends, sources, and inputs as odd as they may be."""

import itertools
import json
import os
import re
import sys
from collections import Counter, defaultdict

import cloudpickle
import numpy as np
import pytest

import mrcore as mr

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find the tests
EXECUTORS = [mr.Inline(), mr.Local(2)]


@pytest.fixture(params=EXECUTORS, ids=["inline", "workers"])
def executor(request):
    return request.param


@pytest.fixture(autouse=True)
def here(shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    monkeypatch.setenv("TMPDIR", os.fspath(shell.tmp))


def grouped(pairs):
    """Sorted pairs of key and list of values."""
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return sorted(groups.items())


# ---- chains ----------------------------------------------------------------------------------------------


def test_a_chain_of_three_shuffles(shell, text, executor):
    shell.write("in", text[:40_000])
    counts = Counter(text[:40_000].split())
    by_count = grouped((count, word) for word, count in counts.items() if len(word) < 100)
    wanted = grouped((len(words) % 3, (count, min(words))) for count, words in by_count)
    dataset = (
        mr.read_text("in").words().map(lambda word: (word, 1)).reduce_by_key(mr.Sum())
        .filter(lambda pair: len(pair[0]) < 100).map(lambda pair: (pair[1], pair[0])).group_by_key()
        .map(lambda pair: (pair[0], list(pair[1]))).map(lambda pair: (len(pair[1]) % 3, (pair[0], min(pair[1]))))
        .group_by_key()
    )  # fmt: skip
    assert dataset.collect(executor) == wanted
    result = dataset.write_tsv("out", reducers=2, split=5000, executor=executor)
    assert sorted(result.read()) == wanted
    assert result.counters["records_in"] == len(text[:40_000].split())
    assert result.counters["records_out"] == len(wanted)


def test_each_kind_of_step(shell, executor):
    shell.write("in", b"b 2\na 1\n\nc 3")
    lines = mr.read_text("in", encoding="utf-8")
    assert lines.map(str.upper).collect(executor) == ["B 2", "A 1", "", "C 3"]
    assert lines.filter(lambda line: line != "x").filter(bool).collect(executor) == ["b 2", "a 1", "c 3"]
    assert lines.flat_map(str.split).collect(executor) == ["b", "2", "a", "1", "c", "3"]
    assert lines.key_by(len).collect(executor) == [(3, "b 2"), (3, "a 1"), (0, ""), (3, "c 3")]
    words = lines.words().filter(str.isalpha).map(lambda word: (word, len(word)))
    assert words.collect(executor) == [("b", 1), ("a", 1), ("c", 1)]
    assert lines.filter(bool).key_by(len).partition_by(4).collect(executor) == [(3, "b 2"), (3, "a 1"), (3, "c 3")]
    assert lines.filter(bool).key_by(lambda x: x[0]).reduce_by_key(max).collect(executor) == [
        ("a", "a 1"), ("b", "b 2"), ("c", "c 3"),
    ]  # fmt: skip


AGGREGATES = {
    "Sum": (mr.Sum(), sum), "Count": (mr.Count(), len), "Min": (mr.Min(), min), "Max": (mr.Max(), max),
    "First": (mr.First(), lambda values: values[0]), "Collect": (mr.Collect(), list),
    "Mean": (mr.Mean(), lambda values: sum(values) / len(values)),
    "own": (mr.Aggregate(set, lambda s, v: s | {v}, lambda a, b: a | b, lambda s: sorted(s), commutative=True,
                         idempotent=True), lambda values: sorted(set(values))),
    "function": (lambda a, b: a * b % 1_000_003, lambda values: list(itertools.accumulate(
        values, lambda a, b: a * b % 1_000_003))[-1]),
}  # fmt: skip


@pytest.mark.parametrize("name", AGGREGATES)
def test_each_aggregate_behind_several_tasks(executor, name):
    aggregate, wanted = AGGREGATES[name]
    pairs = [(n % 7, n * n % 101 - 50) for n in range(1000)]
    found = mr.from_items(pairs).reduce_by_key(aggregate).verify().collect(executor)
    assert found == [(key, wanted(values)) for key, values in grouped(pairs)]


def test_partitions_are_where_the_function_puts_them(executor):
    pairs = [(n, n * n) for n in range(-50, 50)]
    result = mr.from_items(pairs).partition_by(5, lambda key, partitions: key // 10).write_tsv("out", executor=executor)
    parts = [mr_lines(f"out/part-0000{p}") for p in range(5)]
    assert parts == [[f"{n}\t{n * n}" for n in range(-50, 50) if n // 10 % 5 == p] for p in range(5)]
    assert sorted(result.read()) == pairs


def mr_lines(path):
    with open(path) as file:
        return file.read().split("\n")[:-1]


# ---- ends ------------------------------------------------------------------------------------------------


def test_take_runs_no_more_than_it_needs(shell, executor):
    shell.write("in", b"".join(b"%d\n" % n for n in range(300_000)))
    dataset = mr.read_text("in").map(int).filter(lambda n: n % 2)
    for count in (0, 1, 5, 3000):
        assert dataset.take(count, executor) == list(range(1, 2 * count, 2))
    assert mr.read_text("in").take(2, executor) == [b"0", b"1"]
    assert dataset.map(lambda n: 1 // (n < 100_001)).take(3, executor) == [1, 1, 1]
    assert mr.from_items(range(10)).map(lambda n: (-n, n)).group_by_key().take(2, executor) == [(-9, [9]), (-8, [8])]
    assert mr.from_items([1]).take(5, executor) == [1]


def test_lines_of_text_and_what_reads_them_back(executor):
    items = ["a", "tab\t", "nl\n", "back\\", "", b"bytes", 1, None, ("a", 1)]
    result = mr.from_items(items).write_text("out", single=True, executor=executor)
    with open("out", "rb") as file:
        assert file.read() == b"a\ntab\\t\nnl\\n\nback\\\\\n\n\\:b'bytes'\n\\:1\n\\:None\n\\:('a', 1)\n"
    assert list(result.read()) == items
    parts = mr.from_items(items).write_text("parts", executor=executor)
    assert list(parts.read()) == items
    with open("parts/_manifest.json") as file:
        manifest = json.loads(file.read())
    assert sum(part["records"] for part in manifest["parts"]) == len(items)


def test_items_of_the_program_in_their_order(executor):
    for many in (0, 1, 15, 16, 17, 1000):
        items = [(n, str(n), [n]) for n in range(many)]
        assert mr.from_items(iter(items)).collect(executor) == items
    large = [os.urandom(100_000) for _ in range(5)]
    assert mr.from_items(large).map(lambda data: data[::-1]).collect(executor) == [data[::-1] for data in large]


# ---- batches ---------------------------------------------------------------------------------------------


def count_lengths(data, offsets):
    sizes = offsets[:, 1] - offsets[:, 0]
    lengths, many = np.unique(sizes, return_counts=True)
    yield lengths, many
    yield -1, len(offsets)


@pytest.mark.parametrize("split", [None, 2000])
def test_batches_of_lines_and_words(shell, text, executor, split):
    shell.write("in", text[:20_000])
    for source, records in (
        (mr.read_text("in"), text[:20_000].split(b"\n")), (mr.read_text("in").words(), text[:20_000].split()),
    ):  # fmt: skip
        wanted = Counter(map(len, records))
        result = source.map_batches(count_lengths).reduce_by_key(mr.Sum()).write_tsv(
            "out", split=split, executor=executor, overwrite=True)  # fmt: skip
        assert list(result.read()) == [(-1, len(records)), *sorted(wanted.items())]
        assert result.counters["records_in"] == len(records)


# ---- odd input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\n\n", b"a", b"a\n", b"a\n\n", b"\0\n\0", b"\r\n", b"\xff\xfe\n\xc3"]
)
def test_what_a_line_is(shell, executor, content):
    shell.write("in", content)
    wanted = content.removesuffix(b"\n").split(b"\n") if content else []
    for split in ({}, {"split": 1}):
        result = (
            mr.read_text("in").map(lambda line: (line, 1)).write_tsv("out", executor=executor, overwrite=True, **split)
        )
        assert list(result.read()) == [(line, 1) for line in wanted]
    grouped_lines = mr.read_text("in").key_by(lambda line: line).group_by_key().collect(executor)
    assert grouped_lines == grouped((line, line) for line in wanted)


def test_nothing_to_do(shell, executor):
    shell.write("empty", b"")
    for dataset in (mr.read_text("empty"), mr.from_items([]).map(lambda x: x)):
        made = dataset.map(lambda x: (x, 1))
        assert made.collect(executor) == made.group_by_key().collect(executor) == []
        assert made.reduce_by_key(mr.Sum()).map(lambda pair: pair).group_by_key().take(1, executor) == []
    made = mr.read_text("empty").map(lambda x: (x, 1)).group_by_key()
    assert list(made.write_tsv("parts", reducers=3, executor=executor).read()) == []
    assert sorted(os.listdir("parts")) == ["_SUCCESS", "_manifest.json", "part-00000", "part-00001", "part-00002"]
    assert list(made.write_tsv("one", single=True, executor=executor).read()) == []
    assert os.path.getsize("one") == 0


def test_many_small_files(shell, executor):
    os.mkdir("many")
    for index in range(400):
        shell.write(
            f"many/{index:03}", b"%d same" % index
        )  # no final newline, and yet no line goes on in the next file
    dataset = mr.read_text("many").map(lambda line: tuple(line.split()[::-1]))
    assert dataset.collect(executor) == [(b"same", b"%d" % index) for index in range(400)]
    assert dataset.group_by_key().collect(executor) == [(b"same", [b"%d" % index for index in range(400)])]


def test_a_record_of_some_megabytes(shell, executor):
    large = bytes(range(256)).replace(b"\n", b"") * 8_000
    shell.write("in", b"small\n" + large + b"\n" + large[:9] + b"\n" + large)
    dataset = mr.read_text("in").map(lambda line: (line[:3], line))
    wanted = grouped([(b"sma", b"small"), *[(large[:3], line) for line in (large, large[:9], large)]])
    assert dataset.group_by_key().collect(executor) == wanted
    written = dataset.group_by_key().write_tsv("out", single=True, executor=executor)
    assert list(written.read()) == wanted
    by_itself = dataset.map(lambda pair: (pair[1], len(pair[1]))).reduce_by_key(mr.Sum())
    assert by_itself.collect(executor) == grouped_sums([b"small", large, large[:9], large])
    assert by_itself.write_tsv("keys", reducers=2, split="1MiB", executor=executor).counters["records_out"] == 3


def grouped_sums(lines):
    return [(line, sum(map(len, values))) for line, values in grouped((line, line) for line in lines)]


def test_text_that_is_not_what_its_encoding_says(shell, executor):
    shell.write("in", "été\n".encode() + b"caf\xe9\n")
    assert mr.read_text("in", encoding="latin-1").take(2, executor) == ["Ã©tÃ©", "café"]
    said = re.escape("not utf-8: in, byte 9: name another encoding, or leave it out and take bytes")
    with pytest.raises(mr.BadRecordError, match=said):
        mr.read_text("in", encoding="utf-8").map(len).collect(executor)


def test_an_encoding_that_there_is_not(executor):
    with pytest.raises(mr.UsageError, match="unknown encoding: klingon"):
        mr.read_text(os.devnull, encoding="klingon").map(len).collect(executor)


def test_a_small_file_is_one_batch_whether_or_not_it_ends_in_a_newline(shell):
    (shell.folder / "in").mkdir()
    for number, text in enumerate([b"a b\nb c\n", b"a b\nb c", b"a", b"\n", b""]):
        shell.write(f"in/{number}", text)

    def batches(data, offsets):
        yield bytes(data[offsets[0, 0] : offsets[-1, 1]]), len(offsets)

    found = mr.read_text(str(shell.folder / "in")).map_batches(batches).collect(mr.Inline())
    assert found == [(b"a b\nb c", 2), (b"a b\nb c", 2), (b"a", 1), (b"", 1)]
