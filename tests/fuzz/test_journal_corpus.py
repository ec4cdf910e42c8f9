"""The kept corpus of journals: each opens, is cut where it is torn, or says what is wrong. And 2,000 mutations."""

import os
import random
import runpy
import shutil
import tracemalloc
from pathlib import Path

import pytest

from mrcore.errors import CorruptionError
from mrcore.storage.disk import RealDisk
from mrcore.storage.journal import NAME, open_journal

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus" / "journal"
EXPECTED = dict(line.split(": ", 1) for line in (CORPUS / "expected.txt").read_text().splitlines())
MADE = runpy.run_path(os.fspath(FOLDER / "generate_journal_corpus.py"))


def recover(folder):
    journal, recovery = open_journal(RealDisk(os.fsencode(folder)), 1)
    journal.abandon()
    return recovery


def test_the_corpus_is_what_its_script_writes():
    made = MADE["corpus"]()
    assert {name: said for name, (_, said) in made.items()} == EXPECTED
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted([*made, "expected.txt"])
    for name, (data, _) in made.items():
        assert (CORPUS / name).read_bytes() == data, name


@pytest.mark.parametrize("name", EXPECTED)
def test_each_file_is_what_the_list_says(name, tmp_path):
    shutil.copy(CORPUS / name, tmp_path / NAME)
    before = set(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    try:
        if "dropped" in EXPECTED[name]:
            found = recover(tmp_path)
            assert MADE["said"](found.snapshot is not None, len(found.records), found.dropped_bytes) == EXPECTED[name]
            assert recover(tmp_path).dropped_bytes == 0
        else:
            with pytest.raises(CorruptionError) as error:
                recover(tmp_path)
            assert EXPECTED[name] in str(error.value)
            assert "journal, byte " in str(error.value)
            assert (tmp_path / NAME).read_bytes() == (CORPUS / name).read_bytes()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("seed", range(8))
def test_mutations_lose_whole_batches_from_the_end_or_are_damage(seed, tmp_path, monkeypatch):
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: None)
    rng = random.Random(seed)
    pieces = MADE["LONG"].pieces()
    data, last = b"".join(pieces), sum(map(len, pieces[:-1]))
    records = [record for batch in MADE["LONG"].batches[1:] for record in batch.records]
    outcomes = set()
    for _ in range(250):
        at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(last, len(data))
        size = rng.choice([0, 1, 2, 8, 40])
        broken = data[:at] + rng.randbytes(rng.choice([0, 1, 8, size])) + data[at + size :]
        (tmp_path / NAME).write_bytes(broken)
        try:
            found = recover(tmp_path)
        except CorruptionError as error:
            assert "journal, byte " in str(error)
            assert at < last or broken == data
            outcomes.add("damage")
            continue
        assert found.records == records[: len(found.records)]
        assert len(found.records) in (0, 1, 4, 5), "whole batches"
        assert found.snapshot == MADE["SNAPSHOT"].records[0]
        outcomes.add(len(found.records))
    assert {"damage", 4} <= outcomes
