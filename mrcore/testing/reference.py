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
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer


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
        "whitespace": bytes.split, "ascii": re.compile(rb"[A-Za-z0-9_]+").findall}
    return split[tokenizer](data.lower() if lower else data)


def table(data: bytes, tokenizer: str, lower: bool = False) -> list[tuple[bytes, int]]:
    """How often each token occurs, ascending by token."""
    return sorted(collections.Counter(tokenize(data, tokenizer, lower)).items())


def sort(keys: list[bytes]) -> list[int]:
    """The indices that sort ``keys``, equal keys in their order."""
    return sorted(range(len(keys)), key=keys.__getitem__)


def partition_range(key: bytes, splitters: list[bytes]) -> int:
    """Index of the partition of ``key`` when partition ``p`` holds ``splitters[p-1] <= key < splitters[p]``."""
    return bisect.bisect_right(splitters, key)


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
