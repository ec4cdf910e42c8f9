"""``mrcore jobs``: what it prints of jobs that run, ended, failed and crashed, and how it stops one."""

import json
import os
import re
import threading
import time

import pytest

from mrcore.cli.jobs import clock, table
from mrcore.cli.jobs_logs import sections
from mrcore.storage.history import JobRecord
from mrcore.storage.history_reader import Event
from mrcore.storage.history_replay import Replay


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mrcore" / "jobs"


@pytest.fixture
def jobs(state, shell):
    """Runs ``mrcore jobs ...``; standard output and error as text."""

    def run(*args, status=0):
        done = shell.run("jobs", *args)
        assert done.status == status, done
        return done.out.decode(), done.err.decode()

    return run


def printed(record, worker, text):
    with open(record.log_file(worker), "ab") as file:
        start = file.tell()
        file.write(text)
        return [start, file.tell()]


def play(record):
    """Three map tasks: one prints, one dies with its worker and fails again, one is fast; then a reduce."""
    for worker, pid in (("w0", 11), ("w1", 12)):
        record.say("worker", worker=worker, pid=pid)
    record.say("phase", name="map", step=0, stage=0, tasks=3)
    printed(record, "w0", b"imported\n")
    record.say("start", attempt="p0.0.0.0", worker="w0", speculative=False)
    record.say("start", attempt="p0.0.1.0", worker="w1", speculative=False)
    log = printed(record, "w0", b"of map 0 \xff\x00 without end")
    record.say("note", attempt="p0.0.0.0", kind="log", text="half\nway")
    record.say("end", attempt="p0.0.0.0", worker="w0", outcome="committed", bytes_in=100, bytes_out=9, log=log)
    printed(record, "w1", b"last words\n")
    record.say("worker_ended", worker="w1", how="killed by signal 9")
    record.say("end", attempt="p0.0.1.0", worker="w1", outcome="lost", error="its worker died")
    record.say("start", attempt="p0.0.1.1", worker="w0", speculative=False)
    record.say("start", attempt="p0.0.2.0", worker="w2", speculative=True)
    log = printed(record, "w0", b"Traceback\n")
    record.say("end", attempt="p0.0.1.1", worker="w0", outcome="failed", error="ValueError: \x1b[31m", log=log)
    record.say("end", attempt="p0.0.2.0", worker="w2", outcome="committed", log=[0, 0])
    record.say("phase", name="reduce", step=0, stage=1, tasks=1)


@pytest.fixture
def failed():
    record = JobRecord.begin({
        "argv": ["mrcore", "run", "a b.py"], "verb": "run", "name": "a b.py", "input_bytes": 123_456,
        "output": b"out\n\xff",
    })  # fmt: skip
    play(record)
    record.progress(memory_peak=7_000_000)
    record.end("failed", "task map/1 failed 4 times", counters={"words": 12_345})
    return record


class TestList:
    def test_has_a_line_a_job_and_the_newest_last(self, jobs, failed):
        living = JobRecord.begin({"verb": "wordcount"})
        out, err = jobs("list")
        head, first, second = out.splitlines()
        assert err == ""
        assert head.split() == ["ID", "STATE", "WHAT", "PROGRESS", "ELAPSED", "OUTPUT"]
        assert re.sub(r"\d+\.\d", "SECONDS", first).split() == [
            failed.id, "failed", "run", "a", "b.py", "map", "66", "%,", "reduce", "0", "%", "SECONDS", "s",
            "out\\n\\xff",
        ]  # fmt: skip
        assert second.split()[:4] == [living.id, "running", "wordcount", "-"]
        living.end("succeeded")

    def test_is_an_array_of_json(self, jobs, failed):
        (job,) = json.loads(jobs("list", "--json")[0])
        assert 0 <= job.pop("elapsed_s") < 60
        assert job.pop("started")
        assert job == {
            "id": failed.id, "state": "failed", "what": "run a b.py", "tasks": {"map": [2, 3], "reduce": [0, 1]},
            "output": "out\n\\xff", "error": "task map/1 failed 4 times", "pid": os.getpid(),
        }  # fmt: skip

    def test_where_no_job_ran_is_no_error(self, jobs):
        out, err = jobs("list")
        assert (out, err[:37]) == ("", "mrcore: no job left a record in /tmp/"[:37])
        assert jobs("list", "--json") == ("[]\n", "")

    def test_shows_damaged_records_too(self, jobs, failed, state):
        (state / failed.id / "job.json").write_bytes(b"\x1b[2J{")
        (state / failed.id / "status.json").write_bytes(b"{" * 10_000)
        (state / "20200101-000000-000000").mkdir()
        out, _ = jobs("list")
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["20200101-000000-000000", "crashed", "?"], [failed.id, "crashed", "?"],
        ]  # fmt: skip
        out, _ = jobs("show", failed.id)
        assert "damaged: job.json: it does not parse" in out.splitlines()
        assert "damaged: status.json: it does not parse" in out.splitlines()


