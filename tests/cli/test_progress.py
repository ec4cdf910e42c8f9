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
        "", "mrcore: map 0 % (0/4), 0 MB, 0 MB/s", "mrcore: map 0 % (0/4), 1 MB, 1 MB/s, 1 s left",
        "mrcore: map 25 % (1/4), 2 MB, 1 MB/s, 1 s left", "", "",
    ]  # fmt: skip
    assert "\n" not in out.getvalue()


def test_phases_workers_failures_and_a_status_stand_in_it(clock):
    out = io.StringIO()
    line = ProgressLine(out)
    line.planned(Planned())
    line.phase("map", 1)
    line.finished(None)
    clock[0] += 2
    line.consumed(2_000_000)
    line.phase("reduce", 2)
    line.crew(2, 1)
    line.noted("status", "at it")
    assert out.getvalue().rpartition("\r")[2].strip() == (
        "mrcore: map 100 % (1/1), reduce 0 % (0/2), 2 MB, 1 MB/s, 2 workers, 1 failed attempt; at it"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (61, "1:01"), (93_661, "26 h 1 min")])
def test_the_time_that_is_left(seconds, text):
    assert progress._time(seconds) == text


def test_a_shorter_line_covers_the_longer_one(clock):
    out = io.StringIO()
    line = ProgressLine(out)
    line.noted("status", "a long status")
    line.noted("status", "b")
    first, second = out.getvalue().split("\r")[1:]
    assert len(second) == len(first)
    assert second.rstrip().endswith("; b")


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
    assert b"\rmrcore: map 0 % (0/1)" in shell.run("wordcount", "--progress", "on", "x").err


def test_an_error_after_progress_begins_on_a_clean_line(shell):
    shell.write("x", b"a")
    done = shell.run("wordcount", "--progress", "on", "--split", "file", "x", "/proc/self/mem")
    assert done.status == 3
    assert done.err.rpartition(b"\r")[2].startswith(b"mrcore: cannot read: /proc/self/mem")
