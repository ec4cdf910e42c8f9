"""The file of a task of users' functions: literals, lines, keyed lines, elements, and what is left of a failure."""

import ast
import base64
import os
import pickle
import subprocess
import sys

import pytest

from mrcore.engine.python_output import PythonOutput, literal
from mrcore.engine.user_code import Enough
from mrcore.errors import CorruptionError, SerializationError
from mrcore.formats.typed_text import find_named, parse_line, read_typed
from mrcore.kernels.chain import Chain
from mrcore.storage.partfile import file_check

LITERALS = [None, True, 5, -1.5, "a\tb", b"\0", (1, "x"), [1, [2]], {"k": (None, b"v")}, ()]
PICKLED = [{1}, 1 + 2j, float("inf"), [float("nan")], 1 << 20_000, frozenset(), range(2), bytearray(b"x")]


class Point:
    """A class with a name."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    __hash__ = None


@pytest.mark.parametrize("value", LITERALS, ids=repr)
@pytest.mark.parametrize("marked", [False, True])
def test_a_literal_is_the_value_as_python_writes_it(value, marked):
    text = literal(value, marked)
    assert text.startswith(b"\\:") == marked
    assert b"\t" not in text
    assert parse_line(text, ("literal",)) == value


@pytest.mark.parametrize("value", PICKLED, ids=lambda value: type(value).__name__)
def test_what_has_no_literal_is_a_pickle(value):
    text = literal(value, marked=False)
    assert text.startswith(b"\\!")
    assert pickle.dumps(parse_line(text, ("int",))) == pickle.dumps(value)


def test_nesting_that_literal_eval_would_not_survive_is_a_pickle():
    deep = []
    for _ in range(30):
        deep = [deep]
    assert literal(deep, marked=False).startswith(b"\\!")
    with pytest.raises(ValueError, match="malformed"):
        ast.literal_eval(repr(float("inf")))  # the reason why floats are looked at


def test_an_object_stands_by_the_name_of_its_class():
    text = literal(Point(3), marked=False)
    assert Point.__module__.encode() in base64.b64decode(text[2:])
    assert text == literal(Point(3), marked=True)
    assert find_named("collections.abc", "Mapping.get") is __import__("collections.abc").abc.Mapping.get


def test_bytes_of_a_class_are_the_same_in_another_process(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from mrcore.engine.pickling import dump_by_name\n"
        "if sys.argv[2] == 'import': from thing import Thing\n"
        "else: exec(open(sys.argv[1] + '/thing.py').read()); Thing.__module__ = 'thing'\n"
        "print(dump_by_name([Thing(), Thing]).hex())"
    )
    (tmp_path / "thing.py").write_text("class Thing:\n    x = 1\n")
    seen = [
        subprocess.run([sys.executable, "-P", "-c", program, str(tmp_path), how], capture_output=True, check=True,
                       env=os.environ | {"PYTHONHASHSEED": seed}).stdout
        for how, seed in (("import", "0"), ("import", "1"), ("not", "2"))
    ]  # fmt: skip
    assert seen[0]
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(("module", "name"), [("nowhere_at_all", "X"), ("os", "nothing"), ("os", "path.nothing")])
def test_a_name_that_is_not_here_is_said(module, name):
    with pytest.raises(SerializationError, match=f"there is no {name} in a module {module}"):
        find_named(module, name)


def test_a_lambda_has_no_name_and_travels_with_its_code():
    assert pickle.loads(base64.b64decode(literal(lambda: 5, marked=False)[2:]))() == 5


# ---- files -------------------------------------------------------------------------------


def output(path, **how):
    return PythonOutput(os.fsencode(path), **{"columns": 2, "keyed": False, "sync": False, "disk": None} | how)


def take(written, elements):
    Chain([], written.taker).push_all(elements, "test")


def test_lines_of_pairs_and_their_types(tmp_path):
    pairs = [("a\t", 1), ("b", "x"), (3, 2), ("c", None)]
    with output(tmp_path / "part") as written:
        take(written, pairs)
        written.finish()
    assert written.taker.types == ("str", "int")
    assert written.size == os.path.getsize(tmp_path / "part")
    assert list(read_typed(os.fsencode(tmp_path / "part"), written.taker.types)) == pairs


@pytest.mark.parametrize("how", [{}, {"columns": 0, "keyed": True}, {"keyed": True}], ids=str)
def test_its_check_is_that_of_the_file_of_whatever_kind(tmp_path, how):
    with output(tmp_path / "part", **how) as written:
        take(written, [(1, 2), ("x" * 100_000, None)])
        written.finish()
    assert (written.size, written.check) == file_check(os.fsencode(tmp_path / "part"))


def test_types_that_are_given_hold_from_the_first_value(tmp_path):
    with output(tmp_path / "part", types=("str", "float")) as written:
        take(written, [(1, 1), ("x", 2.5)])
        written.finish()
    assert (tmp_path / "part").read_bytes() == b"\\:1\t\\:1\nx\t2.5\n"


def test_enough_is_raised_at_the_limit_and_what_was_taken_stays(tmp_path):
    with output(tmp_path / "part", columns=0, keyed=True, limit=3) as written:
        with pytest.raises(Enough):
            take(written, range(10))
        written.finish()
    assert written.taker.records == 3


@pytest.mark.parametrize("how", [{}, {"columns": 0, "keyed": True}, {"keyed": True}], ids=str)
def test_a_failure_leaves_no_file(tmp_path, how):
    with pytest.raises(RuntimeError), output(tmp_path / "part", **how) as written:
        take(written, [(1, 2)])
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_line_cut_short_is_damage(tmp_path):
    (tmp_path / "part").write_bytes(b"1\t2\n3")
    with pytest.raises(CorruptionError, match="byte 4: 1 columns, not 2"):
        list(read_typed(os.fsencode(tmp_path / "part"), ("int", "int")))
