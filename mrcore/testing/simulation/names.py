"""The names on a simulated disk: as its node sees them, as they are on the disk, and what lies between.

A creation, renaming or removal is seen at once, and on the disk when its directory is synced. When
power fails before, each of them is on the disk or not, in no order, but each as a whole: a rename
never leaves both names or none.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random

    from mrcore.testing.simulation.blocks import Content


class _Change(NamedTuple):
    """A name is added for a file, or removed, or both at once."""

    content: Content
    added: str
    removed: str

    def apply(self, entries: dict[str, Content]) -> None:
        if self.removed and entries.get(self.removed) is self.content:
            del entries[self.removed]
        if self.added:
            entries[self.added] = self.content

    def touches(self, directory: str) -> bool:
        return any(name and posixpath.dirname(name) == directory for name in (self.added, self.removed))


class Names:
    """Files by path, which is directory, slash and name; directories are there without being made.

    Attributes:
        live: what the node sees; not to be changed from outside.
    """

    __slots__ = ("_changes", "_disk", "live")

    def __init__(self) -> None:
        self.live: dict[str, Content] = {}
        self._disk: dict[str, Content] = {}
        self._changes: list[_Change] = []

    def add(self, path: str, content: Content) -> None:
        """Gives a file a path that is free."""
        self._change(_Change(content, path, ""))

    def remove(self, path: str) -> None:
        """Takes a path away."""
        self._change(_Change(self.live[path], "", path))

    def rename(self, source: str, target: str) -> None:
        """Gives a file another path, in place of the file that has it."""
        self._change(_Change(self.live[source], target, source))

    def sync(self, directory: str) -> None:
        """What was changed in the directory is on the disk, and what was changed before that to the same paths."""
        needed: set[str] = set()
        left: list[_Change] = []
        done: list[_Change] = []
        for change in reversed(self._changes):
            if change.touches(directory) or change.added in needed or change.removed in needed:
                needed |= {path for path in (change.added, change.removed) if path}
                done.append(change)
            else:
                left.append(change)
        for change in reversed(done):
            change.apply(self._disk)
        self._changes = left[::-1]

    def crash(self, rng: random.Random) -> list[str]:
        """Power fails. The kinds of damage: lost_entry or kept_entry for each change that was not synced."""
        rate = rng.choice((0.0, 0.5, 1.0))
        kinds = []
        for change in self._changes:
            kept = rng.random() < rate
            kinds.append("kept_entry" if kept else "lost_entry")
            if kept:
                # A file has one name: that of the last change that was kept, if one before it was not.
                for path in [path for path, content in self._disk.items() if content is change.content]:
                    del self._disk[path]
                change.apply(self._disk)
        self._changes.clear()
        self.live = dict(self._disk)
        return kinds

    def inside(self, directory: str) -> list[str]:
        """The names in a directory, in order."""
        return sorted(posixpath.basename(path) for path in self.live if posixpath.dirname(path) == directory)

    def _change(self, change: _Change) -> None:
        change.apply(self.live)
        self._changes.append(change)
