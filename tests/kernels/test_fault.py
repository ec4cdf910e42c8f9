"""A mapped file that is truncated while it is read: an error for us, and any other SIGBUS as it was before.

Each scenario is a process of its own, for one that goes wrong ends it.
"""
import faulthandler
import mmap
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest

from mrcore.kernels import cpu
from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.merge import decode
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

PAGE = mmap.PAGESIZE


def truncated_map() -> mmap.mmap:
    """Four pages of text of which the file has only the first."""
    fd = os.memfd_create("text")
    os.write(fd, (b"some words of text and one_of_more_than_fifteen " * PAGE)[:4 * PAGE])
    pages = mmap.mmap(fd, 4 * PAGE, access=mmap.ACCESS_READ)
    os.ftruncate(fd, PAGE)
    os.close(fd)
    return pages


def refused(table: CountTable, pages: mmap.mmap) -> bool:
    try:
        table.feed(pages, 0, len(pages), True)
    except TruncatedError:
        return True
    return False


def touch_unguarded() -> None:
    print("touching", flush=True)
    _ = truncated_map()[2 * PAGE]
    print("still there", flush=True)


def truncation_is_an_error_on_every_cpu_path_again_and_again() -> None:
    pages = truncated_map()
    for level in cpu.available():
        with cpu.forced(level):
            for lower in (False, True):
                for tokenizer in ("whitespace", "ascii"):
                    table = CountTable(tokenizer, lower)
                    assert all(refused(table, pages) for _ in range(3))
                    table.clear()
                    table.feed(b"text is text", 0, 12, True)
                    assert (table.tokens, table.distinct) == (3, 2)


def truncation_is_an_error_of_the_sort_buffer_which_clear_makes_sound() -> None:
    pages = truncated_map()
    for level in cpu.available():
        with cpu.forced(level):
            for lower in (False, True):
                buffer = SortBuffer(1 << 20, 3, lower=lower)
                for _ in range(3):
                    try:
                        buffer.feed(pages, 0, len(pages), True)
                    except TruncatedError:
                        buffer.clear()
                        continue
                    raise AssertionError("was read")
                buffer.feed(b"text is text", 0, 12, True)
                assert buffer.begin_run()
                found = [pair for p in range(3) for block in buffer.blocks(p, 100) for pair in decode(block)]
                assert sorted(found) == [(b"is", 1), (b"text", 2)]


def truncation_is_an_error_of_align() -> None:
    fd = os.memfd_create("text")
    os.write(fd, b"x" * 4 * PAGE)
    pages = mmap.mmap(fd, 4 * PAGE, access=mmap.ACCESS_READ)
    os.ftruncate(fd, PAGE)
    table = CountTable()
    for start in (1, PAGE, 2 * PAGE + 1):
        try:
            table.align(pages, start)
        except TruncatedError:
            continue
        raise AssertionError(start)
    assert table.align(pages, 4 * PAGE) == 4 * PAGE


def truncation_is_an_error_in_each_of_many_threads() -> None:
    pages = truncated_map()
    found = []
    threads = [threading.Thread(target=lambda: found.extend(refused(CountTable(), pages) for _ in range(50)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def other_fault_ends_the_process() -> None:
    assert refused(CountTable(), truncated_map())
    touch_unguarded()


def other_fault_ends_the_process_with_the_traceback_of_faulthandler() -> None:
    faulthandler.enable()
    assert refused(CountTable(), truncated_map())
    assert refused(CountTable(), truncated_map())
    touch_unguarded()


def other_fault_where_faulthandler_came_later() -> None:
    CountTable()
    faulthandler.enable()
    touch_unguarded()


def other_fault_where_faulthandler_came_between_two_tables() -> None:
    """Then each of the two handlers has the other for the one before it."""
    CountTable()
    faulthandler.enable()
    assert refused(CountTable(), truncated_map())
    touch_unguarded()


def signal_that_was_sent_ends_the_process() -> None:
    CountTable()
    print("touching", flush=True)
    os.kill(os.getpid(), signal.SIGBUS)
    print("still there", flush=True)


def signal_that_was_sent_reaches_the_handler_in_python() -> None:
    got = []
    signal.signal(signal.SIGBUS, lambda number, frame: got.append(number))
    table = CountTable()
    os.kill(os.getpid(), signal.SIGBUS)
    assert got == [signal.SIGBUS]
    assert refused(table, truncated_map())
    assert got == [signal.SIGBUS]


def signal_that_was_ignored_is_ignored() -> None:
    signal.signal(signal.SIGBUS, signal.SIG_IGN)
    CountTable()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGBUS)


def run(scenario: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONFAULTHANDLER": ""}
    return subprocess.run([sys.executable, __file__, scenario], capture_output=True, text=True, timeout=60, check=False,
                          env=environment)


@pytest.mark.parametrize("scenario", [
    truncation_is_an_error_on_every_cpu_path_again_and_again,
    truncation_is_an_error_of_the_sort_buffer_which_clear_makes_sound,
    truncation_is_an_error_of_align,
    truncation_is_an_error_in_each_of_many_threads,
    signal_that_was_sent_reaches_the_handler_in_python,
    signal_that_was_ignored_is_ignored,
], ids=lambda scenario: scenario.__name__)
def test_process_goes_on_where(scenario) -> None:
    process = run(scenario.__name__)
    assert (process.stderr, process.returncode) == ("", 0)


@pytest.mark.parametrize("scenario", [
    other_fault_ends_the_process,
    other_fault_ends_the_process_with_the_traceback_of_faulthandler,
    other_fault_where_faulthandler_came_later,
    other_fault_where_faulthandler_came_between_two_tables,
    signal_that_was_sent_ends_the_process,
], ids=lambda scenario: scenario.__name__)
def test_process_ends_by_sigbus_where(scenario) -> None:
    process = run(scenario.__name__)
    assert process.stdout == "touching\n"
    assert process.returncode == -signal.SIGBUS
    reports = process.stderr.count("Bus error")
    assert reports == 1 if "faulthandler" in scenario.__name__ else reports == 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    globals()[sys.argv[1]]()