class TestShow:
    def test_counts_attempts_of_each_phase(self, jobs, failed):
        about = json.loads(jobs("show", "last", "--json")[0])
        of_map, of_reduce = about["phases"]
        assert {name: of_map[name] for name in ("tasks", "committed", "attempts", "retries", "failed", "lost")} == {
            "tasks": 3, "committed": 2, "attempts": 4, "retries": 1, "failed": 1, "lost": 1,
        }  # fmt: skip
        assert (of_map["speculative"], of_map["cancelled"], of_reduce["attempts"]) == (1, 0, 0)
        assert [(w["worker"], w["pid"], w["attempts"], w["how"]) for w in about["workers"]] == [
            ("w0", 11, 2, ""), ("w1", 12, 1, "killed by signal 9"),
        ]  # fmt: skip
        assert about["counters"] == {"words": 12_345}
        assert about["status"]["memory_peak"] == 7_000_000
        assert {slow["task"] for slow in about["slowest"]} == {"map 0", "map 1", "map 2"}
        assert about["errors"] == {"its worker died": 1, "ValueError: \x1b[31m": 1}
        assert (about["state"], about["error"], about["damage"]) == ("failed", "task map/1 failed 4 times", [])

    def test_says_the_same_to_people(self, jobs, failed):
        out, err = jobs("show", failed.id)
        lines = [re.sub(r"\d+\.\d+", "SECONDS", " ".join(line.split())) for line in out.splitlines()]
        assert err == ""
        assert lines[0] == f"job {failed.id}: failed, SECONDS s"
        for line in ("error task map/1 failed 4 times", "argv mrcore run a b.py", "input_bytes 123,456",
                     "memory_peak 7,000,000", "words 12,345", "1 ValueError: \\x1b[31m",
                     "progress map 66 %, reduce 0 %",
                     "phase step tasks committed attempts retries failed lost cancelled discarded speculative seconds",
                     "w1 12 1 SECONDS killed by signal 9"):  # fmt: skip
            assert line in lines, line

    def test_of_a_job_that_just_began(self, jobs):
        record = JobRecord.begin({})
        out, _ = jobs("show", "last")
        assert out.startswith(f"job {record.id}: running, ")
        record.end("succeeded")

    def test_finds_counters_in_the_events_of_a_job_that_crashed(self, jobs, state):
        record = JobRecord.begin({})
        record.say("counters", counters={"words": 5})
        record.end("succeeded")
        (state / record.id / "status.json").unlink()
        about = json.loads(jobs("show", "last", "--json")[0])
        assert (about["state"], about["counters"]) == ("crashed", {"words": 5})


