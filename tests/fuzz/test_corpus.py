"""The kept corpus of run files: each is read completely, and is sound or says what is wrong with it."""

import os
import runpy
import tracemalloc
from pathlib import Path

import pytest

from mrcore.cli.inspect import check_segment, read_records
from mrcore.errors import CorruptionError
from mrcore.storage.runfile import RunReader

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus" / "runfile"
EXPECTED = dict(line.split(": ", 1) for line in (CORPUS / "expected.txt").read_text().splitlines())




def read_completely(path):
    """How many records it has."""
    records = 0
    with RunReader(os.fsencode(path)) as reader:
        for segment in reader.check_footer():
            assert segment in reader.segments(segment.partition)
            records += sum(1 for _ in read_records(reader, segment))
            check_segment(reader, segment)
    return records


def test_the_corpus_is_what_its_script_writes():
    made = runpy.run_path(os.fspath(FOLDER / "generate_corpus.py"))["corpus"]()
    assert {name: said for name, (_, said) in made.items()} == EXPECTED
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted([*made, "expected.txt"])
    for name, (data, _) in made.items():
        assert (CORPUS / name).read_bytes() == data, name


@pytest.mark.parametrize("name", EXPECTED)
def test_each_file_is_what_the_list_says(name):
    before = set(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    try:
        if EXPECTED[name] == "sound":
            assert (read_completely(CORPUS / name) > 0) == (name not in ("sound-empty", "sound-no-records"))
        else:
            with pytest.raises(CorruptionError) as error:
                read_completely(CORPUS / name)
            assert EXPECTED[name] in str(error.value)
            assert f"{name}, byte " in str(error.value)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert set(os.listdir("/proc/self/fd")) <= before
