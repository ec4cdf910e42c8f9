"""Posting lists: packing, decoding and their text against the references, and bytes that are no posting lists."""
import random
import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import CorruptionError, MrcoreError
from mrcore.kernels.postings import PostingsText, decode, encode, escape_path, pack
from mrcore.testing import reference

Posting = tuple[int, int]
Record = tuple[bytes, bytes]
ID_MAX, COUNT_MAX = 2**32 - 1, 2**63 - 1
A_CALL = 1 << 20  # postings that a native call reads

ids = st.integers(0, 300) | st.sampled_from([127, 128, 16383, 16384, 2**21, 2**28 - 1, 2**28, ID_MAX - 1, ID_MAX])
counts = st.integers(1, 300) | st.sampled_from([127, 128, 2**31, 2**40, 2**62 - 1])
lists = st.dictionaries(ids, counts, min_size=1, max_size=20).map(lambda pairs: sorted(pairs.items()))


def cut(pairs: list[Posting], cuts: list[int]) -> bytes:
    """Groups that end after the postings that ``cuts`` name; there, a count above 1 goes on in the next group."""
    groups: list[list[Posting]] = [[]]
    for index, (document, count) in enumerate(pairs):
        split = index in cuts and count > 1
        groups[-1].append((document, 1 if split else count))
        if index in cuts:
            groups.append([(document, count - 1)] if split else [])
    return b"".join(reference.encode_postings(group) for group in groups if group)


def block_of(records: Iterable[Record]) -> bytes:
    return b"".join(reference.encode_varint(len(part)) + part for record in records for part in record)


def text_of(blocks: Iterable[bytes], paths: list[bytes], with_counts: bool, room: int = 1 << 20) -> bytes:
    chunks = [bytes(chunk) for chunk in PostingsText(paths, with_counts, room).lines(blocks)]
    assert all(0 < len(chunk) <= room for chunk in chunks)
    return b"".join(chunks)


def check_text(records: list[Record], paths: list[bytes], rooms: Iterable[int] = (1 << 20,)) -> None:
    for with_counts in (False, True):
        expected = reference.postings(records, paths, with_counts)
        for room in rooms:
            assert text_of([block_of(records)], paths, with_counts, room) == expected
            assert text_of((block_of([record]) for record in records), paths, with_counts, room) == expected


# Values.
@given(lists)
def test_encode_and_decode_give_back_the_postings(pairs: list[Posting]) -> None:
    value = encode(pairs)
    assert value == reference.encode_postings(pairs)
    assert decode(value) == reference.decode_postings(value) == pairs
    assert pack(value) == value


@given(lists, st.lists(st.integers(0, 20)))
def test_groups_cut_anywhere_pack_to_the_one_group_and_never_grow(pairs: list[Posting], cuts: list[int]) -> None:
    value = cut(pairs, cuts)
    assert decode(value) == pairs
    assert pack(value) == encode(pairs)
    assert len(pack(value)) <= len(value)
    assert pack(memoryview(bytearray(value))) == pack(value)


@pytest.mark.parametrize("size", [1, 2, 127, 128, 129, 16383, 16384, 16385, 70_000])
def test_groups_of_one_as_map_tasks_write_them_never_grow_when_packed(size: int) -> None:
    """The head of the packed group takes up to three bytes here, and as much as the heads it replaces at most."""
    pairs = [(3 * index, 1 + index % 200) for index in range(size)]
    value = b"".join(encode([pair]) for pair in pairs)
    assert pack(value) == encode(pairs)
    assert len(pack(value)) <= len(value)
    assert pack(b"".join(encode([(ID_MAX, 1)]) for _ in range(size))) == encode([(ID_MAX, size)])


def test_counts_add_up_to_the_largest_and_not_past_it() -> None:
    most = encode([(7, COUNT_MAX)])
    assert decode(most) == [(7, COUNT_MAX)]
    just = encode([(7, COUNT_MAX - 1)]) + encode([(7, 1), (8, COUNT_MAX)])
    assert pack(just) == encode([(7, COUNT_MAX), (8, COUNT_MAX)])
    for value in (most + encode([(7, 1)]), most + most, encode([(1, 1)]) + most + encode([(7, 1), (8, 1)])):
        for read in (pack, decode, lambda value: text_of([block_of([(b"w", value)])], [b""] * 9, False)):
            with pytest.raises(MrcoreError, match="range of int64") as caught:
                read(value)
            assert not isinstance(caught.value, CorruptionError)


