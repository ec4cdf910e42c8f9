"""Sealed files: the old one or the new one, whole, and every damage is seen."""

import os
import stat

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from mrcore.errors import CorruptionError, DiskFullError, InputError, OutputExistsError
from mrcore.storage import sealed
from mrcore.storage.sealed import HEAD_SIZE, read_sealed, write_sealed

DATA = b"what a job is"


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "sealed")


def file_of(data: bytes) -> bytes:
    """The grammar once more."""
    numbers = b"mrcsld" + (1).to_bytes(2, "little") + len(data).to_bytes(8, "little")
    return numbers + xxhash.xxh3_64_intdigest(numbers + data).to_bytes(8, "little") + data


def corruption(path: bytes) -> str:
    with pytest.raises(CorruptionError) as caught:
        read_sealed(path)
    said = str(caught.value)
    assert said.startswith(f"corrupt file: {os.fsdecode(path)}, byte ")
    return said.partition(", byte ")[2]


@pytest.mark.parametrize("data", [b"", b"x", DATA, bytes(range(256)) * 5000], ids=len)
def test_what_was_written_is_read_and_follows_the_grammar(path, data):
    write_sealed(path, data)
    with open(path, "rb") as file:
        assert file.read() == file_of(data)
    assert read_sealed(path) == data


def test_what_is_not_there_is_none(path):
    assert read_sealed(path) is None
    assert read_sealed(os.path.join(path, b"below")) is None


def test_what_cannot_be_read_is_said(path):
    os.mkdir(path)
    with pytest.raises(InputError, match="cannot read: "):
        read_sealed(path)


def test_a_file_cut_off_at_any_byte_is_refused_at_that_byte(path):
    whole = file_of(DATA)
    for size in range(len(whole)):
        with open(path, "wb") as file:
            file.write(whole[:size])
        where, _, why = corruption(path).partition(": ")
        assert int(where) == size
        assert why == (
            f"it ends inside its head of {HEAD_SIZE} bytes"
            if size < HEAD_SIZE
            else f"it has {size - HEAD_SIZE} bytes behind its head, not {len(DATA)}"
        )


def test_a_file_with_more_behind_it_is_refused(path):
    with open(path, "wb") as file:
        file.write(file_of(DATA) + b"!")
    assert corruption(path) == f"{HEAD_SIZE + len(DATA)}: it has {len(DATA) + 1} bytes behind its head, not {len(DATA)}"


@pytest.mark.parametrize("bit", range(8))
def test_a_bit_that_flipped_is_seen_wherever_it_is(path, bit):
    whole = file_of(DATA)
    for at in range(len(whole)):
        with open(path, "wb") as file:
            file.write(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        said = corruption(path)
        if at < 6:
            assert said == f"{at}: it is no sealed file"
        elif at < 8:
            assert said.startswith("6: version ") and said.endswith(", and this mrcore reads version 1")
        elif at < 16:
            assert "bytes behind its head, not " in said
        else:
            assert said == "16: its bytes fail their checksum"


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_no_sealed_file(tmp_path_factory, data):
    path = os.fsencode(tmp_path_factory.mktemp("any") / "file")
    for content in (data, file_of(b"")[:16] + data, file_of(data)[:HEAD_SIZE] + data[::-1]):
        with open(path, "wb") as file:
            file.write(content)
        if content == file_of(content[HEAD_SIZE:]):
            assert read_sealed(path) == content[HEAD_SIZE:]
        else:
            corruption(path)


def test_a_file_is_replaced_and_what_a_crash_left_beside_it_too(path):
    write_sealed(path, b"old")
    with open(path + b".new", "wb") as file:
        file.write(b"half of some other " * 9)
    write_sealed(path, b"new")
    assert read_sealed(path) == b"new"
    assert os.listdir(os.path.dirname(path)) == [b"sealed"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_name_in_the_current_directory_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sealed(b"here", DATA)
    assert read_sealed(b"here") == DATA


def test_content_is_synced_before_the_name_and_the_name_before_the_end(path, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.rename

    def watched_sync(fd):
        done.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else os.fstat(fd).st_size)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "rename", lambda *names: (done.append("rename"), rename(*names)))
    write_sealed(path, DATA)
    assert done == [HEAD_SIZE + len(DATA), "rename", "directory"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(path, monkeypatch, call):
    write_sealed(path, b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(DiskFullError, match="no space left"):
            write_sealed(path, b"new")
    assert read_sealed(path) == b"old"
    assert os.listdir(os.path.dirname(path)) == [b"sealed"]


def test_a_place_that_cannot_be_written_is_said(path):
    with pytest.raises(OutputExistsError, match=r"cannot write: .*no such file"):
        write_sealed(os.path.join(path, b"below"), DATA)


def test_the_head_is_as_long_as_it_says():
    assert sealed._NUMBERS.size + sealed._CHECK.size == HEAD_SIZE
