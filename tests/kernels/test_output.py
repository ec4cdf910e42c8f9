"""Lines of a job's output: what is written is read back, whatever it is."""

from __future__ import annotations

from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.engine.python_output import literal
from mrcore.formats.typed_text import parse_line
from mrcore.kernels.chain import Chain, YieldError
from mrcore.kernels.output import Output, escape, lines_of
from mrcore.testing import reference

Point = namedtuple("Point", "x y")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | st.text(
    st.characters(exclude_categories=()))
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)
)


def written(pairs: list[object], columns: int = 2, **options: object) -> tuple[bytes, tuple[str | None, ...]]:
    chunks: list[bytes] = []
    output = Output(lambda view: chunks.append(bytes(view)), columns=columns, literal=literal, **options)
    chain = Chain([], output)
    for pair in pairs:
        chain.push(pair)
    output.finish()
    return b"".join(chunks), output.types


@given(st.lists(st.tuples(values, values)))
def test_pairs_of_any_values_come_back(pairs: list[tuple[object, object]]) -> None:
    text, types = written(pairs)
    lines = text.split(b"\n")[:-1]
    found = [parse_line(line, types) for line in lines]
    assert repr(found) == repr(pairs)


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=("Cs",))), st.binary())))
def test_plain_columns_are_the_references(pairs: list[tuple[str, bytes]]) -> None:
    assert written(pairs)[0] == b"".join(map(reference.output, pairs))


SCALARS = st.text() | st.integers() | st.binary() | st.floats() | st.none() | st.booleans()


@given(st.lists(st.lists(SCALARS) | st.lists(SCALARS).map(tuple), min_size=1))
def test_lists_and_tuples_are_python_literals_however_they_are_written(values: list[object]) -> None:
    """Those of plain strings and ints are written natively, all others by Python: nobody can tell which."""
    text, types = written(values, columns=1)
    assert text == b"".join(literal(value, False) + b"\n" for value in values)
    assert types == ("literal",)


@pytest.mark.parametrize("value", [[], (), ("a",), ["a"], ("a", 1), [-(2**63) + 1, 2**63 - 1, 2**63], [True], [["a"]],
                                   ["it's"], ["\\"], ["\x7f"], ["\x1f\t"], ["é"], ["~ "], ["\udc80"], ["a", 1.5, "b"]])
def test_lists_at_the_edge_of_what_is_plain(value: object) -> None:
    assert written([value], columns=1)[0] == literal(value, False) + b"\n"
    assert written([1, value], columns=1)[0] == b"1\n" + literal(value, True) + b"\n"


def test_one_column_of_objects_that_no_literal_stands_for() -> None:
    made = [Point(1, 2), float("inf"), {3}, 10**5000]
    text, types = written(made, columns=1)
    assert types == ("literal",)
    assert [parse_line(line, types) for line in text.splitlines()] == made


def test_types_may_be_given() -> None:
    text, types = written([(1, 2.5)], types=("str", "float"))
    assert types == ("str", "float")
    assert text == b"\\:1\t2.5\n"
    assert parse_line(text, types) == (1, 2.5)


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(YieldError, match="pair"):
        written([(1, 2, 3)])


def test_keyed_lines_are_the_text_behind_their_keys() -> None:
    blocks: list[bytes] = []
    output = Output(lambda view: blocks.append(bytes(view)), columns=1, keyed=True)
    chain = Chain([], output)
    for n in range(50_000):
        chain.push(n)
    output.finish()
    assert len(blocks) > 1
    assert b"".join(lines_of(block) for block in blocks) == b"".join(b"%d\n" % n for n in range(50_000))


def test_no_more_is_taken_than_the_limit() -> None:
    class Enough(Exception):
        pass

    output = Output(lambda view: None, columns=1, limit=2, enough=Enough)
    chain = Chain([], output)
    chain.push(1)
    chain.push(2)
    with pytest.raises(Enough):
        chain.push(3)
    assert output.records == 2


@given(st.binary())
def test_escaped_text_has_no_tab_and_no_newline(text: bytes) -> None:
    assert not set(escape(text)) & {9, 10}
