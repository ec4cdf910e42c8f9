"""Programs: a stage's functions in a file, read anew by each task."""

import os
import sys

import pytest

from mrcore.engine.program import Program, Shuffle, read_program, write_program
from mrcore.errors import CorruptionError, SerializationError


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "program")


@pytest.fixture(autouse=True)
def same_places(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_each_reading_is_a_copy_of_its_own(path):
    seen = [1]
    program = Program((("map", seen.append),), shuffle=Shuffle(each=True), encoding="utf-8", columns=1)
    code = write_program(path, program)
    assert code.size == os.path.getsize(path)
    first, second = read_program(code), read_program(code)
    first.steps[0][1](2)
    assert first.steps[0][1].__self__ == [1, 2]
    assert second.steps[0][1].__self__ == seen == [1]
    assert first[1:] == program[1:]


def test_modules_are_imported_from_where_the_program_was_written(path, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def triple(x): return 3 * x\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        import only_here

        code = write_program(path, Program((("map", only_here.triple),)))
    del sys.modules["only_here"]
    assert os.fsencode(tmp_path) in code.places and os.fspath(tmp_path) not in sys.path
    assert read_program(code).steps[0][1](2) == 6
    assert sys.path == [os.fsdecode(place) for place in code.places]


def test_the_current_directory_is_a_place_by_its_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sys.path.insert(0, "")
    assert write_program(path, Program()).places[0] == os.fsencode(tmp_path)


def test_the_places_of_the_callers_own_process_stay_as_they_are_written(path):
    sys.path.insert(0, "")
    before = list(sys.path)
    read_program(write_program(path, Program()))
    assert sys.path == before


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]])
def test_a_damaged_file_is_not_run(path, damage):
    code = write_program(path, Program())
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(damage(data))
    with pytest.raises(CorruptionError):
        read_program(code)


def test_what_cannot_travel_leaves_no_file(path):
    with pytest.raises(SerializationError, match="cannot be pickled: the job"):
        write_program(path, Program((("map", (x for x in ()).send),)))
    assert not os.path.exists(path)
