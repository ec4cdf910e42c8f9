"""Reading the records of jobs that run, ended, crashed, or whose files are not what they should be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mrcore.errors import InputError, UsageError
from mrcore.storage.history import JobRecord
from mrcore.storage.history_reader import Event, StoredJob, find_job, list_jobs
from mrcore.storage.history_replay import Replay


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mrcore" / "jobs"


@pytest.fixture
def record():
    record = JobRecord.begin({"verb": "wordcount", "output": b"out", "input_bytes": 5})
    yield record
    record.end("succeeded")


def write(record, name, content):
    Path(os.fsdecode(record.folder), name).write_bytes(content)


def test_a_job_is_running_until_it_says_how_it_ended(record):
    job = find_job(record.id)
    assert job.state == "running"
    assert job.about["verb"] == "wordcount"
    assert job.summary().what == "wordcount"
    record.say("phase", name="map", step=0, stage=0, tasks=4)
    record.say("end", attempt="p0.0.3.0", outcome="committed")
    record.end("interrupted", "Ctrl-C")
    assert job.state == "interrupted"
    summary = job.summary()
    assert (summary.tasks, summary.error, summary.output) == ({"map": (1, 4)}, "Ctrl-C", "out")
    assert 0 <= summary.elapsed_s < 60
    assert [event.name for event in job.events()] == ["phase", "end"]
    assert job.damage == []


def test_a_job_whose_process_was_killed_has_crashed():
    script = """if True:
        import time
        from mrcore.storage.history import JobRecord
        record = JobRecord.begin({})
        record.say("start", attempt="p0.0.0.0", worker="w0", text="x" * 70_000)
        record.say("never written")
        record.progress(read=5)
        record.tick()
        print(record.id, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-P", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        job = find_job(process.stdout.readline().strip())
        assert job.state == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert job.state == "crashed"
    assert [event.name for event in job.events()] == ["start"]
    assert job.status()["read"] == 5
    assert list_jobs()[0].state == "crashed"
    assert 0 <= list_jobs()[0].elapsed_s < 60


def test_a_torn_last_line_is_no_event_and_no_damage(record):
    write(record, "events.jsonl", b'{"t":1,"event":"a","x":2}\n{"t":2,"event":"b"}\n{"t":3,"eve')
    job = find_job("last")
    assert list(job.events()) == [Event(1, "a", {"x": 2}), Event(2, "b", {})]
    assert job.damage == []


def test_lines_that_do_not_parse_are_passed_over_and_counted(record):
    lines = [
        b"", b"[]", b"{}", b'{"t":-1,"event":"x"}', b'{"t":true,"event":"x"}', b'{"t":1,"event":2}', b"\xff\xfe",
        b"null", b"[" * 100_000, b'{"t":1.5,"event":"x"}', b'{"t":1,"event":"\xff"}',
    ]  # fmt: skip
    write(record, "events.jsonl", b"\n".join([*lines, b'{"t":1,"event":"good"}', b""]))
    job = find_job("last")
    assert [event.name for event in job.events()] == ["good"]
    assert job.damage == [f"events.jsonl: {len(lines)} lines do not parse"]


@pytest.mark.parametrize("content", [
    b"", b"{", b"[1]", b"\xff", b'{"a":' * 9999, b'{"verb":["x"],"output":{},"pid":"1"}',
    b'{"started":"never","name":5,"verb":null}', b'{"started":99999999999999}',
])  # fmt: skip
def test_a_damaged_job_json_costs_no_more_than_what_it_says(record, content):
    record.end("succeeded")
    write(record, "job.json", content)
    write(record, "status.json", content)
    (summary,) = list_jobs()
    assert (summary.id, summary.state) == (record.id, "crashed")
    job = find_job("last")
    job.summary()
    assert bool(job.damage) == (not content.endswith(b"}"))


@pytest.mark.parametrize("tasks", [b"5", b'{"map":5}', b'{"map":[1]}', b'{"map":["a","b"]}', b'{"map":[true,2]}'])
def test_forged_counts_are_none(record, tasks):
    write(record, "status.json", b'{"tasks":%s}' % tasks)
    assert find_job("last").summary().tasks == {}


@pytest.mark.parametrize("name", ["job.json", "status.json", "events.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "nothing"])
def test_what_is_no_regular_file_is_not_read(record, name, kind, tmp_path):
    path = Path(os.fsdecode(record.folder), name)
    path.unlink(missing_ok=True)
    (tmp_path / "else").write_bytes(b'{"verb":"else","t":1,"event":"else"}\n')
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "else")
    elif kind == "folder":
        path.mkdir()
    job = find_job("last")
    assert list(job.events()) == []
    assert "else" not in (job.about.get("verb"), job.status().get("verb"))
    path.rmdir() if kind == "folder" else path.unlink(missing_ok=True)


def test_folders_with_odd_names_are_no_jobs(record, state):
    os.mkdir(os.fsencode(state) + b"/\xff\n\x1b[31m")
    os.mkdir(state / "20200101-000000-ABCDEF")
    (state / "20200101-000000-abcdef").write_bytes(b"a file")
    os.mkdir(state / "20200101-000000-000000")  # and this is one, of which nothing is left
    assert [(job.id, job.state, job.what) for job in list_jobs()] == [
        ("20200101-000000-000000", "crashed", "?"), (record.id, "running", "wordcount"),
    ]  # fmt: skip


class TestFinding:
    def test_a_part_of_the_id_is_enough_when_it_is_one_jobs(self):
        first, second = (JobRecord.begin({}) for _ in range(2))
        assert find_job(first.id).id == first.id
        assert find_job(first.id[:-1] if first.id[:-1] != second.id[:-1] else first.id).id == first.id
        assert find_job(second.id.rpartition("-")[2]).id == second.id
        assert find_job("last").id == second.id
        with pytest.raises(UsageError, match=f"more than one job 2: {first.id}, {second.id}: write more of its ID"):
            find_job("2")
        for wanted in ("x", "", "../..", "\x1b"):
            with pytest.raises(UsageError, match="mrcore jobs list"):
                find_job(wanted)
        first.end("failed")
        second.end("failed")

    def test_where_no_job_ran(self, state):
        assert list_jobs() == []
        with pytest.raises(UsageError, match=r"no job left a record in .*/mrcore/jobs yet"):
            find_job("last")

    def test_where_there_is_no_folder_but_a_file(self, state):
        state.parent.mkdir(parents=True)
        state.write_bytes(b"")
        with pytest.raises(InputError, match="not a directory"):
            list_jobs()


def test_a_mark_asks_for_the_end(record):
    find_job("last").request_cancel()
    find_job("last").request_cancel()
    assert record.cancel_wanted()


def test_logs_are_read_by_worker_and_range(record):
    for worker, printed in (("w0", b"0123456789"), ("a/b", b"")):
        with open(record.log_file(worker), "wb") as file:
            file.write(printed)
    job = find_job("last")
    assert job.log_workers() == ["a/b", "w0"]
    assert (job.log_size("w0"), job.log_size("none")) == (10, 0)
    assert b"".join(job.read_log("w0", 2, 5)) == b"234"
    assert b"".join(job.read_log("w0", 8, 500)) == b"89"
    assert b"".join(job.read_log("none", 0, 9)) == b""


class TestReplay:
    def test_an_attempt_without_an_end_reaches_to_the_last_event(self):
        replay = Replay([
            Event(1, "start", {"attempt": "p0.0.0.0", "worker": "w0"}), Event(9, "worker_ended", {"worker": "w0"}),
        ])  # fmt: skip
        (attempt,) = replay.attempts
        assert (attempt.start_ns, attempt.end_ns, attempt.outcome) == (1, 9, "")
        assert replay.workers[0].end_ns == 9

    def test_tasks_have_the_names_of_their_phases(self):
        phases = [Event(0, "phase", {"name": "map", "step": step, "stage": 0, "tasks": 2}) for step in (0, "p1")]
        starts = [Event(1, "start", {"attempt": key, "worker": "w"}) for key in ("p0.0.1.0", "p1.0.0.0", "1.7.5.0")]
        one = Replay([phases[0], starts[0]])
        assert [one.label(attempt) for attempt in one.attempts] == ["map 1"]
        both = Replay([*phases, *starts])
        labels = [both.label(attempt) for attempt in both.attempts]
        assert labels == ["map 1 of step 0", "map 0 of step 1", "stage 7 task 5 of step 1"]

    def test_events_of_any_shape_are_taken(self):
        odd = [None, 5, -1, "x", "9" * 5000, [], {}, [1, 2], True, "p0.0.0.0"]
        names = ("phase", "worker", "worker_ended", "start", "end", "note", "counters", "left_out", "unheard of")
        fields = ("attempt", "worker", "name", "step", "stage", "tasks", "pid", "log", "bytes_in", "text", "counters")
        events = [Event(5, name, dict.fromkeys(fields, value)) for name in names for value in odd for _ in "12"]
        replay = Replay([*events, Event(3, "start", {"attempt": "p0.0.0.1"}), *events])
        assert all(attempt.end_ns >= attempt.start_ns for attempt in replay.attempts)
        assert replay.left_out

    def test_an_end_counts_once_and_a_second_start_ends_the_first(self):
        start = {"attempt": "p0.0.0.0", "worker": "w"}
        end = {"attempt": "p0.0.0.0", "outcome": "committed", "log": [3, 4]}
        times = [(1, "start", start), (2, "start", start), (3, "end", end), (4, "end", end)]
        replay = Replay(Event(*event) for event in times)
        spans = [(a.start_ns, a.end_ns, a.outcome, a.log) for a in replay.attempts]
        assert spans == [(1, 2, "unknown", None), (2, 3, "committed", (3, 4))]


def test_a_job_that_is_removed_while_it_is_looked_at_says_nothing(record):
    job = StoredJob("20200101-000000-000000", b"/nowhere")
    assert (job.state, job.about, job.status(), list(job.events()), job.log_workers()) == ("crashed", {}, {}, [], [])
