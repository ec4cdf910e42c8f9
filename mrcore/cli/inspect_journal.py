"""What ``mrcore inspect`` says of a coordinator's journal: its jobs as the snapshot has them, and its records."""

from __future__ import annotations

from collections import Counter

from mrcore.errors import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcore.scheduler.records import Record


def journal_lines(path: bytes, records: int | None) -> Iterator[str]:
    """The lines about a journal. All of it is read and checked, and nothing is changed.

    Args:
        path: of the file.
        records: how many to show, the first ones; -1: all; None: only how many there are of each kind.

    Raises:
        CorruptionError: naming file and byte.
        InputError: it cannot be read.
    """
    from mrcore.storage.disk import RealFile
    from mrcore.storage.files import reading
    from mrcore.storage.journal_file import VERSION, Replay
    from mrcore.storage.mapped import open_input

    with open_input(path) as fd, reading(path):
        found = Replay(RealFile(fd), path)
    size = found.end + found.dropped_bytes
    snapshot = f"a snapshot of {len(found.snapshot):,} bytes" if found.snapshot is not None else "no snapshot"
    yield (
        f"journal, version {VERSION}, generation {found.head.generation}: {size:,} bytes, {snapshot}, "
        f"{len(found.records):,} records"
    )
    if found.snapshot is not None:
        yield from _snapshot_lines(found.snapshot)
    decoded = [_decode(record) for record in found.records]
    kinds = Counter(type(record).__name__ if record is not None else "unknown" for record in decoded)
    yield from (f"{count:9,d} {kind}" for kind, count in sorted(kinds.items()))
    first = found.sequence - len(found.records)
    for number, record in enumerate(decoded[: None if records == -1 else records or 0]):
        yield f"  {first + number}\t{_shown_record(found.records[number], record)}"
    if found.dropped_bytes:
        yield f"a torn tail of {found.dropped_bytes:,} bytes at byte {found.end}: whoever opens the journal drops it"


def _snapshot_lines(snapshot: bytes) -> Iterator[str]:
    import msgspec

    from mrcore.scheduler.ledger import NO_ATTEMPT, decode_ledger

    try:
        ledger = decode_ledger(snapshot)
    except (msgspec.MsgspecError, ValueError):
        yield "  the snapshot is not a scheduler's"
        return
    yield f"  epoch {ledger.epoch}, {len(ledger.jobs):,} jobs"
    for job in ledger.jobs.values():
        if job.outcome:
            yield f"  {shown(job.name)}: {job.outcome}{f': {job.error}' if job.error else ''}"
        for index, stage in enumerate(job.stages):
            done = len(stage.attempts) - stage.attempts.count(NO_ATTEMPT)
            yield f"  {shown(job.name)}, stage {index}: {done:,} of {len(stage.attempts):,} tasks committed"


def _decode(record: bytes) -> Record | None:
    import msgspec

    from mrcore.scheduler.records import decode_record

    try:
        return decode_record(record)
    except msgspec.MsgspecError:
        return None


def _shown_record(data: bytes, record: Record | None) -> str:
    return f"unknown, {len(data):,} bytes" if record is None else shown(repr(record))
