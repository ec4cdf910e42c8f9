"""The record of a job: what is written when, what may go wrong without a job noticing, and which records go."""

import errno
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from mrcore.storage import history, history_files
from mrcore.storage.history import JobRecord
from mrcore.storage.history_files import ID, bytes_of, is_locked, jobs_folder, prune, prune_often, record_ids


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mrcore" / "jobs"


def begin(**about):
    record = JobRecord.begin(about)
    assert record is not None
    return record


def read(record, name):
    with open(os.path.join(record.folder, name.encode()), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ended(count=1, **about):
    records = [begin(**about) for _ in range(count)]
    for record in records:
        record.end("succeeded")
    return [record.id for record in records]


class TestARecord:
    def test_has_what_was_known_when_it_began(self, state):
        before = time.time()
        record = begin(verb="run", argv=["mrcore", "run"], output=b"/out\xff", name="a\udcffb", big=1 << 90)
        (about,) = read(record, "job.json")
        assert about.pop("started")[:4] == time.strftime("%Y", time.localtime(before))
        assert about == {
            "format": "mrcore-job", "version": 1, "id": record.id, "pid": os.getpid(), "verb": "run",
            "argv": ["mrcore", "run"], "output": "/out\\xff", "name": "a\\udcffb", "big": 1 << 90,
        }  # fmt: skip
        assert ID.fullmatch(record.id)
        assert record.folder == os.fsencode(state / record.id)
        record.end("succeeded")

    def test_is_its_owners_alone(self, state):
        record = begin()
        record.say("x")
        record.end("failed", "why")
        for folder, _, files in os.walk(state):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
            assert {stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) for name in files} <= {0o600}

    def test_sorts_by_time_and_none_has_the_name_of_another(self):
        names = ended(30)
        assert names == sorted(set(names))
        assert record_ids(jobs_folder()) == names

    def test_holds_its_lock_until_it_ends(self):
        record = begin()
        assert is_locked(record.folder)
        record.end("succeeded")
        assert not is_locked(record.folder)

    def test_lets_its_lock_go_though_a_forked_child_lives(self):
        record = begin()
        ask, tell = os.pipe()
        child = os.fork()
        if not child:
            os.close(tell)
            os.read(ask, 1)
            os._exit(0)
        record.end("succeeded")
        locked = is_locked(record.folder)
        os.close(tell)
        os.close(ask)
        os.waitpid(child, 0)
        assert not locked

    def test_does_not_keep_its_lock_in_programs_that_its_process_starts(self):
        script = """if True:
            from subprocess import DEVNULL, Popen
            from mrcore.storage.history import JobRecord
            record = JobRecord.begin({})
            print(record.id, Popen(["sleep", "60"], stdout=DEVNULL, stderr=DEVNULL).pid)
        """
        out = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, check=True).stdout
        name, pid = out.split()
        locked = is_locked(os.path.join(jobs_folder(), name))
        os.kill(int(pid), 9)
        assert not locked


class TestEvents:
    def test_have_the_time_since_the_job_began(self):
        record = begin()
        record.say("phase", name="map", step=0, stage=0, tasks=2)
        record.say("end", attempt="p0.0.0.0", event="no clash", self=1)
        record.end("succeeded")
        first, second = read(record, "events.jsonl")
        assert 0 <= first.pop("t") <= second.pop("t") < 60e9
        assert first == {"event": "phase", "name": "map", "step": 0, "stage": 0, "tasks": 2}
        assert second["attempt"] == "p0.0.0.0"

    def test_wait_for_half_a_second_or_64_kib(self, monkeypatch):
        record = begin()
        now = time.monotonic_ns()
        monkeypatch.setattr(history.time, "monotonic_ns", lambda: now)
        record.say("a")
        record.tick()
        assert read(record, "events.jsonl") == []
        now += history.BUFFER_AGE_NS
        record.tick()
        assert len(read(record, "events.jsonl")) == 1
        record.say("b", text="x" * history.BUFFER_BYTES)
        assert len(read(record, "events.jsonl")) == 2
        record.say("c")
        now += history.BUFFER_AGE_NS
        record.say("d")
        assert [event["event"] for event in read(record, "events.jsonl")] == ["a", "b", "c", "d"]
        record.end("succeeded")

    def test_past_the_limit_are_left_out_and_that_is_said_once(self, monkeypatch):
        monkeypatch.setattr(history, "EVENTS_BYTES_MAX", 1000)
        record = begin()
        for number in range(200):
            record.say("x", number=number)
        record.end("succeeded")
        events = read(record, "events.jsonl")
        assert [event["event"] for event in events[-2:]] == ["x", "left_out"]
        assert [event["number"] for event in events[:-1]] == list(range(len(events) - 1))
        assert bytes_of(record.folder) < 2500

    @pytest.mark.parametrize("value", ["a\udcff\n", b"\xff", 1 << 80, [b"\0", {"\udc80": (1, None)}], {1, 2}, 1.5])
    def test_of_odd_values_are_one_line_of_json(self, value):
        record = begin()
        record.say("odd", value=value)
        record.say("next")
        record.end("succeeded")
        assert [event["event"] for event in read(record, "events.jsonl")] == ["odd", "next"]


