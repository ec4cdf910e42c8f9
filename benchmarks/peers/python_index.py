"""Inverted index by a Python function of a line: mrcore run python_index.py FOLDER -o DIR.

A word's names are joined as `mrcore index` joins them.
"""

from collections.abc import Iterable, Iterator

import mrcore as mr


class Index(mr.MapReduce):
    combine = mr.Collect()

    def setup(self, ctx: mr.Context) -> None:
        self.file: str | None = None

    def map(self, record: bytes, ctx: mr.Context) -> Iterator[tuple[bytes, str]]:
        if ctx.input.file != self.file:
            self.file, self.words = ctx.input.file, set[bytes]()
        words = set(record.split()) - self.words
        self.words |= words
        for word in words:
            yield word, self.file

    def reduce(self, key: bytes, values: Iterable[list[str]], ctx: mr.Context) -> Iterator[tuple[bytes, str]]:
        (files,) = values
        yield key, ",".join(sorted(set(files)))
