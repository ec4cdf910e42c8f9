"""The real journal on a simulated disk: what it said to be durable is there, in order, whatever the disk does."""

import random

import pytest

from mrcore.errors import MrcoreError
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.disk import KINDS, PowerCutError, SimulatedDisk
from mrcore.testing.simulation.faults import DiskFaults

journal = pytest.importorskip("mrcore.storage.journal")
FAULTS = DiskFaults(full=0.02, sync_fails=0.05)


class Story:
    """A journal that is opened again after each end, and what it must hold."""

    def __init__(self, seed, coverage):
        self.rng = random.Random(seed)
        self.disk = SimulatedDisk(self.rng, coverage, FAULTS, rots=lambda path: False)
        self.appended, self.durable = [], 0  # all records, and how many of them were said to be durable

    def live(self):
        """From one opening to an end: a clean one, an error of the disk, or a power cut."""
        if self.rng.random() < 0.7:
            self.disk.cut_power_after(self.rng.randrange(25))
        opened, recovery = journal.open_journal(self.disk.directory(b"/journal"), self.rng.getrandbits(64))
        found = [*(recovery.snapshot or b"").split(), *recovery.records]
        assert found[: self.durable] == self.appended[: self.durable], "durable records are there"
        assert found == self.appended[: len(found)], "and nothing else than what was appended behind them"
        self.appended, self.durable = found, len(found)
        with opened:
            for _ in range(self.rng.randrange(12)):
                self.go_on(opened)

    def go_on(self, opened):
        for _ in range(self.rng.randrange(4)):
            record = b"%d:" % len(self.appended) + b"x" * self.rng.choice([0, 10, 700, 5000])
            opened.append(record)
            self.appended.append(record)
        if self.rng.random() < 0.2:
            opened.compact(b" ".join(self.appended))
        else:
            opened.sync()
        self.durable = len(self.appended)


def test_durable_records_survive_every_fault_of_the_disk():
    coverage = Coverage(f"disk.{kind}" for kind in KINDS if kind != "flip")
    for seed in range(150):
        story = Story(seed, coverage)
        for _ in range(8):
            try:
                story.live()
            except PowerCutError:
                story.disk.crash()
            except MrcoreError:
                if story.rng.random() < 0.5:
                    story.disk.crash()
    assert coverage.below(1) == [], coverage.table()
