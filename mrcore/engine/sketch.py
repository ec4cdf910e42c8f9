"""How many distinct keys there are, about: a HyperLogLog in the place of table and runs."""

from __future__ import annotations

from mrcore.engine.combiner import WINDOW, TokenTooLong
from mrcore.kernels.hyperloglog import HyperLogLog
from mrcore.storage.partfile import read_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from mrcore.engine.spec import TaskResult

PRECISION = 14
"""16384 registers: a standard error of 0.81 %."""


class Sketch:
    """Takes keys; a sink of :class:`mrcore.engine.keys.KeyFeed`."""

    window = WINDOW
    key_share = 6

    def __init__(self, tokenizer: str, lower: bool, memory: int) -> None:
        self.memory = memory
        self._sketch = HyperLogLog(PRECISION, tokenizer, lower)

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """Counts keys; as :meth:`mrcore.engine.combiner.Combiner.feed`."""
        fed = self._sketch.feed(data, start, stop, final)
        if stop - fed > self.memory // 5:  # of one token, which is looked at again with what follows
            raise TokenTooLong(fed, stop - fed)
        return fed

    @property
    def tokens(self) -> int:
        """Keys that were fed."""
        return self._sketch.tokens

    @property
    def registers(self) -> bytes:
        """The sketch as bytes."""
        return self._sketch.registers

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory in use."""
        return self._sketch.memory_bytes


def merge_sketches(results: Iterable[TaskResult]) -> HyperLogLog:
    """The sketch of everything that the tasks have seen.

    Raises:
        CorruptionError: a file is not what was written.
    """
    merged = HyperLogLog(PRECISION)
    for result in results:
        merged.merge(read_part(result.output, 1 << PRECISION, result.check))
    return merged
