"""Tokens by a user's regular expression: Python's ``re`` on bytes, line by line.

A token is what ``re.findall`` finds in a line without its LF, empty matches left out. Matching
whole lines, one at a time, makes the answer the same wherever text is cut, whatever the
expression looks at (anchors, look-ahead, ``\\s``). ``lower`` folds the text before it is
matched. This runs Python code for each line: about 20-50 MB/s.
"""

from __future__ import annotations

import re

from mrcore.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

LINES_BYTES = 32 << 10  # text matched between two looks at the room


def compile_tokens(pattern: str) -> re.Pattern[bytes]:
    """The expression over bytes.

    Raises:
        UsageError: it does not parse.
    """
    import warnings

    try:
        with warnings.catch_warnings():  # of what a later Python may read in another way
            warnings.simplefilter("ignore")
            return re.compile(pattern.encode("utf-8", "surrogateescape"))
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"not a regular expression: {pattern!r}: {error}: see Python's re module") from error


class RegexExpander:
    """Writes the tokens of text, one a line; as :class:`mrcore.kernels.ngrams.NgramExpander`.

    Args:
        pattern: of a token.
        lower: fold ``A-Z`` first.
        mark_lines: write each LF of the text too.
    """

    def __init__(self, pattern: str, lower: bool, mark_lines: bool) -> None:
        self._matches = compile_tokens(pattern).finditer
        self._lower, self._mark = lower, b"\n" if mark_lines else b""
        self.want = 0
        self._lines = b""  # expanded and not yet written: they did not fit
        self._after = 0  # where the text behind them begins

    def expand(self, data: Buffer, start: int, stop: int, final: bool, out: bytearray) -> tuple[int, int]:
        """Writes the tokens of whole lines of ``data[start:stop]``; ``(next, written)``."""
        self.want = written = 0
        at = start
        view = memoryview(data)
        while True:
            if not self._lines:
                text = self._take_lines(view, at, stop, final)
                if not text:
                    return at, written
                self._lines, self._after = self._expand(text), at + len(text)
            if not self._lines:
                at = self._after
                continue
            if len(self._lines) > len(out) - written:
                self.want = 0 if written else len(self._lines)
                return at, written
            out[written : written + len(self._lines)] = self._lines
            written += len(self._lines)
            at, self._lines = self._after, b""

    def _take_lines(self, view: memoryview, at: int, stop: int, final: bool) -> bytes:
        """Some whole lines, at least one if there is one."""
        size = LINES_BYTES
        while at < stop:
            text = bytes(view[at : min(at + size, stop)])
            if (end := text.rfind(b"\n")) >= 0:
                return text[: end + 1]
            if at + size >= stop:
                return text if final else b""
            size *= 2
        return b""

    def _expand(self, text: bytes) -> bytes:
        if self._lower:
            text = text.lower()
        lines = []
        for line in text.split(b"\n"):
            tokens = [match[0] for match in self._matches(line)]
            lines.append(b"".join([token + b"\n" for token in tokens if token]))
        return self._mark.join(lines)
