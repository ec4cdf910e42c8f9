"""``mrcore inspect``: what is in a file that mrcore wrote, and whether it is still what was written.

Run files and journals are read completely, so every checksum and every number in them is looked at; of an
output directory the parts are read and compared with its manifest. Nothing is written.
"""

from __future__ import annotations

import argparse
import itertools
import os

from mrcore.cli.inspect_journal import journal_lines
from mrcore.cli.output import check_open, write_out
from mrcore.errors import CorruptionError, InputError, UsageError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mrcore.storage.runfile import RunReader, Segment

KNOWN = "inspect reads run files, journals, output directories and their _manifest.json"
MANIFEST = b"_manifest.json"
MANIFEST_BYTES_MAX = 64 << 20  # of the most parts that there may be a hundredth
READ_BYTES = 1 << 20
LINES_A_WRITE = 1000

_EPILOG = """\
A run file is shown with a line for each segment: its partition, the number of its run there,
the byte it begins at, its records, its raw and stored bytes, and the raw bytes of its largest
block. Record lines are 'key TAB value'; the value of a posting list is 'document:count,...'.
Exit status 1: the file is damaged.

examples:
  mrcore inspect counts/
  mrcore inspect counts/_work/map-00000.run --blocks --records 5
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "inspect",
        help="show and check a file that mrcore wrote",
        description="Shows what is in a run file, a journal or an output directory, and checks all of it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("file", metavar="FILE", help="a run file, a journal, an output directory or its _manifest.json")
    parser.add_argument("--blocks", action="store_true", help="of a run file: show the blocks too")
    parser.add_argument("--records", type=int, nargs="?", const=-1, metavar="N", help="the records too, or N a segment")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks of mrcore's own")


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Prints what the file holds; the exit status."""
    if arguments.records is not None and arguments.records < -1:
        raise UsageError(f"records out of range: {arguments.records}: write 0 or more")
    check_open()
    path = os.fsencode(arguments.file)
    manifest = os.path.join(path, MANIFEST) if os.path.isdir(path) else path
    if os.path.isdir(path) and not os.path.lexists(manifest):
        raise InputError(f"not a finished output directory: {shown(path)}: {KNOWN}")
    if os.path.basename(manifest) == MANIFEST:
        _write_lines(output_lines(manifest))
    elif (magic := _magic(path)) == b"mrcjnl":
        _write_lines(journal_lines(path, arguments.records))
    elif magic == b"mrcrun":
        _write_lines(run_lines(path, blocks=arguments.blocks, records=arguments.records))
    else:
        raise InputError(f"not a file of mrcore's: {shown(path)}: {KNOWN}")
    return 0


def _write_lines(lines: Iterable[str]) -> None:
    """Prints lines as they come, some at a time; what was found before an error is printed before it."""
    waiting: list[str] = []
    try:
        for line in lines:
            waiting.append(line)
            if len(waiting) == LINES_A_WRITE:
                write_out(*waiting)
                waiting.clear()
    except BaseException:
        write_out(*waiting)
        raise
    write_out(*waiting)


def _magic(path: bytes) -> bytes:
    from mrcore.storage.mapped import sample

    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
        return b""
    return sample(path, 0, 6)


# ---- run files ---------------------------------------------------------------------------


def run_lines(path: bytes, *, blocks: bool, records: int | None) -> Iterator[str]:
    """The lines about a run file.

    Args:
        records: how many of each segment; -1: all.

    Raises:
        CorruptionError: naming file and byte; what was sound before it was yielded.
        InputError: it cannot be read.
    """
    from mrcore.storage.runfile import VERSION, RunReader

    with RunReader(path) as reader:
        segments = reader.check_footer()
        total = sum(segment.records for segment in segments)
        yield (
            f"run file, version {VERSION}, kind {reader.kind}: {reader.size:,} bytes, "
            f"{reader.partitions:,} partitions, {len(segments):,} segments, {total:,} records"
        )
        if segments:
            yield "partition   run         byte      records          raw       stored  largest block"
        for partition, runs in itertools.groupby(segments, key=lambda segment: segment.partition):
            for index, segment in enumerate(runs):
                check_segment(reader, segment)
                yield (
                    f"{partition:9d} {index:5d} {segment.offset:12d} {segment.records:12d} {segment.raw_bytes:12d} "
                    f"{segment.size:12d} {segment.block_max:14d}"
                )
                if blocks:
                    for at, raw_size, stored_size in reader.block_sizes(segment):
                        yield f"  block at byte {at}: {raw_size} bytes, {stored_size} stored"
                some = itertools.islice(read_records(reader, segment), None if records == -1 else records or 0)
                yield from (f"  {shown(key)}\t{_show_value(value)}" for key, value in some)


class _Pickle:
    """A value that stays a pickle."""

    def __init__(self, data: bytes) -> None:
        self._size = len(data)

    def __repr__(self) -> str:
        return f"(a pickle of {self._size:,} bytes)"


