"""What a task is told and what it answers: plain data that travels as bytes.

A task is deterministic given its spec: the same spec gives the same output bytes, in any
process, at any time, however often. The spec names the attempt's own output file; whoever
asked for the task renames it into place.
"""

from __future__ import annotations

import msgspec


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A piece of one input: bytes ``[start, stop)`` of a file, or a whole stream."""

    path: bytes
    start: int
    stop: int
    size: int  # of the whole file; -1: a stream


class MapSpec(msgspec.Struct, frozen=True, tag="map"):
    """Count the tokens of some spans into a run file with a segment for each partition."""

    task: int
    output: bytes
    spans: tuple[Span, ...]
    tokenizer: str
    lower: bool
    reducers: int
    splitters: tuple[bytes, ...] | None  # partition by key range, not by hash
    sync: bool = True


class ReduceSpec(msgspec.Struct, frozen=True, tag="reduce"):
    """Merge one partition of some run files into lines ``key TAB count``."""

    task: int
    output: bytes
    runs: tuple[bytes, ...]
    min_count: int = 1
    top: int | None = None  # only the lines of the largest counts, largest first
    sync: bool = True


TaskSpec = MapSpec | ReduceSpec


class TaskResult(msgspec.Struct, frozen=True):
    """What a finished attempt wrote and did."""

    task: int
    output: bytes
    bytes_in: int
    bytes_out: int
    records_in: int
    records_out: int
    check: str = ""  # XXH3-64 of a part file, as 16 hexadecimal digits
    tokens: int = 0


def encode_spec(spec: TaskSpec) -> bytes:
    """The spec as bytes; opaque to whoever carries them."""
    return msgspec.msgpack.encode(spec)


def decode_spec(data: bytes) -> TaskSpec:
    """The spec of :func:`encode_spec`'s bytes."""
    return msgspec.msgpack.decode(data, type=MapSpec | ReduceSpec)
