"""The distinct-count sketch on every CPU path: its registers against plain Python, its estimates against the truth.

The hash has no seed but 0 and the keys are fixed, so every estimate is the same number in
every run: a bound in standard errors cannot fail by chance.
"""
import math
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore.kernels import cpu
from mrcore.kernels.hyperloglog import HyperLogLog
from mrcore.kernels.table import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS
from mrcore.testing import reference

BLOCK = 4096  # MR_TOKEN_BLOCK
STEP = 8 << 20  # FEED_STEP
PAGE = mmap.PAGESIZE
PRECISIONS = [4, 5, 10, 14, 17, 18]

each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)
each_lower = pytest.mark.parametrize("lower", [False, True], ids=["cased", "lower"])


@pytest.fixture(scope="module", params=cpu.available())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on each CPU path."""
    with cpu.forced(request.param):
        yield request.param


def fed(data: bytes, precision: int = 14, tokenizer: str = "whitespace", lower: bool = False) -> HyperLogLog:
    sketch = HyperLogLog(precision, tokenizer, lower)
    assert sketch.feed(data, 0, len(data), True) == len(data)
    return sketch


def registers_of(data: bytes, precision: int = 14, tokenizer: str = "whitespace", lower: bool = False) -> bytes:
    return bytes(reference.hyperloglog(reference.tokenize(data, tokenizer, lower), precision))


def check(data: bytes, precision: int = 10, tokenizer: str = "whitespace", lower: bool = False) -> None:
    assert fed(data, precision, tokenizer, lower).registers == registers_of(data, precision, tokenizer, lower)


def numbers(start: int, stop: int) -> bytes:
    return " ".join(map(str, range(start, stop))).encode()


# ---- registers -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_registers_of_each_precision(level: str, precision: int) -> None:
    for n in (0, 1, 2, 1000, 20_000):
        check(numbers(0, n), precision)


@each_lower
@each_tokenizer
def test_tokens_of_every_length(level: str, tokenizer: str, lower: bool) -> None:
    head = b"kEy9_Z" * 60
    tokens = [token for length in range(1, 260) for token in (head[:length], head[:length].swapcase())]
    for separator in (b" ", b"\r\n\t "):
        data = separator.join(tokens)
        for text in (data, separator + data + separator):
            check(text, 14, tokenizer, lower)


@each_tokenizer
def test_no_text_and_no_tokens(level: str, tokenizer: str) -> None:
    for data in (b"", b" ", b"\n" * (2 * BLOCK + 1), b" \t\r\n\v\f"):
        check(data, 5, tokenizer)
        assert (fed(data, 5, tokenizer).registers == bytes(32)) == (tokenizer != "lines" or not data)  # empty lines are


@each_lower
@each_tokenizer
def test_every_byte_value_at_every_position_of_a_token(level: str, tokenizer: str, lower: bool) -> None:
    """Only A-Z fold: 0xC1 is not A, and neither 0x40 nor 0x5B is a letter."""
    for length in (1, 7, 16, 20):
        data = b" ".join(b"A" * at + bytes([value]) + b"Z" * (length - 1 - at)
                         for value in range(256) for at in range(length))
        check(data, 14, tokenizer, lower)


@each_lower
@each_tokenizer
@pytest.mark.parametrize("off", [-65, -64, -17, -2, -1, 0, 1, 63, 64])
def test_tokens_around_the_border_of_blocks(level: str, tokenizer: str, lower: bool, off: int) -> None:
    for length in (1, 2, 17, 64, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK):
        for after in (b"", b" ", b" B", b" next " * 20):
            check(b" " * (BLOCK + off) + b"Q" * length + after, 10, tokenizer, lower)
    check((b"x " * (2 * BLOCK))[:3 * BLOCK + off], 10, tokenizer, lower)  # most tokens a block


@each_lower
@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 65_536, 200_000, STEP + 1, 2 * STEP + 5])
def test_tokens_longer_than_blocks_and_steps(level: str, length: int, lower: bool) -> None:
    long = (b"Long" * (length // 4 + 1))[:length]
    for tokens in ([long], [b"a", long, long.swapcase(), b"B"], [long, long[:-1] + b"!", long[:-1], long + b"x"]):
        check(b" ".join(tokens), 10, "whitespace", lower)


def test_only_a_long_token_that_is_folded_takes_room() -> None:
    long = b"X" * (1 << 20)
    registers_only = HyperLogLog(4).memory_bytes
    assert fed(long, 4).memory_bytes == registers_only
    assert fed(b"X" * BLOCK + b" y", 4, lower=True).memory_bytes == registers_only
    assert len(long) <= fed(long, 4, lower=True).memory_bytes - registers_only <= 2 * len(long)


texts = st.binary(max_size=200) | st.lists(st.sampled_from(
    [b"a", b"B", b"ab", b"\0", b"_", b"-", b"\xc1", b" ", b" ", b"\n", b"w" * 8, b"V" * 16, b"u" * 17, b"T" * 240,
     b"s" * 241, b" " * 60, b"R" * 4090]), max_size=60).map(b"".join)


@each_lower
@each_tokenizer
@given(data=texts, precision=st.integers(4, 12))
@settings(max_examples=60)
def test_any_text_has_the_registers_of_the_reference(
        level: str, tokenizer: str, lower: bool, data: bytes, precision: int) -> None:
    check(data, precision, tokenizer, lower)


# ---- windows -------------------------------------------------------------------------------

MIXED = b"a bb ccc\tdddddddd EEEEEEEEEEEEEEE\nFFFFFFFFFFFFFFFF  a\0 \xc3\xa9t\xc3\xa9, bb a" + b"g" * 40 + b" end"


@each_lower
@each_tokenizer
def test_two_windows_cut_anywhere_are_one_text(level: str, tokenizer: str, lower: bool) -> None:
    expected = registers_of(MIXED, 10, tokenizer, lower)
    for cut in range(len(MIXED) + 1):
        sketch = HyperLogLog(10, tokenizer, lower)
        at = sketch.feed(MIXED, 0, cut, False)
        assert reference.tokenize(MIXED[at:cut], tokenizer) in ([], [MIXED[at:cut]])  # an open token or nothing
        assert sketch.registers == registers_of(MIXED[:at], 10, tokenizer, lower)
        assert sketch.feed(MIXED, at, len(MIXED), True) == len(MIXED)
        assert sketch.registers == expected


@each_lower
@pytest.mark.parametrize("window", [1, 2, 7, 64, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_windows_of_any_size_are_one_text(level: str, window: int, lower: bool) -> None:
    """As a map task feeds: an unfinished token is looked at again, in a larger window if it fills one."""
    data = MIXED * (3 if window < 64 else 200) + b"H" * (2 * window + 1) + MIXED
    sketch = HyperLogLog(10, lower=lower)
    at, size = 0, window
    while at < len(data):
        stop = min(at + size, len(data))
        next_at = sketch.feed(data, at, stop, stop == len(data))
        assert at <= next_at <= stop
        size = window if next_at > at else 2 * size
        at = next_at
    assert sketch.registers == registers_of(data, 10, lower=lower)


@given(data=texts, cuts=st.lists(st.integers(0, 6000), max_size=5))
def test_windows_cut_anywhere_are_one_text(data: bytes, cuts: list[int]) -> None:
    sketch = HyperLogLog(8, lower=True)
    at = 0
    for stop in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        at = sketch.feed(data, at, stop, stop == len(data))
    assert sketch.registers == registers_of(data, 8, lower=True)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_the_steps_of_one_call_are_one_text(off: int) -> None:
    """Ctrl-C is looked for between steps, which cut tokens like windows do."""
    for tail in (b"", b"Q", b"Q" * 5000 + b" r"):
        data = b"a" + b" " * (STEP + off - 3) + b"bcd" + tail
        check(data, 4, lower=True)
        assert HyperLogLog(4).feed(data, 0, len(data), False) == data.rindex(b" ") + 1


def test_only_final_adds_the_token_that_reaches_the_end() -> None:
    sketch = HyperLogLog()
    assert sketch.feed(b"open", 0, 4, False) == 0
    assert sketch.registers == bytes(1 << 14)
    assert sketch.feed(b"ab cd", 0, 5, False) == 3
    assert sketch.registers == registers_of(b"ab")
    assert sketch.feed(b"ab cd", 3, 5, True) == 5
    assert sketch.registers == registers_of(b"ab cd")
    assert sketch.feed(b"", 0, 0, True) == 0
    assert sketch.registers == registers_of(b"ab cd")


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (2, 1), (4, 4), (2**63, 2**63)])
def test_a_window_outside_of_the_data_is_refused(start: int, stop: int) -> None:
    with pytest.raises(IndexError, match="of 3 bytes"):
        HyperLogLog().feed(b"abc", start, stop, True)


@each_lower
@each_tokenizer
def test_text_that_ends_with_its_page_is_not_read_beyond(
        level: str, tokenizer: str, lower: bool, tmp_path: Path) -> None:
    """The guard against truncation ends where the window does: a read past that would end the process."""
    path = tmp_path / "page"
    path.write_bytes((b"Mapped text, sixteen_letters_and_more to its end. " * PAGE)[:2 * PAGE])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        os.ftruncate(file.fileno(), PAGE)
        for start in [0, *range(PAGE - 100, PAGE)]:
            sketch = HyperLogLog(8, tokenizer, lower)
            with memoryview(pages) as view:
                assert sketch.feed(view, start, PAGE, True) == PAGE
            assert sketch.registers == registers_of(pages[start:PAGE], 8, tokenizer, lower)


def truncation_is_an_error_again_and_again() -> None:
    fd = os.memfd_create("text")
    os.write(fd, (b"some words of text and_one_of_more_than_sixteen " * PAGE)[:4 * PAGE])
    pages = mmap.mmap(fd, 4 * PAGE, access=mmap.ACCESS_READ)
    os.ftruncate(fd, PAGE)
    for name in cpu.available():
        for tokenizer in TOKENIZERS:
            for lower in (False, True):
                sketch = HyperLogLog(8, tokenizer, lower)
                with cpu.forced(name):
                    for _ in range(3):
                        try:
                            sketch.feed(pages, 0, 4 * PAGE, True)
                        except TruncatedError:
                            continue
                        raise AssertionError((name, tokenizer, lower))
                    assert sketch.feed(b"text is text", 0, 12, True) == 12


def test_a_map_that_is_truncated_is_an_error() -> None:
    """In a process of its own, for where it is none the process ends."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=60, check=False,
                             env=environment)
    assert (process.stderr, process.returncode) == ("", 0)


