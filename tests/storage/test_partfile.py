"""Part files: whole, checked, or gone."""

import os

import pytest
import xxhash

from mrcore.errors import DiskFullError, InputError, OutputExistsError
from mrcore.storage import partfile
from mrcore.storage.partfile import PartWriter, file_check


@pytest.mark.parametrize("sync", [True, False])
def test_what_was_written_is_there_with_its_size_and_checksum(tmp_path, sync, monkeypatch):
    monkeypatch.setattr(partfile, "WRITEBACK_BYTES", 10)
    path = os.fsencode(tmp_path / "part")
    pieces = [b"", b"a", b"12345678", b"b" * 100, memoryview(b"end")]
    with PartWriter(path, sync=sync) as part:
        for piece in pieces:
            part.write(piece)
    written = b"".join(bytes(piece) for piece in pieces)
    assert (tmp_path / "part").read_bytes() == written
    assert (part.size, part.check) == (len(written), xxhash.xxh3_64_hexdigest(written))


def test_writing_back_is_asked_for_once_for_each_byte_and_only_if_the_file_is_synced(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(partfile, "start_writeback", lambda fd, start, size: asked.append((start, size)))
    monkeypatch.setattr(partfile, "WRITEBACK_BYTES", 10)
    for sync in (True, False):
        with PartWriter(os.fsencode(tmp_path / f"part-{sync}"), sync=sync) as part:
            for size in (4, 7, 3, 25):
                part.write(b"x" * size)
    assert asked == [(0, 11), (11, 28)]


def test_an_error_inside_removes_the_file(tmp_path):
    with pytest.raises(ZeroDivisionError), PartWriter(os.fsencode(tmp_path / "part")) as part:
        part.write(b"x")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError), PartWriter(os.fsencode(tmp_path / "part")) as part:
        part.write(b"x")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "part").write_bytes(b"before")
    with pytest.raises(OutputExistsError):
        PartWriter(os.fsencode(tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == b"before"


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_a_file_that_is_there_has_the_size_and_check_that_its_writer_says(tmp_path, monkeypatch, size):
    monkeypatch.setattr(partfile, "CHECK_BYTES", 10)
    path = os.fsencode(tmp_path / "part")
    written = os.urandom(size)
    with PartWriter(path, sync=False) as part:
        part.write(written)
    assert file_check(path) == (part.size, part.check) == (size, xxhash.xxh3_64_hexdigest(written))


def test_what_cannot_be_read_has_no_check(tmp_path):
    before = os.listdir("/proc/self/fd")
    for name, said in (("nowhere", "no such file"), (".", "is a directory")):
        with pytest.raises(InputError, match=said):
            file_check(os.fsencode(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before
