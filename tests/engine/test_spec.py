"""A spec travels as bytes and comes back equal, whatever its paths are."""

import pytest

from mrcore.engine.spec import Disk, Keys, MapSpec, ReduceSpec, Span, decode_spec, encode_spec

SPANS = (Span(b"\xfe", 0, 1 << 62, -1), Span(b"", 3, 4, 5, 6))
SPECS = [
    MapSpec(0, b"out", (), Keys(), 1, None, 0),
    MapSpec(7, b"\xff\n", SPANS, Keys("regex:\0é", True, 2, 5, True), 3, (b"", b"\0"), 1 << 50, "postings",
            Disk(b"\xff", None), False),
    ReduceSpec(0, b"out", (), 1),
    ReduceSpec(9, b"\xff", (b"a", b"\n"), 1 << 50, "files:counts", (1 << 63) - 1, 1 << 40, b"\xfe", Disk(b"\n", 5),
               True, False),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_spec_comes_back_equal(spec):
    assert decode_spec(encode_spec(spec)) == spec
    assert encode_spec(decode_spec(encode_spec(spec))) == encode_spec(spec)
