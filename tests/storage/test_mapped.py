"""Input as one buffer, whether it is mapped or read, and what happens when it shrinks."""

import mmap
import os

import pytest

from mrcore.errors import InputError
from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.table import CountTable
from mrcore.storage.mapped import MAP_MIN, open_bytes, open_input, sample


@pytest.fixture
def place(tmp_path):
    def write(size):
        path = tmp_path / "input"
        path.write_bytes(content(size))
        return os.fsencode(path)

    return write


def content(size):
    return (bytes(i & 0x7F for i in range(256)) * (size // 256 + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, MAP_MIN - 1, MAP_MIN, MAP_MIN + 1])
def test_all_bytes_are_there_mapped_from_a_mebibyte_on(place, size):
    path = place(size)
    with open_bytes(path, size) as data:
        assert isinstance(data, mmap.mmap) == (size >= MAP_MIN)
        assert bytes(data) == content(size)


@pytest.mark.parametrize("size", [10, MAP_MIN])
def test_a_file_that_grew_gives_the_bytes_it_was_planned_with(place, size):
    path = place(size)
    with open(path, "ab") as file:
        file.write(b"more")
    with open_bytes(path, size) as data:
        assert len(data) == size


@pytest.mark.parametrize("size", [10, MAP_MIN])
def test_a_file_that_shrank_before_it_is_opened(place, size):
    path = place(size)
    os.truncate(path, size - 1)
    with pytest.raises(InputError, match="changed while it was read"), open_bytes(path, size):
        pass


@pytest.mark.parametrize("lost", [1, MAP_MIN // 2])
def test_a_file_that_shrinks_while_it_is_mapped_is_an_error_even_inside_its_last_page(place, lost):
    """Inside the last page a shorter file reads as zeros: nothing faults."""
    size = MAP_MIN + 100
    path = place(size)
    with pytest.raises(InputError, match="changed while it was read"), open_bytes(path, size) as data:
        os.truncate(path, size - lost)
        try:
            CountTable().feed(data, 0, size, True)
        except TruncatedError:
            assert lost > 4096
            raise InputError("input changed while it was read") from None


def test_a_map_is_closed_again(place):
    path = place(MAP_MIN)
    with open_bytes(path, MAP_MIN) as data:
        pass
    assert data.closed


@pytest.mark.parametrize("name", [b"missing", b"", b"."])
def test_what_cannot_be_opened_as_a_file(tmp_path, name):
    with pytest.raises(InputError, match="cannot read"), open_input(os.path.join(os.fsencode(tmp_path), name)):
        pass


def test_a_sample_is_what_stands_there(place):
    path = place(1000)
    assert sample(path, 250, 10) == bytes(i & 0x7F for i in range(250, 260))
    assert len(sample(path, 990, 100)) == 10
    assert sample(path, 5000, 10) == b""
