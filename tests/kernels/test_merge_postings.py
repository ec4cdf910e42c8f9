"""The merge of posting lists: groups of a key one after the other, in the order of the runs; ties of equal words."""
import itertools
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import CorruptionError, MrcoreError
from mrcore.kernels.merge import EMITS, KINDS, Merge, encode_bytes_record, encode_record
from mrcore.testing import reference

Record = tuple[bytes, bytes]
ROOM_MIN = 128
COUNTS = [1, 2, 3, 5, 64, 500]  # of runs


def blocks_of(run: list[Record], size: int) -> Iterator[bytes]:
    """A run's blocks of ``size`` records."""
    for at in range(0, len(run), size):
        yield reference.encode_bytes_records(run[at:at + size])


def joined(runs: list[list[Record]]) -> list[Record]:
    """What comes out: of each key the values, those of lower runs first."""
    values: dict[bytes, bytes] = {}
    for key, value in itertools.chain.from_iterable(runs):
        values[key] = values.get(key, b"") + value
    return sorted(values.items())


def output(merge: Iterable[memoryview]) -> bytes:
    return b"".join(map(bytes, merge))


def check(runs: list[list[Record]], block_records: int = 3, room: int = 1 << 20) -> None:
    expected = joined(runs)
    merge = Merge([blocks_of(run, block_records) for run in runs], "records", room=room, kind="posting")
    assert reference.decode_bytes_records(output(merge)) == expected
    assert (merge.records_in, merge.records_out) == (sum(map(len, runs)), len(expected))
    counting = Merge([blocks_of(run, block_records) for run in runs], "nothing", room=room, kind="posting")
    assert output(counting) == b""
    assert (counting.records_in, counting.records_out) == (merge.records_in, merge.records_out)


def random_runs(k: int, size: int, vocabulary: list[bytes], value_max: int) -> list[list[Record]]:
    """Each value names its run and its place, so that any other order of values is seen."""
    draw = random.Random(k * size)

    def value(run: int, at: int) -> bytes:
        return b"<%d.%d>" % (run, at) + draw.randbytes(draw.randrange(value_max))

    return [[(key, value(run, at)) for at, key in enumerate(sorted(draw.choices(vocabulary, k=draw.randrange(size))))]
            for run in range(k)]


TIES = {  # where words, and the words behind them, are equal
    "one key": [b"k"],
    "short": [b"", b"\0", b"a", b"a\0", b"aaaaaa", b"aaaaaaa"],
    "equal words": [b"seven b" + tail for tail in (b"", b"\0", b"\0\0", b"y", b"ytes", b"ytes and more", b"z" * 60)],
    "many": [random.Random(seed).randbytes(seed % 23) for seed in range(300)],
}


@pytest.mark.parametrize("vocabulary", TIES)
@pytest.mark.parametrize("k", COUNTS)
def test_values_of_a_key_follow_one_another_in_the_order_of_runs(k: int, vocabulary: str) -> None:
    runs = random_runs(k, 40 if k < 100 else 6, TIES[vocabulary], 20)
    check(runs)
    check(runs, block_records=1, room=0)
    check(runs, block_records=1000, room=1000)


@pytest.mark.parametrize("k", COUNTS)
def test_sums_of_equal_words_are_added_whichever_runs_they_stand_in(k: int) -> None:
    draw = random.Random(k)
    runs = [sorted((key, draw.randrange(-9, 99)) for key in TIES["equal words"] if draw.random() < 0.7)
            for _ in range(k)]
    expected = reference.merge(runs)
    for room in (0, 300, 1 << 20):
        for emit, written in (("records", reference.encode_records(expected)), ("nothing", b"")):
            merge = Merge([[reference.encode_records(run)] for run in runs], emit, room=room)
            assert output(merge) == written
            assert merge.records_out == len(expected)


@pytest.mark.parametrize("room", [0, ROOM_MIN + 1, 200, 1000, 1 << 20])
def test_a_list_that_grows_while_it_is_pending_takes_a_larger_buffer(room: int) -> None:
    """Lists far larger than the output, between finished keys that the buffer still holds when it must grow."""
    runs = [[(b"a%d" % run, b"x"), (b"m" * 20, b"%05d" % run * 300), (b"m" * 21, b"s"), (b"z%d" % run, b"y" * 90)]
            for run in range(64)]
    check(runs, room=room)
    check(runs, block_records=1, room=room)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 30, 63, 64, 65, 127, 128, 16383, 16384, 70_000])
def test_values_and_keys_around_and_past_the_room(length: int) -> None:
    """The length of a joined value, too, takes from one to three bytes; it is written in front when it is known."""
    for room in (0, 200):
        check([[(b"k", b"v" * length)], [(b"k", b"w" * length), (b"l", b"")]], room=room)
        check([[(b"k" * length, b"v")], [(b"k" * length, b"w"), (b"k" * length + b"l", b"u" * length)]], room=room)


