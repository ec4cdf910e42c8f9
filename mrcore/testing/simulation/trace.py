"""What happened, line by line, and a digest that tells two stories apart.

A line is a time, a node and what the node did. Lines are collected as they come and made into
text some thousand at a time; the text goes into a running SHA-256 and is then forgotten, but for
the last lines, which a failure report shows. So a trace that nobody reads costs a tuple a line, and
the formatting in bulk: 2 µs together, where a line has five words.

Two runs are the same story if and only if their digests and numbers of lines are equal.
"""

from __future__ import annotations

import collections
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_MAX = 1000
"""Lines that are kept unless told otherwise: what one reads of a failure before asking for all."""

_BATCH = 4096
_SECOND_NS = 1_000_000_000

Word = str | int | bytes


class Trace:
    """The lines of one world.

    Args:
        kept_max: lines kept for :meth:`text`; None keeps all.
        write: is given the text of all lines, some thousand at a time and the rest by :meth:`flush`.
    """

    __slots__ = ("_digest", "_done", "_kept", "_pending", "_write")

    def __init__(self, kept_max: int | None = KEPT_MAX, write: Callable[[str], object] | None = None) -> None:
        self._pending: list[tuple[int, str, tuple[Word, ...]]] = []
        self._kept: collections.deque[str] = collections.deque(maxlen=kept_max)
        self._digest = hashlib.sha256()
        self._done = 0
        self._write = write

    def add(self, time_ns: int, node: str, *words: Word) -> None:
        """One line: when, who, and what in words, which are put together later."""
        self._pending.append((time_ns, node, words))
        if len(self._pending) >= _BATCH:
            self.flush()

    def __len__(self) -> int:
        """Lines so far, kept or not."""
        return self._done + len(self._pending)

    def flush(self) -> None:
        """Makes text of all lines so far."""
        lines = [_line(*entry) for entry in self._pending]
        self._pending.clear()
        self._done += len(lines)
        text = "".join(lines)
        self._digest.update(text.encode("utf-8", "backslashreplace"))
        self._kept.extend(lines)
        if self._write is not None:
            self._write(text)

    def digest(self) -> str:
        """SHA-256 of the text of all lines so far, in hexadecimal."""
        self.flush()
        return self._digest.hexdigest()

    def text(self) -> str:
        """The kept lines; a first line says how many were not."""
        self.flush()
        dropped = self._done - len(self._kept)
        return "".join([f"... {dropped:,} lines before\n"] * (dropped > 0) + list(self._kept))


def _line(time_ns: int, node: str, words: tuple[Word, ...]) -> str:
    """Seconds, node and words; a line break inside a word is escaped, so that a line stays one."""
    second, rest = divmod(time_ns, _SECOND_NS)
    said = " ".join([word if isinstance(word, str) else _shown(word) for word in words])
    if not said.isprintable():
        said = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
    return f"{second}.{rest:09d} {node} {said}\n"


def _shown(word: int | bytes) -> str:
    return word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)
