"""A spec travels as bytes and comes back equal, whatever its paths are."""

import msgspec
import pytest

from mrcore.engine.spec import (
    Code,
    Disk,
    Elements,
    Keys,
    MapSpec,
    PythonMapSpec,
    PythonReduceSpec,
    ReduceSpec,
    Span,
    decode_spec,
    encode_spec,
    placed,
)

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


CODE = Code(b"code", 1, "", ())
DISK = Disk(b"counter", 5)
REDUCES = [
    ReduceSpec(3, b"", (), 1, "files", documents=b"names", disk=DISK),
    PythonReduceSpec(3, b"", (), CODE, 1, "(si)", "elements", DISK, True, False, ("int",)),
]
MAPS = [
    MapSpec(3, b"", SPANS, Keys(), 2, None, 1, disk=DISK),
    PythonMapSpec(3, b"", CODE, 1, SPANS, elements=(Elements(b"from", 2),), disk=DISK),
]


@pytest.mark.parametrize("spec", REDUCES, ids=lambda spec: type(spec).__name__)
def test_a_reduce_task_without_runs_is_placed_with_those_that_there_are(spec):
    wanted = {**msgspec.structs.asdict(spec), "output": b"out", "runs": (b"a", b"\xff")}
    assert msgspec.structs.asdict(placed(spec, b"out", (b"a", b"\xff"))) == wanted
    named = msgspec.structs.replace(spec, runs=(b"mine",))
    assert placed(named, b"out", (b"a",)) == msgspec.structs.replace(named, output=b"out")


@pytest.mark.parametrize("spec", MAPS, ids=lambda spec: type(spec).__name__)
def test_a_map_task_is_placed_where_it_writes_and_reads_what_it_read(spec):
    assert placed(spec, b"out", (b"a",)) == msgspec.structs.replace(spec, output=b"out")