class TestLogs:
    def test_are_what_workers_printed_cut_by_attempts(self, jobs, failed, shell):
        done = shell.run("jobs", "logs", "last")
        assert done.status == 0
        assert done.out == b"imported\nof map 0 \xff\x00 without end\nlog: half\\nway\nTraceback\nlast words\n"
        assert done.err.decode().splitlines() == [
            "==> w0, outside of tasks <==", "==> map 0, attempt 0 on w0: committed <==",
            "==> map 1, attempt 1 on w0: failed: ValueError: \\x1b[31m <==",
            "==> map 1, attempt 0 on w1: lost: its worker died <==",
        ]  # fmt: skip

    @pytest.mark.parametrize(("task", "out", "heads"), [
        ("map/0", "of map 0 \udcff\0 without end\nlog: half\\nway\n", 1), ("map/1", "Traceback\nlast words\n", 2),
        ("p0.0.1", "Traceback\nlast words\n", 2), ("p0.0.1.0", "last words\n", 1), ("map/2", "", 1),
    ])  # fmt: skip
    def test_of_one_task(self, failed, shell, task, out, heads):
        done = shell.run("jobs", "logs", "last", "--task", task)
        assert (done.status, done.out.decode(errors="surrogateescape")) == (0, out)
        assert done.err.count(b"==>") == heads

    def test_of_what_failed(self, jobs, failed):
        out, err = jobs("logs", "last", "--failed")
        assert (out, err.count("==>")) == ("Traceback\nlast words\n", 2)

    @pytest.mark.parametrize("task", ["map/9", "reduce/0", "nothing", "p0.0", "", "/", "\x1b"])
    def test_of_a_task_that_there_is_not(self, shell, failed, task):
        assert shell.run("jobs", "logs", "last", "--task", task).failed(2, "no task", "it has map/0 to map/2")

    def test_of_a_job_whose_tasks_did_not_start_are_whole_logs(self, jobs):
        record = JobRecord.begin({})
        printed(record, "w0", b"ImportError\n")
        record.say("note", kind="log", text="of nobody")
        record.end("failed", "no")
        assert jobs("logs", "last") == ("ImportError\nlog: of nobody\n", "==> w0, outside of tasks <==\n")
        assert jobs("logs", "last", "--task", "map/0", status=2)[1].endswith("none of its tasks started\n")

    def test_to_a_reader_that_has_enough(self, shell):
        record = JobRecord.begin({})
        printed(record, "w0", b"line\n" * 1_000_000)
        record.end("succeeded")
        done = shell.sh("set -o pipefail; mrcore jobs logs last 2>/dev/null | head -n 1")
        assert (done.status, done.out) == (0, b"line\n")
        assert shell.sh("mrcore jobs logs last 2>/dev/null >/dev/full").status == 5

    def test_show_every_byte_once_whatever_ranges_are_forged(self):
        logs = ([5, 9], [0, 3], [7, 20], None, [50, 60], [2, 2])
        events = []
        for task, log in enumerate(logs):
            key = f"p0.0.{task}.0"
            events += [Event(task, "start", {"attempt": key, "worker": "w"})]
            events += [Event(task, "end", {"attempt": key, "outcome": "committed", "log": log})]
        for size in (0, 1, 8, 30, 55, 100):
            at = 0
            for section in sections(Replay(events), "w", size):
                assert section.stop >= section.start
                assert section.start == at or section.start == section.stop
                at = max(at, section.stop)
            assert at >= size


class TestCancel:
    def test_leaves_the_mark_and_waits_for_the_end(self, jobs):
        record = JobRecord.begin({})

        def work():
            while not record.cancel_wanted():
                time.sleep(0.01)
            record.end("cancelled")

        worker = threading.Thread(target=work)
        worker.start()
        out, err = jobs("cancel", "last", "--wait", "60")
        worker.join()
        assert (out, err) == (f"job {record.id}: cancelled\n", "")

    def test_of_a_job_that_does_not_hear(self, jobs):
        record = JobRecord.begin({})
        out, err = jobs("cancel", record.id, "--wait", "0.1", status=1)
        assert (out, "still runs after 0.1 s" in err) == ("", True)
        assert record.cancel_wanted()
        record.end("succeeded")

    def test_of_a_job_that_does_not_run(self, shell, failed):
        assert shell.run("jobs", "cancel", "last").failed(2, f"not running: job {failed.id}: it failed")
        assert not failed.cancel_wanted()

    @pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon"])
    def test_for_a_time_that_is_none(self, shell, failed, wait):
        assert shell.run("jobs", "cancel", "last", f"--wait={wait}").failed(2)


@pytest.mark.parametrize("args", [("show", "x"), ("logs", "x"), ("cancel", "x"), ("show", ""), ("show",), (), ("x",)])
def test_a_job_that_there_is_not_is_one_line_and_status_2(shell, failed, args):
    assert shell.run("jobs", *args).failed(2)


def test_closed_standard_output_is_an_error(shell, failed):
    for action in ("list", "show last", "logs last"):
        assert shell.sh(f"mrcore jobs {action} >&-").failed(4, "standard output: it is closed")


def test_durations_are_said_as_people_do():
    said = {0: "0.0 s", 59.94: "59.9 s", 60: "1 min 00 s", 245: "4 min 05 s", 7380: "2 h 03 min"}
    assert {seconds: clock(seconds) for seconds in said} == said


def test_columns_of_numbers_stand_to_the_right():
    assert table(["a", "n"], [["xx", "1"], ["y", "1,000"]]) == ["a       n", "xx      1", "y   1,000"]
