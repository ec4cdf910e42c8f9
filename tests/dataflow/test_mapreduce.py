"""The classic shape: what makes a job of a class, which methods count, and what mr.run() gives."""

import os
import sys

import cloudpickle
import pytest

import mrcore as mr
from mrcore.dataflow.mapreduce import pipeline_of

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find the tests


class Words(mr.MapReduce):
    combine = mr.Sum()

    def map(self, record, ctx):
        for word in record.split():
            yield word, 1


class Doubled(Words):
    def reduce(self, key, values, ctx):
        yield key, [2 * value for value in values]


class Sides(mr.MapReduce):
    """Every optional method, each leaving a trace."""

    encoding = "ascii"

    def setup(self, ctx):
        self.seen = [ctx.phase]

    def map(self, record, ctx):
        self.seen.append(record)
        yield record, len(self.seen)

    def combine(self, key, values, ctx):
        yield key, max(values)

    def reduce(self, key, values, ctx):
        yield key, (self.seen[0], max(values))

    def teardown(self, ctx):
        if ctx.phase == "map":
            yield "~", len(self.seen)

    def partition(self, key, reducers):
        return key == "~"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").write_bytes(b"b a\nc\na\n")
    return tmp_path / "in"


EXECUTORS = [mr.Inline(), mr.Local(workers=2)]


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_an_aggregate_alone_gives_keys_and_results(source, executor):
    for job in (Words, Words()):
        assert list(mr.run(job, source, executor=executor).read()) == [(b"a", 2), (b"b", 1), (b"c", 1)]


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_behind_an_aggregate_a_reducer_gets_its_result_as_the_only_value(source, executor):
    assert list(mr.run(Doubled, source, executor=executor).read()) == [(b"a", [4]), (b"b", [2]), (b"c", [2])]


@pytest.mark.parametrize("executor", EXECUTORS, ids=repr)
def test_every_optional_method_is_called_in_its_place(source, executor, tmp_path):
    mr.run(Sides, source, tmp_path / "out", reducers=2, executor=executor)
    assert (tmp_path / "out" / "part-00000").read_text() == "a\t('reduce', 4)\nb a\t('reduce', 2)\nc\t('reduce', 3)\n"
    assert (tmp_path / "out" / "part-00001").read_text() == "~\t('reduce', 4)\n"


def test_a_job_keeps_what_its_constructor_made_and_each_task_has_its_own_copy(source):
    class Least(Words):
        def __init__(self, least):
            self.least, self.calls = least, 0

        def map(self, record, ctx):
            self.calls += 1
            yield from (pair for pair in super().map(record, ctx) if pair[0] >= self.least)

    job = Least(b"b")
    assert list(mr.run(job, [source, source], split="file", executor=mr.Inline()).read()) == [(b"b", 2), (b"c", 2)]
    assert job.calls == 0


@pytest.mark.parametrize("inputs", ["in", b"in", ["in"], ("in",)])
def test_inputs_are_a_path_or_several(source, inputs, monkeypatch):
    monkeypatch.chdir(source.parent)
    assert mr.run(Words, inputs, executor=mr.Inline()).counters["records_in"] == 3


def test_a_result_has_outputs_counters_and_what_was_yielded(source, tmp_path):
    result = mr.run(Words, source, tmp_path / "out", reducers=3, executor=mr.Inline())
    assert [os.path.basename(path) for path in result.outputs] == ["part-00000", "part-00001", "part-00002"]
    assert (result.counters["records_in"], result.counters["records_out"]) == (3, 3)
    assert dict(result.read()) == dict(result.read()) == {b"a": 2, b"b": 1, b"c": 1}


def test_one_file_is_sorted_as_a_whole(source, tmp_path):
    result = mr.run(Words, source, tmp_path / "one", reducers=3, single=True, executor=mr.Inline())
    assert (tmp_path / "one").read_bytes() == b"a\t2\nb\t1\nc\t1\n"
    assert list(result.read()) == [(b"a", 2), (b"b", 1), (b"c", 1)]


def test_output_is_not_replaced_unless_it_is_asked_for(source, tmp_path):
    for single in (False, True):
        path = tmp_path / f"out-{single}"
        for _ in range(2):
            mr.run(Words, source, path, single=single, executor=mr.Inline(), overwrite=True)
        with pytest.raises(mr.OutputExistsError):
            mr.run(Words, source, path, single=single, executor=mr.Inline())


@pytest.mark.parametrize(("job", "said"), [
    (5, "not a job: 5"), (int, "not a job: int: derive it"), (mr.MapReduce, "a job without map: MapReduce"),
    (type("Bad", (Words,), {"map": 5}), "map is no method: Bad: 5"),
    (type("Bad", (Words,), {"reduce": mr.Sum()}), "an aggregate goes into combine"),
    (type("Bad", (Words,), {"combine": mr.Sum}), "not an aggregate but its class"),
    (type("Bad", (Words,), {"combine": Sides.combine}), r"combine\(\) without reduce\(\): Bad: .*reduce = combine"),
    (type("Bad", (Words,), {"encoding": "none"}), "not an encoding of text: 'none'"),
    (type("Bad", (Words,), {"encoding": 5}), "not an encoding of text: 5"),
])  # fmt: skip
def test_what_is_no_job_is_refused_before_anything_is_read(job, said):
    with pytest.raises(mr.UsageError, match=said):
        mr.run(job, "/missing")


def test_a_setup_that_would_not_run_is_refused(source):
    class Yields(Words):
        def setup(self, ctx):
            yield b"first", 1

    with pytest.raises(mr.UserCodeError, match=r"setup\(\) yields or awaits.* map task 0"):
        mr.run(Yields, source, executor=mr.Inline())


def test_arguments_that_make_no_sense_together(source):
    with pytest.raises(mr.UsageError, match="single=True without an output"):
        mr.run(Words, source, single=True)


def test_a_pipeline_of_one_stage_with_the_methods_that_the_class_has():
    (program,) = pipeline_of(Words, ("in",)).stages
    assert (program.setup, program.teardown, program.shuffle.reduce, program.shuffle.place) == (None,) * 4
    (program,) = pipeline_of(Sides(), ("in",), verify=True).stages
    assert None not in (program.setup, program.teardown, program.shuffle.reduce, program.shuffle.place)
    assert program.verify
