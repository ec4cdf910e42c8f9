"""From text to keys: which kernels stand between the text and the table.

The plainest keys, tokens of white space or ASCII words, are found by the table's own feed. All
others are written out first, one a line, by *expanders*, and the table counts the lines::

    unicode, regex:      text ▸ tokens, one a line ▸ table
    n-grams of those     text ▸ tokens, one a line, and an empty line for each end of line ▸ n-grams ▸ table
    n-grams of others    text ▸ n-grams, one a line ▸ table

Lines are written into a buffer of some 100 KiB that never leaves the cache, so this costs one or
two nanoseconds a key. Keys hold no LF: no tokenizer lets one through.
"""

from __future__ import annotations

from typing import Protocol

from mrcore.engine.combiner import TokenTooLong
from mrcore.engine.spec import Keys
from mrcore.kernels.ngrams import NgramExpander
from mrcore.kernels.table import CountTable
from mrcore.kernels.unicode import UnicodeExpander

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

REGEX = "regex:"
LINES_BYTES = 128 << 10  # of the buffers between the stages


class KeySink(Protocol):
    """What takes the keys: the table and what stands behind it."""

    @property
    def window(self) -> int:
        """Bytes of text to feed at a time."""
        ...

    @property
    def memory(self) -> int:
        """Bytes that the task may hold."""
        ...

    @property
    def key_share(self) -> int:
        """A key of ``memory / key_share`` bytes surely fits."""
        ...

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """See :meth:`mrcore.engine.combiner.Combiner.feed`."""
        ...


class Expander(Protocol):
    """Writes keys as lines; :class:`mrcore.kernels.ngrams.NgramExpander` says how."""

    @property
    def want(self) -> int:
        """Room that the next key needs, or 0."""
        ...

    def expand(self, data: Buffer, start: int, stop: int, final: bool, out: bytearray) -> tuple[int, int]:
        """``(next, written)``."""
        ...


def is_plain(keys: Keys) -> bool:
    """Are the keys what a table finds by itself?"""
    return not keys.ngrams and keys.tokenizer in ("whitespace", "ascii", "lines")


def is_copied(keys: Keys) -> bool:
    """Is the text looked at by Python code, so that it must be a copy, not a map?"""
    return keys.tokenizer.startswith(REGEX)


def table_keys(keys: Keys) -> tuple[str, bool]:
    """Tokenizer and ``lower`` of the table that takes these keys."""
    return (keys.tokenizer, keys.lower) if is_plain(keys) else ("lines", False)


def border_tokenizer(keys: Keys) -> str:
    """The tokenizer between whose tokens text may be cut without touching a key.

    A space is no part of a token of letters, marks and numbers, nor of the bytes of any code
    point; an n-gram ends with its line, and so does what an expression matches.
    """
    if keys.ngrams or is_copied(keys):
        return "lines"
    return "whitespace" if keys.tokenizer == "unicode" else keys.tokenizer


class KeyFeed:
    """Feeds text to a sink as its keys.

    Args:
        keys: what the keys are.
        sink: takes them; its table is for :func:`table_keys`.
    """

    def __init__(self, keys: Keys, sink: KeySink) -> None:
        self.sink = sink
        self._stages = _stages(keys)
        self._borders = CountTable(border_tokenizer(keys))
        self._out = [bytearray(LINES_BYTES) for _ in self._stages]
        self._held = [0] * len(self._stages)  # bytes at the front of each buffer that wait for more

    @property
    def unit(self) -> str:
        """What a piece of text is called that does not fit."""
        return getattr(self.sink, "unit", "token")

    def locate(self, base: int) -> None:
        """Tells a sink that wants to know at which offset of its file the next text begins."""
        if (locate := getattr(self.sink, "locate", None)) is not None:
            locate(base)

    def align(self, data: Buffer, start: int) -> int:
        """First offset from ``start`` on at which text may be cut."""
        return self._borders.align(data, start)

    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int:
        """Feeds the keys of ``data[start:stop]`` that end inside it; the offset from which on to feed again.

        ``final``: the text ends at ``stop``, and so do its last token and its last line.
        """
        if not self._stages:
            return self.sink.feed(data, start, stop, final)
        return self._run(0, data, start, stop, final)

    def _run(self, stage: int, data: Buffer, start: int, stop: int, final: bool) -> int:
        expander, out = self._stages[stage], self._out[stage]
        at = start
        while True:
            held = self._held[stage]
            next_at, written = expander.expand(data, at, stop, final, memoryview(out)[held:])  # type: ignore[arg-type]
            if written:
                try:
                    self._pass_on(stage, held + written, final=False)
                except TokenTooLong as error:  # it is somewhere behind `at`: the next stages do not know where
                    raise TokenTooLong(at, error.size) from error
            at = next_at
            if written:
                continue
            if not expander.want:
                break
            out = self._enlarge(stage, held + expander.want, at)
        if final and stage + 1 < len(self._stages):
            self._pass_on(stage, self._held[stage], final=True)
        return at

    def _pass_on(self, stage: int, filled: int, *, final: bool) -> None:
        """Gives what a stage has written to the next one; what that one leaves moves to the front."""
        out = self._out[stage]
        if stage + 1 == len(self._stages):
            self.sink.feed(out, 0, filled, True)  # whole lines
            return
        fed = self._run(stage + 1, out, 0, filled, final)
        self._held[stage] = filled - fed
        out[: filled - fed] = out[fed:filled]
        if 2 * self._held[stage] > len(out) and not final:
            self._enlarge(stage, 2 * len(out), 0)

    def _enlarge(self, stage: int, size: int, at: int) -> bytearray:
        if size > self.sink.memory // 5:
            raise TokenTooLong(at, size)
        out = self._out[stage]
        if size > len(out):
            out += bytes(size - len(out))
        return out


def _stages(keys: Keys) -> list[Expander]:
    if is_plain(keys):
        return []
    marked = keys.ngrams and not keys.cross_lines
    stages: list[Expander] = []
    if keys.tokenizer == "unicode":
        stages.append(UnicodeExpander(keys.lower, marked))
    elif is_copied(keys):
        from mrcore.engine.regex import RegexExpander

        stages.append(RegexExpander(keys.tokenizer.removeprefix(REGEX), keys.lower, marked))
    if keys.ngrams:
        tokenizer, lower, newlines = ("lines", False, 2) if stages else (keys.tokenizer, keys.lower, 1)
        stages.append(NgramExpander(tokenizer, keys.n_min, keys.n_max, lower, 0 if keys.cross_lines else newlines))
    return stages
