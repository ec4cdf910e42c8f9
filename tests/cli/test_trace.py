"""``mrcore trace``: the timeline keeps what readers of the format rely on, whatever the events were."""

import collections
import itertools
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcore.cli.trace import trace_events, trace_text
from mrcore.storage.history import JobRecord
from mrcore.storage.history_reader import Event
from mrcore.storage.history_replay import Replay


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def record():
    record = JobRecord.begin({"verb": "run", "name": "job.py"})
    record.say("worker", worker="w0", pid=11)
    record.say("phase", name="map", step=0, stage=0, tasks=3)
    for task in range(3):
        record.say("start", attempt=f"p0.0.{task}.0", worker=f"w{task % 2}", speculative=task == 2)
    record.say("note", attempt="p0.0.1.0", kind="log", text="so \udcff far")
    record.say("note", kind="log", text="of nobody")
    record.say("end", attempt="p0.0.0.0", worker="w0", outcome="committed", bytes_in=7, records_out=1)
    record.say("end", attempt="p0.0.1.0", worker="w1", outcome="failed", error="ValueError")
    record.say("worker_ended", worker="w0", how="killed")
    yield record
    record.end("failed")


def check(trace, starts):
    """The laws of a trace of so many starts; its events."""
    events = trace["traceEvents"]
    assert {event["pid"] for event in events} <= {1}
    timed = [event for event in events if event["ph"] != "M"]
    assert [event["ph"] for event in events[: len(events) - len(timed)]] == ["M"] * (len(events) - len(timed))
    assert all(isinstance(event["ts"], int) for event in timed)
    assert timed == sorted(timed, key=lambda event: event["ts"])
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    spans = [event for event in timed if event["ph"] == "X"]
    assert {event["tid"] for event in timed if event["ph"] in "Xi"} <= named
    assert all(event["dur"] >= 0 for event in spans)
    for tid in named:
        track = [event for event in spans if event["tid"] == tid]
        for one, other in itertools.pairwise(track):
            assert one["ts"] + one["dur"] <= other["ts"], (one, other)
    attempts = [event for event in spans if event["cat"] != "phase"]
    assert collections.Counter(event["args"]["attempt"] for event in attempts) == collections.Counter(starts)
    counts = [event["args"]["attempts"] for event in timed if event["ph"] == "C"]
    assert all(count >= 0 for count in counts)
    assert counts[-1:] in ([], [0])
    return events


def test_a_job_has_a_track_a_worker_and_an_event_an_attempt(shell, record):
    record.end("failed")
    done = shell.run("trace", "last")
    assert (done.status, done.err) == (0, b"")
    trace = json.loads(done.out)
    events = check(trace, ["p0.0.0.0", "p0.0.1.0", "p0.0.2.0"])
    assert trace["otherData"] == {"job": record.id}
    names = [event["args"]["name"] for event in events if event["name"] in ("process_name", "thread_name")]
    assert names == [f"run job.py {record.id}", "phases", "w0", "w0 (2)", "w1"], "two attempts of w0 overlap"
    spans = [event for event in events if event["ph"] == "X"]
    assert [(event["name"], event["cat"]) for event in spans] == [
        ("map", "phase"), ("map 0", "committed"), ("map 1", "failed"), ("map 2", "running"),
    ]  # fmt: skip
    assert spans[1]["args"] == {"attempt": "p0.0.0.0", "speculative": False, "bytes_in": 7, "records_out": 1}
    assert spans[2]["args"]["error"] == "ValueError"
    instants = [event["name"] for event in events if event["ph"] == "i"]
    assert sorted(instants) == ["log: of nobody", "log: so \\udcff far", "w0 ended: killed"]


def test_ids_come_from_job_and_attempt_alone(shell, record):
    record.end("failed")
    traces = [json.loads(shell.run("trace", name).out)["traceEvents"] for name in ("last", record.id)]
    ids, again = [[event.get("id") for event in trace if event["ph"] == "X"] for trace in traces]
    assert ids == again
    assert len(set(ids[1:])) == 3
    assert all(len(identity) == 16 for identity in ids[1:])


def test_a_job_that_runs_has_a_trace_too(shell, record):
    record._flush()
    events = json.loads(shell.run("trace", "last").out)["traceEvents"]
    assert [event["name"] for event in events if event["ph"] == "X"] == ["map", "map 0", "map 1", "map 2"]


