"""What a job says of itself, and what of it is refused before anything is looked at."""

import json

import pytest

from mrcore.engine.spec import Keys
from mrcore.errors import UsageError
from mrcore.runtime.jobs import CountJob, DistinctJob, IndexJob, check_job
from mrcore.runtime.plan import Options, check_options, plan_job

COMMON = [
    (Keys("french"), "unknown tokenizer: french: choose one of whitespace, ascii, unicode, or regex:PATTERN$"),
    (Keys(""), "unknown tokenizer: : choose"), (Keys("regex"), "unknown tokenizer: regex"),
    (Keys("regex:("), r"not a regular expression: '\(': .*see Python's re module"),
    (Keys("regex:\udcff+"), r"not UTF-8: 'regex:\\udcff\+': write other bytes of a pattern as \\xff"),
    (Keys("\udcff"), "not UTF-8"), (Keys("regex:(?u)a"), "not a regular expression"),
    (Keys("regex:a{1,99999999999}"), "not a regular expression"),
    (Keys("regex:" + "(" * 5000), "not a regular expression"),
    (Keys(n_min=0, n_max=0), "n-grams out of range: 0 to 0: write 1 to 64"), (Keys(n_min=3, n_max=2), "3 to 2"),
    (Keys(n_max=65), "1 to 65"), (Keys(n_min=-1), "-1 to 1"), (Keys("lines", n_max=2), "n-grams of lines"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [CountJob, IndexJob, DistinctJob])
@pytest.mark.parametrize(("keys", "said"), COMMON, ids=lambda value: str(value)[:40])
def test_keys_that_do_not_exist(kind, keys, said):
    with pytest.raises(UsageError, match=said):
        check_job(kind((), keys))
    with pytest.raises(UsageError, match=said):
        plan_job(kind(("/missing",), keys), Options(), ordered=False)


@pytest.mark.parametrize(("job", "said"), [
    ({"min_count": 0}, "minimum count out of range: 0"), ({"min_count": 1 << 63}, "minimum count out of range"),
    ({"min_count": -5}, "minimum count out of range: -5"), ({"top": 0}, "top out of range: 0"),
    ({"top": 1 << 64}, "top out of range"), ({"top": -1}, "top out of range"),
], ids=str)  # fmt: skip
def test_selections_that_make_no_sense(job, said):
    with pytest.raises(UsageError, match=said):
        plan_job(CountJob(("/missing",), **job), Options(), ordered=False)


@pytest.mark.parametrize(("options", "said"), [
    ({"workers": -1}, "workers out of range: -1: write 0 to 1024"), ({"workers": 1025}, "workers out of range"),
    ({"reducers": 0}, "reducers out of range: 0: write 1 to 4096"), ({"reducers": 65537}, "reducers out of range"),
], ids=str)  # fmt: skip
def test_options_that_make_no_sense(options, said):
    with pytest.raises(UsageError, match=said):
        check_options(Options(**options))
    with pytest.raises(UsageError, match=said):
        plan_job(CountJob(("/missing",)), Options(**options), ordered=False)


@pytest.mark.parametrize("keys", [
    Keys(), Keys("ascii", True), Keys("unicode"), Keys("lines"), Keys("regex:a*"), Keys(n_min=1, n_max=64),
    Keys("regex:", cross_lines=True), Keys("unicode", n_min=64, n_max=64),
], ids=str)  # fmt: skip
def test_what_makes_sense_is_let_through(keys):
    for job in (
        CountJob((), keys, (1 << 63) - 1, (1 << 63) - 1),
        IndexJob((), keys, True),
        DistinctJob((), keys, True),
    ):
        check_job(job)
        assert json.loads(json.dumps(job.describe())) == job.describe(), "it goes into the manifest"


def test_the_manifest_names_what_decides_the_answer_and_nothing_else():
    pairs = Keys("ascii", True, 2, 3, True)
    about = {"tokenizer": "ascii", "lower": True, "n": [2, 3], "cross_lines": True}
    assert CountJob(("x",), pairs, 2, 9).describe() == {"verb": "ngrams", **about, "min_count": 2, "top": 9}
    plain = {"tokenizer": "whitespace", "lower": False}
    assert CountJob(("x",)).describe() == {"verb": "wordcount", **plain, "min_count": 1, "top": None}
    assert IndexJob(("x",), counts=True).describe() == {"verb": "index", **plain, "counts": True}
    assert DistinctJob(("x",)).describe() == {"verb": "distinct", **plain, "approx": False}


@pytest.mark.parametrize("job", [IndexJob(()), DistinctJob(()), DistinctJob((), approx=True)], ids=str)
def test_only_counts_are_selected_from(job):
    assert (job.min_count, job.top) == (1, None)


@pytest.mark.parametrize(
    "change", [{"tokenizer": "ascii"}, {"lower": True}, {"n_max": 2}, {"n_min": 2, "n_max": 2}], ids=str
)
def test_jobs_that_differ_describe_themselves_differently(change):
    for kind in (CountJob, IndexJob, DistinctJob):
        assert kind((), Keys()).describe() != kind((), Keys(**change)).describe()
