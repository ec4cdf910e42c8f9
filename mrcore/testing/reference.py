"""Plain-Python references of the kernels: slow, obvious, and what the kernels are tested against."""
from __future__ import annotations

import bisect
import collections
import fractions
import heapq
import itertools
import math
import operator
import re
import struct
import unicodedata
from typing import TYPE_CHECKING, TypeVar

import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

Value = TypeVar("Value")


def accumulate(kind: str, rows: Iterable[tuple[int, float]]) -> float:
    """Sum, min, max or first of the values of (position, value) rows, at least one; as ``finish`` of the kernel.

    ``OverflowError`` when a sum is outside of int64 or of float64, ``ValueError`` when it is of both infinities.
    """
    ordered = sorted(rows, key=operator.itemgetter(0))
    values = [value for _, value in ordered]
    if kind.startswith("first"):
        return values[0]
    if kind.startswith(("min", "max")):
        least_or_most = min(values) if kind.startswith("min") else max(values)
        return least_or_most + 0.0 if kind.endswith("float64") else least_or_most  # -0.0 + 0.0 is 0.0
    if kind == "sum_int64":
        total = sum(map(int, values))
        if not -2**63 <= total < 2**63:
            raise OverflowError(total)
        return total
    special = [value for value in values if not math.isfinite(value)]
    if special:
        return math.fsum(special)
    return float(sum(map(fractions.Fraction, values)))  # rounds once, and raises when too large


def partition(key: Buffer, reducers: int) -> int:
    """Index of the partition of an encoded key; ``ValueError`` when ``reducers`` is below 1."""
    if reducers < 1:
        raise ValueError(f"reducers must be at least 1, not {reducers}")
    return xxhash.xxh3_64_intdigest(key) % reducers


def tokenize(data: bytes, tokenizer: str, lower: bool = False) -> list[bytes]:
    """The tokens of ``data`` in order, ASCII letters in lower case if asked; ``KeyError`` for an unknown tokenizer."""
    split: dict[str, Callable[[bytes], list[bytes]]] = {
        "whitespace": bytes.split, "ascii": re.compile(rb"[A-Za-z0-9_]+").findall,
        "lines": lambda text: text.removesuffix(b"\n").split(b"\n") if text else []}
    return split[tokenizer](data.lower() if lower else data)


def table(data: bytes, tokenizer: str, lower: bool = False) -> list[tuple[bytes, int]]:
    """How often each token occurs, ascending by token."""
    return sorted(collections.Counter(tokenize(data, tokenizer, lower)).items())


def hyperloglog(tokens: Iterable[bytes], precision: int) -> list[int]:
    """Registers of a HyperLogLog sketch: in each, the largest rank of the tokens whose hash begins with its index."""
    registers = [0] * 2**precision
    tosses = 64 - precision
    for token in tokens:
        index, rest = divmod(xxhash.xxh3_64_intdigest(token), 2**tosses)
        rank = tosses - rest.bit_length() + 1  # position of the first 1, counted from 1
        registers[index] = max(registers[index], rank)
    return registers


def hyperloglog_estimate(registers: list[int]) -> float:
    """The estimate of csrc/mr_hyperloglog.h, term by term; the series end where terms vanish beside the sum."""
    m = len(registers)
    q = 64 - (m.bit_length() - 1)
    counts = collections.Counter(registers)
    empty, unfilled = counts[0] / m, 1 - counts[q + 1] / m
    if empty == 1 or unfilled == 0:
        return 0.0 if empty else math.inf
    sigma = math.fsum([empty, *(empty**2**k * 2 ** (k - 1) for k in range(1, 40))])
    tau = math.fsum([1 - unfilled, *(-((1 - unfilled**0.5**k) ** 2) / 2**k for k in range(1, 100))]) / 3
    total = math.fsum([m * sigma, *(counts[k] / 2**k for k in range(1, q + 1)), m * tau / 2**q])
    return m * m / (2 * math.log(2)) / total


def sort(keys: list[bytes]) -> list[int]:
    """The indices that sort ``keys``, equal keys in their order."""
    return sorted(range(len(keys)), key=keys.__getitem__)


def partition_range(key: bytes, splitters: list[bytes]) -> int:
    """Index of the partition of ``key`` when partition ``p`` holds ``splitters[p-1] <= key < splitters[p]``."""
    return bisect.bisect_right(splitters, key)


def radix(
    records: Iterable[tuple[bytes, Value]],
    combine: Callable[[list[Value]], Value],
    partitions: int = 1,
    splitters: list[bytes] | None = None,
) -> list[list[tuple[bytes, Value]]]:
    """The records of each partition, by hash or by range, ascending by key, the values of equal keys combined."""
    values: dict[bytes, list[Value]] = {}
    for key, value in records:
        values.setdefault(key, []).append(value)
    count = partitions if splitters is None else len(splitters) + 1
    found: list[list[tuple[bytes, Value]]] = [[] for _ in range(count)]
    for key in sorted(values):
        p = partition(key, partitions) if splitters is None else partition_range(key, splitters)
        found[p].append((key, combine(values[key])))
    return found


