"""The journal on a real disk: what is appended comes back; truncation, flips, limits, a full disk, two processes."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from mrcore.errors import BudgetError, CorruptionError, DiskFullError, InputError, MrcoreError, OutputExistsError
from mrcore.storage import journal as journal_module
from mrcore.storage.disk import LOCK, RealDisk
from mrcore.storage.journal import NAME, NEW, Recovery, open_journal
from mrcore.storage.journal_file import encode_batch, encode_generation

SALT = 0x1122334455667788
FIRST_END = 32 + 56  # of the head and an empty first batch


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path)


@pytest.fixture
def unsynced(monkeypatch):
    """For tests that open hundreds of journals."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: None)


def opened(path, salt=SALT):
    return open_journal(RealDisk(path), salt)


def content(path):
    return Path(os.fsdecode(path), NAME).read_bytes()


def recover(path, data=None):
    """What is in the journal, of these bytes if they are given; the journal is closed again, uncleanly."""
    if data is not None:
        Path(os.fsdecode(path), NAME).write_bytes(data)
    journal, recovery = opened(path)
    journal.abandon()
    return recovery


def test_what_was_appended_comes_back_in_its_order(path):
    with opened(path)[0] as journal:
        assert [journal.append(record) for record in (b"a", b"", b"c\0")] == [0, 1, 2]
        journal.sync()
        assert journal.append(b"d") == 3
    journal, recovery = opened(path)
    assert recovery == Recovery(1, None, [b"a", b"", b"c\0", b"d"], 0)
    with journal:
        assert journal.append(b"e") == 4
    assert recover(path).records == [b"a", b"", b"c\0", b"d", b"e"]


def test_a_new_journal_is_empty_and_private(path):
    with opened(path)[0] as journal:
        assert (journal.size, journal.generation) == (FIRST_END, 1)
    assert recover(path) == Recovery(1, None, [], 0)
    assert sorted(os.listdir(path)) == [NAME.encode(), LOCK.encode()]
    for name in os.listdir(path):
        assert os.stat(os.path.join(path, name)).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 57, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_records_around_the_size_of_a_read(path, size):
    records = [b"before", bytes(range(256)) * (size // 256) + b"x" * (size % 256), b"after"]
    with opened(path)[0] as journal:
        for record in records:
            journal.append(record)
            journal.sync()
    assert recover(path).records == records


@given(batches=st.lists(st.lists(st.binary(max_size=40), max_size=4), max_size=5), compact_at=st.integers(0, 5))
def test_any_batches_and_a_compaction_anywhere(tmp_path_factory, batches, compact_at):
    path = os.fsencode(tmp_path_factory.mktemp("journal"))
    snapshot, records = None, []
    with opened(path)[0] as journal:
        for index, batch in enumerate(batches):
            if index == compact_at:
                snapshot = b"\0".join(records)
                journal.compact(snapshot)
                records = []
            for record in batch:
                journal.append(record)
                records.append(record)
            journal.sync()
    found = recover(path)
    assert (found.snapshot, found.records, found.dropped_bytes) == (snapshot, records, 0)


def test_records_that_look_like_journals_are_records(path):
    journal, _ = opened(path)
    for _ in range(4):
        last = journal.size
        journal.append(b"mrcbatch" + content(path))
        journal.sync()
    journal.abandon()
    data = content(path)
    assert len(recover(path).records) == 4
    data = data[:last] + b"M" + data[last + 1 :]
    found = recover(path, data)
    assert len(found.records) == 3, "what a torn batch quotes is no later batch"
    assert found.dropped_bytes == len(data) - last


def test_compaction_replaces_all_that_was_appended(path):
    with opened(path)[0] as journal:
        for index in range(100):
            journal.append(b"%d" % index)
        before = journal.size
        journal.compact(b"hundred")  # what is pending is covered
        assert (journal.generation, journal.size) == (2, FIRST_END + 4 + 7)
        assert before == FIRST_END and journal.size == len(content(path))
        assert journal.append(b"next") == 101, "a snapshot takes a number as well"
        journal.sync()
        assert sorted(os.listdir(path)) == [NAME.encode(), LOCK.encode()]
    assert recover(path) == Recovery(2, b"hundred", [b"next"], 0)
    with opened(path)[0] as journal:
        journal.compact(b"")
    assert recover(path) == Recovery(3, b"", [], 0), "an empty snapshot is one"


def test_a_compaction_that_a_crash_cut_short_leaves_nothing(path):
    with opened(path)[0] as journal:
        journal.append(b"a")
    Path(os.fsdecode(path), NEW).write_bytes(b"mrcjnl half")
    assert recover(path) == Recovery(1, None, [b"a"], 0)
    assert NEW.encode() not in os.listdir(path)


def make_journal(path, *, clean):
    """A journal of a snapshot and three batches; its bytes, and where each of its batches ends."""
    journal, _ = opened(path)
    journal.append(b"0")
    journal.compact(b"snapshot")
    ends = [journal.size]
    for count in (1, 3, 2):
        for index in range(count):
            journal.append(b"%d of %d" % (index, count))
        journal.sync()
        ends.append(journal.size)
    journal.close() if clean else journal.abandon()
    return content(path), ends + [len(content(path))] * clean


RECORDS = [0, 1, 4, 6, 6]  # behind each of the ends


def test_cut_off_at_every_byte(path, unsynced):
    data, ends = make_journal(path, clean=True)
    whole = recover(path).records
    for size in range(len(data)):
        batches = sum(end <= size for end in ends)
        if not batches:
            with pytest.raises(CorruptionError, match=r"corrupt journal: .*, byte"):
                recover(path, data[:size])
            continue
        expected = Recovery(2, b"snapshot", whole[: RECORDS[batches - 1]], size - ends[batches - 1])
        assert recover(path, data[:size]) == expected
        assert content(path) == data[: ends[batches - 1]], "the torn tail is cut off"
        assert recover(path) == Recovery(2, b"snapshot", expected.records, 0)


@pytest.mark.parametrize("clean", [True, False])
def test_every_byte_flipped(path, unsynced, clean):
    data, ends = make_journal(path, clean=clean)
    whole = recover(path).records
    for at in range(len(data)):
        broken = data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
        if at < ends[-2]:
            with pytest.raises(CorruptionError, match=r"corrupt journal: .*, byte \d+: ") as error:
                recover(path, broken)
            damaged = max((end for end in [0, 32, *ends] if end <= at), default=0)
            assert int(re.search(r"byte (\d+)", str(error.value))[1]) in (damaged, 6)
            assert content(path) == broken, "damage is left for a look at it"
        else:
            expected = whole if clean else whole[:4]
            assert recover(path, broken) == Recovery(2, b"snapshot", expected, len(data) - ends[-2])


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 5000, b"mrcbatch" * 700, b"\xff" * 70, bytes(range(256)) * 9000])
def test_zeros_and_garbage_behind_the_last_batch_are_cut_off(path, tail):
    data, _ = make_journal(path, clean=False)
    assert recover(path, data + tail) == Recovery(2, b"snapshot", recover(path, data).records, len(tail))
    assert content(path) == data