pieces = st.sampled_from([b"", b"\0", b"a", b"b", b"\xff", b"a" * 6, b"a" * 7, b"a" * 8, b"b" * 30])
keys = st.lists(pieces, max_size=3).map(b"".join)
values = st.binary(max_size=4) | st.binary(min_size=100, max_size=140)
drawn = st.lists(st.lists(st.tuples(keys, values), max_size=8).map(lambda run: sorted(run, key=lambda r: r[0])),
                 max_size=6)


@given(runs=drawn, block_records=st.integers(1, 4), room=st.integers(0, 400))
def test_any_runs_equal_the_reference(runs: list[list[Record]], block_records: int, room: int) -> None:
    check(runs, block_records, room)


def test_values_are_not_looked_into_and_none_is_below_value_min() -> None:
    runs = [[(b"k", b"")], [(b"k", b"\xff" * 9)]]
    merge = Merge([blocks_of(run, 1) for run in runs], "records", value_min=2**62, kind="posting")
    assert reference.decode_bytes_records(output(merge)) == [(b"k", b"\xff" * 9)]


def test_an_iteration_that_was_left_goes_on_with_the_pending_list() -> None:
    runs = [[(b"a%03d" % i, b"v" * 40) for i in range(50)] + [(b"b", b"<%d>" % run * 50)] for run in range(9)]
    merge = Merge([blocks_of(run, 4) for run in runs], "records", room=ROOM_MIN, kind="posting")
    found = b""
    for _ in range(10_000):
        chunk = output(itertools.islice(merge, 1))
        found += chunk
        if not chunk:
            break
    assert reference.decode_bytes_records(found) == joined(runs)


@pytest.mark.parametrize("low", [b"", b"a", b"same head 0", b"same head 1\0"])
def test_keys_out_of_order_name_their_run(low: bytes) -> None:
    high: list[Record] = [(b"same head 1\0\0", b"v")]
    for emit in ("records", "nothing"):
        merge = Merge([blocks_of(high, 1), blocks_of([*high, (low, b"w")], 1)], emit, kind="posting")
        with pytest.raises(CorruptionError, match="run 1"):
            output(merge)


def test_a_block_cut_off_anywhere_but_at_a_record_border_is_corrupt() -> None:
    run = [(b"a", b""), (b"b" * 200, b"v" * 130), (b"c" * 9, b"w")]
    whole = reference.encode_bytes_records(run)
    borders = {len(reference.encode_bytes_records(run[:count])): run[:count] for count in range(len(run) + 1)}
    for size in range(len(whole) + 1):
        merge = Merge([[whole[:size]], [whole]], "records", names=["cut", "whole"], kind="posting")
        if size in borders:
            assert reference.decode_bytes_records(output(merge)) == joined([borders[size], run])
        else:
            with pytest.raises(CorruptionError, match="cut"):
                output(merge)


@given(st.lists(st.lists(st.binary(max_size=40), max_size=3), max_size=4), st.integers(0, 300))
def test_merge_of_any_bytes_equals_the_reference_or_is_refused(runs: list[list[bytes]], room: int) -> None:
    try:
        records = [[record for block in run for record in reference.decode_bytes_records(block)] for run in runs]
        if any(left[0] > right[0] for run in records for left, right in itertools.pairwise(run)):
            raise ValueError("not ascending")
    except ValueError:
        with pytest.raises(CorruptionError):
            output(Merge(runs, "records", room=room, kind="posting"))
    else:
        found = output(Merge(runs, "records", room=room, kind="posting"))
        assert reference.decode_bytes_records(found) == joined(records)


@pytest.mark.parametrize("emit", EMITS)
def test_a_sum_that_left_int64_is_refused_again_and_not_wrapped(emit: str) -> None:
    most = 2**63 - 1
    runs = [[reference.encode_record(b"k", value)] for value in (most, 0, 1, -5)]
    merge = Merge(runs, emit)
    for _ in range(3):  # the record that did not fit is still to be added
        with pytest.raises(MrcoreError, match="range of int64"):
            output(merge)
    assert (merge.records_in, merge.records_out) == (2, 0)


def test_lines_are_of_sums_only() -> None:
    assert KINDS == ("sum", "posting", "values")
    with pytest.raises(ValueError, match="only sums have lines"):
        Merge([], kind="posting")


@given(st.binary(max_size=300), st.integers(-2**63, 2**63 - 1))
def test_encode_record_equals_the_reference(key: bytes, value: int) -> None:
    assert encode_record(key, value) == reference.encode_record(key, value)
    assert encode_bytes_record(key, key[::-1]) == reference.encode_bytes_records([(key, key[::-1])])


@pytest.mark.parametrize("value", [0, 1, -1, 63, 64, -64, -65, 2**63 - 1, -2**63])
@pytest.mark.parametrize("length", [0, 127, 128, 16384])
def test_encode_record_at_the_edges(length: int, value: int) -> None:
    assert encode_record(b"k" * length, value) == reference.encode_record(b"k" * length, value)
    with pytest.raises(OverflowError):
        encode_record(b"k", value + (2**64 if value >= 0 else -2**64))
