"""Records in batches, for functions over NumPy arrays: ``f(data, offsets)``.

``data`` are the bytes of some text as they were read, ``offsets`` the (start, stop) of its records;
nothing is copied. The function yields pairs, or pairs of two equally long arrays.

A batch has the name of its first record: it is passed over as a whole, or not at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mrcore.kernels.tokenize import fill_spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Set

    from typing_extensions import Buffer

    from mrcore.kernels.chain import Chain

BATCH_RECORDS = 1 << 16
NO_RECORD = -1  # in a cell


class BatchFeed:
    """Gives text to a user's function in batches; a sink of :class:`mrcore.engine.keys.KeyFeed`.

    Args:
        function: ``function(data, offsets)``.
        chain: takes each pair.
        tokenizer: what a record is: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`.
        cell: as of :class:`mrcore.kernels.drain.RecordFeed`, whose ``skip`` and ``skipped`` there are too.
    """

    def __init__(
        self, function: Callable[..., Any], chain: Chain, tokenizer: str, *, cell: memoryview | None = None
    ) -> None:
        self._cell = memoryview(bytearray(8)).cast("q") if cell is None else cell
        self.skip: Set[int] | None = None
        self._function, self._chain, self._tokenizer = function, chain, tokenizer
        self._offsets = np.empty((BATCH_RECORDS, 2), np.int64)
        self.base = self.offset = self.records = self.skipped = 0

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """Gives on the records of ``data[start:stop]`` that end inside it; the offset from which on to feed again."""
        at = start
        view = np.frombuffer(memoryview(data), np.uint8)
        view.flags.writeable = False
        while at < stop:
            count, after = fill_spans(data, at, stop, final, self._tokenizer, self._offsets)
            if not count:
                return after if after == stop else at
            self.offset = self.base + int(self._offsets[0, 0])
            if self.skip is not None and self.offset in self.skip:
                self.skipped += count
            else:
                self._run(view, count)
            at = after
            if count < BATCH_RECORDS:
                break
        return at

    def _run(self, view: np.ndarray, count: int) -> None:
        self._cell[0] = self.offset
        self.records += count
        made = self._function(view, self._offsets[:count])
        if made is None or isinstance(made, np.ndarray):
            raise TypeError(f"map_batches() got {type(made).__name__}: yield pairs, or a pair of arrays")
        self._chain.push_arrays(made, "map_batches", np.ndarray, _pairs)
        self._cell[0] = NO_RECORD


def _pairs(keys: Any, values: Any) -> Iterator[tuple[Any, Any]]:
    """The pairs of an array of keys and one of values."""
    if not isinstance(values, np.ndarray) or keys.shape != values.shape or keys.ndim != 1:
        raise TypeError("map_batches() yielded an array of keys without an equally long array of values")
    return zip(keys.tolist(), values.tolist(), strict=True)
