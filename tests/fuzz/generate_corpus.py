"""Writes the corpus of run files beside this script: ``python tests/fuzz/generate_corpus.py``.

Sound files and broken ones, each with what a complete reading of it says, in ``expected.txt``. It is a
second writer of the format of ``docs/formats/runfile.md``, independent of the one in mrcore, and
it can write any number wrong under right checksums. Its output is the same everywhere: even the
LZ4 blocks are made by hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

import xxhash

CORPUS = Path(__file__).parent / "corpus" / "runfile"
U64 = (1 << 64) - 1


def u64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *(number & U64 for number in numbers))


def check_of(data: bytes) -> bytes:
    return u64(xxhash.xxh3_64_intdigest(data))


@dataclass(frozen=True)
class Block:
    """A block; its sizes are right unless they are given."""

    stored: bytes
    raw_size: int | None = None  # None: as stored
    stored_size: int | None = None

    @property
    def raw(self) -> int:
        return len(self.stored) if self.raw_size is None else self.raw_size

    def encode(self) -> bytes:
        sizes = u64(self.raw, len(self.stored) if self.stored_size is None else self.stored_size)
        return sizes + check_of(sizes + self.stored) + self.stored


@dataclass(frozen=True)
class Segment:
    """Blocks of one run; ``wrong`` are numbers that take the place of the right ones."""

    partition: int
    blocks: tuple[Block, ...]
    records: int
    wrong: dict[str, int] = field(default_factory=dict)

    def entry(self, offset: int) -> bytes:
        right = {
            "partition": self.partition,
            "offset": offset,
            "size": sum(len(block.encode()) for block in self.blocks),
            "records": self.records,
            "raw_bytes": sum(block.raw for block in self.blocks),
            "block_max": max((block.raw for block in self.blocks), default=0),
        }
        numbers = u64(*(right | self.wrong).values())
        return numbers + check_of(numbers)


@dataclass(frozen=True)
class RunFile:
    """A run file; ``order`` is that of the segments in the footer."""

    segments: tuple[Segment, ...]  # in the order of their blocks
    partitions: int = 4
    kind: int = 0
    version: int = 2
    wrong: dict[str, int] = field(default_factory=dict)
    order: tuple[int, ...] | None = None

    def encode(self) -> bytes:
        head = b"mrcrun" + struct.pack("<HQ", self.version, self.kind)
        body, entries = head, []
        for segment in self.segments:
            entries.append(segment.entry(len(body)))
            body += b"".join(block.encode() for block in segment.blocks)
        order = self.order
        if order is None:
            order = tuple(sorted(range(len(entries)), key=lambda index: self.segments[index].partition))
        right = {"footer": len(body), "segments": len(order), "partitions": self.partitions}
        places = u64(*(right | self.wrong).values())
        end = b"mrcend" + struct.pack("<H", self.version)
        return body + b"".join(entries[index] for index in order) + places + check_of(head + places) + end


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def record(key: bytes, value: int) -> bytes:
    return varint(len(key)) + key + varint(2 * value if value >= 0 else -2 * value - 1)


def posting(key: bytes, *numbers: int) -> bytes:
    group = b"".join(map(varint, numbers))
    return varint(len(key)) + key + varint(len(group)) + group


def lz4_run(first: bytes, size: int) -> bytes:
    """An LZ4 block of ``size`` bytes: ``first``, then its last byte again and again. The last five are literals."""
    length = size - len(first) - 5 - 4 - 15
    assert length >= 0 and len(first) < 15
    more = b"\xff" * (length // 255) + bytes([length % 255])
    return bytes([len(first) << 4 | 15]) + first + b"\1\0" + more + b"\x50" + first[-1:] * 5


KEYS = [b"", b"\0", b"a", b"a\0", b"be", b"not", b"or", b"to", b"w" * 7, b"w" * 8, b"w" * 9, b"\xff" * 20]
SMALL = b"".join(record(key, 1) for key in KEYS)
EDGES = b"".join(record(b"%02d" % i, v) for i, v in enumerate([0, 1, -1, 63, 64, -64, -65, 2**63 - 1, -(2**63)]))
VALUES = posting(b"", 0) + posting(b"a", 3, 2) + posting(b"a", 7, 2, 0, 3, 1) + posting(b"b\xff", 1)
LIST = posting(b"a", 1, 0, 1) + posting(b"b", 2, 3, 1, 4, 2, 1, 7, 300) + posting(b"c", 1, (1 << 32) - 1, (1 << 63) - 1)


def packed_record() -> Block:
    """A compressed block of one record: a key of 1001 times ``g``, and the value -52, whose code is ``g``."""
    head = varint(1001)
    return Block(lz4_run(head + b"g", len(head) + 1002), len(head) + 1002)


ONE = Segment(0, (Block(record(b"abc", 1)),), 1)
TWO = Segment(2, (Block(SMALL), Block(b"".join(record(key, 2) for key in (b"\xff" * 21, b"\xff" * 22)))), 14)
ONE_VALUE = Segment(1, (Block(posting(b"a", 0)),), 1)
LARGE = Segment(1, (packed_record(),), 1)


def sound() -> dict[str, RunFile]:
    many = tuple(Segment(index % 3, (Block(record(b"%d" % index, index)),), 1) for index in range(30))
    return {
        "empty": RunFile((), 0),
        "no-records": RunFile((), 5),
        "one-record": RunFile((ONE,)),
        "all-keys": RunFile((TWO,)),
        "edge-values": RunFile((Segment(3, (Block(EDGES),), 9),)),
        "compressed": RunFile((LARGE, ONE)),
        "many-runs": RunFile(many, 3),
        "postings": RunFile((Segment(0, (Block(LIST),), 3), Segment(0, (Block(LIST[-18:]),), 1)), kind=1),
        "values": RunFile((Segment(0, (Block(VALUES), Block(VALUES[-5:])), 5), ONE_VALUE), kind=2),
        "three-segments": RunFile((TWO, LARGE, ONE, LARGE)),
    }


def broken() -> dict[str, tuple[RunFile | bytes, str]]:
    """Name -> file, and what its reading says."""
    good = sound()["three-segments"]
    data = good.encode()
    return _broken_bytes(data) | _broken_numbers() | _broken_segments() | _broken_records()


def _broken_bytes(data: bytes) -> dict[str, tuple[RunFile | bytes, str]]:
    def flip(at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return {
        "nothing": (b"", "not a run file"),
        "magic-only": (b"mrcrun", "not a run file"),
        "head-only": (data[:16], "ends inside its trailer"),
        "version-1": (RunFile((ONE,), version=1).encode(), "version 1, and this mrcore reads version 2"),
        "version-3": (RunFile((ONE,), version=3).encode(), "version 3, and this mrcore reads version 2"),
        "no-last-byte": (data[:-1], "cut off"),
        "half": (data[: len(data) // 2], "cut off"),
        "one-byte-more": (data + b"\0", "cut off"),
        "flipped-kind": (flip(8), "head and trailer fail their checksum"),
        "flipped-block": (flip(45), "a block fails its checksum"),
        "flipped-raw-size": (flip(16), "byte 16"),
        "flipped-entry": (flip(len(data) - 100), "entry fails its checksum"),
        "flipped-trailer": (flip(len(data) - 40), "head and trailer fail their checksum"),
        "flipped-end": (flip(len(data) - 8), "cut off"),
    }


def _broken_numbers() -> dict[str, tuple[RunFile | bytes, str]]:
    stored = b"\3abc\2"
    return {
        "kind-3": (RunFile((ONE,), kind=3), "unknown kind 3"),
        "footer-beyond-all": (RunFile((ONE,), wrong={"footer": U64}), "points outside"),
        "footer-in-head": (RunFile((ONE,), wrong={"footer": 8}), "points outside"),
        "segments-beyond-all": (RunFile((ONE,), wrong={"segments": 1 << 61}), "points outside"),
        "partitions-too-few": (RunFile((TWO,), wrong={"partitions": 2}), "outside the file"),
        "raw-beyond-all": (RunFile((Segment(0, (Block(stored, U64),), 1),)), "cannot hold"),
        "raw-beyond-lz4": (RunFile((Segment(0, (Block(stored, 5 * 255 + 1),), 1),)), "more than it can hold"),
        "raw-not-reached": (RunFile((Segment(0, (replace(packed_record(), raw_size=1003),), 1),)), "decompress"),
        "raw-passed": (RunFile((Segment(0, (replace(packed_record(), raw_size=1005),), 1),)), "decompress"),
        "no-lz4": (RunFile((Segment(0, (Block(b"\xf0\xff\xff", 500),), 1),)), "decompress"),
        "raw-below-stored": (RunFile((Segment(0, (Block(stored, 4),), 1),)), "larger than its segment"),
        "stored-beyond-all": (RunFile((Segment(0, (Block(stored, None, U64),), 1),)), "larger than its segment"),
        "block-of-nothing": (RunFile((Segment(0, (Block(b""), Block(stored)), 1),)), "more than it can hold"),
    }


def _broken_segments() -> dict[str, tuple[RunFile | bytes, str]]:
    def wrong(**numbers: int) -> RunFile:
        return RunFile((replace(TWO, wrong=numbers), ONE))

    return {
        "segment-in-head": (wrong(offset=8), "outside the file"),
        "segment-beyond-all": (wrong(offset=U64 - 15), "outside the file"),
        "segment-too-long": (wrong(size=U64), "outside the file"),
        "segment-cut": (wrong(size=100), "a gap between two segments"),
        "block-max-too-small": (wrong(block_max=50), "more than it can hold"),
        "block-max-too-large": (wrong(block_max=120), "not those of its blocks"),
        "block-max-zero": (wrong(block_max=0), "cannot hold"),
        "raw-bytes-too-small": (wrong(raw_bytes=130), "not those of its blocks"),
        "raw-bytes-beyond-all": (wrong(raw_bytes=U64), "cannot hold"),
        "records-beyond-all": (wrong(records=U64), "cannot hold"),
        "records-wrong": (wrong(records=13), "the footer says 13"),
        "unsorted-footer": (RunFile((ONE, TWO), order=(1, 0)), "not in their order"),
        "overlap": (RunFile((TWO, ONE), order=(1, 0, 0)), "lies in another"),
        "nobodys-block": (RunFile((TWO, ONE), order=(1,)), "a gap between two segments"),
        "nobodys-last-block": (RunFile((ONE, TWO), order=(0,)), "belong to no segment"),
    }


def _broken_records() -> dict[str, tuple[RunFile | bytes, str]]:
    def one(stored: bytes, kind: int = 0) -> RunFile:
        return RunFile((Segment(0, (Block(stored),), 2),), kind=kind)

    return {
        "record-cut": (one(record(b"a", 1) + b"\5abc"), "does not parse"),
        "record-number-cut": (one(record(b"a", 1) + b"\1b\x80"), "does not parse"),
        "record-length-beyond-all": (one(record(b"a", 1) + b"\xff" * 9 + b"\1b\1"), "does not parse"),
        "record-length-past-64-bits": (one(record(b"a", 1) + b"\xff" * 9 + b"\2b\1"), "does not parse"),
        "records-descend": (one(record(b"b", 1) + record(b"a", 1)), "out of order"),
        "record-twice": (one(record(b"b", 1) + record(b"b", 1)), "2 records of 1 keys"),
        "values-cut": (one(posting(b"a", 3, 2) + b"\1b\4\3\2", 2), "does not parse"),
        "values-descend": (one(posting(b"b", 0) + posting(b"a", 0), 2), "out of order"),
        "values-too-few": (one(posting(b"a", 0), 2), "1 records of 1 keys, and the footer says 2"),
        "posting-cut": (one(posting(b"a", 1, 0, 1) + b"\1b\4\1\1", 1), "does not parse"),
        "posting-empty": (one(posting(b"a") + posting(b"b", 1, 1, 1), 1), "a number is cut off"),
        "posting-no-documents": (one(posting(b"a", 0) + posting(b"b", 1, 1, 1), 1), "without postings"),
        "posting-descends": (one(posting(b"a", 1, 5, 1, 1, 4, 1) + posting(b"b", 1, 1, 1), 1), "do not ascend"),
        "posting-count-0": (one(posting(b"a", 1, 5, 0) + posting(b"b", 1, 1, 1), 1), "a count that is 0"),
        "posting-document-past-32-bits": (one(posting(b"a", 1, 1 << 32, 1) + posting(b"b", 1, 1, 1), 1), "no file has"),
    }


def corpus() -> dict[str, tuple[bytes, str]]:
    """Name of each file -> its bytes, and ``sound`` or what its reading says."""
    files = {f"sound-{name}": (file.encode(), "sound") for name, file in sound().items()}
    for name, (file, said) in broken().items():
        files[f"broken-{name}"] = (file.encode() if isinstance(file, RunFile) else file, said)
    return dict(sorted(files.items()))


def main() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        path.unlink()
    files = corpus()
    for name, (data, _) in files.items():
        (CORPUS / name).write_bytes(data)
    (CORPUS / "expected.txt").write_text("".join(f"{name}: {said}\n" for name, (_, said) in files.items()))


if __name__ == "__main__":
    main()