def test_padded_numbers_are_read_and_packed_to_their_shortest_form() -> None:
    padded = b"\x82\x80\x00" + b"\x85\x00\x81\x80\x80\x00" + b"\x81" + b"\x80" * 8 + b"\x00" + b"\x02"
    assert decode(padded) == [(5, 1), (6, 2)]
    assert pack(padded) == encode([(5, 1), (6, 2)])


@pytest.mark.parametrize(("value", "what"), [
    (b"", "cut off"),
    (b"\x00", "without"),
    (b"\x00\x01\x01\x01", "without"),
    (b"\x01\x05\x01\x00", "without"),
    (b"\x01\x05\x00", "count"),
    (b"\x01\x05" + reference.encode_varint(2**63), "count"),
    (b"\x01\x05" + reference.encode_varint(2**64), "too large"),
    (b"\x01\x05" + b"\x80" * 10 + b"\x00", "too large"),
    (b"\x02\x05\x01\x00\x01", "ascend"),
    (b"\x01\x05\x01\x01\x04\x01", "ascend"),
    (b"\x01" + reference.encode_varint(2**32) + b"\x01", "document id"),
    (b"\x01" + reference.encode_varint(2**64 - 1) + b"\x01", "document id"),
    (b"\x02" + reference.encode_varint(ID_MAX) + b"\x01\x01\x01", "document id"),
    (b"\x02\x01\x01" + reference.encode_varint(2**64 - 1) + b"\x01", "document id"),
    (b"\x02\x01\x01", "cut off"),
    (reference.encode_varint(2**64 - 1) + b"\x01\x01\x01\x01", "cut off"),
    (b"\xff" * 11, "too large"),
])
def test_values_that_do_not_parse_are_corrupt_and_say_why(value: bytes, what: str) -> None:
    with pytest.raises(ValueError):
        reference.decode_postings(value)
    for read in (pack, decode):
        with pytest.raises(CorruptionError, match=what):
            read(value)
    with pytest.raises(CorruptionError, match=what if value else "without"):
        text_of([block_of([(b"w", value)])], [b"p"] * 9, True)


def test_decode_says_at_which_byte_the_bad_posting_begins() -> None:
    good = encode([(1, 1), (200, 300)])
    with pytest.raises(CorruptionError, match=f"byte {len(good)}:"):
        decode(good + b"\x01\x05")


@pytest.mark.parametrize(("pairs", "error"), [
    ([], ValueError), ([(1, 0)], ValueError), ([(1, -1)], ValueError), ([(2, 1), (2, 1)], ValueError),
    ([(0, 1), (0, 1)], ValueError), ([(2, 1), (1, 1)], ValueError), ([(-1, 1)], OverflowError),
    ([(2**32, 1)], OverflowError), ([(1, 2**63)], OverflowError), ([(1.5, 1)], TypeError), ([(1,)], ValueError),
])
def test_encode_refuses_what_would_not_decode(pairs: list[Posting], error: type) -> None:
    with pytest.raises(error):
        encode(pairs)


# Text.
@pytest.mark.parametrize("records", [0, 1, 2, 3])
def test_a_few_records_in_any_room(records: int) -> None:
    of_all = [[(0, 1)], [(0, 9), (1, 10), (3, COUNT_MAX)], [(2, 1)]]
    words = [b"", b"word", b"x" * 40]
    made = [(word, encode(pairs)) for word, pairs in zip(words, of_all, strict=True)]
    check_text(made[:records], [b"a", b"bb/cc", b"", b"d" * 200], range(1, 120))


