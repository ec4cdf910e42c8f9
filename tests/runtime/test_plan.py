"""Plans: splits, partitions and workers from names and sizes, memory divided before the job starts."""

import os

import pytest

from mrcore import config, resources
from mrcore.config import GIB, KIB, MIB
from mrcore.dataflow.explain import explain_plan
from mrcore.engine.spec import Keys
from mrcore.errors import BudgetError, InputError, UsageError
from mrcore.runtime.jobs import CountJob, DistinctJob, IndexJob
from mrcore.runtime.plan import Options, plan_job


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(5):
        (tmp_path / "in" / f"{index}.txt").write_bytes(b"word " * 1000)
    return str(tmp_path / "in")


@pytest.fixture
def large(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(3 * GIB)
    return str(tmp_path / "large")


@pytest.fixture(autouse=True)
def four_cores_and_much_memory(monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 4)
    monkeypatch.setattr(resources, "available_memory", lambda: 32 * GIB)


def test_the_plan_follows_from_names_and_sizes(source):
    plan = plan_job(CountJob((source,)), Options(), ordered=False)
    assert (len(plan.inputs), len(plan.splits), plan.partitions, plan.workers) == (5, 1, 1, 0)
    assert (plan.input_bytes, plan.split_bytes) == (25_000, 64 * MIB)


def test_large_input_gets_workers_and_small_input_none(large):
    plan = plan_job(CountJob((large,)), Options(), ordered=False)
    assert (plan.workers, len(plan.splits), plan.partitions) == (4, 10, 12)
    assert plan_job(CountJob(("/dev/null",)), Options(), ordered=False).workers == 0
    assert plan_job(CountJob(("/dev/null", "/dev/zero")), Options(), ordered=False).workers == 4
    assert plan_job(CountJob((large,)), Options(workers=0), ordered=True).partitions == 64


@pytest.mark.parametrize(("job", "ordered", "partitions", "by_range"), [
    (CountJob, True, 64, True), (CountJob, False, 12, False), (IndexJob, True, 64, True),
    (DistinctJob, True, 12, False),
    (DistinctJob, False, 12, False), (lambda paths: CountJob(paths, top=3), True, 12, False),
])  # fmt: skip
def test_partitions_are_ranges_only_where_lines_come_out_in_order(large, job, ordered, partitions, by_range):
    plan = plan_job(job((large,)), Options(), ordered=ordered)
    assert (plan.partitions, plan.ordered) == (partitions, by_range)


def test_an_index_numbers_each_file_once_in_path_order(source):
    names = [os.fsencode(f"{source}/{i}.txt") for i in range(5)]
    plan = plan_job(IndexJob((f"{source}/3.txt", source, f"{source}/0.txt")), Options(split=0), ordered=True)
    assert [entry.path for entry in plan.inputs] == names
    assert [(span.path, span.document) for task in plan.splits for span in task] == list(
        zip(names, range(5), strict=True)
    )
    assert len(plan_job(CountJob((source, source)), Options(), ordered=True).inputs) == 10


def test_ngrams_across_lines_do_not_cut_files(source):
    for cross_lines in (False, True):
        keys = Keys(n_max=2, cross_lines=cross_lines)
        plan = plan_job(CountJob((source,), keys), Options(split=1000), ordered=True)
        assert len(plan.splits) == (5 if cross_lines else 25)


def test_splits_that_are_too_many_are_refused(large):
    with pytest.raises(UsageError, match=r"too many map tasks: .*write a larger --split"):
        plan_job(CountJob((large,)), Options(split=1), ordered=True)


def test_missing_input_is_found_before_memory_is_thought_of(tmp_path):
    with pytest.raises(InputError):
        plan_job(CountJob((str(tmp_path / "x"),)), Options(memory=1), ordered=True)


class TestMemory:
    def test_by_default_it_is_half_of_what_is_available(self, large):
        plan = plan_job(CountJob((large,)), Options(), ordered=True)
        assert plan.memory == 16 * GIB
        assert plan.share == (16 * GIB - 512) // 4

    @pytest.mark.parametrize("workers", [0, 1, 2, 7])
    def test_it_is_shared_equally(self, large, workers):
        plan = plan_job(CountJob((large,)), Options(workers, memory=70 * MIB), ordered=True)
        assert plan.share * max(1, workers) <= plan.memory - 512 < (plan.share + 1) * max(1, workers)

    @pytest.mark.parametrize(("memory", "workers"), [(GIB, 4), (13 * MIB, 3), (9 * MIB, 2), (5 * MIB, 1)])
    def test_workers_that_the_user_left_open_are_as_many_as_fit(self, large, memory, workers):
        assert plan_job(CountJob((large,)), Options(memory=memory), ordered=True).workers == workers

    @pytest.mark.parametrize("available", [0, 1, 9 * MIB])
    def test_a_machine_without_memory_is_refused_too(self, large, monkeypatch, available):
        monkeypatch.setattr(resources, "available_memory", lambda: available)
        if available > 8 * MIB:
            assert plan_job(CountJob((large,)), Options(), ordered=True).workers == 1
        else:
            with pytest.raises(BudgetError, match=r"not enough memory for this job: 0B: give it 4097KiB or more"):
                plan_job(CountJob((large,)), Options(), ordered=True)

    @pytest.mark.parametrize("ordered", [False, True])
    @pytest.mark.parametrize("reducers", [None, 1, 64, 300, 4096])
    @pytest.mark.parametrize("workers", [0, 1, 2])
    @pytest.mark.parametrize("job", [
        CountJob, IndexJob, DistinctJob, lambda paths: DistinctJob(paths, approx=True),
        lambda paths: CountJob(paths, Keys("unicode")), lambda paths: CountJob(paths, Keys(n_max=3)),
        lambda paths: CountJob(paths, top=50_000),
    ], ids=["counts", "index", "distinct", "approx", "unicode", "ngrams", "top"])  # fmt: skip
    def test_the_least_is_exact(self, large, job, workers, reducers, ordered):
        options = Options(workers, reducers, memory=40 * GIB)
        least = plan_job(job((large,)), options, ordered=ordered).memory_least
        plan = plan_job(job((large,)), options._replace(memory=least), ordered=ordered)
        assert (plan.memory, plan.memory_least) == (least, least)
        assert plan.share >= 4 * MIB
        with pytest.raises(BudgetError, match=f"give it {config.show_size(least)} or more"):
            plan_job(job((large,)), options._replace(memory=least - 1), ordered=ordered)

    def test_the_least_grows_with_what_must_be_held(self, source, large):
        def least(job, *, ordered=False, **options):
            return plan_job(job, Options(0, memory=GIB, **options), ordered=ordered).memory_least

        assert least(CountJob((large,)), reducers=4096) > least(CountJob((large,)), reducers=1)
        assert least(CountJob((large,)), reducers=4096, ordered=True) == least(CountJob((large,)), ordered=True)
        assert least(CountJob((large,), top=100_000)) > least(CountJob((large,), top=10))
        assert least(CountJob((large,), Keys("unicode"))) > least(CountJob((large,)))
        assert least(CountJob((source,) * 1000)) >= least(CountJob((source,))) + 999 * 5 * 512


@pytest.mark.parametrize(("size", "shown"), [
    (0, "0B"), (1, "1B"), (1023, "1023B"), (KIB, "1KiB"), (KIB + 1, "2KiB"), (4 * MIB, "4MiB"),
    (4 * MIB + 1, "4097KiB"), (10 * MIB + 1, "11MiB"), (GIB, "1GiB"), (GIB + 1, "1025MiB"), (10 * GIB + 1, "11GiB"),
])  # fmt: skip
def test_a_size_is_shown_rounded_up_so_that_it_does(size, shown):
    assert config.show_size(size) == shown
    assert size <= config.parse_size(shown) <= max(size * 1.1 + KIB, size + KIB if size > KIB else size)


class TestExplain:
    def test_it_says_what_will_be_done(self, source, large):
        job = CountJob((source, "/dev/null"), Keys("ascii", True, 1, 3, True), 2)
        lines = explain_plan(job, plan_job(job, Options(2, 5, 0, memory=GIB), ordered=False)).splitlines()
        assert lines == [
            "input      5 files, 25,000 bytes, 1 streams",
            "map        6 tasks, one a file: 1-3-grams (ascii, lower), across lines, counted",
            "shuffle    5 partitions by key hash: sorted runs on disk",
            "reduce     5 tasks: merge, add, count >= 2",
            "workers    2",
            *lines[5:],
        ]
        assert lines[5].startswith("memory     at most 1GiB, 512MiB a task; it would run with ")
        assert lines[6].startswith("tmp        at most ")
        assert lines[6].endswith(" of intermediate files beside the streams, no limit")

    @pytest.mark.parametrize(("job", "said"), [
        (lambda p: IndexJob(p), ("with the files they are in", "merge, join lists of files", "by key range")),
        (lambda p: DistinctJob(p), ("merge, count keys", "by key hash")),
        (lambda p: DistinctJob(p, Keys("lines", True)), ("lines (lower)",)),
        (lambda p: DistinctJob(p, approx=True), ("sketched (HyperLogLog)",)),
        (lambda p: CountJob(p, top=7), ("merge, add, top 7",)),
        (lambda p: CountJob(p, Keys(n_min=2, n_max=2)), ("2-grams (whitespace)",)),
    ])  # fmt: skip
    def test_of_every_kind_of_job(self, source, job, said):
        made = job((source,))
        text = explain_plan(made, plan_job(made, Options(tmp_limit=7 * MIB), ordered=True))
        for words in (*said, "limit 7MiB", "none: in this process"):
            assert words in text
