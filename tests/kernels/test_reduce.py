"""Groups through aggregate, reducer and chain into the output."""
import sys
from typing import Any

import pytest

from mrcore.errors import CorruptionError
from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec
from mrcore.kernels.output import Output
from mrcore.kernels.reduce import NAME_BYTES_MAX, Reducer, group_name
from mrcore.testing import reference


def test_a_key_without_its_partition_is_corrupt() -> None:
    output = Output(lambda view: None, columns=2, literal=lambda value, marked: b"None")
    block = reference.encode_bytes_records([(b"\0\1", b"\0"), (b"\1", b"\0")])
    reducer = Reducer([block], KeyCodec("b"), ValueCodec(None, None), Chain([], output), output, prefix=2, each=True)
    with pytest.raises(CorruptionError, match="without its partition"):
        reducer.run(2)


LONG = b"k" * 4096
KEYS = [b"", b"a", b"a\0", LONG[:4095], LONG, LONG + b"x", LONG + b"y", LONG * 20]


def reducer_of(keys: list[bytes], **how: Any) -> tuple[Reducer, list[bytes], bytearray]:
    """A reducer of two values a key, the keys that come out of it, and the page as each of them was at work."""
    page, seen = bytearray(4 + NAME_BYTES_MAX), []

    def reduce(key: bytes, values: object, ctx: object) -> list[object]:
        seen.append((key, name_on(page)))
        return []

    output = Output(lambda view: None, columns=2, literal=lambda value, marked: b"None")
    block = reference.encode_bytes_records([(key, b"\0\0") for key in keys])
    reducer = Reducer([block], KeyCodec("b"), ValueCodec(None, None), Chain([], output), output, reduce=reduce,
                      page=page, **how)
    return reducer, seen, page


def name_on(page: bytearray) -> bytes:
    size = int.from_bytes(page[:4], sys.byteorder)
    return bytes(page[4:4 + size])


def test_the_page_names_the_group_at_work_and_none_at_the_end() -> None:
    reducer, seen, page = reducer_of(KEYS)
    while reducer.run(2):
        assert name_on(page) != b""
    assert seen == [(key, group_name(key)) for key in KEYS]
    assert len({group_name(key) for key in KEYS}) == len(KEYS)
    assert group_name(LONG) == b"key" + LONG
    assert {len(group_name(key)) for key in KEYS[4:]} == {NAME_BYTES_MAX}
    assert name_on(page) == b""


@pytest.mark.parametrize("skipped", [[0], [1, 2], [4], [5], [7], [0, 7], list(range(8)), []])
def test_groups_are_passed_over_by_their_names(skipped: list[int]) -> None:
    reducer, seen, _ = reducer_of(KEYS, skip={group_name(KEYS[i]) for i in skipped} | {b"key of nobody", b"a"})
    while reducer.run(3):
        pass
    assert [key for key, _ in seen] == [key for i, key in enumerate(KEYS) if i not in skipped]
    assert (reducer.skipped, reducer.records) == (len(skipped), len(KEYS))


def test_a_group_whose_key_does_not_decode_can_be_passed_over() -> None:
    output = Output(lambda view: None, columns=2, literal=lambda value, marked: b"None")
    block = reference.encode_bytes_records([(b"\xff", b"\0"), (b"\xff\xff", b"\0\0")])
    with pytest.raises(CorruptionError):
        Reducer([block], KeyCodec("s"), ValueCodec(None, None), Chain([], output), output).run(9)
    reducer = Reducer([block], KeyCodec("s"), ValueCodec(None, None), Chain([], output), output,
                      skip={group_name(b"\xff"), group_name(b"\xff\xff")})
    assert not reducer.run(9)
    assert reducer.skipped == 2


def test_the_partition_before_a_key_is_no_part_of_its_name() -> None:
    reducer, seen, _ = reducer_of([b"\0\1a", b"\0\1b"], prefix=2, skip={b"keya"})
    assert not reducer.run(3)
    assert seen == [(b"b", b"keyb")]


def test_a_page_that_is_too_small_is_refused() -> None:
    output = Output(lambda view: None)
    with pytest.raises(IndexError):
        Reducer([], KeyCodec("b"), ValueCodec(None, None), Chain([], output), output,
                page=bytearray(3 + NAME_BYTES_MAX))