@pytest.mark.parametrize("length", [*range(35), 47, 48, 62, 63, 64, 65, 66, 95, 96, 97, 128, 1000])
def test_paths_and_words_around_the_stores_that_copy_them(length: int) -> None:
    """Neighbours of every length: what one store writes too much the next must cover, and nothing past the room."""
    paths = [bytes([65 + i]) * (length + i % 3) for i in range(6)]
    word, all_six = b"w" * length, encode([(i, 10**i) for i in range(6)])
    lines = [(word, all_six), (b"v", encode([(5, 1)])), (word, encode([(0, 2)]))]
    size = len(reference.postings(lines, paths, True))
    rooms = [1, 2, 3, 5, 84, 85, 86, max(length, 1), length + 1, length + 84, length + 85, size, size + 1]
    check_text(lines, paths, rooms)


@given(st.lists(st.tuples(st.binary(max_size=70), lists, st.lists(st.integers(0, 20))), max_size=5),
       st.lists(st.binary(max_size=80), min_size=1, max_size=12), st.integers(1, 300))
def test_any_records_equal_the_reference(drawn: list[tuple[bytes, list[Posting], list[int]]], paths: list[bytes],
                                         room: int) -> None:
    records = []
    for word, pairs, cuts in drawn:
        few = sorted({document % len(paths): count for document, count in pairs}.items())
        records.append((word, cut(few, cuts)))
    check_text(records, paths, [room])


def test_a_line_much_longer_than_the_room() -> None:
    draw = random.Random(3)
    paths = [draw.randbytes(draw.randrange(1, 100)) for _ in range(30_000)]
    pairs = [(document, draw.choice([1, 5, 12, 10**9])) for document in range(30_000)]
    check_text([(b"the", encode(pairs)), (b"them", encode(pairs[::7]))], paths, [4096, 10_007])


def test_a_document_cut_into_more_splits_than_a_call_reads_is_still_one() -> None:
    """Nothing is written for 2.1 million postings: calls end by themselves, and no empty chunk comes out."""
    value = encode([(0, 1)]) * (2 * A_CALL + 99)
    assert pack(value) == encode([(0, 2 * A_CALL + 99)])
    assert text_of([block_of([(b"w", value)])], [b"p"], True) == b"w\tp:%d\n" % (2 * A_CALL + 99)


def test_the_sum_is_one_wherever_the_room_ends_in_front_of_it() -> None:
    value = encode([(0, 60), (1, 70)]) + encode([(1, 29)]) + encode([(1, 1), (2, 5)])
    check_text([(b"word", value)], [b"one", b"two", b"three"], range(1, 40))


@pytest.mark.parametrize("room", [1, 10, 1000])
def test_a_producer_may_use_its_buffer_again_when_it_is_asked_for_more(room: int) -> None:
    records = [(b"word %d" % i, encode([(i % 3, i + 1)])) for i in range(50)]

    def reusing() -> Iterator[memoryview]:
        buffer = bytearray()
        for record in records:
            buffer[:] = block_of([record])  # resizes: an error while anyone holds a view
            yield memoryview(buffer)

    paths = [b"a", b"b" * 30, b"c"]
    assert text_of(reusing(), paths, True, room) == reference.postings(records, paths, True)


def test_lines_may_be_asked_for_again_and_the_newest_call_has_the_buffer() -> None:
    text, block = PostingsText([b"a", b"b"], False, 3), block_of([(b"word", encode([(0, 1), (1, 1)]))])
    first = text.lines([block])
    assert bytes(next(first)) == b"wor"
    assert b"".join(map(bytes, text.lines([block]))) == b"word\ta,b\n"
    with pytest.raises(ValueError, match="called again"):
        next(first)


def test_no_blocks_and_empty_blocks_are_no_text() -> None:
    assert text_of([], [], False) == text_of([b"", b""], [b"a"], True) == b""


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        PostingsText([b"a"], True, 0)
    for paths in ([None], ["a"], [1]):
        with pytest.raises(TypeError):
            PostingsText(paths, True)  # type: ignore[arg-type]


# Bytes that are no records, or nearly.
def test_an_id_without_a_path_names_the_word() -> None:
    for paths in ([], [b"a"], [b"a"] * 5):
        with pytest.raises(CorruptionError, match=r"'w\\nrd', byte 6 .*no file has"):
            text_of([block_of([(b"w\nrd", encode([(5, 1)]))])], paths, False)


