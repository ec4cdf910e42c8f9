"""All values of a key in one place, without a combiner: mrcore run python_groupby.py INPUT... -o DIR."""

from collections.abc import Iterable, Iterator

import mrcore as mr


class Groups(mr.MapReduce):
    def map(self, record: bytes, ctx: mr.Context) -> Iterator[tuple[int, float]]:
        key, value = record.split(b"\t")
        yield int(key), float(value)

    def reduce(self, key: int, values: Iterable[float], ctx: mr.Context) -> Iterator[tuple[int, list[float]]]:
        group = list(values)
        yield key, [len(group), sum(group)]
