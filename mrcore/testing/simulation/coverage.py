"""How often each thing happened: faults by kind, rows of transition tables, whatever has a name.

A seed counts into its own :class:`Coverage`; the counts of many seeds are merged and printed as a
table. Names that were declared show up with zero when they never happened, which is what the
table is read for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Coverage:
    """Counts by name.

    Args:
        names: declared, and so counted from zero.
    """

    __slots__ = ("_counts", "_seeds")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._counts: dict[str, int] = dict.fromkeys(names, 0)
        self._seeds: dict[str, int] = {}  # of those merged into this: in how many the name occurs

    def add(self, name: str, count: int = 1) -> None:
        """It happened, ``count`` times."""
        self._counts[name] = self._counts.get(name, 0) + count

    def __getitem__(self, name: str) -> int:
        """How often it happened: 0 for a name never heard of."""
        return self._counts.get(name, 0)

    def __iter__(self) -> Iterator[str]:
        """The names, in their order as bytes."""
        return iter(sorted(self._counts))

    def __len__(self) -> int:
        return len(self._counts)

    def seeds(self, name: str) -> int:
        """In how many of the merged seeds it happened; before any was merged, in this one."""
        return self._seeds.get(name, 0) if self._seeds else int(self[name] > 0)

    def merge(self, other: Coverage) -> None:
        """Adds the counts of one seed, or of seeds that were merged before. The order of merging does not show."""
        for name, count in other._counts.items():
            self.add(name, count)
            self._seeds[name] = self._seeds.get(name, 0) + other.seeds(name)

    def below(self, count: int) -> list[str]:
        """The names that happened less than ``count`` times."""
        return [name for name in self if self._counts[name] < count]

    def table(self) -> str:
        """Lines of count, seeds and name, by name, under a line that says so."""
        rows = [("count", "seeds", "name"), *((f"{self[name]:,}", f"{self.seeds(name):,}", name) for name in self)]
        counts, seeds = (max(len(row[column]) for row in rows) for column in (0, 1))
        return "".join(f"{row[0]:>{counts}}  {row[1]:>{seeds}}  {row[2]}\n" for row in rows)
