"""The merge of sorted runs against heapq.merge and sums, and what it does with bytes that are no records."""
import itertools
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import CorruptionError, MrcoreError
from mrcore.kernels.merge import EMITS, Merge, decode
from mrcore.testing import reference

Pair = tuple[bytes, int]
INT64_MIN, INT64_MAX = -2**63, 2**63 - 1
ROOM_MIN = 64  # one of less than 128 bytes is made that large
EDGE_VALUES = [0, 1, -1, 9, 10, -9, -10, 63, 64, -64, -65, 127, 128, 2**31, -2**31, 2**53 + 1,
               INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1]

WRITTEN = {"lines": reference.encode_lines, "records": reference.encode_records, "nothing": lambda pairs: b""}

# Few pieces: keys that tie in their first seven bytes, extend each other, or differ in NULs only.
pieces = st.sampled_from([b"", b"\0", b"a", b"b", b"\xff", b"a" * 6, b"a" * 7, b"a" * 8, b"b" * 30])
keys = st.lists(pieces, max_size=3).map(b"".join)
small_values = st.integers(-3, 3) | st.integers(-2**40, 2**40)


def sorted_runs(values: st.SearchStrategy[int], runs_max: int = 6) -> st.SearchStrategy[list[list[Pair]]]:
    run = st.lists(st.tuples(keys, values), max_size=12).map(lambda pairs: sorted(pairs, key=lambda pair: pair[0]))
    return st.lists(run, max_size=runs_max)


def blocks_of(run: list[Pair], size: int) -> Iterator[bytes]:
    """A run's blocks of ``size`` records."""
    for at in range(0, len(run), size):
        yield reference.encode_records(run[at:at + size])


def output(merge: Iterable[memoryview]) -> bytes:
    return b"".join(map(bytes, merge))


def merged(runs: Iterable[Iterable[bytes]], **how: object) -> list[Pair]:
    return reference.decode_records(output(Merge(runs, emit="records", **how)))  # type: ignore[arg-type]


def check(runs: list[list[Pair]], block_records: int = 3, room: int = 1 << 20) -> None:
    expected = reference.merge(runs)
    for emit, encode in WRITTEN.items():
        merge = Merge([blocks_of(run, block_records) for run in runs], emit=emit, room=room)
        assert output(merge) == encode(expected)
        assert merge.records_in == sum(map(len, runs))
        assert merge.records_out == len(expected)


def random_runs(k: int, size: int, vocabulary: int) -> list[list[Pair]]:
    draw = random.Random(k * size)
    words = [draw.randbytes(draw.choice([0, 1, 3, 6, 7, 8, 9, 15, 40])) for _ in range(vocabulary)]
    return [sorted((draw.choice(words), draw.randrange(-9, 99)) for _ in range(draw.randrange(size + 1)))
            for _ in range(k)]


@pytest.mark.parametrize("vocabulary", [1, 5, 300])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 5, 7, 8, 9, 64, 500])
def test_any_number_of_runs(k: int, vocabulary: int) -> None:
    runs = random_runs(k, 100 if k < 100 else 9, vocabulary)
    check(runs)
    check(runs, block_records=1, room=ROOM_MIN)
    check(runs, block_records=1000, room=1000)


@given(runs=sorted_runs(small_values), block_records=st.integers(1, 4), room=st.integers(0, 300))
def test_any_runs_equal_the_reference(runs: list[list[Pair]], block_records: int, room: int) -> None:
    check(runs, block_records, room)


def test_one_call_ends_and_the_next_goes_on_after_many_records() -> None:
    """A call into C takes 200,000 records at most, here in the middle of a key and between keys."""
    one = [reference.encode_records([(b"k", 1)] * 500_000)]
    assert merged([one, one]) == [(b"k", 1_000_000)]
    keys_in_order = [(b"%06d" % i, i) for i in range(210_000)]
    assert merged([blocks_of(keys_in_order, 5000)]) == keys_in_order


@pytest.mark.parametrize("room", [0, ROOM_MIN, 65, 100, 1000])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 30, 31, 32, 33, 34, 63, 64, 65, 127, 128, 500, 16383, 16384, 70_000])
def test_keys_around_and_past_the_output_room(length: int, room: int) -> None:
    long = b"k" * length
    check([[(b"", 5), (long, 1)], [(b"", -1), (long, 2), (long + b"x", INT64_MIN)], [(b"z", 3)]], room=room)


