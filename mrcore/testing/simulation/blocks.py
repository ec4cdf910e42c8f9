"""What one file of a simulated disk holds: as its node sees it, as it is on the disk, and what lies between.

A write or truncation changes what the node sees at once, and the disk at the next sync. When power
fails before, each block of the file is on the disk as it was at some moment since the last sync, and
so is the size, each at a moment of its own: a write of many blocks is torn, the last block of a
file that was appended to is there in an older state, and a file that has grown over blocks that are
not there holds zeros, or what stood in the same place of a file that was removed. Within a block the
bytes are of one moment, so those that were synced stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

BLOCK_BYTES = (512, 4096)
"""Of what a disk writes whole: sectors of old and new ones. Each crash draws one."""


class Settled(NamedTuple):
    """What is on the disk after power failed, and how it came about."""

    data: bytearray
    kinds: tuple[str, ...]


class _Change(NamedTuple):
    """A write of ``data`` at ``offset``; without data, a truncation to that size."""

    offset: int
    data: bytes | None

    def apply(self, block: bytearray, start: int) -> None:
        """Changes one block, which stands at ``start`` in the file."""
        at = self.offset - start
        if self.data is None:
            at = max(0, at)
            block[at:] = bytes(len(block) - at)
        else:
            part = self.data[max(0, -at) : len(block) - at]
            at = max(0, at)
            block[at : at + len(part)] = part


class Content:
    """The bytes of one file.

    Args:
        block_bytes: of what the disk writes whole; each crash draws one.

    Attributes:
        live: as the node sees them; not to be changed from outside.
        named: whether it has a name still; belongs to the disk.
    """

    __slots__ = ("_block_bytes", "_changes", "_disk", "live", "named")

    def __init__(self, block_bytes: Sequence[int] = BLOCK_BYTES) -> None:
        self._block_bytes = block_bytes
        self.live = bytearray()
        self.named = True
        self._disk = bytearray()
        self._changes: list[_Change] = []

    @property
    def synced(self) -> bytes:
        """What every crash leaves."""
        return bytes(self._disk)

    def write(self, offset: int, data: bytes) -> None:
        """Writes; a gap before ``offset`` is zeros."""
        _put(self.live, offset, data)
        self._changes.append(_Change(offset, data))

    def truncate(self, size: int) -> None:
        """Makes it shorter, or longer by zeros."""
        _resize(self.live, size)
        self._changes.append(_Change(size, None))

    def sync(self) -> None:
        """What was changed is on the disk."""
        for offset, data in self._changes:
            if data is None:
                _resize(self._disk, offset)
            else:
                _put(self._disk, offset, data)
        self._changes.clear()

    def fail_sync(self, rng: random.Random, stale: bytes = b"") -> tuple[str, ...]:
        """What was changed is on the disk in part, and no later sync will bring the rest, as the system calls it clean.

        The node sees its changes still, or what is on the disk, as the system evicts them or not. The kinds of damage,
        see :meth:`settle`.
        """
        self._disk, kinds = self.settle(rng, stale)
        self._changes.clear()
        if rng.random() < 0.5:
            self.live = bytearray(self._disk)
        return kinds

    def crash(self, rng: random.Random, stale: bytes = b"") -> tuple[str, ...]:
        """Power fails: what is on the disk is all there is. The kinds of damage, see :meth:`settle`."""
        self._disk, kinds = self.settle(rng, stale)
        self._changes.clear()
        self.live = bytearray(self._disk)
        return kinds

    def flip(self, bit: int) -> None:
        """Flips a bit, at rest and as the node sees it."""
        for data in (self.live, self._disk):
            if bit // 8 < len(data):
                data[bit // 8] ^= 1 << bit % 8

    def settle(self, rng: random.Random, stale: bytes = b"") -> Settled:
        """What would be on the disk if power failed now.

        The kinds are lost_write (no changed block is as it was last), torn_write (some are) or kept_write (all
        are, though not synced), and zero_block or stale_block (the file has grown over a block that is not there).

        Args:
            rng: decides.
            stale: of a file that was removed.
        """
        if not self._changes:
            return Settled(bytearray(self._disk), ())
        width = rng.choice(self._block_bytes)
        fate = rng.choice((0.0, 1.0, None, None))  # all of it is lost or kept, or each block has its own
        hole = stale if rng.random() < 0.5 else b""
        around = max(width, -(-len(hole) // width) * width)
        sizes = self._sizes()
        size = _moment(sizes, rng, fate)
        data = bytearray(self._disk)
        _resize(data, size)
        kept = lost = holes = 0
        for index, changes in sorted(self._changed_blocks(width, max(sizes)).items()):
            start = index * width
            moment = _moment(range(len(changes) + 1), rng, fate)
            if start >= size:
                lost += start < sizes[-1]
                continue
            kept += moment == len(changes)
            lost += moment < len(changes)
            block = self._disk[start : start + width].ljust(width, b"\0")
            for change in changes[:moment]:
                change.apply(block, start)
            if not moment and start >= len(self._disk):
                holes += 1
                at = start % around
                block = bytearray(hole[at : at + width].ljust(width, b"\0"))
            data[start : start + width] = block[: size - start]
        kind = "torn_write" if kept and lost else "kept_write" if kept else "lost_write"
        return Settled(data, (kind, "stale_block" if hole else "zero_block") if holes else (kind,))

    def _sizes(self) -> list[int]:
        """The size on the disk, and after each change."""
        sizes = [len(self._disk)]
        for offset, data in self._changes:
            sizes.append(offset if data is None else max(sizes[-1], offset + len(data)))
        return sizes

    def _changed_blocks(self, width: int, size_max: int) -> dict[int, list[_Change]]:
        """The changes of each block that any of them touches."""
        blocks: dict[int, list[_Change]] = {}
        for change in self._changes:
            stop = size_max if change.data is None else change.offset + len(change.data)
            for index in range(change.offset // width, -(-stop // width)):
                blocks.setdefault(index, []).append(change)
        return blocks


def _moment(states: Sequence[int], rng: random.Random, fate: float | None) -> int:
    """The first state, the last one, or any."""
    return rng.choice(states) if fate is None else states[-1] if fate else states[0]


def _put(data: bytearray, offset: int, part: bytes) -> None:
    if offset > len(data):
        _resize(data, offset)
    data[offset : offset + len(part)] = part


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))
