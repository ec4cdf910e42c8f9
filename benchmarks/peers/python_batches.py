"""How many words have each length, by NumPy on batches of lines: mrcore run python_batches.py INPUT... -o DIR.

Between a line and the next there is only what ends a line, so a batch is one text: words are what lies between
separators, and their lengths are the distances between those.
"""

from collections.abc import Iterable, Iterator

import numpy as np

import mrcore as mr


class WordLengths(mr.MapReduce):
    combine = mr.Sum()

    def map_batches(self, data: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if not len(offsets):
            return
        text = data[offsets[0, 0] : offsets[-1, 1]]
        is_separator = (text - np.uint8(9) < 5) | (text == 32)  # TAB, LF, VT, FF, CR; below 9 it wraps around
        ends = np.flatnonzero(is_separator)
        counts = np.bincount(np.diff(ends, prepend=-1, append=len(text)) - 1)
        counts[0] = 0  # two separators side by side, or one at an end
        lengths = np.flatnonzero(counts)
        yield lengths, counts[lengths]

    def reduce(self, key: int, values: Iterable[int], ctx: mr.Context) -> Iterator[tuple[int, int]]:
        yield key, sum(values)