class TestStatus:
    def test_is_written_once_a_second_at_most(self, monkeypatch):
        record = begin()
        now = time.monotonic_ns()
        monkeypatch.setattr(history.time, "monotonic_ns", lambda: now)
        record.tick()
        assert not os.path.exists(os.path.join(record.folder, b"status.json"))
        record.progress(read=1)
        record.tick()
        record.progress(read=2, memory=5)
        record.tick()
        assert read(record, "status.json")[0]["read"] == 1
        now += history.STATUS_INTERVAL_NS
        record.tick()
        (status,) = read(record, "status.json")
        assert (status["read"], status["memory"], "outcome" in status) == (2, 5, False)
        record.end("succeeded")

    def test_counts_committed_tasks_of_each_phase(self):
        record = begin()
        record.say("phase", name="map", step="p0", stage=0, tasks=3)
        record.say("phase", name="reduce", step=0, stage=1, tasks=1)
        record.say("phase", name="map", step=1, stage=0, tasks=2)
        for attempt, outcome in (("p0.0.0.0", "committed"), ("p0.0.1.0", "failed"), ("p1.0.0.7", "committed"), (
            "p0.1.0.0", "committed"), ("p9.0.0.0", "committed")):  # fmt: skip
            record.say("end", attempt=attempt, outcome=outcome)
        record.end("failed", "no more", counters={"words": 3})
        (status,) = read(record, "status.json")
        assert status["tasks"] == {"map": [2, 5], "reduce": [1, 1]}
        assert (status["outcome"], status["error"], status["counters"]) == ("failed", "no more", {"words": 3})

    def test_ends_once(self):
        record = begin()
        record.end("cancelled", "by hand")
        record.end("succeeded")
        record.say("late")
        record.progress(late=1)
        record.tick()
        assert read(record, "status.json")[0]["outcome"] == "cancelled"
        assert read(record, "events.jsonl") == []


def test_logs_of_workers_have_names_of_their_own_whatever_workers_are_called():
    record = begin()
    names = ["w0", "../../x", "a/b", "a%2Fb", "", ".", "ü\udcff"]
    paths = [record.log_file(name) for name in names]
    assert len(set(paths)) == len(names)
    assert {os.path.dirname(path) for path in paths} == {os.path.join(record.folder, b"logs")}
    assert paths[0].endswith(b"/w0.log")
    assert len(os.path.basename(record.log_file("x" * 5000))) < 255
    record.end("succeeded")


def test_whoever_makes_the_mark_cancels():
    record = begin()
    assert not record.cancel_wanted()
    os.close(os.open(os.path.join(record.folder, b"cancel"), os.O_CREAT | os.O_WRONLY))
    assert record.cancel_wanted()
    record.end("cancelled")


