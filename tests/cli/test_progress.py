"""The progress line: one line, rewritten, gone at the end; its reader may leave."""

import io

import pytest

from mrcore.cli import progress
from mrcore.cli.progress import ProgressLine


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


class Planned:
    input_bytes = 2_000_000


def test_it_is_rewritten_ten_times_a_second_and_cleared(clock):
    out = io.StringIO()
    line = ProgressLine(out)
    line.planned(Planned())
    line.phase("map", 4)
    clock[0] += 1
    line.consumed(1_000_000)
    line.consumed(500_000)  # too soon
    clock[0] += 1
    line.finished(None)
    line.clear()
    shown = [text.strip() for text in out.getvalue().split("\r")]
    assert shown == [
        "", "mrcore: map 0/4 tasks, read   0 % 0 MB, 0 MB/s", "mrcore: map 0/4 tasks, read  50 % 1 MB, 1 MB/s",
        "mrcore: map 1/4 tasks, read  75 % 2 MB, 1 MB/s", "", "",
    ]  # fmt: skip
    assert "\n" not in out.getvalue()


def test_a_shorter_line_covers_the_longer_one(clock):
    out = io.StringIO()
    line = ProgressLine(out)
    line.phase("a long name", 10_000)
    line.phase("b", 1)
    first, second = out.getvalue().split("\r")[1:]
    assert len(second) == len(first)


@pytest.mark.parametrize("error", [BrokenPipeError, OSError(28, "No space left on device")])
def test_it_stops_when_nobody_looks(clock, error):
    class Closed(io.StringIO):
        writes = 0

        def write(self, text):
            self.writes += 1
            raise error

    out = Closed()
    line = ProgressLine(out)
    line.phase("map", 1)
    line.phase("reduce", 1)
    line.clear()
    assert out.writes == 1


def test_on_off_and_auto(shell):
    shell.write("x", b"a")
    assert shell.run("wordcount", "x").err == b""
    assert shell.run("wordcount", "--progress", "off", "x").err == b""
    assert shell.run("wordcount", "--progress", "on", "-q", "x").err == b""
    assert b"\rmrcore: map 0/1 tasks" in shell.run("wordcount", "--progress", "on", "x").err


def test_an_error_after_progress_begins_on_a_clean_line(shell):
    shell.write("x", b"a")
    done = shell.run("wordcount", "--progress", "on", "--split", "file", "x", "/proc/self/mem")
    assert done.status == 3
    assert done.err.rpartition(b"\r")[2].startswith(b"mrcore: cannot read: /proc/self/mem")
