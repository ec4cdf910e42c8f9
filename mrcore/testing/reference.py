"""Plain-Python references of the kernels: slow, obvious, and what the kernels are tested against."""
from __future__ import annotations

import bisect
import collections
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
