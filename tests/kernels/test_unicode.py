"""The Unicode tokenizer against str, unicodedata and the digests of Unicode 16.0 itself."""
import hashlib
import itertools
import mmap
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.kernels import unicode
from mrcore.kernels.table import CountTable, TruncatedError
from mrcore.kernels.unicode import UnicodeExpander
from mrcore.testing import reference

POINTS = range(0x110000)
PAGE = mmap.PAGESIZE
GUARD = b"\xaa" * 32
BOTH = (False, True)

# One byte a code point of the letters, marks and numbers in the unicodedata2 package 16.0.0, and three
# a code point, lowest first, of the foldings C and S in CaseFolding.txt 16.0.0.
TOKENS_OF_16 = (145_440, "b03b54b0c8645fb85548f5743aabcc71c396844d6b8eac3121a23890ba089daf")
FOLDINGS_OF_16 = (1_484, "20fd784df02393a52db45578334f996a0746cde8710960447bbfa73077c2f9eb")

NEW_IN_16 = {  # code point -> its folding, for those in tokens
    0x10D40: 0x10D40, 0x10D4E: 0x10D4E, 0x10D69: 0x10D69,  # Garay digit, modifier letter, mark
    **{point: point + 0x20 for point in range(0x10D50, 0x10D66)},  # Garay capitals
    0x105C0: 0x105C0, 0x11380: 0x11380, 0x113E1: 0x113E1,  # Todhri, Tulu-Tigalari
    0x11BC0: 0x11BC0, 0x11BF0: 0x11BF0, 0x16100: 0x16100, 0x16D40: 0x16D40, 0x1E5D0: 0x1E5D0,
    0x13460: 0x13460, 0x1CCF0: 0x1CCF0, 0x10EC2: 0x10EC2,
    0x1C89: 0x1C8A, 0xA7CB: 0x264, 0xA7CC: 0xA7CD, 0xA7DA: 0xA7DB, 0xA7DC: 0x19B,
}  # fmt: skip
OUTSIDE_IN_16 = (0x10D6E, 0x113D4, 0x11BE1, 0x1E5FF, 0x1CC00, 0x10D66, 0x1C8B)  # punctuation, symbols, unassigned

EDGES = bytes([0x00, 0x0A, 0x20, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xED, 0xF0,
               0xF4, 0xFF])
PIECES = [b"a", b"Z", b"0", b" ", b"\n", b"\n\n", b"-", b"\0", "é".encode(), "\u0301".encode(), "\u023a".encode(),
          "Ж".encode(), "\u212a".encode(), "中".encode(), "\U00010400".encode(), "🙂".encode(), "\u2028".encode(),
          b"\x80", b"\xc3", b"\xe4\xb8", b"\xf0\x90\x90", b"\xed\xa0\x80", b"\xff", b"w" * 8, b"Wxyz" * 4, b" " * 9]
texts = st.lists(
    st.sampled_from(PIECES)
    | st.text(st.characters(codec="utf-8", max_codepoint=0x7FF, exclude_categories=["Cn"]), max_size=9).map(str.encode)
    | st.binary(max_size=6),
    max_size=30).map(b"".join)  # fmt: skip


def expanded(data: bytes, fold: bool = False, mark_lines: bool = False, cuts: tuple[int, ...] = (),
             room: int = 1 << 16) -> bytes:
    """What a caller gets that is given the text up to each of ``cuts``, then whole, and empties ``room`` bytes."""
    expander, got, at = UnicodeExpander(fold, mark_lines), bytearray(), 0
    for stop in (*cuts, len(data)):
        want = room
        while at < stop:
            out = bytearray(want) + GUARD
            before = at
            at, written = expander.expand(data, at, stop, stop == len(data), memoryview(out)[:want])
            assert before <= at <= stop
            assert out[want:] == GUARD
            got += out[:written]
            if want != room:
                assert written == want, "what was wanted is what the token takes"
            if not written and not expander.want:
                break
            assert not (written and expander.want)
            want = expander.want or room
    assert at == len(data)
    return bytes(got)