@pytest.mark.parametrize("shift", range(-180, -80, 7))
def test_a_later_batch_is_found_where_two_reads_meet(path, unsynced, shift):
    with opened(path)[0] as journal:
        journal.append(b"x" * ((2 << 20) + shift))
        journal.sync()
        later = journal.size
        journal.append(b"y")
        journal.sync()
    data = bytearray(content(path))
    data[FIRST_END] ^= 1
    with pytest.raises(CorruptionError, match=f"byte {FIRST_END}: .*, and a later batch begins at byte {later}:"):
        recover(path, data)


def forged(*batches, generation=1, first=()):
    """A file whose checksums are right, whatever its numbers say."""
    head, pieces = encode_generation(generation, SALT, 0, None)
    data = pieces[0][:32] + b"".join(encode_batch(head, 32, 0, first))
    for sequence, records in batches:
        data += b"".join(encode_batch(head, len(data), sequence, records))
    return data


def test_sound_checksums_over_wrong_numbers(path):
    assert recover(path, forged((0, [b"a"]), (1, []), (1, [b"b"]))).records == [b"a", b"b"]
    with pytest.raises(CorruptionError, match="begins with record 2 where 1 follows"):
        recover(path, forged((0, [b"a"]), (2, [b"b"])))
    with pytest.raises(CorruptionError, match="holds more than a snapshot"):
        recover(path, forged(first=[b"a", b"b"]))
    head, pieces = encode_generation(1, SALT, 0, None)
    for body, count in ((b"\0\0\0\0", 2), (b"\5\0\0\0abcd", 1), (b"\0\0\0", 0), (b"\xff\xff\xff\xffabcd", 1)):
        numbers = b"mrcbatch" + b"".join(
            number.to_bytes(8, "little")
            for number in (FIRST_END, 0, count, len(body), xxh3_64_intdigest(body, head.seed))
        )
        check = xxh3_64_intdigest(numbers, head.seed).to_bytes(8, "little")
        with pytest.raises(CorruptionError, match=f"byte {FIRST_END + 56}: the records of a batch do not fill it"):
            recover(path, b"".join(pieces) + numbers + check + body)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "byte 0: not a journal"),
        (b"mrcrun\2\0" + b"x" * 90, "byte 0: not a journal"),
        (b"mrcjnl\2\0", "byte 6: version 2, and this mrcore reads version 1"),
        (b"mrcjnl\1\0abc", "byte 11: the file ends inside its head"),
        (forged()[:32], "byte 32: no sound batch begins here"),
    ],
)
def test_what_is_no_journal(path, data, said):
    with pytest.raises(CorruptionError, match=said):
        recover(path, data)
    assert content(path) == data