# ---- keys and merging ----------------------------------------------------------------------


@given(keys=st.lists(st.binary(max_size=300), max_size=20), precision=st.integers(4, 18))
def test_any_keys_have_the_registers_of_the_reference(keys: list[bytes], precision: int) -> None:
    sketch = HyperLogLog(precision, lower=True)  # which is for text, not for keys
    for key in keys:
        sketch.add(key)
    assert list(sketch.registers) == reference.hyperloglog(keys, precision)


@given(parts=st.lists(texts, max_size=5), order=st.randoms(use_true_random=False), precision=st.integers(4, 12))
def test_merging_in_any_order_is_feeding_everything(parts: list[bytes], order: random.Random, precision: int) -> None:
    sketches = [fed(part, precision) for part in parts] + [HyperLogLog(precision)]
    order.shuffle(sketches)
    while len(sketches) > 1:
        sketches[order.randrange(len(sketches) - 1)].merge(sketches.pop().registers)
    assert sketches[0].registers == registers_of(b" ".join(parts), precision)


def test_merging_a_sketch_with_itself_changes_nothing() -> None:
    sketch = fed(MIXED)
    before = sketch.registers
    sketch.merge(before)
    sketch.merge(bytes(1 << 14))
    assert sketch.registers == before


@pytest.mark.parametrize("precision", PRECISIONS)
def test_registers_that_no_sketch_has_are_refused(precision: int) -> None:
    sketch = fed(MIXED, precision)
    before = sketch.registers
    m, most = 2**precision, 64 - precision + 1
    for wrong in (b"", bytes(m - 1), bytes(m + 1), bytes(2 * m)):
        with pytest.raises(ValueError, match=f"{len(wrong)} registers: a sketch of precision {precision} has {m}"):
            sketch.merge(wrong)
    for at in (0, m // 2, m - 1):
        for value in (most + 1, 255):
            with pytest.raises(ValueError, match=f"holds {value}: at precision {precision} none is above {most}"):
                sketch.merge(bytes([most]) * at + bytes([value]) + bytes(m - at - 1))
    assert sketch.registers == before
    sketch.merge(bytes(m - 1) + bytes([most]))
    assert sketch.registers == before[:-1] + bytes([most])


@pytest.mark.parametrize("precision", [-1, 0, 3, 19, 64])
def test_a_precision_out_of_range_is_refused(precision: int) -> None:
    with pytest.raises(ValueError, match=f"from 4 to 18, not {precision}"):
        HyperLogLog(precision)


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown tokenizer 'words'"):
        HyperLogLog(14, "words")


def test_keys_and_registers_are_bytes() -> None:
    for wrong in ("text", None, bytearray(16), 1):
        with pytest.raises(TypeError):
            HyperLogLog(4).add(wrong)
        with pytest.raises(TypeError):
            HyperLogLog(4).merge(wrong)


# ---- estimates -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("distinct", [0, 1, 10, 1000, 100_000, 1_000_000])
def test_estimates_lie_within_four_standard_errors(distinct: int, precision: int) -> None:
    sketch = fed(numbers(0, distinct), precision)
    assert sketch.relative_error == pytest.approx(1.04 / 2 ** (precision / 2))
    assert abs(sketch.estimate() - distinct) <= 4 * sketch.relative_error * distinct
    assert (sketch.estimate() == 0) == (distinct == 0)


@pytest.mark.exhaustive
def test_errors_of_many_sets_have_the_standard_error_and_no_bias() -> None:
    """200 sets: their root mean square estimates 0.81 % to a twentieth, their mean is 0 to 0.06 %."""
    size = 50_000
    errors = [fed(numbers(start, start + size)).estimate() / size - 1 for start in range(0, 200 * size, size)]
    assert 0.005 < math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) < 0.011
    assert abs(math.fsum(errors) / len(errors)) < 0.0024


