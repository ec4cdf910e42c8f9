"""The system's errors become ours, by whose fault they are."""

import errno
import os

import pytest

from mrcore.errors import DiskFullError, InputError, OutputExistsError
from mrcore.storage.files import publish, reading, sync_directory, writing


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EISDIR, errno.EIO, errno.ELOOP])
def test_an_error_of_reading_is_an_input_error_that_names_the_path(number):
    with pytest.raises(InputError) as error, reading(b"in\nput"):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == f"cannot read: in\\nput: {os.strerror(number).lower()}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_a_disk_full_error_that_says_what_to_do(number):
    with pytest.raises(DiskFullError, match=r"no space left: out: .*--tmp or -o"), writing(b"out"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTDIR, errno.EROFS, errno.EIO])
def test_any_other_error_of_writing_says_that_the_place_cannot_be_written(number):
    with pytest.raises(OutputExistsError, match="cannot write: out: "), writing(b"out"):
        raise OSError(number, os.strerror(number))


def test_publish_replaces_and_sync_takes_the_directory(tmp_path):
    folder = os.fsencode(tmp_path)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    publish(os.path.join(folder, b"new"), os.path.join(folder, b"old"))
    sync_directory(folder)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old": b"new"}


def test_publish_to_a_place_that_is_not_there(tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    with pytest.raises(OutputExistsError, match="missing/new"):
        publish(os.fsencode(tmp_path / "new"), os.fsencode(tmp_path / "missing" / "new"))