def test_more_than_a_batch_may_hold_is_refused_and_nothing_is_lost(path, monkeypatch):
    monkeypatch.setattr(journal_module, "BATCH_BYTES_MAX", 100)
    with opened(path)[0] as journal:
        journal.append(b"x" * 50)
        with pytest.raises(BudgetError, match=r"too much for one batch: .*: 101 bytes, the limit is 100"):
            journal.append(b"y" * 43)
        journal.append(b"y" * 42)
        journal.sync()
        journal.append(b"z" * 96)
        with pytest.raises(BudgetError):
            journal.compact(b"s" * 97)
        journal.append(b"last")
    assert [len(record) for record in recover(path).records] == [50, 42, 96, 4]


def test_a_full_disk_is_said_and_the_journal_recovers(path):
    journal, _ = opened(path)
    journal.append(b"kept")
    journal.sync()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        journal.append(b"x" * 20_000)
        with pytest.raises(DiskFullError, match=r"no space left: .*/journal"):
            journal.sync()
        with pytest.raises(MrcoreError, match="open it again, which recovers it"):
            journal.append(b"y")
        journal.close()
        journal, recovery = opened(path)
        assert recovery.records == [b"kept"] and recovery.dropped_bytes > 9_000
        with pytest.raises(DiskFullError):
            journal.compact(b"x" * 20_000)
        journal.close()
        assert recover(path).records == [b"kept"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_sync_that_failed_is_not_tried_again(path, monkeypatch):
    journal, _ = opened(path)
    calls = []

    def failing(fd):
        calls.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    journal.append(b"a")
    with pytest.raises(OutputExistsError, match=r"cannot write: .*/journal: input/output error"):
        journal.sync()
    with pytest.raises(MrcoreError, match="journal failed or was closed"):
        journal.sync()
    journal.close()
    assert len(calls) == 1


def test_a_disk_that_cannot_be_read_says_so(path, monkeypatch):
    opened(path)[0].close()

    def failing(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(InputError, match=r"cannot read: .*/journal: input/output error"):
        opened(path)


HOLD = """
import os, sys, time
from mrcore.storage.disk import RealDisk
from mrcore.storage.journal import open_journal
journal, _ = open_journal(RealDisk(os.fsencode(sys.argv[1])), 1)
journal.append(b"synced")
journal.sync()
journal.append(b"not synced")
print("ready", flush=True)
time.sleep(100)
"""


def test_one_process_at_a_time_and_a_killed_one_lets_go(path):
    command = [sys.executable, "-P", "-c", HOLD, os.fsdecode(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "ready\n"
            with pytest.raises(OutputExistsError, match=r"another process holds it: .*/journal: wait until it ends"):
                opened(path)
            before = content(path)
        finally:
            holder.send_signal(signal.SIGKILL)
    assert content(path) == before
    assert recover(path).records == [b"synced"]


def test_an_error_in_the_body_leaves_what_was_not_synced_out(path):
    with pytest.raises(ZeroDivisionError), opened(path)[0] as journal:
        journal.append(b"a")
        journal.sync()
        journal.append(b"b")
        raise ZeroDivisionError
    assert recover(path).records == [b"a"]


def test_the_worked_example_of_the_page_is_what_a_journal_writes(path):
    page = (Path(__file__).parents[2] / "docs/formats/journal.md").read_text()
    dump = "".join(re.findall(r"^[0-9a-f]{8}: ((?:[0-9a-f]{2} ){1,16})", page, re.MULTILINE))
    with opened(path)[0] as journal:
        journal.append(b"run")
        journal.append(b"")
    assert content(path) == bytes.fromhex(dump)


def test_nothing_stays_open(path):
    before = set(os.listdir("/proc/self/fd"))
    journal, _ = opened(path)
    journal.append(b"a")
    journal.compact(b"s")
    with pytest.raises(OutputExistsError):
        opened(path)
    journal.close()
    journal.close()
    with pytest.raises(CorruptionError):
        recover(path, b"garbage")
    assert set(os.listdir("/proc/self/fd")) <= before
