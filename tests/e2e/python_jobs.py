"""Jobs of the kinds that users write, and for each what plain Python says its result is.

Beside the tests, so that worker processes can import it as they import what stands beside a user's job.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import mrcore as mr


class Point:
    """A class that travels as a pickle."""

    def __init__(self, x: int, y: str) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and vars(self) == vars(other)

    __hash__ = None


def digest(values: Iterable[Any]) -> str:
    """Of all values in their order: no order but the right one gives it."""
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()


class Words(mr.MapReduce):
    """The count of each word."""

    combine = mr.Sum()

    def map(self, record, ctx):
        for word in record.split():
            yield word, 1


class Grouped(mr.MapReduce):
    """Of each first letter a digest of all that begins with it, where it stands and in which order."""

    def map(self, record, ctx):
        for index, word in enumerate(record.split()):
            yield word[:1], (word, ctx.input.file, ctx.input.offset, index, bytes(30))

    def reduce(self, key, values, ctx):
        yield key, digest(values)


class Combined(mr.MapReduce):
    """Number, least, largest and total length of the words of each length of a line."""

    def map(self, record, ctx):
        words = record.split()
        for word in words:
            yield len(words), (1, word, word, len(word))

    def combine(self, key, values, ctx):
        many, least, largest, total = next(values)
        for value in values:
            many, total = many + value[0], total + value[3]
            least, largest = min(least, value[1]), max(largest, value[2])
        yield key, (many, least, largest, total)

    def reduce(self, key, values, ctx):
        for _, value in self.combine(key, values, ctx):
            yield key, value


class Gathered(mr.MapReduce):
    """All words of a line by their first two letters, as str."""

    encoding = "latin-1"
    combine = mr.Collect()

    def map(self, record, ctx):
        for word in record.split():
            yield word[:2], word[-3:]


class Best(mr.MapReduce):
    """The longest words of each first letter; of equally long ones the first."""

    combine = mr.TopK(4, key=len)

    def map(self, record, ctx):
        for word in record.split():
            yield word[:1], word

    def reduce(self, key, values, ctx):
        (best,) = values
        yield key, best
        yield key, len(best)


class Average(mr.MapReduce):
    """The mean of floats whose sum depends on the order in which it is rounded."""

    combine = mr.Mean()

    def map(self, record, ctx):
        for index, word in enumerate(record.split()):
            yield (len(word) % 7, float(index % 3)), math.sin(len(word) + index) * 10.0 ** (sum(word) % 40 - 20)

    def partition(self, key, reducers):
        return -key[0]


class Sorted(mr.MapReduce):
    """No reducer: every pair, by key; those of one key in input order."""

    def map(self, record, ctx):
        for word in record.split():
            yield word[-2:], Point(ctx.input.offset, word.hex()[:9])

    def partition(self, key, reducers):
        return len(key)


class Counting(mr.MapReduce):
    """Counts all that is called; every record comes out with its place."""

    def setup(self, ctx):
        self.seen = 0
        ctx.counter(f"setup {ctx.phase}").add()

    def map(self, record, ctx):
        self.seen += 1
        ctx.counter("lines").add()
        ctx.counter("bytes").add(len(record))
        yield len(record) % 10, (ctx.input.file, ctx.input.offset, record[:20])

    def reduce(self, key, values, ctx):
        self.seen += 1
        ctx.counter("keys").add()
        for value in values:
            ctx.counter("values").add()
            yield key, value

    def teardown(self, ctx):
        ctx.counter(f"teardown {ctx.phase}").add()
        ctx.counter(f"seen {ctx.phase}").add(self.seen)


def _flat(made: Callable[[list[Any]], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [made(values)]


def _combined(values: list[Any]) -> tuple[Any, ...]:
    many, least, largest, total = zip(*values, strict=True)
    return sum(many), min(least), max(largest), sum(total)


def _mean(values: list[float]) -> float:
    top, bottom = 0, 1
    for value in values:
        a, b = value.as_integer_ratio()
        top, bottom = top * b + a * bottom, bottom * b
        common = math.gcd(top, bottom)
        top, bottom = top // common, bottom // common
    return top / (bottom * len(values))


def _best(values: list[bytes]) -> list[Any]:
    best = heapq.nlargest(4, values, len)
    return [best, len(best)]


JOBS: dict[type[mr.MapReduce], Callable[[list[Any]], list[Any]]] = {  # what becomes of a key's values
    Words: _flat(sum), Grouped: _flat(digest), Combined: _flat(_combined), Gathered: _flat(list), Best: _best,
    Average: _flat(_mean), Sorted: list,
}  # fmt: skip


def lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and content of each line."""
    at = 0
    for line in text.removesuffix(b"\n").split(b"\n") if text else ():
        yield at, line
        at += len(line) + 1


def expected(job: type[mr.MapReduce], texts: dict[str, bytes]) -> list[tuple[Any, Any]]:
    """What a job's result is, sorted by key."""
    made, groups = job(), dict[Any, list[Any]]()
    for name, text in texts.items():
        for offset, line in lines(text):
            at = types.SimpleNamespace(input=types.SimpleNamespace(file=name, offset=offset))
            for key, value in made.map(line.decode(made.encoding) if made.encoding else line, at):
                groups.setdefault(key, []).append(value)
    finish = JOBS[job]
    return [(key, value) for key in sorted(groups) for value in finish(groups[key])]
