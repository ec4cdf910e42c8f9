"""Word count by a Python function of a record: mrcore run python_wordcount.py INPUT... -o DIR."""

from collections.abc import Iterable, Iterator

import mrcore as mr


class WordCount(mr.MapReduce):
    combine = mr.Sum()

    def map(self, record: bytes, ctx: mr.Context) -> Iterator[tuple[bytes, int]]:
        for word in record.split():
            yield word, 1

    def reduce(self, key: bytes, values: Iterable[int], ctx: mr.Context) -> Iterator[tuple[bytes, int]]:
        yield key, sum(values)
