"""The lazy API: nothing happens before an end, and every end gives the same counts."""

import os
from collections import Counter

import pytest

import mrcore as mr
from mrcore.dataflow.executors import options_of, parse_bytes, parse_split
from mrcore.runtime.plan import Options


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


EXECUTORS = [
    None,
    mr.Inline(),
    mr.Local(workers=2),
    mr.Local(),
    mr.Inline("12MiB"),
    mr.Local(2, 16 << 20, tmp_limit="1GB"),
]


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
    shown = mr.read_text(source).words().index().explain(mr.Inline("1GiB", tmp_limit="2GiB"))
    for words in ("in this process", "at most 1GiB, ", "limit 2GiB", "with the files they are in", "key range"):
        assert words in shown
    assert "HyperLogLog" in mr.read_text(source).lines().distinct(approx=True).explain()
    assert "2-3-grams" in mr.read_text(source).ngrams(2, 3).count().explain()


@pytest.mark.parametrize(("split", "size"), [(None, None), ("file", 0), (5, 5), ("64KiB", 65536), ("1", 1)])
def test_a_split_is_a_size_or_a_file(split, size):
    assert parse_split(split) == size


@pytest.mark.parametrize("split", [0, -1, "0", "files", "", 1.5, True])
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


def grams(text, n, *, cross_lines=False):
    """The n-grams of a text, in plain Python."""
    pieces = [piece.split() for piece in ([text] if cross_lines else text.split(b"\n"))]
    return Counter(b" ".join(words[i : i + n]) for words in pieces for i in range(len(words) - n + 1))


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_ngrams_are_counted_as_words_are(source, text, executor):
    expected = grams(text, 2)
    assert mr.read_text(source).ngrams(2).count().collect(executor) == sorted(expected.items())
    best = sorted((expected + grams(text, 1)).items(), key=lambda pair: (-pair[1], pair[0]))[:9]
    assert mr.read_text(source).words().ngrams(1, 2).top(9).collect(executor) == best
    crossing = mr.read_text(source).ngrams(3, cross_lines=True).count(min_count=2).collect(executor)
    assert crossing == sorted((k, v) for k, v in grams(text, 3, cross_lines=True).items() if v > 1)


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_distinct_keys_and_their_number(source, text, executor):
    words = mr.read_text(source).words().distinct()
    assert words.collect(executor) == sorted(set(text.split()))
    assert words.count(executor) == len(set(text.split()))
    lines = mr.read_text(source).lines().distinct()
    assert lines.collect(executor) == sorted(set(text.split(b"\n")))
    assert lines.count(executor) == len(set(text.split(b"\n")))
    about = mr.read_text(source).words().distinct(approx=True).count(executor)
    assert about == pytest.approx(len(set(text.split())), rel=3 * 0.0081)
    assert about == mr.read_text(source).words().distinct(approx=True).count()


def test_an_estimate_has_no_keys(source):
    with pytest.raises(mr.UsageError, match=r"distinct\(approx=True\) has no keys.*call count\(\)"):
        mr.read_text(source).words().distinct(approx=True).collect()


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_lines_are_counted_too(source, text, executor):
    assert mr.read_text(source).lines().count().collect(executor) == sorted(Counter(text.split(b"\n")).items())
    lowered = Counter(text.lower().split(b"\n"))
    assert dict(mr.read_text(source).lines(lower=True).count().collect(executor)) == lowered


NAMES = [
    b"plain",
    b"a b",
    b"a,b",
    b"new\nline",
    b"back\\slash",
    b"\\",
    b"tab\t",
    b"cr\r",
    b"\xff",
    b"c:1",
    b",",
    b"\\n",
    b"\\,:9",
]


@pytest.mark.parametrize("executor", EXECUTORS, ids=str)
def test_an_index_gives_back_the_paths_whatever_their_bytes(tmp_path, executor):
    folder = os.path.join(os.fsencode(tmp_path), b"odd")
    os.mkdir(folder)
    paths = [os.path.join(folder, name) for name in NAMES]
    for count, path in enumerate(paths, 1):
        with open(path, "wb") as file:
            file.write(b"all\n" * count + b"one" * (count == 3))
    words = mr.read_text([*paths, folder]).words()
    assert words.index().collect(executor) == [(b"all", sorted(paths)), (b"one", [paths[2]])]
    counted = sorted((path, count) for count, path in enumerate(paths, 1))
    assert words.index(counts=True).collect(executor) == [(b"all", counted), (b"one", [(paths[2], 1)])]


