"""Splitters for a range partition: a look at a few places of the input.

The result decides how even the partitions are, never what the output is: whatever the
splitters, the partitions one after the other are the whole in order.
"""

from __future__ import annotations

from mrcore.engine.keys import KeyFeed, table_keys
from mrcore.engine.spec import Keys
from mrcore.formats.inputs import Input
from mrcore.kernels.tokenize import spans
from mrcore.storage.mapped import sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

PLACES = 24
PLACE_BYTES = 8 << 10
PLACE_MEMORY = 64 << 20  # for the n-grams of a place


class _Collector:
    """Takes keys into a set; a sink of :class:`mrcore.engine.keys.KeyFeed`."""

    window, memory, key_share = PLACE_BYTES, PLACE_MEMORY, 1

    def __init__(self, keys: Keys) -> None:
        self.seen: set[bytes] = set()
        self._tokenizer, self._lower = table_keys(keys)

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        text = bytes(memoryview(data)[start:stop])
        if self._lower:
            text = text.lower()
        self.seen.update(text[a:b] for a, b in spans(text, self._tokenizer))
        return stop


def plan_splitters(inputs: list[Input], partitions: int, keys: Keys) -> tuple[bytes, ...]:
    """At most ``partitions - 1`` ascending keys that part the distinct keys about evenly.

    Reads 24 places of 8 KiB, evenly over the bytes of the inputs whose size is known.
    """
    total = sum(source.bytes for source in inputs)
    if partitions < 2 or not total:
        return ()
    sink = _Collector(keys)
    feed = KeyFeed(keys, sink)
    places = iter(range(0, total, -(-total // PLACES)))
    place: int | None = next(places)
    before = 0
    for source in inputs:
        while place is not None and place < before + source.bytes:
            data = sample(source.path, place - before, PLACE_BYTES)
            feed.feed(data, 0, len(data), True)  # the outer keys may be cut: as good as others to part at
            place = next(places, None)
        before += source.bytes
        if place is None:
            break
    ordered = sorted(sink.seen)
    cuts = {ordered[len(ordered) * p // partitions] for p in range(1, partitions)} if ordered else set()
    return tuple(sorted(cuts))
