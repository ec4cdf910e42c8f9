"""A spec travels as bytes and comes back equal, whatever its paths are."""

import pytest

from mrcore.engine.spec import Disk, Keys, MapSpec, ReduceSpec, Span, decode_spec, encode_spec

SPECS = [
    MapSpec(0, b"out", (), Keys(), 1, None, 0),
    MapSpec(
        7, b"\xff\n", (Span(b"\xfe", 0, 1 << 62, -1), Span(b"", 3, 4, 5, (1 << 32) - 1)),
        Keys("regex:\xff\n\0", True, 2, 8, True), 3, (b"", b"\0"), 1 << 40, "postings", Disk(b"\xff\n", None), False,
    ),
    ReduceSpec(0, b"out", (), 0),
    ReduceSpec(
        9, b"\xff", (b"a", b"\n"), 1 << 40, "files:counts", (1 << 63) - 1, 1 << 40, b"\xfe\n", Disk(b"", 1 << 62), True,
        False,
    ),
]


@pytest.mark.xfail(raises=UnicodeEncodeError, reason="a pattern that is not UTF-8 does not travel to a worker")
def test_a_pattern_of_any_bytes_travels():
    spec = MapSpec(0, b"out", (), Keys("regex:\udcff+"), 1, None, 0)
    assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_spec_comes_back_equal(spec):
    assert decode_spec(encode_spec(spec)) == spec
    assert encode_spec(decode_spec(encode_spec(spec))) == encode_spec(spec)
