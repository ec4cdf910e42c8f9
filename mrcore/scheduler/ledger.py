"""The ledger: what of the scheduler's state survives a crash.

It is what the records of the journal say, and nothing else: :meth:`Ledger.apply` is the only way to change it, for a
scheduler that lives as for one that recovers, so both have the same ledger by construction. What runs where,
who is alive, what is slow: none of that is here, and a new coordinator finds it out anew.

Of a task there is a row over several arrays: some 29 bytes, and 8 for each counter. A snapshot is these arrays, in
little-endian order, and the rest in msgpack.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import msgspec

from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.scheduler.records import (
    AttemptCharged,
    AttemptCommitted,
    EpochBegan,
    JobAdmitted,
    JobEnded,
    OptionsChanged,
    OutputLost,
    Record,
    RecordSkipped,
)

ENDED_MAX = 1000
"""Ended jobs that are remembered, so that one that is submitted again is not run again."""

NO_ATTEMPT = -1
SHARED = -1
"""The holder of an output that is on the disk that all share."""


class StageLedger:
    """What is durable of a stage; at each index stands what is known of that task.

    Attributes:
        attempts: number of the committed attempt, or NO_ATTEMPT.
        holders: of its output, an index into ``Ledger.holders``, or SHARED.
        sizes: bytes of its output.
        checks: XXH3-64 of its output.
        failures: of its attempts, those that count, since a record was skipped.
        counters: by name, of the attempt that was committed last, also if its output was lost since.
        results: of committed attempts, where there is one.
        charged: how often a task failed on a record.
        skipped: records that a task passes over.
    """

    __slots__ = ("attempts", "charged", "checks", "counters", "failures", "holders", "results", "sizes", "skipped")

    def __init__(self, tasks: int) -> None:
        self.attempts = array("i", [NO_ATTEMPT]) * tasks
        self.holders = array("i", [SHARED]) * tasks
        self.sizes = array("q", [0]) * tasks
        self.checks = array("Q", [0]) * tasks
        self.failures = array("H", [0]) * tasks
        self.counters: dict[str, array[int]] = {}
        self.results: dict[int, bytes] = {}
        self.charged: dict[tuple[int, bytes], int] = {}
        self.skipped: dict[int, list[bytes]] = {}

    def column(self, name: str) -> array[int]:
        """A counter, for each task."""
        column = self.counters.get(name)
        if column is None:
            column = self.counters[name] = array("q", [0]) * len(self.attempts)
        return column


class JobLedger:
    """What is durable of a job.

    Attributes:
        name: of the job.
        specs: of its stages.
        stages: theirs, in the same order; empty once it has ended.
        options: as submitted, the last time.
        payload: the driver's.
        counters: sums over the tasks.
        skipped: records that its tasks pass over, all together.
        outcome: a final state, or empty.
        error: of one that failed.
        published: of one that ended, by stage, the attempts whose output has a final name; not in a snapshot.
    """

    __slots__ = (
        "counters", "error", "name", "options", "outcome", "payload", "published", "skipped", "specs", "stages",
    )  # fmt: skip

    def __init__(self, name: str, specs: tuple[StageSpec, ...], options: JobOptions, payload: bytes) -> None:
        self.name, self.specs, self.options, self.payload = name, specs, options, payload
        self.stages = [StageLedger(spec.tasks) for spec in specs]
        self.counters: dict[str, int] = {}
        self.skipped = 0
        self.outcome = self.error = ""
        self.published: dict[int, array[int]] = {}

    def finals(self) -> list[int]:
        """The stages that nobody reads."""
        read = {index for spec in self.specs for index in spec.reads}
        return [index for index in range(len(self.specs)) if index not in read]


class Ledger:
    """Jobs and what is committed of them.

    Attributes:
        epoch: how many coordinators have begun.
        jobs: by name, those that run and the last ones that ended, these in the order in which they did.
        holders: names of workers, by number; forgotten when no job runs.
    """

    __slots__ = ("_appliers", "_ended", "_numbers", "epoch", "holders", "jobs")

    def __init__(self) -> None:
        self.epoch = 0
        self.jobs: dict[str, JobLedger] = {}
        self.holders: list[str] = []
        self._numbers: dict[str, int] = {"": SHARED}
        self._ended = 0  # of jobs
        self._appliers: dict[type, Any] = {
            AttemptCommitted: self._commit,
            AttemptCharged: self._charge,
            OutputLost: self._lose,
            RecordSkipped: self._skip,
            JobAdmitted: self._admit,
            JobEnded: self._end,
            EpochBegan: self._begin,
            OptionsChanged: self._change,
        }

    def apply(self, record: Record) -> None:
        """Takes a record in. Records are ours: one that makes no sense is a defect, and raises."""
        self._appliers[type(record)](record)

    def holder_number(self, name: str) -> int | None:
        """The number of a worker among the holders; None if it has held nothing."""
        return self._numbers.get(name)

    def _begin(self, record: EpochBegan) -> None:
        assert record.epoch > self.epoch
        self.epoch = record.epoch

    def _admit(self, record: JobAdmitted) -> None:
        assert record.job not in self.jobs
        self.jobs[record.job] = JobLedger(record.job, record.stages, record.options, record.payload)

    def _change(self, record: OptionsChanged) -> None:
        self.jobs[record.job].options = record.options

    def _commit(self, record: AttemptCommitted) -> None:
        job = self.jobs[record.job]
        stage, task = job.stages[record.stage], record.task
        assert stage.attempts[task] == NO_ATTEMPT
        stage.attempts[task] = record.attempt
        if record.holder:
            stage.holders[task] = self._number(record.holder)
        stage.sizes[task] = record.output_bytes
        stage.checks[task] = record.output_check
        totals, counters = job.counters, record.counters
        for name, count in counters.items():
            column = stage.column(name)
            totals[name] = totals.get(name, 0) + count - column[task]
            column[task] = count
        if len(counters) < len(stage.counters):
            for name, column in stage.counters.items():
                if column[task] and name not in counters:  # of an attempt whose output was lost
                    totals[name] -= column[task]
                    column[task] = 0
        if record.result:
            stage.results[task] = record.result

    def _lose(self, record: OutputLost) -> None:
        stage, task = self.jobs[record.job].stages[record.stage], record.task
        assert stage.attempts[task] == record.attempt
        stage.attempts[task], stage.holders[task] = NO_ATTEMPT, SHARED
        stage.sizes[task] = stage.checks[task] = 0
        stage.results.pop(task, None)  # its counters count until another attempt's are there: it may be the last

    def _charge(self, record: AttemptCharged) -> None:
        stage = self.jobs[record.job].stages[record.stage]
        stage.failures[record.task] += 1
        if record.record:
            key = (record.task, record.record)
            stage.charged[key] = stage.charged.get(key, 0) + 1

    def _skip(self, record: RecordSkipped) -> None:
        job = self.jobs[record.job]
        stage = job.stages[record.stage]
        stage.skipped.setdefault(record.task, []).append(record.record)
        stage.charged.pop((record.task, record.record), None)
        stage.failures[record.task] = 0  # it gets on, so it may fail again
        job.skipped += 1

    def _end(self, record: JobEnded) -> None:
        job = self.jobs[record.job] = self.jobs.pop(record.job)  # behind those that ended before it
        job.outcome, job.error = record.outcome, record.error
        if record.outcome == "succeeded":
            job.published = {index: job.stages[index].attempts for index in job.finals()}
        job.stages = []
        self._ended += 1
        if self._ended == len(self.jobs):  # nobody holds an output of a job that runs
            self.holders.clear()
            self._numbers = {"": SHARED}
        if self._ended > ENDED_MAX:
            del self.jobs[next(name for name, known in self.jobs.items() if known.outcome)]
            self._ended -= 1

    def _number(self, holder: str) -> int:
        number = self._numbers.get(holder)
        if number is None:
            number = self._numbers[holder] = len(self.holders)
            self.holders.append(holder)
        return number


class _StageImage(msgspec.Struct, frozen=True, array_like=True):
    arrays: tuple[bytes, bytes, bytes, bytes, bytes]
    counters: tuple[tuple[str, bytes], ...]
    results: tuple[tuple[int, bytes], ...]
    charged: tuple[tuple[int, bytes, int], ...]
    skipped: tuple[tuple[int, tuple[bytes, ...]], ...]


class _JobImage(msgspec.Struct, frozen=True, array_like=True):
    name: str
    specs: tuple[StageSpec, ...]
    options: JobOptions
    payload: bytes
    counters: tuple[tuple[str, int | str], ...]  # in decimal digits where 64 bits are too few for a sum
    skipped: int
    outcome: str
    error: str
    stages: tuple[_StageImage, ...]


class _Image(msgspec.Struct, frozen=True, array_like=True):
    epoch: int
    holders: tuple[str, ...]
    jobs: tuple[_JobImage, ...]


def encode_ledger(ledger: Ledger) -> bytes:
    """A snapshot: equal ledgers, equal bytes."""
    jobs = tuple(
        _JobImage(
            job.name, job.specs, job.options, job.payload,
            tuple((name, total if abs(total) < 1 << 63 else str(total)) for name, total in job.counters.items()),
            job.skipped, job.outcome, job.error, tuple(map(_stage_image, job.stages)),
        )
        for job in ledger.jobs.values()
    )  # fmt: skip
    return msgspec.msgpack.encode(_Image(ledger.epoch, tuple(ledger.holders), jobs))


def decode_ledger(snapshot: bytes) -> Ledger:
    """The ledger of a snapshot.

    Raises:
        msgspec.DecodeError: these bytes are none.
    """
    image = msgspec.msgpack.decode(snapshot, type=_Image)
    ledger = Ledger()
    ledger.epoch = image.epoch
    for holder in image.holders:
        ledger._number(holder)
    for one in image.jobs:
        job = ledger.jobs[one.name] = JobLedger(one.name, one.specs, one.options, one.payload)
        job.counters.update((name, int(total)) for name, total in one.counters)
        job.skipped, job.outcome, job.error = one.skipped, one.outcome, one.error
        job.stages = [_stage_of(stage) for stage in one.stages]
        ledger._ended += bool(one.outcome)
    return ledger


def _stage_image(stage: StageLedger) -> _StageImage:
    return _StageImage(
        (
            _packed(stage.attempts), _packed(stage.holders), _packed(stage.sizes), _packed(stage.checks),
            _packed(stage.failures),
        ),
        tuple((name, _packed(column)) for name, column in stage.counters.items()),
        tuple(stage.results.items()),
        tuple((task, record, count) for (task, record), count in stage.charged.items()),
        tuple((task, tuple(records)) for task, records in stage.skipped.items()),
    )  # fmt: skip


def _stage_of(image: _StageImage) -> StageLedger:
    stage = StageLedger(0)
    columns = (stage.attempts, stage.holders, stage.sizes, stage.checks, stage.failures)
    for column, packed in zip(columns, image.arrays, strict=True):
        _unpack(column, packed)
    for name, packed in image.counters:
        _unpack(stage.counters.setdefault(name, array("q")), packed)
    stage.results.update(image.results)
    stage.charged.update(((task, record), count) for task, record, count in image.charged)
    stage.skipped.update((task, list(records)) for task, records in image.skipped)
    return stage


def _packed(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _unpack(values: array[int], packed: bytes) -> None:
    values.frombytes(packed)
    if sys.byteorder == "big":
        values.byteswap()
