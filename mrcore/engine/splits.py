"""From inputs to map tasks: which bytes each of them reads, without reading any.

Tasks are numbered in input order. A large file is cut at multiples of the split size; small
files are packed into one task in input order; ``per_file`` makes one task of each file.
"""

from __future__ import annotations

from mrcore.engine.spec import Span
from mrcore.formats.inputs import Input

FILES_MAX = 20_000
"""Files a packed split holds at most: their names travel in its spec."""


def plan_splits(inputs: list[Input], split_bytes: int, *, per_file: bool = False) -> list[tuple[Span, ...]]:
    """The spans of each map task, in input order.

    Args:
        inputs: what :func:`mrcore.formats.inputs.find_inputs` found.
        split_bytes: target size, at least 1.
        per_file: one task a file, whatever its size.
    """
    tasks: list[tuple[Span, ...]] = []
    packed: list[Span] = []
    packed_bytes = 0

    def close() -> None:
        nonlocal packed_bytes
        if packed:
            tasks.append(tuple(packed))
        packed.clear()
        packed_bytes = 0

    for source in inputs:
        if source.size is None or per_file:
            close()
            size = -1 if source.size is None else source.size
            tasks.append((Span(source.path, 0, max(size, 0), size),))
            continue
        for start in range(0, source.size, split_bytes):
            stop = min(start + split_bytes, source.size)
            if packed and (packed_bytes + stop - start > split_bytes or len(packed) == FILES_MAX):
                close()
            packed.append(Span(source.path, start, stop, source.size))
            packed_bytes += stop - start
    close()
    return tasks
