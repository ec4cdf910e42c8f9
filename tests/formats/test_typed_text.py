"""Lines of Python jobs: what was written is read back with its types, whatever stands in it."""

import os
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.engine.python_output import PythonOutput
from mrcore.errors import CorruptionError, InputError
from mrcore.formats.typed_text import parse_line, read_typed
from mrcore.kernels.chain import Chain

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
ODD = st.text(alphabet="\\\t\n\r:!tn\0\u2028é", max_size=8)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 200), 1 << 200), st.floats(allow_nan=False), TEXTS, ODD,
    st.binary(max_size=8), ODD.map(lambda text: text.encode()), st.complex_numbers(allow_nan=False),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.integers(), ODD), inner, max_size=3), st.frozensets(st.integers(), max_size=1),
    ), max_leaves=6,
)  # fmt: skip


def write(path, elements, columns, types=()):
    """Writes elements as a task does; the types of its columns."""
    if os.path.exists(path):
        os.unlink(path)
    with PythonOutput(path, columns=columns, keyed=False, sync=False, disk=None, types=types) as output:
        chain = Chain([], output.taker)
        for element in elements:
            chain.push(element)
        output.finish()
    return output.taker.types


def typed(value):
    """The value with all its types, and the sign of a zero."""
    return type(value), repr(value)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return os.fsencode(tmp_path_factory.mktemp("typed") / "part")


@settings(max_examples=80, deadline=None, database=None, derandomize=True)
@given(elements=st.lists(st.tuples(VALUES, VALUES), max_size=6))
def test_pairs_come_back(path, elements):
    types = write(path, elements, 2)
    assert list(map(typed, read_typed(path, types))) == list(map(typed, elements))
    with open(path, "rb") as file:
        content = file.read()
    assert content.count(b"\n") == content.count(b"\t") == len(elements)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(elements=st.lists(VALUES, max_size=6), kind=st.sampled_from([None, "int", "float", "str", "bytes", "literal"]))
def test_values_of_a_column_that_is_of_any_type_come_back(path, elements, kind):
    types = write(path, elements, 1, (kind,) if kind else ())
    assert list(map(typed, read_typed(path, types))) == list(map(typed, elements))
    assert not kind or types == (kind,)


@pytest.mark.parametrize(("element", "text"), [
    (("a", 1), b"a\t1"), ((b"\xff\t", 0.1), b"\xff\\t\t0.1"), (("\\\n", -1), b"\\\\\\n\t-1"), (((), None), b"()\tNone"),
    ((1.0, float("inf")), b"1.0\tinf"), (({}, "é"), "{}\té".encode()), (([1, "\t"], 1), b"[1, '\\\\t']\t1"),
    ((True, ""), b"True\t"), (("\r", 1e100), b"\r\t1e+100"), (("\udc80", 1), b"\\:'\\\\udc80'\t1"),
], ids=str)  # fmt: skip
def test_what_a_line_looks_like(path, element, text):
    types = write(path, [element], 2)
    with open(path, "rb") as file:
        assert file.read() == text + b"\n"
    assert typed(parse_line(text, types)) == typed(element)


def test_another_type_than_the_columns_is_behind_a_mark(path):
    elements = ["a", b"a", 1, "\\:1", 1.5, None, (1, 2), {1}]
    assert write(path, elements, 1) == ("str",)
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    assert lines[:7] == [b"a", rb"\:b'a'", rb"\:1", rb"\\:1", rb"\:1.5", rb"\:None", rb"\:(1, 2)"]
    assert lines[7].startswith(rb"\!gA")
    assert list(read_typed(path, ("str",))) == elements


@pytest.mark.parametrize("text", string.printable + "\0\udc80\u2028")
def test_every_letter_behind_a_backslash_and_a_mark(path, text):
    for value in (f"\\{text}", f"\\:{text}", f"\\!{text}", text * 3):
        elements = [(value, value.encode("utf-8", "surrogateescape")), ("", b"")]
        assert list(read_typed(path, write(path, elements, 2))) == elements


BAD = {
    "too few columns": (b"a\n", ("str", "int")), "too many": (b"a\tb\tc\n", ("str", "str")),
    "no int": (b"x\n", ("int",)),
    "no float": (b"1,5\n", ("float",)), "no UTF-8": (b"\xff\n", ("str",)), "no literal": (b"[1\n", ("literal",)),
    "a call": (b"print(1)\n", ("literal",)), "a mark and no literal": (b"\\:(\n", ("str",)),
    "no base64": (b"\\!***\n", ("str",)), "no pickle": (b"\\!AAAA\n", ("str",)), "no type": (b"a\n", (None,)),
    "empty pickle": (b"\\!\n", ("str",)), "cut pickle": (b"\\!gAVLBQ==\n", ("str",)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_lines_that_were_not_written_so(path, name):
    line, types = BAD[name]
    good = {"str": b"ok", "int": b"1", "float": b"1.5", "literal": b"[]", None: b"1"}
    first = b"\t".join(good[kind] for kind in types) + b"\n"
    with open(path, "wb") as file:
        file.write(first + line)
    with pytest.raises(CorruptionError, match=f"not a line of a job's output: .*part, byte {len(first)}: "):
        list(read_typed(path, types))


def test_a_part_that_is_not_there(path):
    with pytest.raises(InputError, match="no such file"):
        list(read_typed(path + b"-none", ("str",)))
