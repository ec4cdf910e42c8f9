"""The end of a pipeline: parts of lines for a sink, one sorted whole in pieces, or elements for the caller."""

import os
from pathlib import Path

import pytest

from mrcore.engine.python_output import PythonOutput
from mrcore.engine.spec import TaskResult
from mrcore.kernels.chain import Chain
from mrcore.runtime import pipeline_output
from mrcore.runtime.pipeline_output import PipelineOutput
from mrcore.runtime.sinks import DirectorySink, FileSink
from mrcore.storage.budget import DiskBudget
from mrcore.storage.workdir import temporary


@pytest.fixture
def work(tmp_path):
    with temporary(os.fsencode(tmp_path)) as made:
        yield made


@pytest.fixture
def disk(work):
    budget = DiskBudget.create(work.file("budget"), None)
    yield budget
    budget.close()


def result(number, types, path=b"", size=0, records=0):
    return TaskResult(number, path, 0, size, 0, records, "", types=types)


def test_columns_have_the_types_of_the_first_part_that_has_any(work, disk, tmp_path):
    output = PipelineOutput(FileSink(os.fsencode(tmp_path / "one")), work, disk, 1 << 20, None)
    types = [(None, None), ("int", None), ("str", "float"), ("int", "float")]
    parts = [result(number, each) for number, each in enumerate(types)]
    assert [part.task for part in output.differing(parts)] == [2]
    assert output.columns == ["int", "float"]


def test_parts_of_a_directory_may_differ(work, disk, tmp_path):
    output = PipelineOutput(DirectorySink(os.fsencode(tmp_path / "out")), work, disk, 1 << 20, None)
    assert not output.ordered
    assert output.differing([result(0, ("int",)), result(1, ("str",))]) == []


def elements(work, number, values):
    """A part of elements, in a file."""
    path = work.file(f"part-{number}")
    with PythonOutput(path, columns=0, keyed=True, sync=False, disk=None) as written:
        Chain([], written.taker).push_all(values, "test")
        written.finish()
    return result(number, (), path, written.size, written.taker.records)


@pytest.mark.parametrize("limit", [None, 0, 1, 4, 100])
def test_elements_are_kept_in_the_order_of_the_parts_up_to_a_limit(work, disk, limit):
    values = [[3, "x"], [], [(1, 2)] * 3]
    output = PipelineOutput(None, work, disk, 1 << 20, limit)
    output.keep([elements(work, number, some) for number, some in enumerate(values)], merged=False)
    wanted = [value for some in values for value in some][:limit]
    assert (output.elements, output.records) == (wanted, len(wanted))


def test_removing_what_is_gone_is_no_error(work, disk):
    output = PipelineOutput(None, work, disk, 1 << 20, None)
    output.remove(work.file("nothing"))


def test_lines_reach_the_sink_in_pieces_none_of_them_held_whole(work, disk, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline_output, "PIECE_BYTES", 1000)
    taken = []
    sink = FileSink(os.fsencode(tmp_path / "one"))
    monkeypatch.setattr(sink, "take", lambda part: taken.append(Path(os.fsdecode(part.output)).read_bytes()))
    output = PipelineOutput(sink, work, disk, 1 << 20, None)
    lines = iter([b"x" * 600 + b"\n"] * 5)
    pieces = 0
    while output._take_piece(pieces, lines):
        pieces += 1
    assert [len(piece) for piece in taken] == [1202, 1202, 601]
    assert output.bytes == 5 * 601
    assert [name for name in os.listdir(work.path) if name.startswith(b"piece")] == []