@pytest.mark.parametrize("length", range(70))
def test_keys_that_differ_in_their_last_byte_or_their_length_only(length: int) -> None:
    head = b"h" * length
    run = [(head, 1), (head + b"\0", 2), (head + b"\0\0", 3), (head + b"\1", 4), (head + b"\xff", 5)]
    check([run, run[1:], run[::2]], room=100)


def test_blocks_split_at_record_borders_in_every_way() -> None:
    runs = [[(b"a", 1), (b"b", 2), (b"longer than a word", 4)], [(b"b", 8), (b"b", 16), (b"longer than a word!", 32)]]
    expected = reference.merge(runs)
    ways = list(itertools.product([False, True], repeat=5))

    def split(run: list[Pair], cuts: tuple[bool, ...]) -> Iterator[bytes]:
        """A block ends after a record where cuts[0:2] say; cuts[2:5] put empty blocks in between and around."""
        if cuts[2]:
            yield b""
        block = b""
        for pair, cut in zip(run, (*cuts[:2], True), strict=True):
            block += reference.encode_record(*pair)
            if cut:
                yield block
                block = b""
                yield from [b""] * (2 * cuts[3])
        if cuts[4]:
            yield b""

    for left, right in itertools.product(ways, ways):
        assert merged([split(runs[0], left), split(runs[1], right)]) == expected


@pytest.mark.parametrize("empty", [[], [b""], [b"", b""]])
def test_empty_runs_among_others(empty: list[bytes]) -> None:
    run = [reference.encode_records([(b"a", 1), (b"b", 2)])]
    for order in set(itertools.permutations([0, 0, 1, 1])):
        assert merged([run if full else empty for full in order]) == [(b"a", 2), (b"b", 4)]
    assert merged([empty] * 5) == []
    assert output(Merge([empty])) == b""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda block: memoryview(bytearray(b"!" + block))[1:]])
def test_blocks_may_be_any_bytes(kind: type) -> None:
    assert merged([iter([kind(reference.encode_record(b"key", 7))])]) == [(b"key", 7)]


def test_a_producer_may_use_its_buffer_again_when_it_is_asked_for_more() -> None:
    run = [(b"key %06d that ties in its word" % i, i) for i in range(300)]

    def reusing() -> Iterator[memoryview]:
        buffer = bytearray(1000)
        for block in blocks_of(run, 7):
            buffer[:] = b"\xff" * 1000
            buffer[:len(block)] = block
            yield memoryview(buffer)[:len(block)]

    assert merged([reusing(), reusing(), reusing()], room=ROOM_MIN) == [(key, 3 * value) for key, value in run]


def test_a_block_cannot_be_resized_under_the_merge() -> None:
    block = bytearray(reference.encode_records([(b"key %03d" % i, i) for i in range(100)]))
    chunks = iter(Merge([iter([block])], room=ROOM_MIN))
    next(chunks)
    with pytest.raises(BufferError):
        block.clear()
    output(chunks)
    block.clear()


@pytest.mark.parametrize("value", EDGE_VALUES)
def test_values_at_the_edges(value: int) -> None:
    check([[(b"k", value)], [(b"k", 0), (b"l", value)]], room=ROOM_MIN)
    if value > INT64_MIN:
        check([[(b"k", value), (b"k", -value)]])


@given(runs=sorted_runs(st.sampled_from([INT64_MAX, INT64_MIN, 1, -1, 0, 2**62, -2**62]), runs_max=4))
def test_a_sum_that_leaves_int64_is_an_error_and_none_that_stays_inside(runs: list[list[Pair]]) -> None:
    try:
        reference.merge(runs)
    except OverflowError:
        for emit in EMITS:
            with pytest.raises(MrcoreError, match="range of int64") as caught:
                output(Merge([blocks_of(run, 2) for run in runs], emit=emit))
            assert not isinstance(caught.value, CorruptionError)
    else:
        check(runs)


@given(runs=sorted_runs(small_values), value_min=st.integers(-4, 4) | st.sampled_from([INT64_MIN, INT64_MAX]))
def test_value_min_drops_what_is_below_after_adding(runs: list[list[Pair]], value_min: int) -> None:
    merge = Merge([blocks_of(run, 2) for run in runs], emit="records", value_min=value_min, room=ROOM_MIN)
    assert merge.value_min == value_min
    expected = [pair for pair in reference.merge(runs) if pair[1] >= value_min]
    assert reference.decode_records(output(merge)) == expected
    assert merge.records_out == len(expected)