def test_a_block_cut_off_anywhere_but_at_a_record_border_is_corrupt() -> None:
    records = [(b"a", encode([(0, 1)])), (b"b" * 200, encode([(0, 300), (1, 1)])), (b"", encode([(1, COUNT_MAX)]))]
    borders = {len(block_of(records[:count])): records[:count] for count in range(len(records) + 1)}
    whole = block_of(records)
    for size in range(len(whole) + 1):
        if size in borders:
            assert text_of([whole[:size]], [b"p", b"q"], True) == reference.postings(borders[size], [b"p", b"q"], True)
        else:
            with pytest.raises(CorruptionError, match="leaves its block"):
                text_of([whole[:size]], [b"p", b"q"], True)


@pytest.mark.parametrize("size", [2, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 1, 2**64])
def test_lengths_past_the_block_are_corrupt(size: int) -> None:
    for block in (reference.encode_varint(size) + b"k", b"\x01k" + reference.encode_varint(size) + b"\x01"):
        with pytest.raises(CorruptionError, match="leaves its block"):
            text_of([block], [b"p"], False)


def outcome(read: object, *args: object) -> object:
    """What a call gives, or the kind of its error."""
    try:
        return read(*args)  # type: ignore[operator]
    except (MrcoreError, ValueError, OverflowError, IndexError):
        return "refused"


def check_value(value: bytes, paths: list[bytes]) -> None:
    expected = outcome(reference.decode_postings, value)
    assert outcome(decode, value) == expected
    assert outcome(pack, value) == ("refused" if expected == "refused" else encode(expected))  # type: ignore[arg-type]
    for room in (1, 7, 1000):
        lines = outcome(text_of, [block_of([(b"w", value)])], paths, True, room)
        assert lines == outcome(reference.postings, [(b"w", value)], paths, True)


def test_any_byte_changed_cut_or_added_is_refused_or_read_as_the_reference_reads_it() -> None:
    value = encode([(0, 1), (2, 300)]) + encode([(2, 5), (3, COUNT_MAX)]) + encode([(200, 1)])
    paths = [b"path %d" % i for i in range(300)]
    for at in range(len(value)):
        check_value(value[:at], paths)
        check_value(value[:at] + value[at + 1:], paths)
        for byte in (0, 1, 2, 5, 0x7F, 0x80, 0x81, 0xFF):
            check_value(value[:at] + bytes([byte]) + value[at + 1:], paths)
            check_value(value[:at] + bytes([byte]) + value[at:], paths)


near_numbers = st.sampled_from([0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xFF])


@given(st.binary(max_size=40) | st.lists(near_numbers, max_size=40).map(bytes))
def test_any_bytes_are_refused_or_read_as_the_reference_reads_them(value: bytes) -> None:
    check_value(value, [b"p%d" % i for i in range(130)])


@given(st.lists(near_numbers | st.integers(0, 255), max_size=60).map(bytes), st.integers(1, 100))
def test_blocks_of_any_bytes_end_in_text_or_an_error(block: bytes, room: int) -> None:
    """The text is the same in a room of any size, and so is whether there is an error."""
    paths = [b"p%d" % i for i in range(130)]
    assert outcome(text_of, [block], paths, True, room) == outcome(text_of, [block], paths, True)


# Paths.
def test_an_escaped_path_has_no_bare_separator() -> None:
    assert escape_path(b"a\\b\tc\nd,e\rf:g \xff") == rb"a\\b\tc\nd\,e\rf:g " + b"\xff"
    assert escape_path(b"") == b""


@given(st.lists(st.sampled_from([b"\\", b"\t", b"\n", b"\r", b",", b"t", b"n", b"r", b":", b"\xff"])).map(b"".join))
def test_an_escaped_path_can_be_read_back(path: bytes) -> None:
    escaped = escape_path(path)
    assert not set(b"\t\n\r") & set(escaped)
    assert not re.search(rb"(?<!\\)(?:\\\\)*,", escaped)
    back = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
    assert re.sub(rb"\\(.)", lambda found: back.get(found[1], found[1]), escaped) == path