class TestNoPlaceForARecord:
    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "state").write_bytes(b"")
        assert JobRecord.begin({}) is None

    def test_a_folder_that_may_not_be_written(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", "/proc/self")
        assert JobRecord.begin({}) is None

    def test_no_home(self, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", "relative/paths/count/as/none")
        monkeypatch.setenv("HOME", "")
        assert JobRecord.begin({}) is None
        monkeypatch.setenv("HOME", "/proc/none")
        assert JobRecord.begin({}) is None

    def test_without_the_variable_it_is_in_the_home(self, tmp_path, monkeypatch):
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert jobs_folder() == os.fsencode(tmp_path / ".local/state/mrcore/jobs")
        ended()
        assert len(record_ids(jobs_folder())) == 1

    def test_no_descriptor_is_left_where_begin_failed(self, monkeypatch):
        ended()
        before = sorted(os.listdir("/proc/self/fd"))

        def refuse(*paths):
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(history.os, "rename", refuse)
        assert JobRecord.begin({}) is None
        monkeypatch.undo()
        assert sorted(os.listdir("/proc/self/fd")) == before

    def test_a_disk_that_fills_up_costs_the_events_and_not_the_job(self, small_disk, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", str(small_disk))
        record = begin()
        record.say("a")
        for _ in range(100):
            record.say("b", text="x" * 70_000)
        record.progress(read=1)
        record.tick()
        assert not record.cancel_wanted()
        for path in small_disk.iterdir():
            if path.name != "mrcore":
                path.unlink()
        record.end("succeeded")
        assert not is_locked(record.folder)

    def test_what_was_not_written_is_named_in_the_status(self, monkeypatch):
        record = begin()
        real = os.write

        def full(fd, data):
            real(fd, bytes(data[:5]))
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(history.os, "write", full)
        record.say("a", text="x" * history.BUFFER_BYTES)
        monkeypatch.undo()
        record.say("b")
        record.end("succeeded")
        with open(os.path.join(record.folder, b"events.jsonl"), "rb") as file:
            assert len(file.read()) == 5, "behind a torn line nothing more"
        assert read(record, "status.json")[0]["history_error"] == "no space left on device"

    def test_a_folder_that_is_removed_meanwhile(self):
        record = begin()
        history_files.shutil.rmtree(record.folder)
        record.say("a")
        record.progress(a=1)
        record.tick()
        assert not record.cancel_wanted()
        record.end("succeeded")


class TestPruning:
    def test_removes_the_oldest_that_are_too_many(self):
        names = ended(6)
        prune(jobs_folder(), jobs_max=4)
        assert record_ids(jobs_folder()) == names[2:]

    def test_removes_the_oldest_that_are_too_large_together(self):
        names = ended(4, padding="x" * 10_000)
        size = bytes_of(os.path.join(jobs_folder(), names[0].encode()))
        prune(jobs_folder(), bytes_max=2 * size + size // 2)
        assert record_ids(jobs_folder()) == names[2:]
        prune(jobs_folder(), bytes_max=0)
        assert record_ids(jobs_folder()) == []

    def test_leaves_living_jobs_alone(self):
        first = begin()
        names = ended(3)
        last = begin()
        prune(jobs_folder(), jobs_max=0)
        assert record_ids(jobs_folder()) == [first.id, last.id]
        assert not set(names) & set(os.listdir(os.fsdecode(jobs_folder())))
        first.end("succeeded")
        last.end("succeeded")

    def test_is_done_when_a_job_begins(self, monkeypatch):
        monkeypatch.setattr(history_files.prune, "__defaults__", (3, 1 << 30))
        names = [name for _ in range(6) for name in ended()]
        assert record_ids(jobs_folder()) == names[2:], "three, and the one that began"

    def test_measures_once_a_minute(self, state, monkeypatch):
        names = ended(2)
        monkeypatch.setattr(history_files, "BYTES_MAX", 0)
        prune_often(jobs_folder())
        assert record_ids(jobs_folder()) == names
        for age in (-1, 1):  # a clock that was set back does not stop it
            names = ended(2)
            when = time.time() + age * (history_files.MEASURE_INTERVAL_S + 1)
            os.utime(state / ".pruned", (when, when))
            prune_often(jobs_folder())
            assert record_ids(jobs_folder()) == []

    def test_follows_no_link(self, state, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "dear").write_bytes(b"dear")
        (name,) = ended()
        os.symlink(outside, state / name / "logs" / "link")
        os.symlink(outside, state / "20200101-000000-000000")
        os.symlink(outside, state / ".20200101-000000-000000")
        os.unlink(state / name / "lock")
        os.symlink(outside / "dear", state / name / "lock")
        prune(jobs_folder(), jobs_max=0)
        assert (outside / "dear").read_bytes() == b"dear"
        assert (state / "20200101-000000-000000").is_symlink()
        os.unlink(state / name / "lock")
        prune(jobs_folder(), jobs_max=0)
        assert not (state / name).exists()
        assert (outside / "dear").read_bytes() == b"dear"

    def test_touches_nothing_that_is_no_record(self, state):
        ended()
        os.mkdir(os.fsencode(state) + b"/\xff\n")
        (state / "20200101-000000-00000x").mkdir()
        (state / "notes").write_bytes(b"mine")
        prune(jobs_folder(), jobs_max=0)
        assert sorted(os.listdir(os.fsencode(state))) == [
            b".pruned", b"20200101-000000-00000x", b"notes", b"\xff\n",
        ]  # fmt: skip

    def test_sweeps_what_a_crash_left_half_made_or_half_removed(self, state):
        ended()
        for name in (".20200101-000000-000000", ".20200101-000000-000001"):
            (state / name / "logs").mkdir(parents=True)
        os.utime(state / ".20200101-000000-000000", (0, 0))
        prune(jobs_folder())
        assert [name for name in os.listdir(state) if name.startswith(".2")] == [".20200101-000000-000001"]

    def test_of_many_at_once_does_no_harm(self):
        names = ended(40)
        script = "from mrcore.storage.history_files import *; prune(jobs_folder(), jobs_max=10)"
        several = [subprocess.Popen([sys.executable, "-P", "-c", script]) for _ in range(4)]
        assert [process.wait() for process in several] == [0] * 4
        assert record_ids(jobs_folder()) == names[30:]
        assert not [name for name in os.listdir(os.fsdecode(jobs_folder())) if name.startswith(".2")]
