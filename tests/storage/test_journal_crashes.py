"""Every crash of a journal: at each call of the disk, with every set of unsynced blocks that may have reached it.

The disk here keeps what is durable apart from what is only written. A loss of power leaves any
combination of the dirty blocks, one of several sizes, and zeros, garbage or former content in the
gaps; a killed process leaves all that it wrote; a failed sync leaves pages that are clean and not on
the disk.
"""

import copy
import errno
import itertools
import os

import pytest

from mrcore.errors import CorruptionError, DiskFullError, MrcoreError
from mrcore.storage.disk import RealDisk
from mrcore.storage.journal import NAME, NEW, open_journal

BLOCK = 16


class Stop(BaseException):
    """The end of the process."""


class Content:
    """A file's bytes: those that are read, those that are durable, and what lay on its blocks before."""

    def __init__(self, durable=b"", remains=b""):
        self.live, self.durable, self.remains = bytearray(durable), bytes(durable), bytes(remains)
        self.dirty = set()

    def outcomes(self):
        """All that a loss of power can make of it."""
        found = {}
        for count in range(len(self.dirty) + 1):
            for kept in itertools.combinations(sorted(self.dirty), count):
                reach = min(len(self.live), (kept[-1] + 1) * BLOCK) if kept else 0
                for size in {len(self.durable), len(self.live), max(reach, min(len(self.live), len(self.durable)))}:
                    for gap in (bytes(size), b"\xa5" * size, self.remains.ljust(size, b"\0")):
                        found[self._mixed(kept, size, gap)] = None
        return list(found)

    def _mixed(self, kept, size, gap):
        data = bytearray(gap[:size])
        data[: len(self.durable)] = self.durable
        for block in kept:
            part = slice(block * BLOCK, min((block + 1) * BLOCK, len(self.live)))
            data[part] = self.live[part]
        return bytes(data[:size])


