"""mrcore inspect of a journal: what it says, of sound ones, torn ones, damaged ones and those of somebody else."""

import pytest

from mrcore.scheduler import events as of
from mrcore.scheduler.actions import AppendJournal
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import StageSpec
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler
from mrcore.storage.disk import RealDisk
from mrcore.storage.journal import open_journal


class Written:
    """A scheduler's journal on a real disk, a sync a record."""

    def __init__(self, folder):
        self.journal, recovery = open_journal(RealDisk(str(folder).encode()), 7)
        self.scheduler, actions = Scheduler.recover(SchedulerConfig(), recovery.snapshot, recovery.records, 0)
        self.append(actions)

    def append(self, actions):
        for action in actions:
            if isinstance(action, AppendJournal):
                self.journal.append(encode_record(action.record))
                self.journal.sync()
        return actions

    def tell(self, event):
        return self.append(self.scheduler.handle(event, 0))


@pytest.fixture
def written(shell):
    made = Written(shell.folder)
    made.tell(of.WorkerRegistered("w1", 1, 0, 1000))
    *_, start = made.tell(of.JobSubmitted("counts", (StageSpec(2),)))
    made.tell(of.AttemptFinished("w1", start.generation, start.attempt, 5))
    return made


def lines(shell, *words):
    done = shell.run("inspect", "journal", *words)
    assert (done.status, done.err) == (0, b"")
    return done.out.decode().splitlines()


def test_records_are_counted_and_shown_when_asked_for(shell, written):
    written.journal.close()
    head, *kinds = lines(shell)
    assert head.startswith("journal, version 1, generation 1: ") and head.endswith(" bytes, no snapshot, 3 records")
    assert [line.split() for line in kinds] == [["1", "AttemptCommitted"], ["1", "EpochBegan"], ["1", "JobAdmitted"]]
    shown = lines(shell, "--records")[4:]
    assert [line.split("\t")[0].strip() for line in shown] == ["0", "1", "2"]
    assert "AttemptCommitted(job='counts', stage=0, task=0, attempt=0" in shown[2]
    assert lines(shell, "--records", "1")[4:] == shown[:1]


def test_a_snapshot_is_shown_by_job_and_stage(shell, written):
    written.journal.compact(written.scheduler.snapshot())
    written.tell(of.JobCancelled("counts"))
    written.journal.close()
    head, *rest = lines(shell)
    assert "generation 2: " in head and "a snapshot of " in head
    assert rest == ["  epoch 1, 1 jobs", "  counts, stage 0: 1 of 2 tasks committed", "        1 JobEnded"]


def test_a_torn_tail_is_said_and_left_as_it_is(shell, written):
    path = shell.folder / "journal"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    *_, last = lines(shell)
    assert last.startswith("a torn tail of ") and last.endswith("whoever opens the journal drops it")
    assert path.read_bytes() == whole[:-3]


def test_damage_names_file_and_byte(shell, written):
    path = shell.folder / "journal"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert shell.run("inspect", "journal").failed(1, "journal", "byte ")


def test_a_journal_of_somebody_else_is_counted_all_the_same(shell):
    journal, _ = open_journal(RealDisk(str(shell.folder).encode()), 7)
    journal.append(b"not ours")
    journal.compact(b"nor this")
    journal.append(b"\xff" * 10)
    journal.close()
    assert lines(shell, "--records")[1:] == [
        "  the snapshot is not a scheduler's", "        1 unknown", "  2\tunknown, 10 bytes",
    ]  # fmt: skip
