"""Whether two answers are the same, whatever the order of their lines and the number of their files.

measure.py asks this after every run. Equal answers have equal numbers of lines, sums of the lines' XXH3-64, and sums of
the counts. A compiled helper, sum_lines.c, reads the long ones. Only of a top list the order counts.
"""

import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xxhash


class AnswerError(Exception):
    """An output is not in the form that its job has."""


@dataclass(frozen=True, slots=True)
class Answer:
    lines: int
    hash_sum: str  # of XXH3-64 of every line without its newline, mod 2^64
    total: int  # of the counts, or of the files in the lists
    units: tuple[str, str]  # of the lines and of the total

    def __str__(self) -> str:
        return f"{self.lines:,} {self.units[0]}, {self.total:,} {self.units[1]}, {self.hash_sum}"


# Arguments are the sum_lines program, the output (a file, or a directory of part files), and the job's input.
Reader = Callable[[Path, Path, Path], Answer]


def read_counts(sum_lines: Path, output: Path, _: Path) -> Answer:
    """``word TAB count``, one a line."""
    return sum_up(("words", "tokens"), [sum_lines, "counts", *parts(output)])


def read_bigrams(sum_lines: Path, output: Path, _: Path) -> Answer:
    """``word word TAB count``."""
    return sum_up(("bigrams", "places"), [sum_lines, "counts", *parts(output)])


def read_index(sum_lines: Path, output: Path, source: Path) -> Answer:
    """``word TAB path,path,...``, absolute or from the folder on: what leads to the folder, and it, do not count."""
    return sum_up(("words", "postings"), [sum_lines, "index", source.name, *parts(output)])


def read_index_of_lists(sum_lines: Path, output: Path, source: Path) -> Answer:
    """``word TAB ['path', 'path', ...]``, compared as ``word TAB path,path,...``, which an output may have as well."""
    with parts(output)[0].open("rb") as first:
        if b"\t['" not in first.readline():
            return read_index(sum_lines, output, source)
    made = sum_lines.with_name("joined")
    with made.open("wb") as joined:
        for part in parts(output):
            for line in part.open("rb"):
                word, _, names = line.rpartition(b"\t")
                if not (names.startswith(b"['") and names.endswith(b"']\n")) or b'"' in names:
                    raise AnswerError(f"not a list of plain names: {line[:80]!r}")
                joined.write(word + b"\t" + names[2:-3].replace(b"', '", b",") + b"\n")
    return read_index(sum_lines, made, source)


def read_groups(sum_lines: Path, output: Path, _: Path) -> Answer:
    """``key TAB [number of values, ...]``; of the number the total is made."""
    return sum_up(("keys", "values"), [sum_lines, "groups", *parts(output)])


def read_lengths(sum_lines: Path, output: Path, _: Path) -> Answer:
    """``length of a word TAB count``."""
    return sum_up(("lengths", "tokens"), [sum_lines, "counts", *parts(output)])


def read_counts_as_lengths(sum_lines: Path, output: Path, source: Path) -> Answer:
    """``word TAB count``, of which the lengths of words are made: an answer like that of ``read_lengths``."""
    tokens: Counter[int] = Counter()
    for part in parts(output):
        for line in part.read_bytes().splitlines():
            word, _, count = line.rpartition(b"\t")
            tokens[len(word)] += int(count)
    made = sum_lines.with_name("lengths")
    made.write_text("".join(f"{length}\t{count}\n" for length, count in tokens.items()))
    return read_lengths(sum_lines, made, source)


def read_number(_: Path, output: Path, __: Path) -> Answer:
    """One line with a decimal number."""
    text = output.read_bytes().strip()
    if not text.isdigit():
        raise AnswerError(f"not a number: {text[:40]!r}")
    return Answer(1, xxhash.xxh3_64_hexdigest(text), int(text), ("line", "distinct tokens"))


def read_top(_: Path, output: Path, __: Path) -> Answer:
    """``word TAB count``, few, and in order: the hash is that of the whole text."""
    text = output.read_bytes()
    counts = [line.rpartition(b"\t")[2] for line in text.splitlines()]
    if not all(map(bytes.isdigit, counts)):
        raise AnswerError("a line does not end in TAB and a decimal number")
    return Answer(len(counts), xxhash.xxh3_64_hexdigest(text), sum(map(int, counts)), ("words", "tokens"))


def parts(output: Path) -> list[Path]:
    return sorted(output.glob("part-*")) if output.is_dir() else [output]


def sum_up(units: tuple[str, str], command: list[str | Path]) -> Answer:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise AnswerError(done.stderr.strip() or f"sum_lines ended with {done.returncode}")
    lines, hash_sum, total = done.stdout.split()
    return Answer(int(lines), hash_sum, int(total), units)
