"""``mrcore trace``: a job's timeline, for Perfetto or any other reader of Chrome's trace event format.

One process, the job. Its first track has the phases, then there is one for each worker with an event for every attempt,
and counters of running attempts. Should attempts of a worker overlap, the later one gets a track beside: events of one
track must not. Times are whole microseconds since the job began.
"""

from __future__ import annotations

import argparse
import itertools
import os

from mrcore.cli.output import check_open, write_out
from mrcore.errors import OutputExistsError, UsageError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from mrcore.storage.history_replay import Attempt, Phase, Replay

PID = 1
PHASES_TRACK = 1
NOTE_MAX = 80  # letters in the name of an event
EVENTS_A_WRITE = 1000


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "trace",
        help="write a job's timeline for Perfetto",
        description="Writes when which worker ran which task, as Chrome's trace event JSON. Open it at "
        "https://ui.perfetto.dev, which does not upload it, or in chrome://tracing.",
        epilog="JOB is an ID of 'mrcore jobs list', the beginning of one, or 'last'.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("job", metavar="JOB", help="its ID, or 'last'")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks of mrcore's own")


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Writes the trace."""
    from mrcore.storage.history_reader import find_job
    from mrcore.storage.history_replay import Replay

    path = None if arguments.output is None else os.fsencode(arguments.output)
    if path is None:
        check_open()
    else:
        _check_target(path, overwrite=arguments.overwrite)
    job = find_job(arguments.job)
    replay = Replay(job.events())
    pieces = trace_text(job.id, job.summary().what, replay)
    if path is None:
        for piece in pieces:
            write_out(piece)
    else:
        _write_file(path, pieces)
    return 0


def _check_target(path: bytes, *, overwrite: bool) -> None:
    if not path:
        raise UsageError("empty output path: name a file with -o")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise OutputExistsError(f"output exists: {shown(path)}: name another file, or replace it with --overwrite")
    if not os.path.isfile(path):  # a rename would destroy the device
        raise OutputExistsError(f"output is not a regular file: {shown(path)}: write to it with > instead")


def _write_file(path: bytes, pieces: Iterable[str]) -> None:
    from mrcore.storage.files import publish
    from mrcore.storage.partfile import PartWriter

    path = os.path.realpath(path)  # a link to a file is followed
    folder, name = os.path.split(path)
    hidden = os.path.join(folder, b".%s.%d.mrcore" % (name[:200], os.getpid()))
    with PartWriter(hidden, sync=False) as part:
        for piece in pieces:
            part.write(piece.encode() + b"\n")
    publish(hidden, path)


def trace_text(job_id: str, what: str, replay: Replay) -> Iterator[str]:
    """The JSON object, some lines at a time."""
    import json

    from mrcore.errors import plain_text

    events = itertools.chain(*trace_events(job_id, what, replay))
    yield '{"displayTimeUnit": "ms", "otherData": ' + json.dumps({"job": job_id}) + ', "traceEvents": ['
    first = True
    while some := list(itertools.islice(events, EVENTS_A_WRITE)):
        lines = ",\n".join(plain_text(json.dumps(event, ensure_ascii=False)) for event in some)
        yield lines if first else "," + lines
        first = False
    yield "]}"


def trace_events(job_id: str, what: str, replay: Replay) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The names of the tracks, and what is on them, sorted by time."""
    names = [_name("process_name", 0, f"{what} {job_id}"), _name("thread_name", PHASES_TRACK, "phases")]
    events: list[dict[str, Any]] = []
    next_track = PHASES_TRACK
    for lane, phases in enumerate(lanes(replay.phases)):
        if lane:
            next_track += 1
            names.append(_name("thread_name", next_track, f"phases ({lane + 1})"))
        events += (_phase(phase, next_track) for phase in phases)
    tracks: dict[str, int] = {}
    workers = dict.fromkeys([worker.name for worker in replay.workers] + [a.worker for a in replay.attempts])
    by_worker: dict[str, list[Attempt]] = {worker: [] for worker in workers}
    for attempt in replay.attempts:
        by_worker[attempt.worker].append(attempt)
    for worker, attempts in by_worker.items():
        for lane, some in enumerate(lanes(attempts) or [[]]):
            next_track += 1
            tracks.setdefault(worker, next_track)
            names.append(_name("thread_name", next_track, worker + (f" ({lane + 1})" if lane else "")))
            for attempt in some:
                events.append(_attempt(job_id, attempt, next_track, replay))
                events += (_instant(n.t_ns, f"{n.kind}: {n.text}", next_track, n.text) for n in attempt.notes)
    events += _instants(replay, tracks)
    events += _running(replay.attempts)
    names += [
        {"ph": "M", "name": "thread_sort_index", "pid": PID, "tid": tid, "args": {"sort_index": tid}}
        for tid in range(PHASES_TRACK, next_track + 1)
    ]
    return names, sorted(events, key=lambda event: event["ts"])