def check(data: bytes) -> None:
    for fold, mark_lines in itertools.product(BOTH, BOTH):
        assert expanded(data, fold, mark_lines) == reference.unicode(data, fold, mark_lines)


def folded(text: str) -> str:
    return expanded(text.encode(), fold=True).decode()


def test_every_code_point_is_in_a_token_or_not_as_unicode_16_has_it() -> None:
    tokens = bytes(map(unicode.is_token, POINTS))
    assert (sum(tokens), hashlib.sha256(tokens).hexdigest()) == TOKENS_OF_16


def test_every_code_point_folds_as_unicode_16_has_it() -> None:
    foldings = [unicode.fold(point) for point in POINTS]
    digest = hashlib.sha256(b"".join(folding.to_bytes(3, "little") for folding in foldings)).hexdigest()
    assert (sum(map(int.__ne__, foldings, POINTS)), digest) == FOLDINGS_OF_16


@pytest.mark.skipif(tuple(map(int, unicodedata.unidata_version.split("."))) > (16, 0, 0), reason="knows newer ones")
def test_every_code_point_that_this_python_knows_is_as_it_says() -> None:
    for point in POINTS:
        char = chr(point)
        category = unicodedata.category(char)
        if category != "Cn":  # no assigned one went into or out of L, M and N between 14.0 and 16.0
            assert unicode.is_token(point) == (category[0] in "LMN"), hex(point)
            assert unicode.fold(point) == ord(reference.simple_fold(char)), hex(point)


def test_code_points_that_are_new_in_unicode_16() -> None:
    for point, folding in NEW_IN_16.items():
        assert unicode.is_token(point), hex(point)
        assert unicode.fold(point) == folding, hex(point)
        assert folded(chr(point)) == chr(folding) + "\n"
    for point in OUTSIDE_IN_16:
        assert not unicode.is_token(point), hex(point)
        assert expanded(f"a{chr(point)}b".encode()) == b"a\nb\n"


@pytest.mark.parametrize("fold", BOTH)
def test_every_code_point_in_text(fold: bool) -> None:
    tokens = [point for point in POINTS if unicode.is_token(point)]
    text = "".join(f"{chr(point)}-" for point in POINTS if not 0xD800 <= point < 0xE000)
    foldings = (unicode.fold(point) if fold else point for point in tokens)
    assert expanded(text.encode(), fold).decode() == "".join(f"{chr(folding)}\n" for folding in foldings)


def test_folding_changes_length_both_ways() -> None:
    assert folded("\u023a\u023e") == "\u2c65\u2c66\n"  # two bytes become three
    assert folded("\u212a\u2126\u212b\u017f") == "k\u03c9\u00e5s\n"  # Kelvin, ohm, angstrom, long s
    assert folded("\u1e9e\u00df") == "\u00df\u00df\n"  # sharp s stays one letter: T and F are not applied
    assert folded("\u03a3\u03c3\u03c2") == "\u03c3\u03c3\u03c3\n"  # one sigma, also at the end
    assert folded("\u0130I\u0131") == "\u0130i\u0131\n"  # no Turkish, and no dot of its own
    assert folded("\u1f88\u01c4\u01c5\u13a0\uab70\ufb05") == "\u1f80\u01c6\u01c6\u13a0\u13a0\ufb06\n"
    assert folded("\u2160\u24b6x") == "\u2170\nx\n"  # a Roman number; a circled letter is a symbol


def test_tokens_keep_their_marks_and_numbers() -> None:
    text = "don't e\u0301t\u00e9_2½ नमस्ते ๑๒ x\u200dy"
    assert expanded(text.encode()).decode().split("\n") == [
        "don", "t", "e\u0301t\u00e9", "2½", "नमस्ते", "๑๒", "x", "y", ""]


def test_lines_are_marked_after_their_tokens() -> None:
    assert expanded(b"a b\n\nc", mark_lines=True) == b"a\nb\n\n\nc\n"
    assert expanded(b"\na\n", mark_lines=True) == b"\na\n\n"
    assert expanded("a\r\nb\u2028c\x85".encode(), mark_lines=True) == b"a\n\nb\nc\n"  # LF alone ends a line


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 15, 16, 17, 4096])
def test_sizes_around_the_words_of_the_fast_path(size: int) -> None:
    for period in (b"x", b" ", b"\n", b"x ", b" x", b"x\n", b"Ab c\n", "xé ".encode(), "中".encode()):
        for before in range(9):
            check(b"-" * before + (period * size)[:size])