def test_tokens_that_come_again_change_nothing() -> None:
    assert fed(numbers(0, 1000) + b"\n" + numbers(0, 1000)).estimate() == fed(numbers(0, 1000)).estimate()


@given(precision=st.integers(4, 9), data=st.data())
def test_the_estimate_of_any_registers_is_that_of_the_reference(precision: int, data: st.DataObject) -> None:
    most = 64 - precision + 1
    value = st.integers(0, most) | st.sampled_from([0, 1, most])
    registers = data.draw(st.lists(value, min_size=2**precision, max_size=2**precision))
    sketch = HyperLogLog(precision)
    sketch.merge(bytes(registers))
    assert sketch.estimate() == pytest.approx(reference.hyperloglog_estimate(registers), rel=1e-12)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_estimates_at_both_ends(precision: int) -> None:
    """One key: as linear counting, m ln(m / (m - 1)). All registers full but one: above 2**60. All full: infinite."""
    m, most = 2**precision, 64 - precision + 1
    one, nearly_full, full = HyperLogLog(precision), HyperLogLog(precision), HyperLogLog(precision)
    one.add(b"key")
    assert one.estimate() == pytest.approx(m * math.log(m / (m - 1)), rel=0.02)
    nearly_full.merge(bytes([most - 1]) + bytes([most]) * (m - 1))
    assert 2**60 < nearly_full.estimate() < math.inf
    assert nearly_full.estimate() == pytest.approx(
        reference.hyperloglog_estimate(list(nearly_full.registers)), rel=1e-12)
    full.merge(bytes([most]) * m)
    assert full.estimate() == reference.hyperloglog_estimate([most] * m) == math.inf


def test_the_reference_reads_a_hash_as_a_binary_number() -> None:
    for key in (b"", b"a", b"key"):
        bits = f"{xxhash.xxh3_64_intdigest(key):064b}"
        registers = reference.hyperloglog([key], 6)
        assert registers[int(bits[:6], 2)] == bits[6:].index("1") + 1
        assert sum(map(bool, registers)) == 1


if __name__ == "__main__":
    truncation_is_an_error_again_and_again()
