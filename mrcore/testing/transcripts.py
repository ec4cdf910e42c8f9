"""Stories of the scheduler as text: what happens to it, one thing a line, and indented below what it answers.

:func:`play` reads the lines that are not indented and writes the answers anew, so that a change of behaviour is a diff
of a transcript. ``tests/scheduler/transcripts`` has them. The words::

    coordinator starts [SETTING=VALUE ...]       fields of SchedulerConfig; times as 10s or 250ms
    coordinator crashes                          and starts again from its journal; all connections break
    coordinator sleeps until 30s                 stopped: no heartbeat is read, and the first thing it does is a tick
    worker w1 registers [slots=2] [host=h] [cpu=4000] [memory=100] [keeps]      keeps: outputs are on its own disk
    job j stages 3 -> 2 [attempts=4] [skip=1] [weight=1] [fetch=50] [bytes=100] [backoff=1s] [speculate=no]
    cancel job j
    w1 finishes j/0/1/0      w1 stops j/0/1/0 (as it was told to)      w1 fails j/0/1/0 user_code [record=r7]
    w1 misses j/0/1/0 corrupt            an output that it wants to fetch; or missing, or unreachable
    w1 has read 500 of j/0/1/0           its next heartbeats say so
    w1 falls silent                      no more heartbeats, until it registers or ``w1 is heard``
    w1 dies [record=r7]      w1 disconnects      w1 says goodbye      w1 drains
    nothing                              but time

A line may begin with ``at 12.5s``. Until then the driver's ticks pass, and the heartbeats of workers that are not
silent, each with the attempts that were started there and of whose end nobody told; what is answered to those bears its
time. ``w1@1.3`` speaks under a generation, the third of the first epoch, and may say what is not so; without one it
ends only what it runs. ``#`` begins a remark. At the end, and before each crash, it is checked that the journal and the
snapshot make the same scheduler.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mrcore.scheduler import actions, events
from mrcore.scheduler.attempt import AttemptId
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.scheduler.leases import EPOCH_SHIFT
from mrcore.scheduler.records import encode_record
from mrcore.scheduler.scheduler import Scheduler
from mrcore.testing.answers import say_action, say_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_S = 1_000_000_000
_AT = re.compile(r"at (\S+) (.*)")
_WORKER = re.compile(r"(\w+)(?:@(\d+)\.(\d+))? (.*)")


def play(text: str) -> str:
    """The transcript with the answers of today.

    Raises:
        ValueError: a line that says nothing known, with its number.
        AssertionError: a defect of the scheduler.
    """
    story, lines = _Story(), []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(" "):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            try:
                lines += [f"    {answer}" for answer in story.tell(line)]
            except (ValueError, KeyError) as error:
                raise ValueError(f"line {number}: {line!r}: {error}") from error
    story.check_replay()
    return "\n".join(lines) + "\n"


class _Peer:
    """A worker as the story knows it."""

    def __init__(self) -> None:
        self.generation = 0
        self.is_silent = True
        self.running: dict[AttemptId, int] = {}  # and bytes read


class _Story:
    def __init__(self) -> None:
        self.now_ns = 0
        self.config = SchedulerConfig()
        self.scheduler: Scheduler | None = None
        self.journal: list[bytes] = []
        self.peers: dict[str, _Peer] = {}

    def tell(self, line: str) -> Iterator[str]:
        """What is answered to a line."""
        if found := _AT.fullmatch(line):
            yield from self._pass_time(_time(found[1]))
            line = found[2]
        for pattern, meaning in _COORDINATOR:
            if found := re.fullmatch(pattern, line):
                yield from meaning(self, **found.groupdict())
                return
        yield from self._handle(self._read_event(line))

    def check_replay(self) -> None:
        """Journal and snapshot make the same scheduler."""
        if self.scheduler is not None:
            replayed, _ = Scheduler.recover(self.config, None, self.journal, self.now_ns)
            loaded, _ = Scheduler.recover(self.config, self.scheduler.snapshot(), [], self.now_ns)
            assert replayed.snapshot() == loaded.snapshot(), "the journal makes another scheduler than the snapshot"

    def start(self, settings: str) -> Iterator[str]:
        given = {key: _setting(value) for key, value in _pairs(settings).items()}
        self.config = msgspec.convert(given, SchedulerConfig, strict=False)
        yield from self._recover()

    def crash(self) -> Iterator[str]:
        self.check_replay()
        for peer in self.peers.values():
            peer.is_silent = True
        yield from self._recover()

    def sleep(self, time: str) -> Iterator[str]:
        self.now_ns = max(self.now_ns, _time(time))
        yield from self._handle(events.TimePassed())

    def rest(self) -> Iterator[str]:
        yield from ()

    def hush(self, worker: str) -> Iterator[str]:
        self.peers[worker].is_silent = True
        yield from ()

    def progress(self, worker: str, size: str, attempt: str) -> Iterator[str]:
        self.peers[worker].running[_attempt(attempt)] = int(size)
        yield from ()

    def _recover(self) -> Iterator[str]:
        self.scheduler, answer = Scheduler.recover(self.config, None, self.journal, self.now_ns)
        yield from self._carry_out(answer)

    def _pass_time(self, until_ns: int) -> Iterator[str]:
        if until_ns < self.now_ns:
            raise ValueError(f"it is {say_seconds(self.now_ns)} already")
        tick_ns = self.config.tick_ns
        while (next_ns := (self.now_ns // tick_ns + 1) * tick_ns) <= until_ns:
            self.now_ns = next_ns
            due = [name for name, peer in self.peers.items() if not peer.is_silent]
            for name in due if next_ns % self.config.heartbeat_ns == 0 else ():
                yield from self._handle(self._heartbeat(name, self.peers[name].generation), timed=True)
            yield from self._handle(events.TimePassed(), timed=True)
        self.now_ns = until_ns

    def _handle(self, event: events.Event, timed: bool = False) -> Iterator[str]:
        assert self.scheduler is not None, "the first line is: coordinator starts"
        time = f"[{say_seconds(self.now_ns)}] " if timed else ""
        for said in self._carry_out(self.scheduler.handle(event, self.now_ns)):
            yield time + said

    def _carry_out(self, answer: list[actions.Action]) -> Iterator[str]:
        assert self.scheduler is not None
        for action in answer:
            match action:
                case actions.AppendJournal(record):
                    self.journal.append(encode_record(record))
                case actions.GrantLease(worker, generation):
                    self.peers[worker] = peer = _Peer()
                    peer.generation, peer.is_silent = generation, False
                case actions.StartAttempt(worker, generation, attempt) if self._is_current(worker, generation):
                    self.peers[worker].running[attempt] = 0
                case _:
                    pass
            yield say_action(action, self.scheduler, {name: peer.generation for name, peer in self.peers.items()})

    def _is_current(self, worker: str, generation: int) -> bool:
        return worker in self.peers and self.peers[worker].generation == generation

    def _heartbeat(self, worker: str, generation: int) -> events.Event:
        running = self.peers[worker].running if self._is_current(worker, generation) else {}
        return events.HeartbeatReceived(worker, generation, tuple(running.items()))

    def _read_event(self, line: str) -> events.Event:
        for pattern, make in _OF_JOBS:
            if found := re.fullmatch(pattern, line):
                return make(**found.groupdict())
        if found := _WORKER.fullmatch(line):
            worker, rest = found[1], found[4]
            if worker in self.peers:
                generation = (int(found[2]) << EPOCH_SHIFT) + int(found[3]) if found[2] else 0
                return self._read_worker(worker, generation, rest)
        raise ValueError("nobody understands this")

    def _read_worker(self, worker: str, generation: int, rest: str) -> events.Event:
        peer = self.peers[worker]
        is_checked, generation = not generation, generation or peer.generation
        if rest == "is heard":
            peer.is_silent = False
            return self._heartbeat(worker, generation)
        for pattern, make in _OF_WORKERS:
            if found := re.fullmatch(pattern, rest):
                event = make(worker, generation, **found.groupdict())
                if isinstance(event, events.AttemptFinished | events.AttemptFailed) and is_checked:
                    if event.attempt not in peer.running:
                        raise ValueError(f"{worker} runs {' '.join(map(str, peer.running)) or 'nothing'}")
                    del peer.running[event.attempt]
                if isinstance(event, events.WorkerEnded):
                    peer.is_silent = True
                return event
        raise ValueError("a worker does no such thing")


def _registered(worker: str, options: str) -> events.Event:
    given = _pairs(options)
    return events.WorkerRegistered(
        worker,
        int(given.get("slots", "1")),
        int(given.get("memory", "1000000000")),
        int(given.get("cpu", "64000")),
        given.get("host", ""),
        "keeps" in given,
    )


def _submitted(job: str, sizes: str, options: str) -> events.Event:
    given = _pairs(options)
    stages = tuple(
        StageSpec(
            int(tasks),
            (index - 1,) if index else (),
            task_bytes=int(given.get("bytes", "0")),
            fetch_from_percent=int(given.get("fetch", "100")) if index else 100,
        )
        for index, tasks in enumerate(sizes.split(" -> "))
    )
    default = JobOptions()
    chosen = JobOptions(
        attempts_max=int(given.get("attempts", default.attempts_max)),
        backoff_ns=_time(given.get("backoff", "1s")),
        skip_bad_max=int(given.get("skip", "0")),
        speculate=given.get("speculate", "yes") == "yes",
        weight=int(given.get("weight", "1")),
    )
    return events.JobSubmitted(job, stages, chosen)


def _finished(worker: str, generation: int, attempt: str) -> events.Event:
    return events.AttemptFinished(worker, generation, _attempt(attempt))


def _failed(worker: str, generation: int, attempt: str, failure: str, record: str | None) -> events.Event:
    return events.AttemptFailed(
        worker, generation, _attempt(attempt), events.FailureClass(failure), "a reason", (record or "").encode()
    )


def _stopped(worker: str, generation: int, attempt: str) -> events.Event:
    return events.AttemptFailed(worker, generation, _attempt(attempt), events.FailureClass.CANCELLED)


def _missed(worker: str, generation: int, attempt: str, reason: str) -> events.Event:
    return events.FetchFailed(worker, generation, _attempt(attempt), events.LossReason(reason))


def _died(worker: str, generation: int, record: str | None) -> events.Event:
    return events.WorkerEnded(worker, generation, events.EndCause.PROCESS_ENDED, (record or "").encode())


def _disconnected(worker: str, generation: int) -> events.Event:
    return events.WorkerEnded(worker, generation, events.EndCause.DISCONNECTED)


def _left(worker: str, generation: int) -> events.Event:
    return events.WorkerEnded(worker, generation, events.EndCause.GOODBYE)


_COORDINATOR: tuple[tuple[str, Callable[..., Iterator[str]]], ...] = (
    (r"coordinator starts(?P<settings>.*)", _Story.start),
    (r"coordinator crashes", _Story.crash),
    (r"coordinator sleeps until (?P<time>\S+)", _Story.sleep),
    (r"nothing", _Story.rest),
    (r"(?P<worker>\w+) falls silent", _Story.hush),
    (r"(?P<worker>\w+) has read (?P<size>\d+) of (?P<attempt>\S+)", _Story.progress),
)
_OF_JOBS: tuple[tuple[str, Callable[..., events.Event]], ...] = (
    (r"worker (?P<worker>\w+) registers(?P<options>.*)", _registered),
    (r"job (?P<job>\w+) stages (?P<sizes>\d+(?: -> \d+)*)(?P<options>.*)", _submitted),
    (r"cancel job (?P<job>\w+)", events.JobCancelled),
)
_OF_WORKERS: tuple[tuple[str, Callable[..., events.Event]], ...] = (
    (r"finishes (?P<attempt>\S+)", _finished),
    (r"stops (?P<attempt>\S+)", _stopped),
    (r"fails (?P<attempt>\S+) (?P<failure>\w+)(?: record=(?P<record>\S+))?", _failed),
    (r"misses (?P<attempt>\S+) (?P<reason>\w+)", _missed),
    (r"dies(?: record=(?P<record>\S+))?", _died),
    (r"disconnects", _disconnected),
    (r"says goodbye", _left),
    (r"drains", events.WorkerDrained),
)


def _attempt(text: str) -> AttemptId:
    job, stage, task, attempt = text.split("/")
    return AttemptId(job, int(stage), int(task), int(attempt))


def _pairs(text: str) -> dict[str, str]:
    words = (word.partition("=") for word in text.split())
    return {name: value for name, _, value in words}


def _setting(text: str) -> str | int:
    return _time(text) if text.endswith("s") else text


def _time(text: str) -> int:
    """Nanoseconds of ``12.5s`` or ``250ms``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)s", text)
    if found is None:
        raise ValueError(f"{text} is no time")
    return round(float(found[1]) * (_S // 1000 if found[2] else _S))
