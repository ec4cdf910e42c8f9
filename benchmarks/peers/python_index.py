"""Inverted index by a Python function of a line: mrcore run python_index.py FOLDER -o DIR.

A word's names are joined as `mrcore index` joins them.
"""

from collections.abc import Iterable, Iterator

import mrcore as mr


class Index(mr.MapReduce):
    combine = mr.Collect()

    def map(self, record: bytes, ctx: mr.Context) -> Iterator[tuple[bytes, bytes]]:
        file = ctx.input.file
        for word in record.split():
            yield word, file

    def reduce(self, key: bytes, values: Iterable[bytes], ctx: mr.Context) -> Iterator[tuple[bytes, bytes]]:
        yield key, b",".join(sorted(set(values)))