def test_value_min_is_none_at_all_by_default() -> None:
    assert Merge([]).value_min == INT64_MIN


def test_value_min_raised_between_chunks_holds_for_all_that_follows() -> None:
    """A top-n job does this: what stands in a chunk already stays, and no later chunk is below."""
    run = [(b"key %04d" % i, i % 10) for i in range(1000)]
    merge = Merge([blocks_of(run, 50), blocks_of(run, 70)], emit="records", room=200)
    chunks = []
    for chunk in merge:
        chunks.append(reference.decode_records(bytes(chunk)))
        merge.value_min = min(18, 2 * len(chunks))
    found = list(itertools.chain.from_iterable(chunks))
    assert chunks[0] == [(key, 2 * value) for key, value in run[:len(chunks[0])]]
    assert all(value >= min(18, 2 * i) for i, chunk in enumerate(chunks) for _, value in chunk)
    assert [pair for pair in found if pair[1] == 18] == [(key, 18) for key, value in run if value == 9]
    assert found == sorted(found)


@pytest.mark.parametrize("low", [b"", b"a", b"same head 0", b"same head 1\0"])
def test_keys_out_of_order_name_their_run(low: bytes) -> None:
    high = [(b"same head 1\0\0", 1)]
    wrong = [*high, (low, 1)]
    for left, right in ((wrong, high), (high, wrong)):
        for block_records in (1, 9):
            merge = Merge([blocks_of(left, block_records), blocks_of(right, block_records)], names=["left", "right"])
            with pytest.raises(CorruptionError, match="left" if left is wrong else "right"):
                output(merge)


def test_keys_out_of_order_are_seen_behind_keys_that_value_min_dropped() -> None:
    run = [(b"a", 1), (b"c", 1), (b"b", 1)]
    with pytest.raises(CorruptionError, match="run 0"):
        output(Merge([blocks_of(run, 3)], value_min=5))


def test_equal_keys_one_after_the_other_in_a_run_are_in_order() -> None:
    check([[(b"a", 1), (b"a", 2), (b"b", 1)]], block_records=1)


def test_a_block_cut_off_anywhere_but_at_a_record_border_is_corrupt() -> None:
    run = [(b"a", 1), (b"b" * 200, -2**40), (b"c" * 9, INT64_MAX), (b"d", 300)]
    whole = reference.encode_records(run)
    borders = {len(reference.encode_records(run[:count])): run[:count] for count in range(len(run) + 1)}
    for size in range(len(whole) + 1):
        block = whole[:size]
        if size in borders:
            assert decode(block) == merged([[block]]) == borders[size]
        else:
            with pytest.raises(CorruptionError, match="does not parse"):
                decode(block)
            with pytest.raises(CorruptionError, match="the first: a record"):
                merged([[block], [reference.encode_records(run)]], names=["the first", "the second"])


MANY = b"\x80" * 9  # the low 63 bits of a number, all zero
BAD_NUMBERS = [b"\x80", MANY, MANY + b"\x80", MANY + b"\x80\x00", MANY + b"\x02", MANY + b"\x7f", MANY + b"\x81\x00",
               b"\xff" * 10, b"\xff" * 11, b"\xff" * 20 + b"\x00"]


@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_a_number_of_eleven_bytes_or_more_than_64_bits_is_corrupt(number: bytes) -> None:
    for block in (number, number + b"k\x02", b"\x01k" + number, b"\x01k" + number + b"\x01l\x02"):
        with pytest.raises(CorruptionError):
            decode(block)
        with pytest.raises(CorruptionError):
            merged([[block]])


@pytest.mark.parametrize("size", [1, 2, 2**31, 2**32, 2**32 + 1, 2**48, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 1])
def test_a_key_that_claims_more_bytes_than_the_block_has_is_corrupt(size: int) -> None:
    block = reference.encode_varint(size) + b"k"
    for wrong in (block, reference.encode_record(b"a", 1) + block):
        with pytest.raises(CorruptionError):
            decode(wrong)
        with pytest.raises(CorruptionError):
            merged([[wrong]])


def test_numbers_of_the_full_64_bits_and_padded_ones_are_read() -> None:
    assert decode(b"\x01k" + b"\xff" * 9 + b"\x01") == [(b"k", INT64_MIN)]
    assert decode(b"\x01k\xfe" + b"\xff" * 8 + b"\x01") == [(b"k", INT64_MAX)]
    assert decode(b"\x81\x80\x00k\x82" + b"\x80" * 8 + b"\x00") == [(b"k", 1)]