def encode_varint(value: int) -> bytes:
    """LEB128 of a number that is not negative; of any size, so that too large ones can be written too."""
    head = bytearray()
    while value >= 0x80:
        head.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*head, value])


def encode_record(key: bytes, value: int) -> bytes:
    """One record in the form of ``csrc/mr_record.h``."""
    zigzag = 2 * value if value >= 0 else -2 * value - 1
    return encode_varint(len(key)) + key + encode_varint(zigzag)


def encode_records(pairs: Iterable[tuple[bytes, int]]) -> bytes:
    """One block of records."""
    return b"".join(encode_record(key, value) for key, value in pairs)


def decode_records(block: bytes) -> list[tuple[bytes, int]]:
    """The pairs of a block; ``ValueError`` when it does not parse."""

    def decode_varint(at: int) -> tuple[int, int]:
        size = next((i + 1 for i, byte in enumerate(block[at:at + 10]) if byte < 0x80), 0)
        number = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(block[at:at + size]))
        if not size or number >= 2**64:
            raise ValueError(f"no number at byte {at}")
        return number, at + size

    pairs, at = [], 0
    while at < len(block):
        size, start = decode_varint(at)
        if size > len(block) - start:
            raise ValueError(f"no key at byte {start}")
        zigzag, at = decode_varint(start + size)
        pairs.append((block[start:start + size], zigzag >> 1 if zigzag % 2 == 0 else -(zigzag + 1 >> 1)))
    return pairs


