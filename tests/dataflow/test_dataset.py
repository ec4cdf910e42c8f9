"""The lazy API: nothing happens before an end, and every end gives the same counts."""

import os
from collections import Counter

import pytest

import mrcore as mr
from mrcore.dataflow.dataset import parse_split


@pytest.fixture
def source(tmp_path, text):
    (tmp_path / "in.txt").write_bytes(text)
    return tmp_path / "in.txt"


@pytest.fixture(autouse=True)
def tmp(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    yield
    assert os.listdir(tmp_path / "tmp") == []


EXECUTORS = [None, mr.Inline(), mr.Local(workers=2), mr.Local()]


def test_nothing_is_opened_before_a_result_is_asked_for():
    counts = mr.read_text("/missing").words(lower=True).count(min_count=2).top(3)
    with pytest.raises(mr.InputError, match="/missing"):
        counts.collect()


def test_datasets_are_immutable_values(source):
    words = mr.read_text(source).words()
    counts = words.count()
    assert counts.top(3) != counts
    assert counts == words.count() == mr.read_text(str(source)).words().count()
    with pytest.raises(AttributeError):
        words.lower = True


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_collect_gives_sorted_pairs(source, text, executor):
    assert mr.read_text(source).words().count().collect(executor) == sorted(Counter(text.split()).items())


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_top_is_by_count_then_word(source, text, executor):
    best = sorted(Counter(text.split()).items(), key=lambda pair: (-pair[1], pair[0]))[:25]
    assert mr.read_text(source).words().count().top(25).collect(executor) == best


def test_tokenizer_lower_and_minimum(source, text):
    from mrcore.testing import reference

    expected = Counter(reference.tokenize(text, "ascii", True))
    pairs = mr.read_text(source).words(tokenizer="ascii", lower=True).count(min_count=5).collect()
    assert pairs == sorted((word, count) for word, count in expected.items() if count >= 5)


@pytest.mark.parametrize("form", [str, bytes, os.fspath, lambda path: path])
def test_paths_of_every_kind(source, text, form):
    path = os.fsencode(source) if form is bytes else form(source)
    assert dict(mr.read_text(path).words().count().collect()) == Counter(text.split())
    assert dict(mr.read_text([path, path]).words().count().collect()) == Counter(text.split() * 2)
    assert dict(mr.read_text(iter([path])).words().count().collect()) == Counter(text.split())


def test_no_paths_are_no_words():
    assert mr.read_text([]).words().count().collect() == []


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_write_tsv_makes_part_files_that_can_be_read_back(source, text, tmp_path, executor):
    counts = mr.read_text(source).words().count()
    result = counts.write_tsv(tmp_path / "out", reducers=3, split="64K", executor=executor)
    assert [os.path.basename(path) for path in result.outputs] == [f"part-0000{i}" for i in range(3)]
    assert isinstance(result, mr.JobResult)
    pairs = list(result.read())
    assert dict(pairs) == Counter(text.split())
    assert len(pairs) == result.counters["records_out"]
    assert set(os.listdir(tmp_path / "out")) == {"part-00000", "part-00001", "part-00002", "_SUCCESS", "_manifest.json"}


def test_a_single_file_is_sorted_as_a_whole(source, counted, tmp_path):
    result = mr.read_text(source).words().count().write_tsv(tmp_path / "one.tsv", single=True, executor=mr.Local(2))
    assert (tmp_path / "one.tsv").read_bytes() == counted
    assert result.outputs == (str(tmp_path / "one.tsv"),)


@pytest.mark.parametrize("single", [False, True])
def test_what_is_there_is_kept_unless_it_may_be_overwritten(source, tmp_path, single):
    counts = mr.read_text(source).words().count()
    counts.write_tsv(tmp_path / "out", single=single)
    with pytest.raises(mr.OutputExistsError, match="--overwrite"):
        counts.write_tsv(tmp_path / "out", single=single)
    again = counts.top(1).write_tsv(tmp_path / "out", single=single, overwrite=True)
    assert list(again.read()) == counts.top(1).collect()


def test_explain_shows_the_plan_and_runs_nothing(source):
    shown = mr.read_text([source, "/dev/null"]).words(tokenizer="ascii", lower=True).count(min_count=3).explain()
    for words in ("1 files", f"{source.stat().st_size:,} bytes", "1 streams", "words (ascii, lower)", "count >= 3"):
        assert words in shown
    assert "top 5" in mr.read_text(source).words().count().top(5).explain(mr.Local(workers=2))


@pytest.mark.parametrize(("split", "size"), [(None, None), ("file", 0), (5, 5), ("64KiB", 65536), ("1", 1)])
def test_a_split_is_a_size_or_a_file(split, size):
    assert parse_split(split) == size


@pytest.mark.parametrize("split", [0, -1, "0", "files", ""])
def test_other_splits_are_refused(split):
    with pytest.raises(mr.UsageError, match="size"):
        parse_split(split)


def test_every_usage_error_names_the_value(source):
    for wrong in (
        lambda: mr.read_text(source).words(tokenizer="x").count().collect(),
        lambda: mr.read_text(source).words().count(min_count=-7).collect(),
        lambda: mr.read_text(source).words().count().top(0).collect(),
        lambda: mr.read_text(source).words().count().collect(mr.Local(workers=-2)),
    ):
        with pytest.raises(mr.UsageError, match=r"x|-7|0|-2"):
            wrong()


def test_the_package_lists_its_names():
    assert {"read_text", "Local", "Inline", "InputError", "JobResult"} <= set(dir(mr))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mr.nothing