def test_a_job_of_which_nothing_is_left_has_an_empty_one(shell, state, tmp_path):
    (tmp_path / "state/mrcore/jobs/20200101-000000-000000").mkdir(parents=True)
    done = shell.run("trace", "last")
    assert done.status == 0
    check(json.loads(done.out), [])


class TestOutput:
    def test_is_a_file_that_is_whole_or_not_there(self, shell, record):
        assert shell.run("trace", "last", "-o", "trace.json").out == b""
        check(json.loads((shell.folder / "trace.json").read_bytes()), [])
        assert os.listdir(shell.folder) == ["trace.json"]
        assert shell.run("trace", "last", "-o", "trace.json").failed(4, "output exists", "--overwrite")
        record._flush()
        (shell.folder / "link").symlink_to("trace.json")
        assert shell.run("trace", "last", "-o", "link", "--overwrite").status == 0
        assert len(json.loads((shell.folder / "trace.json").read_bytes())["traceEvents"]) > 10
        assert sorted(os.listdir(shell.folder)) == ["link", "trace.json"]

    @pytest.mark.parametrize(("path", "status", "said"), [
        ("", 2, "empty output path"), ("none/trace.json", 4, "no such file"), ("here", 4, "not a regular file"),
        ("/dev/null", 4, "write to it with >"),
    ])  # fmt: skip
    def test_that_cannot_be(self, shell, record, path, status, said):
        (shell.folder / "here").mkdir()
        assert shell.run("trace", "last", "--overwrite", "-o", path).failed(status, said)
        assert os.listdir(shell.folder) == ["here"]

    def test_to_a_full_or_closed_standard_output(self, shell, record):
        assert shell.sh("mrcore trace last >/dev/full").failed(5, "no space left: standard output")
        assert shell.sh("mrcore trace last >&-").failed(4, "it is closed")
        assert shell.sh("set -o pipefail; mrcore trace last | true").err == b""


KEYS = st.builds("p{}.{}.{}.{}".format, *(st.integers(0, limit) for limit in (1, 1, 3, 2)))
WORKERS = st.sampled_from(["w0", "w1", "", "\ud800"])
OUTCOMES = st.sampled_from(["committed", "failed", "lost"])
EVENTS = st.one_of(
    st.tuples(st.just("start"), st.fixed_dictionaries({"attempt": KEYS, "worker": WORKERS})),
    st.tuples(st.just("end"), st.fixed_dictionaries({"attempt": KEYS, "outcome": OUTCOMES})),
    st.tuples(st.just("phase"), st.fixed_dictionaries({"name": st.text(max_size=3), "stage": st.integers(0, 1)})),
    st.tuples(st.sampled_from(["worker", "worker_ended"]), st.fixed_dictionaries({"worker": WORKERS})),
    st.tuples(st.just("note"), st.fixed_dictionaries({"attempt": KEYS, "text": st.text(max_size=3)})),
)


@given(st.lists(st.tuples(st.integers(0, 3000), EVENTS), max_size=60))
def test_any_events_make_a_trace_that_keeps_the_laws(drawn):
    times = itertools.accumulate(gap for gap, _ in drawn)
    events = [Event(t_ns, name, fields) for t_ns, (_, (name, fields)) in zip(times, drawn, strict=True)]
    replay = Replay(events)
    text = "".join(trace_text("20261121-213210-7f3a2c", "x", replay))
    check(json.loads(text.encode()), [event.fields["attempt"] for event in events if event.name == "start"])


def test_a_thousand_attempts_of_many_workers_are_written_in_pieces():
    events = [
        Event(task * 10 + end, "end" if end else "start", {"attempt": f"p0.0.{task}.0", "worker": f"w{task % 7}"})
        for task in range(3000) for end in (0, 5)
    ]  # fmt: skip
    replay = Replay(events)
    pieces = list(trace_text("x", "y", replay))
    assert len(pieces) > 3
    check(json.loads("\n".join(pieces)), [f"p0.0.{task}.0" for task in range(3000)])
    names, timed = trace_events("x", "y", replay)
    assert (len(names), len([event for event in timed if event["ph"] == "X"])) == (1 + 8 + 8, 3000)