class FaultyFile:
    """A file of a FaultyDisk."""

    def __init__(self, disk, content):
        self._disk, self.content = disk, content

    def size(self):
        return len(self.content.live)

    def read(self, offset, size):
        return bytes(self.content.live[offset : offset + size])

    def write(self, offset, data):
        assert offset <= self.size()
        self._disk.step(lambda: self._write(offset, data[: len(data) // 2]))
        self._write(offset, data)

    def _write(self, offset, data):
        self.content.live[offset : offset + len(data)] = data
        if data:
            self.content.dirty |= set(range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1))

    def truncate(self, size):
        self._disk.step()
        content = self.content
        content.remains = bytes(content.live) + content.remains[len(content.live) :]
        del content.live[size:]
        content.dirty = {block for block in content.dirty if block * BLOCK < size}

    def sync(self):
        self._disk.step(self._sync_failed)
        content, size = self.content, len(self.content.live)
        content.durable = content._mixed(sorted(content.dirty), size, bytes(size))  # what is not dirty is not written
        content.dirty.clear()

    def _sync_failed(self):
        if isinstance(self._disk.fault, OSError):  # not so where the process ends
            self.content.dirty.clear()

    def close(self):
        pass


class FaultyDisk:
    """A disk that stops, or fails, at a given call.

    Names change in their order: a loss of power leaves those of some moment since the last sync.
    """

    path = b"disk"

    def __init__(self, files=None):
        self.moments = [files or {}]
        self.calls, self.fault, self.fault_at, self.locked = 0, None, -1, False

    @property
    def files(self):
        return self.moments[-1]

    def step(self, halfway=lambda: None):
        """One call that may be the last; ``halfway`` is what it does all the same."""
        self.calls += 1
        if self.calls - 1 == self.fault_at:
            halfway()
            raise self.fault

    def breaking(self, at, fault):
        self.calls, self.fault_at, self.fault = 0, at, fault
        return self

    def after_power_loss(self):
        for files in self.moments:
            current = files.get(NAME)
            for data in current.outcomes() if current else [b""]:
                left = {name: Content(content.durable) for name, content in files.items()}
                if current:
                    left[NAME] = Content(data, current.remains or current.live)
                yield FaultyDisk(left)

    def lock(self):
        if self.locked:
            raise BlockingIOError
        self.locked = True

    def names(self):
        return [*self.files]

    def open(self, name):
        if name not in self.files:
            self.step()
            self.moments.append(self.files | {name: Content()})
        return FaultyFile(self, self.files[name])

    def rename(self, source, target):
        self.step()
        files = dict(self.files)
        files[target] = files.pop(source)
        self.moments.append(files)

    def unlink(self, name):
        self.step()
        self.moments.append({other: content for other, content in self.files.items() if other != name})

    def sync_directory(self):
        self.step()
        self.moments = [self.files]

    def close(self):
        self.locked = False


class Story:
    """What was appended, and how much of it was promised."""

    def __init__(self):
        self.appended, self.promised = [], 0

    def play(self, disk):
        """Batches of several sizes, two compactions, two openings."""
        with open_journal(disk, 7)[0] as journal:
            self.add(journal, 2)
            self.add(journal, 0)
            self.add(journal, 1, size=0)
            journal.compact(b"|".join(self.appended))
            self.add(journal, 1)
        with open_journal(disk, 7)[0] as journal:
            self.add(journal, 1, size=20)
            self.append(journal, 3)
            journal.compact(b"|".join(self.appended))
            self.promised = len(self.appended)
            self.add(journal, 1)

    def append(self, journal, size):
        self.appended.append(b"%d" % len(self.appended) + b"x" * size)
        journal.append(self.appended[-1])

    def add(self, journal, count, size=3):
        for _ in range(count):
            self.append(journal, size)
        journal.sync()
        self.promised = len(self.appended)

    def found(self, recovery):
        """All records, from the snapshot on: what was promised at least, and nothing that was not appended."""
        records = (recovery.snapshot.split(b"|") if recovery.snapshot else []) + recovery.records
        assert self.promised <= len(records)
        assert records == self.appended[: len(records)]
        return records

    def go_on(self, disk):
        """Opens the journal, appends to it, and loses power: nothing may be lost any more."""
        journal, recovery = open_journal(disk, 8)
        records = self.found(recovery)
        (left,) = disk.after_power_loss()
        again = open_journal(left, 8)[1]
        assert self.found(again) == records and again.dropped_bytes == 0
        journal.append(b"more")
        journal.sync()
        (left,) = disk.after_power_loss()
        assert open_journal(left, 8)[1].records == [*recovery.records, b"more"]


def calls_of_the_story():
    disk = FaultyDisk()
    Story().play(disk)
    return disk.calls


CALLS = range(calls_of_the_story())


def stopped(at, fault=None):
    """A disk on which the story broke off at a call, and the story."""
    disk, story = FaultyDisk().breaking(at, fault or Stop()), Story()
    with pytest.raises((Stop, MrcoreError)):
        story.play(disk)
    return disk.breaking(-1, None), story


@pytest.mark.parametrize("at", CALLS)
def test_power_is_lost_at_any_call_and_any_blocks_survive(at):
    disk, story = stopped(at)
    for left in disk.after_power_loss():
        story.go_on(left)


@pytest.mark.parametrize("at", CALLS)
def test_power_is_lost_again_during_any_call_of_the_recovery(at):
    disk, story = stopped(at)
    outcomes = list(disk.after_power_loss())
    for index in range(0, len(outcomes), max(1, len(outcomes) // 10)):
        for again in itertools.count():
            second = copy.deepcopy(outcomes[index]).breaking(again, Stop())
            try:
                open_journal(second, 8)[0].abandon()
            except Stop:
                lefts = list(second.breaking(-1, None).after_power_loss())
                for left in lefts[:: max(1, len(lefts) // 20)]:
                    story.go_on(left)
            else:
                break


@pytest.mark.parametrize("at", CALLS)
def test_the_process_is_killed_at_any_call_and_power_is_lost_after_the_recovery(at):
    disk, story = stopped(at)
    story.go_on(disk)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("at", CALLS)
def test_any_call_fails_and_a_failed_sync_leaves_clean_pages(at, code):
    disk, story = stopped(at, OSError(code, os.strerror(code)))
    for left in disk.after_power_loss():
        story.go_on(left)
    story.go_on(disk)


@pytest.mark.parametrize("broken", ["write", "sync"])
def test_a_journal_that_failed_takes_nothing_more_until_it_is_opened_again(broken):
    disk = FaultyDisk()
    journal, _ = open_journal(disk, 7)
    journal.append(b"kept")
    journal.sync()
    disk.breaking(["write", "sync"].index(broken), OSError(errno.ENOSPC, "full"))
    journal.append(b"lost")
    with pytest.raises(DiskFullError, match="no space left: disk/journal"):
        journal.sync()
    for call in (lambda: journal.append(b"more"), journal.sync, lambda: journal.compact(b"")):
        with pytest.raises(MrcoreError, match="journal failed or was closed: disk/journal: open it again"):
            call()
    calls = disk.calls
    journal.close()
    assert disk.calls == calls, "a failed sync is not tried again, nor anything written behind it"
    assert open_journal(disk, 7)[1].records[0] == b"kept"


def test_a_torn_batch_of_many_records_whose_first_block_is_lost_is_a_torn_tail():
    disk, story = FaultyDisk(), Story()
    journal, _ = open_journal(disk, 7)
    story.add(journal, 3)
    whole = journal.size
    for _ in range(4):
        story.append(journal, 40)
    disk.breaking(1, Stop())  # at the sync
    with pytest.raises(Stop):
        journal.sync()
    content = disk.files[NAME]
    blocks = sorted(content.dirty)
    torn = content._mixed(blocks[3:], len(content.live), bytes(len(content.live)))
    assert torn[-40:] == story.appended[-1][-40:], "the last record is there"
    _, recovery = open_journal(FaultyDisk({NAME: Content(torn)}), 7)
    assert recovery.records == story.appended[:3]
    assert recovery.dropped_bytes == len(content.live) - whole


def test_blocks_of_an_older_generation_or_another_journal_are_garbage():
    """They hold sound batches, at the very bytes where they would stand here."""

    def journal_of(salt, generations, batches):
        disk, story = FaultyDisk(), Story()
        journal, _ = open_journal(disk, salt)
        for _ in range(generations - 1):
            journal.compact(b"")
        for _ in range(batches):
            story.add(journal, 1)
        return bytes(disk.files[NAME].live), story

    for other in (journal_of(7, 2, 4)[0], journal_of(8, 3, 4)[0]):
        data, story = journal_of(7, 3, 2)
        assert len(data) < len(other)
        disk = FaultyDisk({NAME: Content(data + other[len(data) :])})
        _, recovery = open_journal(disk, 7)
        assert story.found(recovery) == story.appended
        assert recovery.dropped_bytes == len(other) - len(data)


@pytest.mark.parametrize("damage", ["flip", "zeros", "hole"])
def test_damage_before_the_last_batch_is_never_dropped(damage):
    disk, story, ends = FaultyDisk(), Story(), []
    journal, _ = open_journal(disk, 7)
    for count in (1, 3, 2, 1):
        ends.append(journal.size)
        story.add(journal, count)
    data = bytes(disk.files[NAME].live)
    for at in range(ends[-1]):
        size = {"flip": 1, "zeros": 1, "hole": 60}[damage]
        bad = bytes([data[at] ^ 64]) if damage == "flip" else bytes(min(size, ends[-1] - at))
        broken = data[:at] + bad + data[at + len(bad) :]
        if broken == data:
            continue
        disk = FaultyDisk({NAME: Content(broken), NEW: Content(b"garbage")})
        with pytest.raises(CorruptionError, match=r"corrupt journal: disk/journal, byte \d+: "):
            open_journal(disk, 7)
        assert bytes(disk.files[NAME].live) == broken and not disk.locked


@pytest.fixture(params=["real", "faulty"])
def disk(request, tmp_path):
    disk = RealDisk(os.fsencode(tmp_path)) if request.param == "real" else FaultyDisk()
    yield disk
    disk.close()


def test_both_disks_keep_the_contract_of_calls(disk):
    """What can be seen of it without a loss of power."""
    disk.lock()
    file = disk.open("a")
    file.write(0, b"abcdef")
    file.write(2, b"CDEFGH")
    assert (file.size(), file.read(0, 100), file.read(6, 1), file.read(8, 9)) == (8, b"abCDEFGH", b"G", b"")
    file.truncate(3)
    file.sync()
    assert disk.open("a").read(0, 9) == b"abC"
    disk.open("b").write(0, b"new")
    disk.rename("b", "a")
    disk.sync_directory()
    assert file.read(0, 9) == b"abC", "an open file outlives its name"
    assert disk.open("a").read(0, 9) == b"new"
    assert [name for name in disk.names() if not name.endswith(".lock")] == ["a"]
    disk.unlink("a")
    assert "a" not in disk.names()
    with pytest.raises(BlockingIOError):
        (FaultyDisk.lock if isinstance(disk, FaultyDisk) else lambda d: RealDisk(d.path).lock())(disk)
    file.close()