def test_every_byte_at_every_place_of_a_word() -> None:
    for at, byte in itertools.product(range(9), range(256)):
        check(b"x" * at + bytes([byte]) + b"Y" * (17 - at))
        check(b" " * at + bytes([byte]) + b"\n" * (17 - at))


def test_every_pair_of_bytes_between_letters() -> None:
    check(b"".join(b"a%cb" % byte for byte in range(256)))
    check(b"".join(b"a%c%cb" % pair for pair in itertools.product(range(256), repeat=2)))


@pytest.mark.exhaustive
def test_broken_sequences_of_three_and_four_bytes_between_letters() -> None:
    check(b"".join(b"a%c%c%cb" % three for three in itertools.product(range(0xC0, 256), range(0x70, 0xD0), EDGES)))
    check(b"".join(b"a%c%c%c%cb" % four for four in itertools.product(range(0xE8, 256), EDGES, EDGES, EDGES)))


def test_a_sequence_that_may_go_on_waits_for_the_rest_and_no_other() -> None:
    """Exhaustive in one and two bytes; what may go on is the beginning of some code point in UTF-8."""
    sequences = [chr(point).encode() for point in range(0x80, 0x110000, 64) if not 0xD800 <= point < 0xE000]
    beginnings = {sequence[:size] for sequence in sequences for size in range(1, len(sequence))}
    expander, out = UnicodeExpander(), bytearray(32)
    endings = [*itertools.product(range(256)), *itertools.product(range(256), repeat=2),
               *itertools.product(range(0xE0, 256), EDGES, EDGES), *itertools.product(range(0xEF, 256), *[EDGES] * 3)]
    for data in map(bytes, endings):
        cut = next((size for size in (3, 2, 1) if size <= len(data) and data[-size:] in beginnings), 0)
        chars = data[:len(data) - cut].decode(errors="replace")
        token = "".join(itertools.takewhile(lambda char: unicode.is_token(ord(char)), reversed(chars)))
        assert expander.expand(data, 0, len(data), False, out)[0] == len(data) - cut - len(token.encode()), data


TALE = ("Ünïcode, e\u0301 \u023a\u023eX\n\n中文。字 🙂 \U00010400z ".encode()
        + b"A\xe4\xb8B\xf0\x9f\x99 \xed\xa0\x80C\xff\xffd plain ascii text of_words 12345678 end")  # fmt: skip


@pytest.mark.parametrize("mark_lines", BOTH)
@pytest.mark.parametrize("fold", BOTH)
def test_a_text_cut_anywhere_gives_the_same_tokens(fold: bool, mark_lines: bool) -> None:
    want = reference.unicode(TALE, fold, mark_lines)
    for first in range(1, len(TALE)):
        assert expanded(TALE, fold, mark_lines, (first,)) == want
        for size in (1, 7, 20):
            assert expanded(TALE, fold, mark_lines, (first, min(first + size, len(TALE) - 1))) == want
    assert expanded(TALE, fold, mark_lines, tuple(range(1, len(TALE)))) == want


@pytest.mark.parametrize("mark_lines", BOTH)
@pytest.mark.parametrize("fold", BOTH)
@pytest.mark.parametrize("room", [*range(28), 64, 100])
def test_any_room_gives_the_same_tokens(fold: bool, mark_lines: bool, room: int) -> None:
    want = reference.unicode(TALE, fold, mark_lines)
    assert expanded(TALE, fold, mark_lines, room=room) == want
    assert expanded(TALE, fold, mark_lines, tuple(range(5, len(TALE), 11)), room) == want


@given(data=texts, fold=st.booleans(), mark_lines=st.booleans(), room=st.integers(0, 40), cut=st.integers(1, 60))
def test_random_text_agrees_with_the_reference(data: bytes, fold: bool, mark_lines: bool, room: int, cut: int) -> None:
    cuts = tuple(range(cut, len(data), cut))
    assert expanded(data, fold, mark_lines, cuts, room) == reference.unicode(data, fold, mark_lines)