def lanes(spans: Sequence[Any]) -> list[list[Any]]:
    """Puts each span, in the order of their starts, into the first lane where the one before has ended."""
    found: list[list[Any]] = []
    for span in sorted(spans, key=lambda span: span.start_ns):
        lane = next((lane for lane in found if lane[-1].end_ns <= span.start_ns), None)
        if lane is None:
            found.append(lane := [])
        lane.append(span)
    return found


def _name(kind: str, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": PID, "tid": tid, "args": {"name": name}}


def _span(name: str, category: str, start_ns: int, end_ns: int, tid: int) -> dict[str, Any]:
    ts = start_ns // 1000  # both ends are rounded down, so that what did not overlap still does not
    return {"ph": "X", "name": name, "cat": category, "ts": ts, "dur": end_ns // 1000 - ts, "pid": PID, "tid": tid}


def _phase(phase: Phase, tid: int) -> dict[str, Any]:
    args = {"step": phase.step, "stage": phase.stage, "tasks": phase.tasks}
    return _span(phase.name, "phase", phase.start_ns, phase.end_ns, tid) | {"args": args}


def _attempt(job_id: str, attempt: Attempt, tid: int, replay: Replay) -> dict[str, Any]:
    from xxhash import xxh3_64_hexdigest

    args: dict[str, Any] = {"attempt": attempt.key, "speculative": attempt.speculative, **attempt.numbers}
    if attempt.error:
        args["error"] = attempt.error
    span = _span(replay.label(attempt), attempt.outcome or "running", attempt.start_ns, attempt.end_ns, tid)
    return span | {"id": xxh3_64_hexdigest(f"{job_id}/{attempt.key}".encode()), "args": args}


def _instants(replay: Replay, tracks: dict[str, int]) -> Iterator[dict[str, Any]]:
    for worker in replay.workers:
        if worker.end_ns >= 0:
            yield _instant(worker.end_ns, f"{worker.name} ended: {worker.how}", tracks[worker.name], worker.how)
    for note in replay.notes:
        yield _instant(note.t_ns, f"{note.kind}: {note.text}", PHASES_TRACK, note.text)


def _instant(t_ns: int, name: str, tid: int, text: str) -> dict[str, Any]:
    args = {"text": text}
    return {"ph": "i", "s": "t", "name": name[:NOTE_MAX], "ts": t_ns // 1000, "pid": PID, "tid": tid, "args": args}


def _running(attempts: Iterable[Attempt]) -> Iterator[dict[str, Any]]:
    """How many attempts run, whenever that changes."""
    changes: dict[int, int] = {}
    for attempt in attempts:
        for t_ns, change in ((attempt.start_ns, 1), (attempt.end_ns, -1)):
            changes[t_ns // 1000] = changes.get(t_ns // 1000, 0) + change
    running = 0
    for ts in sorted(changes):
        running += changes[ts]
        yield {"ph": "C", "name": "running attempts", "ts": ts, "pid": PID, "tid": 0, "args": {"attempts": running}}