def test_decode_says_at_which_byte_the_record_begins() -> None:
    good = reference.encode_record(b"key", 1)
    with pytest.raises(CorruptionError, match=f"byte {2 * len(good)} "):
        decode(good + good + b"\x05")


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(INT64_MIN, INT64_MAX))))
def test_decode_gives_back_what_was_encoded(pairs: list[Pair]) -> None:
    block = reference.encode_records(pairs)
    assert decode(block) == reference.decode_records(block) == pairs
    assert decode(memoryview(bytearray(block))) == pairs


# Bytes that are no records, or nearly: valid blocks with some bytes changed, put in, or taken out.
def damaged(block: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    out = bytearray(block)
    for at, how, byte in edits:
        at %= len(out) + 1
        out[at:at + (how != 0)] = b"" if how == 1 else bytes([byte])
    return bytes(out)


near_numbers = st.sampled_from([0, 1, 2, 8, 0x7F, 0x80, 0x81, 0xFF])
edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), near_numbers), max_size=3)
valid = sorted_runs(small_values, 1).map(lambda runs: reference.encode_records(itertools.chain(*runs)))
garbage = st.binary(max_size=60) | st.lists(near_numbers, max_size=40).map(bytes) | st.builds(damaged, valid, edits)


@given(garbage)
def test_decode_of_any_bytes_equals_the_reference_or_is_refused(block: bytes) -> None:
    try:
        expected = reference.decode_records(block)
    except ValueError:
        with pytest.raises(CorruptionError):
            decode(block)
    else:
        assert decode(block) == expected


@given(st.lists(st.lists(garbage, max_size=3), max_size=4), st.sampled_from(EMITS), st.integers(0, 300))
def test_merge_of_any_bytes_equals_the_reference_or_is_refused(runs: list[list[bytes]], emit: str, room: int) -> None:
    try:
        pairs = [[pair for block in run for pair in reference.decode_records(block)] for run in runs]
        if any(left[0] > right[0] for run in pairs for left, right in itertools.pairwise(run)):
            raise ValueError("not ascending")
        expected = reference.merge(pairs)
    except (ValueError, OverflowError):
        with pytest.raises(MrcoreError):
            output(Merge(runs, emit=emit, room=room))
    else:
        merge = Merge(runs, emit=emit, room=room)
        assert output(merge) == WRITTEN[emit](expected)
        assert merge.records_out == len(expected)


def test_merge_is_iterated_once_and_then_is_at_its_end() -> None:
    merge = Merge([[reference.encode_record(b"a", 1)]])
    assert output(merge) == b"a\t1\n"
    assert output(merge) == b""


def test_an_iteration_that_was_left_goes_on_in_the_next() -> None:
    run = [(b"key %03d" % i, i) for i in range(50)]
    merge = Merge([blocks_of(run, 4)], emit="records", room=ROOM_MIN)
    first = output(itertools.islice(merge, 2))
    assert reference.decode_records(first + output(merge)) == run


def test_nothing_is_lost_when_a_producer_fails_and_the_merge_is_iterated_again() -> None:
    run = [(b"key %03d" % i, i) for i in range(50)]

    class FailsOften:
        def __init__(self) -> None:
            self.blocks, self.calls = blocks_of(run, 3), 0

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            self.calls += 1
            if self.calls % 3 == 0:
                raise InterruptedError
            return next(self.blocks)

    for room in (ROOM_MIN, 200, 1 << 20):
        merge, found = Merge([FailsOften(), blocks_of(run, 7)], emit="records", room=room), b""
        while merge.records_in < 2 * len(run) or not found:
            try:
                for chunk in merge:
                    found += bytes(chunk)
            except InterruptedError:
                continue
        assert reference.decode_records(found) == [(key, 2 * value) for key, value in run]


def test_an_error_of_a_producer_passes_through() -> None:
    def failing() -> Iterator[bytes]:
        yield reference.encode_record(b"a", 1)
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        output(Merge([failing(), [reference.encode_record(b"b", 1)]]))


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError):
        Merge([], emit="words")
    with pytest.raises(ValueError):
        Merge([], kind="product")
    with pytest.raises(OverflowError):
        Merge([], value_min=2**63)
    with pytest.raises(TypeError):
        output(Merge([["text"]]))  # type: ignore[list-item]
    with pytest.raises(TypeError):
        decode(None)  # type: ignore[arg-type]
    assert decode(b"") == []
