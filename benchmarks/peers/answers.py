"""Whether two word counts are the same answer, whatever the order of their lines and the number of their files.

run.py asks this after every run. An answer is read once, in blocks, so 10 million lines take about two seconds and
little memory. Equal answers have equal numbers of lines, sums of the lines' XXH3-64, and sums of the counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

BLOCK_BYTES = 16 << 20
TAB, NEWLINE, ZERO = ord("\t"), ord("\n"), ord("0")


class AnswerError(Exception):
    """An output is not lines of ``word TAB count``."""


@dataclass(frozen=True, slots=True)
class Answer:
    lines: int
    hash_sum: int  # of XXH3-64 of every line without its newline, mod 2^64
    count_sum: int

    def __str__(self) -> str:
        return f"{self.lines:,} words, {self.count_sum:,} tokens, {self.hash_sum:016x}"


def read_answer(output: Path) -> Answer:
    """The answer in a file, or in the part files of a directory."""
    files = sorted(output.glob("part-*")) if output.is_dir() else [output]
    lines = hash_sum = count_sum = 0
    for block in (block for file in files for block in whole_lines(file)):
        words = block.split(b"\n")
        words.pop()
        lines += len(words)
        hash_sum += sum(map(xxhash.xxh3_64_intdigest, words))
        count_sum += sum_counts(block)
    return Answer(lines, hash_sum % 2**64, count_sum)


def whole_lines(file: Path) -> Iterable[bytes]:
    """The file in blocks that end with a newline; a last line without one is given one."""
    rest = b""
    with file.open("rb") as source:
        while block := source.read(BLOCK_BYTES):
            head, newline, tail = block.rpartition(b"\n")
            if newline:
                yield rest + head + newline
                rest = tail
            else:
                rest += block
    if rest:
        yield rest + b"\n"


def sum_counts(block: bytes) -> int:
    """The sum of the decimal numbers before the newlines: of all ones first, then of all tens, and so on."""
    text = np.frombuffer(block, dtype=np.uint8)
    position = np.flatnonzero(text == NEWLINE) - 1
    total, place = 0, 1
    while position.size:
        if position[0] < 0:
            raise AnswerError("a line holds no TAB")
        digit = text[position]
        inside = digit != TAB
        if place == 1 and not inside.all():
            raise AnswerError("a line holds no count")
        values = digit[inside].astype(np.int64) - ZERO
        if values.size and not 0 <= values.min() <= values.max() <= 9:
            raise AnswerError("a line does not end in TAB and a decimal number")
        total += int(values.sum()) * place
        position = position[inside] - 1
        place *= 10
    return total