def test_keys_may_hold_tabs(tmp_path):
    (tmp_path / "tab\tname").write_bytes(b"a\tb\n\tc\n\n")
    path = os.fsencode(tmp_path / "tab\tname")
    lines = mr.read_text(path).lines()
    assert lines.index().collect() == [(key, [path]) for key in (b"", b"\tc", b"a\tb")]
    assert lines.index(counts=True).collect() == [(key, [(path, 1)]) for key in (b"", b"\tc", b"a\tb")]
    assert lines.count().collect() == [(b"", 1), (b"\tc", 1), (b"a\tb", 1)]
    assert mr.read_text(path).words(tokenizer="regex:.+").distinct().collect() == [b"\tc", b"a\tb"]


def test_an_index_is_written_as_counts_are(source, tmp_path):
    index = mr.read_text(source).words().index()
    result = index.write_tsv(tmp_path / "out", reducers=3, executor=mr.Local(2))
    assert len(result.outputs) == 3
    assert result.counters["records_out"] == len(index.collect())
    index.write_tsv(tmp_path / "one", single=True)
    lines = (tmp_path / "one").read_bytes().split(b"\n")[:-1]
    assert lines == [b"%s\t%s" % (word, os.fsencode(source)) for word, _ in index.collect()]


@pytest.mark.parametrize("tokenizer", ["unicode", "regex:[a-f]+", "ascii"])
def test_every_tokenizer_serves_every_step(source, tokenizer):
    words = mr.read_text(source).words(tokenizer=tokenizer, lower=True)
    counts = words.count().collect()
    assert words.distinct().collect() == [word for word, _ in counts] == [word for word, _ in words.index().collect()]
    assert words.distinct().count() == len(counts)
    assert [(word, files[0][1]) for word, files in words.index(counts=True).collect()] == counts
    assert words.top(3).collect() == words.count().top(3).collect() == words.count().top(5).top(3).top(4).collect()


def test_ngrams_of_ngrams_and_of_lines_are_refused(source):
    with pytest.raises(mr.UsageError, match="n-grams of n-grams"):
        mr.read_text(source).ngrams(2).ngrams(2)
    with pytest.raises(mr.UsageError, match="n-grams of lines"):
        mr.read_text(source).lines().ngrams(2).count().collect()
    for sizes in ((0,), (65,), (3, 2)):
        with pytest.raises(mr.UsageError, match="n-grams out of range"):
            mr.read_text(source).ngrams(*sizes).count().collect()


def test_executors_carry_the_budgets(source, tmp_path):
    assert options_of(mr.Inline("1MiB", b"/t", 7)) == Options(0, None, None, b"/t", 1 << 20, 7)
    assert options_of(mr.Local(3, 5, "/t", "2KB"), 4, 9) == Options(3, 4, 9, b"/t", 5, 2000)
    assert options_of(None) == Options()
    assert (parse_bytes(None), parse_bytes(9), parse_bytes("9K")) == (None, 9, 9216)
    for steps in (mr.read_text(source).words().count(), mr.read_text(source).words().index()):
        with pytest.raises(mr.BudgetError, match="give it 4097KiB or more"):
            steps.collect(mr.Inline("1MiB"))
        with pytest.raises(mr.BudgetError, match="temporary files would take more than 9 bytes"):
            steps.collect(mr.Local(2, tmp_limit=9))
        with pytest.raises(mr.OutputExistsError, match="nowhere"):
            steps.collect(mr.Inline(tmp=str(tmp_path / "nowhere")))
        with pytest.raises(mr.UsageError, match="size"):
            steps.collect(mr.Inline("much"))


@pytest.mark.parametrize("wrong", [{"memory": -1}, {"tmp_limit": -1}], ids=str)
def test_sizes_below_zero_are_refused(source, wrong):
    with pytest.raises(mr.MrcoreError):
        mr.read_text(source).words().count().collect(mr.Inline(**wrong))
