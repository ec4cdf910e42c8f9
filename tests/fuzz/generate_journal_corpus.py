"""Writes the corpus of journals beside this script: ``python tests/fuzz/generate_journal_corpus.py``.

Sound files, torn ones and damaged ones, each with what opening it says, in ``expected.txt``. It is a second
writer of the format of ``docs/formats/journal.md``, independent of the one in mrcore, and it can write any
number wrong under right checksums.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

CORPUS = Path(__file__).parent / "corpus" / "journal"
U64 = (1 << 64) - 1


def u64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *(number & U64 for number in numbers))


def record(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


@dataclass(frozen=True)
class Batch:
    """Records that one sync wrote; ``wrong`` are numbers that take the place of the right ones."""

    records: tuple[bytes, ...] = ()
    wrong: dict[str, int] = field(default_factory=dict)
    body: bytes | None = None  # in place of the records

    def encode(self, seed: int, offset: int, sequence: int) -> bytes:
        body = b"".join(map(record, self.records)) if self.body is None else self.body
        right = {"offset": offset, "sequence": sequence, "records": len(self.records), "size": len(body)}
        numbers = b"mrcbatch" + u64(*(right | self.wrong).values(), xxhash.xxh3_64_intdigest(body, seed))
        return numbers + u64(xxhash.xxh3_64_intdigest(numbers, seed)) + body


@dataclass(frozen=True)
class Journal:
    """A journal file."""

    batches: tuple[Batch, ...]
    generation: int = 1
    salt: int = 0x0123456789ABCDEF
    version: int = 1
    sequence: int = 0

    def pieces(self) -> list[bytes]:
        """The head, then each of the batches."""
        head = b"mrcjnl" + struct.pack("<HQQ", self.version, self.generation, self.salt)
        seed = xxhash.xxh3_64_intdigest(head)
        pieces, sequence = [head + u64(seed)], self.sequence
        for batch in self.batches:
            pieces.append(batch.encode(seed, sum(map(len, pieces)), sequence))
            sequence += len(batch.records)
        return pieces

    def encode(self) -> bytes:
        return b"".join(self.pieces())


NONE, CLOSED = Batch(), Batch()
ONE, THREE = Batch((b"one",)), Batch((b"", b"\0" * 9, b"three" * 20))
SNAPSHOT = Batch((b"snapshot of all that was",))
LONG = Journal((SNAPSHOT, ONE, THREE, ONE), 2, sequence=700)
OLD = Journal((SNAPSHOT, ONE, THREE, ONE, THREE, ONE), 1, sequence=700)


def said(snapshot: bool, records: int, dropped: int) -> str:
    return f"{'a' if snapshot else 'no'} snapshot, {records} records, {dropped} bytes dropped"


def sound() -> dict[str, tuple[bytes, str]]:
    many = Journal((NONE, *(Batch((b"%d" % index,)) for index in range(50))))
    return {
        "new": (Journal((NONE,)).encode(), said(False, 0, 0)),
        "one-record": (Journal((NONE, ONE)).encode(), said(False, 1, 0)),
        "closed": (Journal((NONE, ONE, THREE, CLOSED)).encode(), said(False, 4, 0)),
        "closed-twice": (Journal((NONE, ONE, CLOSED, THREE, CLOSED)).encode(), said(False, 4, 0)),
        "many-batches": (many.encode(), said(False, 50, 0)),
        "snapshot": (Journal((SNAPSHOT,), U64).encode(), said(True, 0, 0)),
        "empty-snapshot": (Journal((Batch((b"",)), ONE), 3).encode(), said(True, 1, 0)),
        "snapshot-and-records": (LONG.encode(), said(True, 5, 0)),
    }


def torn() -> dict[str, tuple[bytes, str]]:
    pieces = LONG.pieces()
    kept, last = b"".join(pieces[:-1]), pieces[-1]
    three = b"".join(pieces[:3])
    tails = {
        "one-byte": last[:1],
        "head": last[:56],
        "no-last-byte": last[:-1],
        "zeros": bytes(4096),
        "zeros-in-front": bytes(40) + last[40:],
        "garbage": bytes(range(256)) * 9,
        "marks": b"mrcbatch" * 100,
        "older-generation": OLD.encode()[len(kept) :],
        "other-journal": Journal(OLD.batches, 2, 99, sequence=700).encode()[len(kept) :],
    }
    found = {name: (kept + tail, said(True, 4, len(tail))) for name, tail in tails.items()}
    hole = pieces[3][:100] + bytes(40) + pieces[3][140:]
    return found | {"hole-in-many-records": (three + hole, said(True, 1, len(hole)))}


def damaged() -> dict[str, tuple[bytes, str]]:
    data, pieces = LONG.encode(), LONG.pieces()
    starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]

    def flip(at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def zeros(start: int, end: int) -> bytes:
        return data[:start] + bytes(end - start) + data[end:]

    def lie(batch: Batch) -> bytes:
        return Journal((NONE, ONE, batch, ONE)).encode()

    return {
        "nothing": (b"", "byte 0: not a journal"),
        "zeros": (bytes(200), "byte 0: not a journal"),
        "version-2": (Journal((NONE,), version=2).encode(), "byte 6: version 2, and this mrcore reads version 1"),
        "head-cut": (data[:31], "byte 31: the file ends inside its head"),
        "head-only": (data[:32], "byte 32: no sound batch begins here"),
        "snapshot-cut": (data[: starts[2] - 1], "byte 32: the file ends inside a batch"),
        "flipped-generation": (flip(8), "byte 0: its head fails its checksum"),
        "flipped-snapshot": (flip(starts[2] - 1), "byte 32: a batch fails its checksum"),
        "flipped-mark": (flip(starts[2]), f"byte {starts[2]}: no sound batch begins here, and a later batch"),
        "flipped-record": (flip(starts[4] - 1), f"byte {starts[3]}: a batch fails its checksum, and a later batch"),
        "hole": (zeros(starts[2], starts[3]), f"byte {starts[2]}: no sound batch begins here, and a later batch"),
        "hole-over-two": (zeros(starts[2] + 9, starts[4]), f"and a later batch begins at byte {starts[4]}"),
        "batch-twice": (
            data[: starts[3]] + pieces[2] + data[starts[3] :],
            f"a later batch begins at byte {starts[4] + 63}",
        ),
        "wrong-sequence": (lie(Batch((b"a",), {"sequence": 7})), "begins with record 7 where 1 follows"),
        "wrong-offset": (lie(Batch((b"a",), {"offset": 7})), "no sound batch begins here, and a later batch"),
        "too-few-records": (lie(Batch((b"a",), {"records": 0})), "the records of a batch do not fill it"),
        "too-many-records": (lie(Batch((b"a",), {"records": U64})), "the records of a batch do not fill it"),
        "record-beyond-batch": (lie(Batch((b"a",), body=b"\2\0\0\0a")), "the records of a batch do not fill it"),
        "record-beyond-all": (lie(Batch((b"a",), body=b"\xff\xff\xff\xffa")), "the records of a batch do not fill it"),
        "length-cut": (lie(Batch((b"a",), body=record(b"a") + b"\0\0")), "the records of a batch do not fill it"),
        "size-beyond-all": (lie(Batch((b"a",), {"size": U64})), "the file ends inside a batch, and a later batch"),
        "two-snapshots": (Journal((THREE,)).encode(), "the first batch holds more than a snapshot"),
    }


def corpus() -> dict[str, tuple[bytes, str]]:
    """Name of each file -> its bytes, and what opening it says."""
    kinds = {"sound": sound(), "torn": torn(), "damaged": damaged()}
    return {f"{kind}-{name}": file for kind, files in sorted(kinds.items()) for name, file in sorted(files.items())}


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
