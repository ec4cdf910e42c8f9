"""A spec travels as bytes and comes back equal, whatever its paths are."""

import pytest

from mrcore.engine.spec import MapSpec, ReduceSpec, Span, decode_spec, encode_spec

SPECS = [
    MapSpec(0, b"out", (), "ascii", True, 1, None),
    MapSpec(7, b"\xff\n", (Span(b"\xfe", 0, 1 << 62, -1), Span(b"", 3, 4, 5)), "whitespace", False, 3, (b"", b"\0")),
    ReduceSpec(0, b"out", ()),
    ReduceSpec(9, b"\xff", (b"a", b"\n"), (1 << 63) - 1, 1 << 40, False),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_spec_comes_back_equal(spec):
    assert decode_spec(encode_spec(spec)) == spec
    assert encode_spec(decode_spec(encode_spec(spec))) == encode_spec(spec)
