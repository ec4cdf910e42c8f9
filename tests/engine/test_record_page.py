"""The page that names the record at work: what is written is read, by another process too, and nonsense is nothing."""

import mmap
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.engine.record_page import PATH_BYTES_MAX, RECORD_PAGE_BYTES, RecordPage, offsets_of


@pytest.mark.parametrize("path", [b"a", b"\xff\0\n", b"x" * PATH_BYTES_MAX], ids=["short", "odd", "long"])
@pytest.mark.parametrize("offset", [0, 1, (1 << 63) - 1])
def test_the_record_at_work_is_read(path, offset):
    buffer = bytearray(RECORD_PAGE_BYTES)
    page, other = RecordPage(buffer), RecordPage(buffer)
    assert other.read() is None
    page.open(path)
    assert other.read() is None  # the file is open, and none of its records is at work
    page.cell[0] = offset
    assert other.read() == (path, offset)
    page.cell[0] = -1
    assert other.read() is None
    page.cell[0] = offset
    page.open(path, offset)
    assert other.read() == (path, offset)
    page.close()
    assert other.read() is None


def test_a_path_that_is_too_long_is_clipped():
    page = RecordPage.private()
    page.open(b"ab" * PATH_BYTES_MAX, 5)
    assert page.read() == ((b"ab" * PATH_BYTES_MAX)[:PATH_BYTES_MAX], 5)
    page.open(b"c", 6)
    assert page.read() == (b"c", 6)


def test_a_file_without_a_name_has_no_records():
    page = RecordPage.private()
    page.open(b"", 6)
    assert page.read() is None


@pytest.mark.parametrize("size", [0, RECORD_PAGE_BYTES - 1, RECORD_PAGE_BYTES + 1])
def test_a_page_of_another_size_is_none(size):
    with pytest.raises(AssertionError):
        RecordPage(bytearray(size))


@given(
    state=st.integers(0, 3),
    offset=st.integers(0, (1 << 64) - 1),
    size=st.one_of(st.integers(0, RECORD_PAGE_BYTES + 5), st.integers(0, (1 << 32) - 1)),
    rest=st.binary(max_size=100),
)
def test_whatever_is_on_the_page_reading_it_gives_a_record_or_none(state, offset, size, rest):
    numbers = state.to_bytes(8, "little") + offset.to_bytes(8, "little") + size.to_bytes(4, "little")
    bytes_of_page = (numbers + rest).ljust(RECORD_PAGE_BYTES, b"\xee")
    found = RecordPage(bytearray(bytes_of_page)).read()
    if state == 1 and offset < 1 << 63 and 0 < size <= PATH_BYTES_MAX:
        assert found == (bytes_of_page[20 : 20 + size], offset)
    else:
        assert found is None


def test_the_parent_reads_what_a_killed_process_was_at():
    with mmap.mmap(-1, 2 * RECORD_PAGE_BYTES) as shared:
        with memoryview(shared)[RECORD_PAGE_BYTES:] as second:
            page = RecordPage(second)
            child = os.fork()
            if not child:
                page.open(b"file", 3)
                page.cell[0] = 17
                os.kill(os.getpid(), signal.SIGKILL)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
            assert page.read() == (b"file", 17)
            del page
        assert not any(shared[:RECORD_PAGE_BYTES])


def test_the_offsets_of_one_path():
    records = {(b"a", 1), (b"a", 5), (b"b", 2)}
    assert offsets_of(b"a", records) == {1, 5}
    assert offsets_of(b"b", tuple(records)) == {2}
    assert offsets_of(b"c", records) is None
