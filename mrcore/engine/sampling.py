"""Splitters for a range partition: a look at a few places of the input.

The result decides how even the partitions are, never what the output is: whatever the
splitters, the partitions one after the other are the whole in order.
"""

from __future__ import annotations

from mrcore.formats.inputs import Input
from mrcore.kernels.tokenize import spans
from mrcore.storage.mapped import sample

PLACES = 24
PLACE_BYTES = 8 << 10


def plan_splitters(inputs: list[Input], partitions: int, tokenizer: str, lower: bool) -> tuple[bytes, ...]:
    """At most ``partitions - 1`` ascending keys that part the distinct tokens about evenly.

    Reads 24 places of 8 KiB, evenly over the bytes of the inputs whose size is known.
    """
    total = sum(source.bytes for source in inputs)
    if partitions < 2 or not total:
        return ()
    tokens: set[bytes] = set()
    places = iter(range(0, total, -(-total // PLACES)))
    place: int | None = next(places)
    before = 0
    for source in inputs:
        while place is not None and place < before + source.bytes:
            data = sample(source.path, place - before, PLACE_BYTES)
            found = [data[a:b] for a, b in spans(data, tokenizer)][1:-1]  # the outer two may be cut
            tokens.update(token.lower() if lower else token for token in found)
            place = next(places, None)
        before += source.bytes
        if place is None:
            break
    ordered = sorted(tokens)
    cuts = {ordered[len(ordered) * p // partitions] for p in range(1, partitions)} if ordered else set()
    return tuple(sorted(cuts))
