"""What a task is told and what it answers: plain data that travels as bytes.

A task is deterministic given its spec: the same spec gives the same output bytes, in any
process, at any time, however often. The spec names the attempt's own output file; whoever
asked for the task renames it into place.
"""

from __future__ import annotations

import msgspec


class Keys(msgspec.Struct, frozen=True):
    """What of a text the keys are."""

    tokenizer: str = "whitespace"  # whitespace, ascii, unicode, lines, or regex:PATTERN
    lower: bool = False
    n_min: int = 1  # tokens of an n-gram
    n_max: int = 1
    cross_lines: bool = False

    @property
    def ngrams(self) -> bool:
        """Are the keys n-grams, not single tokens?"""
        return self.n_max > 1


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A piece of one input: bytes ``[start, stop)`` of a file, or a whole stream."""

    path: bytes
    start: int
    stop: int
    size: int  # of the whole file; -1: a stream
    document: int = 0  # number of the file among an index's files

    @property
    def is_stream(self) -> bool:
        """Can it be read once only?"""
        return self.size < 0


class Disk(msgspec.Struct, frozen=True, array_like=True):
    """Where the job counts its intermediate bytes, and how many there may be."""

    counter: bytes
    limit: int | None


class MapSpec(msgspec.Struct, frozen=True, tag="map"):
    """Count the keys of some spans into a run file with segments for each partition.

    ``make`` is ``"counts"``; ``"postings"``, for an index; or ``"sketch"``: the output is the
    registers of a HyperLogLog, and there are no partitions.
    """

    task: int
    output: bytes
    spans: tuple[Span, ...]
    keys: Keys
    reducers: int
    splitters: tuple[bytes, ...] | None  # partition by key range, not by hash
    memory: int  # bytes that the task may hold
    make: str = "counts"
    disk: Disk | None = None
    sync: bool = True
    choose: bool = False  # up to `reducers` key ranges, by the first keys: of a stream nothing is known before


class ReduceSpec(msgspec.Struct, frozen=True, tag="reduce"):
    """Merge one partition of some run files.

    ``emit`` is ``"lines"`` (key TAB count); ``"nothing"``, for the number of keys; ``"files"``
    (key TAB file,file,...) or ``"files:counts"``, where ``documents`` is the file of their names.
    """

    task: int
    output: bytes
    runs: tuple[bytes, ...]
    memory: int  # bytes that the task may hold
    emit: str = "lines"
    min_count: int = 1
    top: int | None = None  # only the lines of the largest counts, largest first
    documents: bytes = b""
    disk: Disk | None = None
    part_disk: bool = False  # the output is intermediate too
    sync: bool = True


class Code(msgspec.Struct, frozen=True, array_like=True):
    """A file with a user's functions, as :mod:`mrcore.engine.program` wrote it."""

    path: bytes
    size: int
    check: str  # XXH3-64
    places: tuple[bytes, ...]  # where modules are imported from
    ceiling: int = 0  # bytes that a worker process that runs it may map; 0: no limit


class Elements(msgspec.Struct, frozen=True, array_like=True):
    """Elements in a partition of a run file: a stage's output, or items from the program itself."""

    path: bytes
    partition: int


class PythonMapSpec(msgspec.Struct, frozen=True, tag="python-map"):
    """Run a user's functions on text or elements.

    ``emit`` is ``"pairs"``: into a run file with segments for each partition; ``"lines"`` or
    ``"elements"``: the task's output is a part of the job's (:mod:`mrcore.kernels.output`).
    """

    task: int
    output: bytes
    code: Code
    memory: int  # bytes that the task may hold, beside what the functions hold
    spans: tuple[Span, ...] = ()
    keys: Keys = Keys("lines")  # what a record of text is
    elements: tuple[Elements, ...] = ()
    partitions: int = 1
    emit: str = "pairs"
    limit: int | None = None  # elements that are enough
    types: tuple[str | None, ...] = ()  # of the columns of lines; empty: the first values decide
    disk: Disk | None = None
    part_disk: bool = False  # the output is intermediate
    sync: bool = True


class PythonReduceSpec(msgspec.Struct, frozen=True, tag="python-reduce"):
    """Reduce one partition with a user's functions.

    ``emit`` is ``"lines"``; ``"keyed lines"``: a run file that can be merged with those of other
    partitions; or ``"elements"``: the same of elements.
    """

    task: int
    output: bytes
    runs: tuple[bytes, ...]
    code: Code
    memory: int
    key_type: str  # letters, as of mrcore.kernels.codec
    emit: str = "lines"
    disk: Disk | None = None
    part_disk: bool = False
    sync: bool = True
    types: tuple[str | None, ...] = ()  # of the columns of lines; empty: the first values decide


TaskSpec = MapSpec | ReduceSpec | PythonMapSpec | PythonReduceSpec


class TaskResult(msgspec.Struct, frozen=True):
    """What a finished attempt wrote and did."""

    task: int
    output: bytes
    bytes_in: int
    bytes_out: int
    records_in: int
    records_out: int
    check: str = ""  # XXH3-64 of the output file, as 16 hexadecimal digits; empty: there is none
    tokens: int = 0
    spills: int = 0  # times that a map task's memory was full
    passes: int = 0  # times that a record was merged, at most
    merged_bytes: int = 0  # written by passes before the last
    memory: int = 0  # bytes held at most, as far as they are counted
    splitters: tuple[bytes, ...] | None = None  # that a map task chose
    key_type: str = ""  # of the pairs that a Python map task made: letters; empty: there were none
    counters: tuple[tuple[str, int], ...] = ()  # of a user's functions: name and value
    types: tuple[str | None, ...] = ()  # of the columns of a Python job's lines
    skipped: int = 0  # records, elements or groups that were passed over


def placed(spec: TaskSpec, output: bytes, runs: tuple[bytes, ...]) -> TaskSpec:
    """The spec of an attempt: it writes to ``output``, and a reduce task that names no runs merges these."""
    if isinstance(spec, ReduceSpec | PythonReduceSpec) and not spec.runs:
        return msgspec.structs.replace(spec, output=output, runs=runs)
    return msgspec.structs.replace(spec, output=output)


def encode_spec(spec: TaskSpec) -> bytes:
    """The spec as bytes; opaque to whoever carries them."""
    return msgspec.msgpack.encode(spec)


def decode_spec(data: bytes) -> TaskSpec:
    """The spec of :func:`encode_spec`'s bytes."""
    spec: TaskSpec = msgspec.msgpack.decode(data, type=TaskSpec)
    return spec
