"""From inputs to map tasks: which bytes each of them reads, without reading any.

Tasks are numbered in input order. A large file is cut at multiples of the split size; small
files are packed into one task in input order; ``per_file`` makes one task of each file. With
``taper`` the last quarter of the bytes is cut into halves of a split, so that the workers end
at about the same time (after guided self-scheduling: Polychronopoulos and Kuck, IEEE
Transactions on Computers C-36(12), 1987; by input bytes here, not by workers).
"""

from __future__ import annotations

from mrcore.engine.spec import Span
from mrcore.formats.inputs import Input

FILES_MAX = 20_000
"""Files a packed split holds at most: their names travel in its spec."""


def plan_splits(
    inputs: list[Input], split_bytes: int, *, per_file: bool = False, taper: bool = False, whole: bool = False
) -> list[tuple[Span, ...]]:
    """The spans of each map task, in input order.

    Args:
        inputs: what :func:`mrcore.formats.inputs.find_inputs` found.
        split_bytes: target size, at least 1.
        per_file: one task a file, whatever its size.
        taper: half the split size from three quarters of the bytes on.
        whole: do not cut files.
    """
    taper_from = sum(source.bytes for source in inputs) * 3 // 4 if taper else None
    seen = 0  # bytes of the inputs before the next piece
    tasks: list[tuple[Span, ...]] = []
    packed: list[Span] = []
    packed_bytes = 0

    def close() -> None:
        nonlocal packed_bytes
        if packed:
            tasks.append(tuple(packed))
        packed.clear()
        packed_bytes = 0

    for document, source in enumerate(inputs):
        if source.size is None or per_file:
            close()
            size = -1 if source.size is None else source.size
            tasks.append((Span(source.path, 0, max(size, 0), size, document),))
            continue
        start = 0
        while start < source.size:
            target = split_bytes if taper_from is None or seen < taper_from else max(1, split_bytes // 2)
            stop = source.size if whole else min(start + target, source.size)
            if packed and (packed_bytes + stop - start > target or len(packed) == FILES_MAX):
                close()
            packed.append(Span(source.path, start, stop, source.size, document))
            packed_bytes += stop - start
            seen += stop - start
            start = stop
    close()
    return tasks