def encode_bytes_records(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """One block of records whose values are bytes."""
    return b"".join(encode_varint(len(part)) + part for pair in pairs for part in pair)


def decode_bytes_records(block: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of a block whose values are bytes; ``ValueError`` when it does not parse."""
    parts: list[bytes] = []
    at = 0
    while at < len(block):
        start = at + next((i + 1 for i, byte in enumerate(block[at:at + 10]) if byte < 0x80), 11)
        at = start + sum((byte & 0x7F) << 7 * i for i, byte in enumerate(block[at:start]))
        if at > len(block):
            raise ValueError(f"no part at byte {start}")
        parts.append(block[start:at])
    if len(parts) % 2:
        raise ValueError("a key without a value")
    return list(zip(parts[::2], parts[1::2], strict=True))


def merge(runs: list[list[tuple[bytes, int]]]) -> list[tuple[bytes, int]]:
    """Sorted runs as one, equal keys with their values added; ``OverflowError`` when a sum leaves int64 on the way.

    Values are added in the order of the runs, and in a run in its own.
    """
    combined: list[tuple[bytes, int]] = []
    for key, group in itertools.groupby(heapq.merge(*runs, key=operator.itemgetter(0)), key=operator.itemgetter(0)):
        total = 0
        for _, value in group:
            total += value
            if not -2**63 <= total < 2**63:
                raise OverflowError(key)
        combined.append((key, total))
    return combined


def encode_lines(pairs: Iterable[tuple[bytes, int]]) -> bytes:
    """Pairs as text: key TAB value LF."""
    return b"".join(b"%s\t%d\n" % pair for pair in pairs)


def decode_varints(value: bytes) -> list[int]:
    """The LEB128 numbers that fill ``value``; ``ValueError`` when the last is cut off or one leaves 64 bits."""
    numbers, at = [], 0
    while at < len(value):
        size = next((i + 1 for i, byte in enumerate(value[at:at + 10]) if byte < 0x80), 0)
        numbers.append(sum((byte & 0x7F) << 7 * i for i, byte in enumerate(value[at:at + size])))
        if not size or numbers[-1] >= 2**64:
            raise ValueError(f"no number at byte {at}")
        at += size
    return numbers


def encode_postings(pairs: list[tuple[int, int]]) -> bytes:
    """One group of (document, count) pairs, in the form of ``csrc/mr_postings.h``."""
    deltas = [document - before for (document, _), (before, _) in zip(pairs, [(0, 0), *pairs], strict=False)]
    numbers = [len(pairs), *itertools.chain(*zip(deltas, (count for _, count in pairs), strict=True))]
    return b"".join(map(encode_varint, numbers))


def decode_postings(value: bytes) -> list[tuple[int, int]]:
    """The (document, count) pairs of joined groups, counts of one document added.

    ``ValueError`` when the value does not parse, ``OverflowError`` when a sum leaves int64.
    """
    numbers, pairs, document = iter(decode_varints(value)), collections.Counter[int](), 0
    for size in numbers:
        for index in range(size):
            delta, count = next(numbers, -1), next(numbers, 0)
            before, document = document, delta if index == 0 else document + delta
            if delta < (index > 0) or document < before or document >= 2**32 or not 1 <= count < 2**63:
                raise ValueError(f"no posting after document {before}")
            pairs[document] += count
            if pairs[document] >= 2**63:
                raise OverflowError(document)
        if size == 0:
            raise ValueError("a group without postings")
    if not pairs:
        raise ValueError("a value without a group")
    return sorted(pairs.items())


def postings(records: Iterable[tuple[bytes, bytes]], paths: list[bytes], counts: bool) -> bytes:
    """Text lines of (word, value) records, paths as they are; ``IndexError`` for a document without a path."""
    lines = []
    for word, value in records:
        files = [paths[d] + (b":%d" % count if counts else b"") for d, count in decode_postings(value)]
        lines.append(b"%s\t%s\n" % (word, b",".join(files)))
    return b"".join(lines)


# The simple foldings of code points whose full folding is longer and that have no lower case.
SIMPLE_FOLDINGS = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}


def simple_fold(char: str) -> str:
    """Simple case folding of one character, for those that this Python's Unicode version knows."""
    full, lower = char.casefold(), SIMPLE_FOLDINGS.get(char, char.lower())
    return next((folded for folded in (full, lower) if len(folded) == 1), char)


def unicode(data: bytes, fold: bool = False, mark_lines: bool = False) -> bytes:
    """Each token of ``data`` and, if asked, each of its LF, followed by LF.

    Letters, marks and numbers are those of ``unicodedata.unidata_version``.
    """
    lines: list[str] = []
    # What is not UTF-8 becomes U+FFFD, a symbol.
    for inside, run in itertools.groupby(data.decode(errors="replace"), lambda c: unicodedata.category(c)[0] in "LMN"):
        if inside:
            lines.append("".join(map(simple_fold if fold else str, run)))
        elif mark_lines:
            lines += [""] * list(run).count("\n")
    return "".join(line + "\n" for line in lines).encode()


def ngrams(
    data: bytes, tokenizer: str, n_min: int, n_max: int, lower: bool = False, newlines_break: int = 1
) -> list[bytes]:
    """The n-grams of each line by first token, shortest first; ``newlines_break`` LF between two tokens end a line."""
    pattern = {"whitespace": rb"[^\t\n\v\f\r ]+", "ascii": rb"[A-Za-z0-9_]+", "lines": rb"[^\n]+"}[tokenizer]
    lines: list[list[bytes]] = [[]]
    end = 0
    for found in re.finditer(pattern, data):
        if newlines_break and data.count(b"\n", end, found.start()) >= newlines_break:
            lines.append([])
        lines[-1].append(found[0].lower() if lower else found[0])
        end = found.end()
    return [b" ".join(line[head:head + n])
            for line in lines for head in range(len(line)) for n in range(n_min, n_max + 1) if head + n <= len(line)]


def codec(key: object) -> bytes:
    """The bytes of a key, which ascend as keys of its type do; ``TypeError`` for what is no key."""
    if isinstance(key, tuple):
        return b"".join(codec(part) if isinstance(part, int | float | tuple) else _ended(codec(part)) for part in key)
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, int):
        return (key + 2**63).to_bytes(8, "big")
    if isinstance(key, float):
        bits = int.from_bytes(struct.pack(">d", key + 0.0), "big")
        return (bits ^ (2**64 - 1 if bits >> 63 else 1 << 63)).to_bytes(8, "big")
    raise TypeError(type(key))


def _ended(text: bytes) -> bytes:
    return text.replace(b"\0", b"\0\xff") + b"\0\0"


def fold(kind: str, values: list[float]) -> float:
    """Sum, mean, min, max or first of ints and finite floats, rounded once."""
    if kind in ("min", "max", "first"):
        return values[0] if kind == "first" else min(values) if kind == "min" else max(values)
    total = sum(map(fractions.Fraction, values))
    whole = all(isinstance(value, int) for value in values)
    if kind == "sum":
        return int(total) if whole else float(total)
    return float(total / len(values))


def groups(pairs: Iterable[tuple[bytes, Value]]) -> list[tuple[bytes, list[Value]]]:
    """The values of each key, in their order; keys ascending."""
    found: dict[bytes, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return sorted(found.items())


def output(columns: Iterable[object]) -> bytes:
    """A line of columns that are str, bytes, int or float, each of its column's type."""
    texts = [column if isinstance(column, bytes) else str(column).encode() for column in columns]
    escaped = (text.replace(b"\\", rb"\\").replace(b"\t", rb"\t").replace(b"\n", rb"\n") for text in texts)
    return b"\t".join(escaped) + b"\n"
