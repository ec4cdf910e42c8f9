"""``mrcore inspect``: what is in run files and output directories, and whether they are sound."""

import json
import os
from pathlib import Path

import pytest
import xxhash

from mrcore.storage.runfile import RunWriter
from mrcore.testing import reference

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "runfile"
KNOWN = "inspect reads run files, journals, output directories and their _manifest.json"


LONG = b"abcdefghijklmnopqrstuvwxyz0123"  # thirty bytes that do not become fewer


def write_run(shell, name="run"):
    """Three partitions; the second is empty, the third has two runs, of which one has two blocks."""
    first, second = [(b"be", 2), (b"caf\xc3\xa9", -1)], [(b"\n\t\xff", 7), (LONG, 1 << 62)]
    with RunWriter(os.fsencode(shell.folder / name), 3, sync=False) as run:
        run.segment(2, [reference.encode_records(first)], lambda: 2)
        run.segment(0, [reference.encode_records(first)], lambda: 2)
        run.segment(2, [reference.encode_records([pair]) for pair in second], lambda: 2)
    return name


COLUMNS = "partition   run         byte      records          raw       stored  largest block"


def shown(shell, *args):
    done = shell.run("inspect", *args)
    assert (done.status, done.err) == (0, b"")
    return done.out.decode().split("\n")[:-1]


def test_a_run_file_has_a_line_a_segment(shell):
    lines = shown(shell, write_run(shell))
    size = (shell.folder / "run").stat().st_size
    assert lines[0] == f"run file, version 2, kind sum: {size} bytes, 3 partitions, 3 segments, 6 records"
    assert lines[1] == COLUMNS
    assert [line.split() for line in lines[2:]] == [
        ["0", "0", "51", "2", "11", "35", "11"],
        ["2", "0", "16", "2", "11", "35", "11"],
        ["2", "1", "86", "2", "46", "94", "41"],
    ]


def test_blocks_and_records_stand_below_their_segment(shell):
    lines = shown(shell, write_run(shell), "--blocks", "--records")
    assert lines[3:6] == ["  block at byte 51: 11 bytes, 11 stored", "  be\t2", "  café\t-1"]
    assert lines[11:] == [
        "  block at byte 86: 5 bytes, 5 stored",
        "  block at byte 115: 41 bytes, 41 stored",
        "  \\n\\t\\xff\t7",
        f"  {LONG.decode()}\t{1 << 62}",
    ]


@pytest.mark.parametrize(("wanted", "records"), [("0", 0), ("1", 3), ("2", 6), ("1000", 6)])
def test_so_many_records_of_each_segment(shell, wanted, records):
    assert sum("\t" in line for line in shown(shell, write_run(shell), "--records", wanted)) == records


def test_postings_are_documents_with_counts(shell):
    lines = shown(shell, CORPUS / "sound-postings", "--records")
    assert lines[0].startswith("run file, version 2, kind posting: ")
    assert "  b\t3:1,7:302" in lines  # of two groups, the counts of one document added


def test_an_empty_run_file(shell):
    assert shown(shell, CORPUS / "sound-empty") == [
        "run file, version 2, kind sum: 56 bytes, 0 partitions, 0 segments, 0 records"
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.glob("sound-*")))
def test_every_sound_file_of_the_corpus_is_shown(shell, name):
    lines = shown(shell, "--blocks", CORPUS / name, "--records")
    records = int(lines[0].split(", ")[-1].split()[0])
    assert sum("\t" in line for line in lines) == records


@pytest.mark.parametrize("name", [
    "version-1", "half", "flipped-block", "flipped-entry", "unsorted-footer", "overlap", "record-cut", "records-wrong",
    "record-twice", "posting-cut",
])  # fmt: skip
def test_a_damaged_run_file_is_named_with_its_byte_and_status_1(shell, name):
    done = shell.run("inspect", CORPUS / f"broken-{name}")
    assert done.status == 1
    assert done.err.startswith(b"mrcore: corrupt run file: ")
    assert done.err.count(b"\n") == 1
    assert f"broken-{name}, byte ".encode() in done.err


def test_posting_lists_are_looked_into_when_records_are_wanted(shell):
    done = shell.run("inspect", CORPUS / "broken-posting-descends", "--records")
    assert done.status == 1
    assert b"document ids that do not ascend" in done.err


def test_sound_segments_are_shown_before_the_damaged_one(shell):
    name = write_run(shell)
    with open(shell.folder / name, "r+b") as file:
        file.seek(115 + 30)
        file.write(b"?")
    done = shell.run("inspect", name)
    assert done.status == 1
    assert done.out.count(b"\n") == 4
    assert done.err == b"mrcore: corrupt run file: run, byte 115: a block fails its checksum\n"


# ---- output directories ----------------------------------------------------------------------------------


@pytest.fixture
def output(shell):
    shell.write("text", b"to be or not to be\n" * 3)
    assert shell.run("wordcount", "text", "-o", "out", "-R", "2").status == 0
    return shell.folder / "out"