def test_a_token_larger_than_out_says_what_it_wants() -> None:
    token = "\u023a" * (1 << 20)
    data, expander = b"- " + token.encode() + b"-b", UnicodeExpander(fold=True)
    assert expander.expand(data, 0, len(data), True, bytearray(100)) == (2, 0)
    assert expander.want == 3 * len(token) + 1
    assert expander.expand(data, 2, len(data) - 2, False, bytearray(100)) == (2, 0)
    assert expander.want == 0, "it may go on"
    assert expander.expand(data, 2, len(data) - 2, True, bytearray(100)) == (2, 0)
    assert expander.want == 3 * len(token) + 1
    out = bytearray(expander.want)
    assert expander.expand(data, 2, len(data), True, out) == (len(data) - 1, len(out))
    assert out.decode() == token.translate({0x23A: 0x2C65}) + "\n"


def test_a_mark_that_does_not_fit_wants_one_byte() -> None:
    expander = UnicodeExpander(mark_lines=True)
    out = bytearray(2)
    assert expander.expand(b"a\nb", 0, 3, True, out) == (1, 2)
    assert (expander.expand(b"a\nb", 1, 3, True, bytearray()), expander.want) == ((1, 0), 1)
    assert (expander.expand(b"a\nb", 1, 3, True, out), expander.want, bytes(out[:1])) == ((2, 1), 0, b"\n")


def test_a_buffer_that_ends_with_its_page_is_not_read_beyond() -> None:
    with memory_file((TALE * PAGE)[:2 * PAGE]) as pages:
        text = pages[:PAGE]
        os.ftruncate(pages.fd, PAGE)  # from here on, reading the second page raises
        for start in [*range(0, PAGE, 97), *range(PAGE - 20, PAGE)]:
            out = bytearray(2 * PAGE)
            at, written = UnicodeExpander().expand(pages, start, PAGE, True, out)
            assert (at, bytes(out[:written])) == (PAGE, reference.unicode(text[start:]))


def test_a_truncated_file_is_an_error_again_and_again_and_for_the_table_too() -> None:
    expander, table, out = UnicodeExpander(), CountTable(), bytearray(8 * PAGE)
    with memory_file((b"some words " * PAGE)[:4 * PAGE]) as pages:
        os.ftruncate(pages.fd, PAGE)
        for _ in range(3):
            with pytest.raises(TruncatedError):
                expander.expand(pages, 0, len(pages), True, out)
            with pytest.raises(TruncatedError):
                table.feed(pages, 0, len(pages), True)
        assert expander.expand(b"still here", 0, 10, True, out) == (10, 11)


class memory_file(mmap.mmap):  # noqa: N801
    """A mapping of ``content``, and the descriptor of the file, to cut it short."""

    fd: int

    def __new__(cls, content: bytes) -> "memory_file":
        fd = os.memfd_create("text")
        os.write(fd, content)
        pages = super().__new__(cls, fd, len(content), access=mmap.ACCESS_READ)
        pages.fd = fd
        return pages

    def __exit__(self, *error: object) -> None:
        self.close()
        os.close(self.fd)


def test_bounds_and_buffers_are_checked() -> None:
    expander, out = UnicodeExpander(), bytearray(8)
    for start, stop in ((2, 1), (0, 4), (4, 4)):
        with pytest.raises(IndexError):
            expander.expand(b"abc", start, stop, True, out)
    assert expander.expand(b"abc", 3, 3, True, out) == (3, 0)
    assert expander.expand(b"", 0, 0, True, bytearray()) == (0, 0)
    with pytest.raises((ValueError, BufferError)):
        expander.expand(b"abc", 0, 3, True, bytes(8))
    with pytest.raises(TypeError):
        expander.expand("abc", 0, 3, True, out)


@pytest.mark.parametrize("call", [unicode.is_token, unicode.fold])
def test_numbers_that_are_no_code_points_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"0x110000 is past U\+10FFFF"):
        call(0x110000)
    for number in (-1, 1 << 32):
        with pytest.raises(OverflowError):
            call(number)
