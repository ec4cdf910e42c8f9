"""How many words have each length, by NumPy on batches: mrcore run python_batches.py:word_lengths INPUT... -o DIR."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import mrcore as mr


def lengths(data: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    counts = np.bincount(offsets[:, 1] - offsets[:, 0])
    present = np.flatnonzero(counts)
    yield present, counts[present]


def word_lengths(inputs: list[str]) -> Any:
    return mr.read_text(inputs).words().map_batches(lengths).reduce_by_key(mr.Sum())
