"""Jobs: plans, counters, and output that depends on input, job and reducers only."""

import os
from collections import Counter

import pytest

from mrcore import config
from mrcore.errors import InputError, OutputExistsError
from mrcore.runtime import plan as plan_module
from mrcore.runtime.job import Observer, run_job
from mrcore.runtime.jobs import CountJob
from mrcore.runtime.plan import Options
from mrcore.runtime.sinks import DirectorySink, MemorySink


@pytest.fixture
def source(tmp_path, text):
    (tmp_path / "in").mkdir()
    for index in range(5):
        (tmp_path / "in" / f"{index}.txt").write_bytes(text[index * 60_000 : (index + 1) * 60_000])
    return tmp_path / "in"


@pytest.fixture
def whole(source):
    return b"\n".join(path.read_bytes() for path in sorted(source.iterdir()))


@pytest.fixture
def tmp(tmp_path):
    (tmp_path / "tmp").mkdir()
    yield os.fsencode(tmp_path / "tmp")
    assert os.listdir(tmp_path / "tmp") == []


def test_counters_and_parts_say_what_was_done(source, whole, tmp, tmp_path):
    expected = Counter(whole.split())
    options = Options(workers=2, reducers=3, split=50_000, tmp=tmp)
    result = run_job(CountJob((str(source),)), options, DirectorySink(os.fsencode(tmp_path / "out")))
    counters = result.counters
    sizes = [os.path.getsize(path) for path in result.outputs]
    assert counters["bytes_in"] == sum(path.stat().st_size for path in source.iterdir())
    assert counters["tokens"] == expected.total()
    assert counters["records_out"] == len(expected) == sum(part.records_out for part in result.parts)
    assert counters["bytes_out"] == sum(sizes)
    assert counters["map_tasks"] == len(result.plan.splits) > 5
    assert counters["reduce_tasks"] == len(result.outputs) == 3
    assert counters["map_records"] >= counters["records_out"]
    assert counters["map_bytes"] > 0
    assert set(result.seconds) == {"plan", "map", "reduce", "commit", "total"}
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert dict(result.read()) == expected
    assert [os.path.basename(path) for path in result.outputs] == ["part-00000", "part-00001", "part-00002"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("partitions", [1, 4, 64])
def test_an_ordered_result_is_sorted_as_a_whole_for_any_number_of_ranges(
    source, whole, tmp, count_lines, monkeypatch, workers, partitions
):
    monkeypatch.setattr(plan_module, "RANGE_BYTES", max(1, 300_000 // partitions))
    monkeypatch.setattr(config, "SMALL_INPUT", 0)
    sink = MemorySink()
    result = run_job(CountJob((str(source),)), Options(workers, tmp=tmp, split=30_000), sink)
    assert b"".join(sink.parts) == count_lines(whole)
    assert len(sink.parts) == result.plan.partitions == result.counters["reduce_tasks"]
    assert (len(sink.parts) > 1) == (partitions > 1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("reducers", [1, 5])
def test_the_top_of_all_partitions(source, whole, tmp, workers, reducers):
    best = sorted((-count, word) for word, count in Counter(whole.split()).items())[:17]
    sink = MemorySink()
    result = run_job(CountJob((str(source),), top=17), Options(workers, reducers, 40_000, tmp), sink)
    assert sink.parts == [b"".join(b"%s\t%d\n" % (word, -count) for count, word in best)]
    assert result.counters["records_out"] == 17


@pytest.mark.parametrize("workers", [0, 2])
def test_no_input_at_all_is_an_empty_result(tmp, tmp_path, workers):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file").touch()
    for paths in ((str(tmp_path / "empty"),), ("/dev/null",)):
        sink = MemorySink()
        result = run_job(CountJob(paths), Options(workers, tmp=tmp), sink)
        assert (b"".join(sink.parts), result.counters["tokens"]) == (b"", 0)


def test_an_observer_is_told_the_story(source, tmp, tmp_path):
    told = []

    class Scribe(Observer):
        def planned(self, plan):
            told.append(("planned", plan.input_bytes))

        def phase(self, name, tasks):
            told.append((name, tasks))

        def consumed(self, count):
            told.append(count)

        def finished(self, result):
            told.append(type(result).__name__)

    sink = DirectorySink(os.fsencode(tmp_path / "out"))
    run_job(CountJob((str(source),)), Options(0, 2, 100_000, tmp), sink, Scribe())
    total = sum(path.stat().st_size for path in source.iterdir())
    story = [event for event in told if not isinstance(event, int)]
    assert story == [("planned", total), ("map", 5), *["TaskResult"] * 5, ("reduce", 2), *["TaskResult"] * 2]
    assert sum(event for event in told if isinstance(event, int)) == total


MOMENTS = ["planned", "phase", "consumed", "finished"]


def interrupted(job, options, sink, when):
    """Runs a job that is interrupted when its observer is told this; the error's notes."""

    def interrupt(*args):
        raise KeyboardInterrupt

    observer = Observer()
    setattr(observer, when, interrupt)
    with pytest.raises(KeyboardInterrupt) as error:
        run_job(job, options, sink, observer)
    return getattr(error.value, "__notes__", [])


@pytest.mark.parametrize(("workers", "when"), [*((0, when) for when in MOMENTS), (2, "planned")])
def test_an_interrupt_leaves_nothing_where_nothing_could_be_gone_on_with(source, tmp, tmp_path, when, workers):
    sink = DirectorySink(os.fsencode(tmp_path / "out"))
    assert interrupted(CountJob((str(source),)), Options(workers, 2, 50_000, tmp), sink, when) == []
    assert not os.path.exists(tmp_path / "out")


@pytest.mark.parametrize("when", MOMENTS)
def test_an_interrupt_leaves_nothing_of_a_result_in_memory(source, tmp, tmp_path, when):
    assert interrupted(CountJob((str(source),)), Options(2, 2, 50_000, tmp), MemorySink(), when) == []


@pytest.mark.parametrize("when", MOMENTS[1:])
def test_an_interrupt_leaves_what_a_resumed_run_goes_on_with(source, whole, tmp, tmp_path, count_lines, when):
    out = os.fsencode(tmp_path / "out")
    job, options = CountJob((str(source),)), Options(2, 2, 50_000, tmp)
    notes = interrupted(job, options, DirectorySink(out), when)
    assert notes == [f": {tmp_path}/out: go on with --resume"]
    assert os.listdir(out) == [b"_work"]
    with pytest.raises(OutputExistsError, match=r"an unfinished job's output: .*/out: go on with it with --resume"):
        run_job(job, options, DirectorySink(out))
    assert os.listdir(out) == [b"_work"]
    result = run_job(job, options, DirectorySink(out, resume=True))
    assert sorted(os.listdir(out)) == [b"_SUCCESS", b"_manifest.json", b"part-00000", b"part-00001"]
    lines = [b"%s\t%d\n" % pair for pair in result.read()]
    assert b"".join(sorted(lines)) == count_lines(whole)


def test_a_failing_job_leaves_an_older_result_alone(source, tmp, tmp_path):
    out = os.fsencode(tmp_path / "out")
    run_job(CountJob((str(source),)), Options(0, 2, tmp=tmp), DirectorySink(out))
    before = {name: os.stat(os.path.join(out, name)).st_mtime_ns for name in os.listdir(out)}
    with pytest.raises(InputError):
        run_job(CountJob((str(source), "/proc/self/mem")), Options(0, 2, tmp=tmp), DirectorySink(out, overwrite=True))
    assert {name: os.stat(os.path.join(out, name)).st_mtime_ns for name in os.listdir(out)} == before