def _show_value(value: object) -> str:
    if isinstance(value, list):
        return ",".join(f"{document}:{count}" for document, count in value)
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def check_segment(reader: RunReader, segment: Segment) -> None:
    """Reads a segment: its checksums, that its records parse and ascend, and how many they are."""
    from mrcore.kernels.merge import Merge

    name = f"corrupt run file: {shown(reader.path)}, byte {segment.offset}, in this segment"
    merge = Merge([reader.blocks(segment)], "nothing", names=[name], kind=reader.kind)
    for _ in merge:
        pass
    if merge.records_out != segment.records or merge.records_in != segment.records:
        raise reader.corrupt(
            segment.offset,
            f"{merge.records_in} records of {merge.records_out} keys, and the footer says {segment.records}",
        )


def read_records(reader: RunReader, segment: Segment) -> Iterator[tuple[bytes, object]]:
    """A segment's records in their order: key and sum, list of (document, count), or tuple of values.

    Pickles are not loaded: whoever wrote them may have meant harm.

    Raises:
        CorruptionError: naming file and byte of the block.
    """
    from mrcore.kernels.codec import decode_values
    from mrcore.kernels.merge import decode
    from mrcore.kernels.postings import decode as decode_postings

    places = reader.block_sizes(segment)
    for block in reader.blocks(segment):
        at = next(places)[0]
        try:
            if reader.kind == "sum":
                yield from decode(block)
            elif reader.kind == "posting":
                yield from ((key, decode_postings(value)) for key, value in _bytes_records(bytes(block)))
            else:
                yield from ((key, tuple(decode_values(value, _Pickle))) for key, value in _bytes_records(bytes(block)))
        except CorruptionError as error:
            raise reader.corrupt(at, str(error)) from error


def _bytes_records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0

    def text() -> bytes:
        nonlocal at
        size, shift = 0, 0
        while True:
            if at == len(block) or shift > 63:
                raise CorruptionError("a record that does not parse")
            size |= (block[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if block[at - 1] < 0x80:
                break
        if size > len(block) - at:
            raise CorruptionError("a record that does not parse")
        at += size
        return block[at - size : at]

    while at < len(block):
        yield text(), text()


# ---- output directories ------------------------------------------------------------------


def output_lines(manifest: bytes) -> Iterator[str]:
    """The lines about an output directory.

    Raises:
        CorruptionError: the manifest is none; or a part is not what it says, after the lines about all parts.
        InputError: the manifest cannot be read.
    """
    parts = _read_manifest(manifest)
    folder = os.path.dirname(manifest)
    finished = os.path.exists(os.path.join(folder, b"_SUCCESS"))
    yield (
        f"output of {len(parts):,} parts: {sum(part['records'] for part in parts):,} records, "
        f"{sum(part['bytes'] for part in parts):,} bytes" + ("" if finished else ": unfinished, there is no _SUCCESS")
    )
    bad = 0
    for part in parts:
        wrong = _check_part(os.path.join(folder, os.fsencode(part["file"])), part)
        bad += bool(wrong)
        yield (
            f"{'FAIL' if wrong else 'ok  '}  {shown(part['file'])}: {part['records']} records, {part['bytes']} bytes"
            + (f": {wrong}" if wrong else "")
        )
    if bad:
        where = shown(folder or b".")
        raise CorruptionError(f"corrupt output: {where}: {bad} of {len(parts)} parts: run its job again")


def _read_manifest(path: bytes) -> list[dict[str, Any]]:
    import json

    from mrcore.storage.mapped import sample

    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"not a file of mrcore's: {shown(path)}: {KNOWN}")
    try:
        manifest = json.loads(sample(path, 0, MANIFEST_BYTES_MAX))
        if manifest["format"] != "mrcore-output":
            raise ValueError(f"its format is {manifest['format']!r}")
        if manifest["version"] != 1:
            raise ValueError(f"version {manifest['version']!r}, and this mrcore reads version 1")
        parts: list[dict[str, Any]] = manifest["parts"]
        for part in parts:
            name = part["file"]
            if not isinstance(part["xxh3"], str) or "/" in name or "\0" in name or name in ("", ".", ".."):
                raise ValueError("a part that is none")
            if not all(isinstance(part[number], int) for number in ("records", "bytes")):
                raise ValueError("a part without its numbers")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CorruptionError(f"corrupt manifest: {shown(path)}: {what}") from error
    return parts


def _check_part(path: bytes, part: dict[str, Any]) -> str:
    """What is wrong with a part file; nothing: an empty string."""
    from xxhash import xxh3_64

    from mrcore.storage.mapped import open_input

    if not os.path.isfile(path):
        return "missing" if not os.path.lexists(path) else "not a file"
    check, size = xxh3_64(), 0
    with open_input(path) as fd:
        while data := os.read(fd, READ_BYTES):
            check.update(data)
            size += len(data)
    if size != part["bytes"]:
        return f"it has {size} bytes"
    return "" if check.hexdigest() == part["xxh3"] else "its checksum is another"
