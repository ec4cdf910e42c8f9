"""The contract of an executor, kept by each of them."""

import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore import errors
from mrcore.engine.spec import Keys, MapSpec, ReduceSpec, Span
from mrcore.errors import CorruptionError, InputError, MrcoreError
from mrcore.executors.base import error_of
from mrcore.executors.inline import Inline
from mrcore.executors.process import ProcessPool

MEMORY = 16 << 20
MAKERS = {"inline": Inline, "one worker": lambda: ProcessPool(1), "three workers": lambda: ProcessPool(3)}


@pytest.fixture(params=MAKERS)
def executor(request):
    with MAKERS[request.param]() as running:
        yield running


@pytest.fixture
def folder(tmp_path, text):
    (tmp_path / "in").write_bytes(text)
    return os.fsencode(tmp_path)


def map_specs(folder, count, reducers=2):
    path = os.path.join(folder, b"in")
    size = os.path.getsize(path)
    cuts = [size * index // count for index in range(count + 1)]
    return [
        MapSpec(i, os.path.join(folder, b"map-%d" % i), (Span(path, cuts[i], cuts[i + 1], size),), Keys(), reducers,
                None, MEMORY, sync=False)
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("ahead", [False, True])
def test_tasks_run_once_each_and_phases_follow_each_other(executor, folder, count_lines, text, ahead):
    told = []
    maps = list(executor.run(map_specs(folder, 7), told.append, ahead=ahead))
    assert sorted(result.task for result in maps) == list(range(7))
    assert sum(told) == sum(result.bytes_in for result in maps) == len(text)
    runs = tuple(result.output for result in sorted(maps, key=lambda result: result.task))
    specs = [ReduceSpec(p, os.path.join(folder, b"part-%d" % p), runs, MEMORY, sync=False) for p in range(2)]
    parts = list(executor.run(specs, told.append, ahead=ahead))
    assert sorted(part.task for part in parts) == [0, 1]
    written = b""
    for part in parts:
        with open(part.output, "rb") as file:
            written += file.read()
    assert b"".join(sorted(written.splitlines(keepends=True))) == count_lines(text)


def test_every_executor_writes_the_same_bytes(folder):
    written = set()
    for maker in MAKERS.values():
        with maker() as executor:
            results = sorted(executor.run(map_specs(folder, 5), lambda count: None), key=lambda result: result.task)
        files = []
        for result in results:
            with open(result.output, "rb") as file:
                files.append(file.read())
            os.unlink(result.output)
        # What a process holds at most depends on the tasks that it had before.
        written.add((tuple(msgspec.structs.replace(result, memory=0) for result in results), tuple(files)))
    assert len(written) == 1


def test_no_tasks(executor):
    assert list(executor.run([], lambda count: None)) == []


def test_the_first_error_ends_the_run_with_its_own_kind_and_text(executor, folder):
    specs = map_specs(folder, 4)
    specs[2] = MapSpec(2, b"out", (Span(b"/missing\n", 0, 1, 1),), Keys(), 1, None, MEMORY)
    with pytest.raises(InputError) as error:
        list(executor.run(specs, lambda count: None))
    assert str(error.value) == "cannot read: /missing\\n: no such file or directory"


def test_a_failed_task_leaves_no_file_of_its_own(executor, folder):
    (spec,) = map_specs(folder, 1)
    bad = ReduceSpec(0, os.path.join(folder, b"part"), (spec.spans[0].path,), MEMORY)
    with pytest.raises(CorruptionError, match="not a run file"):
        list(executor.run([bad], lambda count: None))
    assert os.listdir(folder) == [b"in"]


def test_an_error_of_progress_stops_the_run(executor, folder):
    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(executor.run(map_specs(folder, 3), stop))


NAMES = [name for name in dir(errors) if name.endswith("Error")]


@given(name=st.sampled_from(NAMES), text=st.text(max_size=20))
@settings(max_examples=30)
def test_an_error_comes_back_as_the_kind_it_was(name, text):
    error = error_of(name, text, "where it was raised")
    assert type(error) is getattr(errors, name)
    assert str(error) == text
    assert error.__notes__ == ["where it was raised"]


@pytest.mark.parametrize("name", ["", "shown", "TYPE_CHECKING", "NoSuchError", "annotations"])
def test_a_defect_is_called_one(name):
    error = error_of(name, "IndexError: 3", "trace")
    assert type(error) is MrcoreError
    assert "defect of mrcore: IndexError: 3" in str(error)