@pytest.mark.parametrize("name", ["out", "out/", "out/_manifest.json"])
def test_an_output_directory_is_compared_with_its_manifest(shell, output, name):
    assert shown(shell, name) == [
        "output of 2 parts: 4 records, 21 bytes",
        "ok    part-00000: 1 records, 5 bytes",
        "ok    part-00001: 3 records, 16 bytes",
    ]


def test_an_output_from_inside(shell, output):
    shell.folder = output
    assert shown(shell, ".")[0] == shown(shell, "_manifest.json")[0] == "output of 2 parts: 4 records, 21 bytes"


def test_parts_that_are_not_what_was_written(shell, output):
    (output / "part-00001").write_bytes((output / "part-00001").read_bytes().replace(b"or", b"OR"))
    done = shell.run("inspect", "out")
    assert done.status == 1
    assert done.out.endswith(b"FAIL  part-00001: 3 records, 16 bytes: its checksum is another\n")
    assert done.err == b"mrcore: corrupt output: out: 1 of 2 parts: run its job again\n"
    (output / "part-00001").write_bytes(b"")
    (output / "part-00000").unlink()
    done = shell.run("inspect", "out")
    assert done.out.splitlines()[1:] == [
        b"FAIL  part-00000: 1 records, 5 bytes: missing",
        b"FAIL  part-00001: 3 records, 16 bytes: it has 0 bytes",
    ]
    assert done.err.endswith(b"2 of 2 parts: run its job again\n")


def test_an_output_without_its_marker_is_said(shell, output):
    (output / "_SUCCESS").unlink()
    assert shown(shell, "out")[0] == "output of 2 parts: 4 records, 21 bytes: unfinished, there is no _SUCCESS"


PART = {"file": "part-00000", "records": 1, "bytes": 1, "xxh3": xxhash.xxh3_64_hexdigest(b"a")}


@pytest.mark.parametrize(("manifest", "said"), [
    (b"", "corrupt manifest"), (b"\xff", "corrupt manifest"), (b"[]", "corrupt manifest"), (b"[" * 9999, "corrupt"),
    (b"{}", "no 'format'"), (json.dumps({"format": "other"}).encode(), "its format is 'other'"),
    (json.dumps({"format": "mrcore-output", "version": 2}).encode(), "version 2, and this mrcore reads version 1"),
    ({}, "no 'file'"), (PART | {"bytes": "1"}, "a part without its numbers"), (PART | {"xxh3": 1}, "a part that is"),
    (PART | {"file": "../out/part-00000"}, "a part that is none"), (PART | {"file": ".."}, "a part that is none"),
], ids=lambda value: str(value)[:30])  # fmt: skip
def test_a_manifest_that_is_none(shell, output, manifest, said):
    if isinstance(manifest, dict):
        manifest = json.dumps({"format": "mrcore-output", "version": 1, "parts": [manifest]}).encode()
    (output / "_manifest.json").write_bytes(manifest)
    assert shell.run("inspect", "out").failed(1, "corrupt manifest: out/_manifest.json: ", said)


# ---- anything else ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"mrcru", b"plain text\n", b"\x7fELF\0\0", b"{}"])
def test_other_files_are_not_known(shell, data):
    shell.write("file", data)
    assert shell.run("inspect", "file").failed(3, f"not a file of mrcore's: file: {KNOWN}")


def test_other_places_are_not_known(shell, output):
    os.mkfifo(shell.folder / "pipe")
    (shell.folder / "folder").mkdir()
    for name in ("pipe", "/dev/zero", "out/part-00000"):
        assert shell.run("inspect", name).failed(3, f"not a file of mrcore's: {name}: {KNOWN}")
    assert shell.run("inspect", "folder").failed(3, f"not a finished output directory: folder: {KNOWN}")
    assert shell.run("inspect", "missing").failed(3, "cannot read: missing: no such file")
    assert shell.run("inspect", "out/nothing/_manifest.json").failed(3, "cannot read: ", "no such file")


def test_nonsense_is_refused(shell):
    name = write_run(shell)
    assert shell.run("inspect", name, "--records", "-2").failed(2, "records out of range: -2")
    assert shell.run("inspect").failed(2, "required")
    assert shell.run("inspect", "--records", "x", name).failed(2, "invalid int value: 'x'")


def test_standard_output_that_is_full_closed_or_left(shell):
    name = write_run(shell)
    assert shell.sh(f"mrcore inspect {name} >/dev/full").failed(5, "no space left: standard output")
    assert shell.sh(f"mrcore inspect {name} >&-").failed(4, "standard output: it is closed")
    with RunWriter(os.fsencode(shell.folder / "many"), 1, sync=False) as run:
        run.segment(0, [reference.encode_records([(b"%06d" % i, 1) for i in range(50_000)])], lambda: 50_000)
    done = shell.sh("set -o pipefail; mrcore inspect many --records | head -3")
    assert (done.status, done.err, done.out.count(b"\n")) == (0, b"", 3)
