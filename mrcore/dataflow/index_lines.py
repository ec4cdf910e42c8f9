"""Reading the lines of an index back: what :func:`mrcore.kernels.postings.escape_path` wrote."""

from __future__ import annotations

import re

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NAMES = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_FILE = re.compile(rb"(?:[^\\,]|\\.)+", re.DOTALL)


def parse_files(files: bytes, counts: bool) -> list[bytes] | list[tuple[bytes, int]]:
    """The files of a line's second column: their paths, or with ``counts`` (path, count) pairs."""
    plain = files.split(b",") if b"\\" not in files else _FILE.findall(files)
    if not counts:
        return [_unescape(path) for path in plain]
    pairs = (item.rpartition(b":") for item in plain)
    return [(_unescape(path), int(count)) for path, _, count in pairs]


def _unescape(path: bytes) -> bytes:
    if b"\\" not in path:
        return path
    return _ESCAPED.sub(lambda match: _NAMES.get(match[1], match[1]), path)
