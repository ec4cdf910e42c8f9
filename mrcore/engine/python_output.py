"""The output file of a task of users' functions: lines of text, or keyed lines or elements in a run file."""

from __future__ import annotations

import base64
import os
from typing import Any

from mrcore.engine.pickling import dump_by_name, dumps, loads
from mrcore.engine.user_code import Enough, leave_if_forked
from mrcore.kernels.codec import ValueCodec
from mrcore.kernels.output import Output, escape
from mrcore.storage.partfile import PartWriter
from mrcore.storage.runfile import RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from mrcore.storage.budget import DiskBudget

DIGITS_MAX = 4000  # of an int in a literal: Python converts no more than 4,300 unless it is told to
_PLAIN = (bool, int, float, str, bytes, type(None))


class PythonOutput:
    """Writes what a task makes; a context manager that leaves the whole file or none.

    Args:
        columns: of lines; 0: elements.
        keyed: a run file with one partition, whose records are ``taker``'s keyed ones.
        types: of the columns, where the first values are not to decide.
        limit: after so many elements :class:`Enough` is raised.
    """

    def __init__(
        self, path: bytes, *, columns: int, keyed: bool, sync: bool, disk: DiskBudget | None, limit: int | None = None,
        types: tuple[str | None, ...] = (),
    ) -> None:  # fmt: skip
        self._keyed = keyed
        self._file: PartWriter | RunWriter = (
            RunWriter(path, 1, kind="values", sync=sync, disk=disk) if keyed else PartWriter(path, sync=sync, disk=disk)
        )
        self._pid = os.getpid()
        self.taker = Output(
            self._write, ValueCodec(dumps, loads), columns=columns, keyed=keyed, literal=literal, limit=limit,
            enough=Enough, types=types,
        )  # fmt: skip

    def _write(self, data: memoryview) -> None:
        leave_if_forked(self._pid)
        if isinstance(self._file, RunWriter):
            self._file.block(data)
        else:
            self._file.write(data)

    def finish(self) -> None:
        """Writes what is left; nothing more is taken."""
        self.taker.finish()
        if isinstance(self._file, RunWriter):
            self._file.end(0, lambda: self.taker.blocks)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    @property
    def check(self) -> str:
        """XXH3-64 of the file, as 16 hexadecimal digits."""
        return self._file.check

    def __enter__(self) -> PythonOutput:
        self._file.__enter__()
        if isinstance(self._file, RunWriter):
            self._file.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.__exit__(kind, error, tb)


def literal(value: Any, marked: bool) -> bytes:
    """A value's text: a Python literal, behind ``\\:`` if ``marked``; or ``\\!`` and base64 of its pickle."""
    if _is_literal(value):
        return (rb"\:" if marked else b"") + escape(repr(value).encode("utf-8", "backslashreplace"))
    return rb"\!" + base64.b64encode(dump_by_name(value))


def _is_literal(value: Any, depth: int = 0) -> bool:
    """Does ``ast.literal_eval(repr(value))`` give it back?"""
    kind = type(value)
    if kind is float:
        return bool(value - value == 0)  # not an infinity, not NaN
    if kind is int:
        return bool(value.bit_length() < DIGITS_MAX * 3)
    if kind in _PLAIN:
        return True
    if depth > 20:
        return False
    if kind is dict:
        return all(_is_literal(k, depth + 1) and _is_literal(v, depth + 1) for k, v in value.items())
    if kind not in (tuple, list):
        return False
    return all(_is_literal(part, depth + 1) for part in value)
