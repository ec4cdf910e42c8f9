"""Inverted index by a Python function of a file's lines: mrcore run python_index.py:Lists FOLDER -o DIR.

As the peers do it, the words of a file are a set. Joined joins a word's names as `mrcore index` does, ByLine is that
with a function of a line, as one would write it first.
"""

from collections.abc import Iterable, Iterator

import numpy as np

import mrcore as mr


class ByLine(mr.MapReduce):
    combine = mr.Collect()

    def map(self, record: bytes, ctx: mr.Context) -> Iterator[tuple[bytes, str | None]]:
        file = ctx.input.file
        for word in set(record.split()):
            yield word, file

    def reduce(self, key: bytes, values: Iterable[list[str]], ctx: mr.Context) -> Iterator[tuple[bytes, str]]:
        (files,) = values
        yield key, ",".join(dict.fromkeys(files))  # a file comes once a line, or in several batches


class Lists(mr.MapReduce):
    """With the values as Collect leaves them: a list. Of a file in several batches the name would come as often."""

    combine = mr.Collect()

    def setup(self, ctx: mr.Context) -> None:
        self.ctx = ctx

    def map_batches(self, data: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[bytes, str | None]]:
        file = self.ctx.input.file
        for word in set(data[offsets[0, 0] : offsets[-1, 1]].tobytes().split()):
            yield word, file


class Joined(Lists):
    """As `mrcore index` writes it, for which Python is called for each word once more."""

    reduce = ByLine.reduce
