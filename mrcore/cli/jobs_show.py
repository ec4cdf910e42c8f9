"""What ``mrcore jobs show`` says of one job: phases, workers, counters, and the tasks that took longest."""

from __future__ import annotations

import collections

from mrcore.cli.jobs import clock, progress_text, table
from mrcore.errors import shown
from mrcore.storage.history_replay import COMMITTED, NUMBERS, Replay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mrcore.storage.history_reader import StoredJob
    from mrcore.storage.history_replay import Attempt, Phase, Worker

SLOWEST = 5
ERRORS_MAX = 5  # different ones in the text
_PLACED = ("t", "tasks", "outcome", "error", "counters", "history_error")  # of status.json: shown elsewhere
_LOSSES = ("failed", "lost", "cancelled", "discarded")
_COLUMNS = ("tasks", "committed", "attempts", "retries", *_LOSSES, "speculative")  # of phases


def describe(job: StoredJob) -> dict[str, Any]:
    """All about a job, as ``--json`` prints it."""
    replay = Replay(job.events())
    summary, status = job.summary(), job.status()
    slowest = sorted(replay.attempts, key=lambda attempt: attempt.start_ns - attempt.end_ns)[:SLOWEST]
    counters = status.get("counters")
    errors = collections.Counter(attempt.error for attempt in replay.attempts if attempt.error)
    wrong = [*job.damage, *([f"not all was written: {status['history_error']}"] if "history_error" in status else [])]
    return {
        "id": job.id,
        "state": summary.state,
        "what": summary.what,
        "elapsed_s": summary.elapsed_s,
        "error": summary.error,
        "about": job.about,
        "tasks": {name: list(counts) for name, counts in summary.tasks.items()},
        "phases": [_phase(phase) for phase in replay.phases],
        "workers": [_worker(worker, replay) for worker in replay.workers],
        "slowest": [_attempt(attempt, replay) for attempt in slowest],
        "errors": dict(errors.most_common()),
        "counters": counters if isinstance(counters, dict) else replay.counters,
        "status": {name: value for name, value in status.items() if name not in _PLACED},
        "damage": wrong + (["events past the limit of a record were left out"] if replay.left_out else []),
    }


def _phase(phase: Phase) -> dict[str, Any]:
    attempts = phase.attempts
    outcomes = collections.Counter(attempt.outcome for attempt in attempts)
    planned = [attempt.task for attempt in attempts if not attempt.speculative]
    return {
        "name": phase.name, "step": phase.step, "stage": phase.stage, "tasks": phase.tasks,
        "committed": len({attempt.task for attempt in attempts if attempt.outcome == COMMITTED}),
        "attempts": len(attempts), "retries": len(planned) - len(set(planned)),
        **{outcome: outcomes[outcome] for outcome in _LOSSES},
        "speculative": len(attempts) - len(planned), "start_s": phase.start_ns / 1e9,
        "seconds": (phase.end_ns - phase.start_ns) / 1e9,
    }  # fmt: skip


def _worker(worker: Worker, replay: Replay) -> dict[str, Any]:
    end_ns = worker.end_ns if worker.end_ns >= 0 else replay.last_ns
    its = [a for a in replay.attempts if a.worker == worker.name and worker.start_ns <= a.start_ns <= end_ns]
    end_s = None if worker.end_ns < 0 else worker.end_ns / 1e9
    return {
        "worker": worker.name, "pid": worker.pid, "attempts": len(its), "busy_s": sum(a.seconds for a in its),
        "start_s": worker.start_ns / 1e9, "end_s": end_s, "how": worker.how,
    }  # fmt: skip


def _attempt(attempt: Attempt, replay: Replay) -> dict[str, Any]:
    return {
        "task": replay.label(attempt), "attempt": attempt.key, "worker": attempt.worker, "seconds": attempt.seconds,
        "outcome": attempt.outcome or "running", "speculative": attempt.speculative, **attempt.numbers,
    }  # fmt: skip


# ---- as text -----------------------------------------------------------------------------


def show_lines(about: dict[str, Any]) -> list[str]:
    """What :func:`describe` found, for people."""
    facts = {name: value for name, value in about["about"].items() if name not in ("format", "version", "id")}
    facts = ({"error": about["error"]} if about["error"] else {}) | facts
    facts |= ({"progress": progress_text(about["tasks"])} if about["tasks"] else {}) | about["status"]
    lines = [f"job {about['id']}: {about['state']}, {clock(about['elapsed_s'])}"]
    lines += [f"  {shown(n):<12}  {value if n == 'pid' else _value(value)}" for n, value in facts.items()]
    if about["phases"]:
        rows = [
            (shown(p["name"]), str(p["step"]), *(str(p[column]) for column in _COLUMNS), f"{p['seconds']:.3f}")
            for p in about["phases"]
        ]
        lines += ["", *table(("phase", "step", *_COLUMNS, "seconds"), rows)]
    if about["workers"]:
        rows = [
            (shown(w["worker"]), str(w["pid"]), str(w["attempts"]), f"{w['busy_s']:.3f}", shown(w["how"]) or "-")
            for w in about["workers"]
        ]
        lines += ["", *table(("worker", "pid", "attempts", "busy s", "ended"), rows)]
    if about["slowest"]:
        head = ("slowest", "seconds", "worker", "outcome", *NUMBERS)
        lines += ["", *table(head, [_slow_row(slow) for slow in about["slowest"]])]
    if about["counters"]:
        lines += ["", *table(("counter", "value"), [(shown(str(n)), _value(v)) for n, v in about["counters"].items()])]
    if about["errors"]:
        lines += ["", "errors of attempts, see 'mrcore jobs logs --failed':"]
        lines += [f"{count:9,d} {shown(error)}" for error, count in [*about["errors"].items()][:ERRORS_MAX]]
    return lines + [f"damaged: {shown(what)}" for what in about["damage"]]


def _slow_row(slow: dict[str, Any]) -> tuple[str, ...]:
    numbers = (f"{slow[name]:,}" if name in slow else "-" for name in NUMBERS)
    return shown(slow["task"]), f"{slow['seconds']:.3f}", shown(slow["worker"]), slow["outcome"], *numbers


def _value(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_value, value))
    if isinstance(value, dict):
        return ", ".join(f"{shown(str(name))} {_value(item)}" for name, item in value.items())
    return f"{value:,}" if type(value) is int and value >= 10_000 else shown(str(value))
