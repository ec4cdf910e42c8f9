"""What simulated tasks compute: a job small enough to be done twice, once by the cluster and once here.

An output is a digest, cut into as many pieces as a stage has tasks at most. A task without inputs digests its own name
and the records that it passed over. A task that reads digests its name and, in the order of their stages and tasks,
its piece of each output. So a missing, doubled, foreign or stale input changes every byte that follows from it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mrcore.scheduler.job import StageSpec

TASKS_MAX = 12  # of a stage
PIECE_BYTES = 5
INPUT_BYTES = 1 << 20  # of a task, for its progress
OUTPUT_BYTES = TASKS_MAX * PIECE_BYTES


class TaskSpec(msgspec.Struct, frozen=True, array_like=True):
    """The bytes of a task's specification: what a simulated worker has to know.

    Attributes:
        seed: of the job.
        stage, task: which.
        reads: inputs in their order, as stage and number of tasks.
        is_final: nobody reads the output: it goes where the listener finds it.
        records: of the task's own input; 0 if it has none.
        bad: of these, those that a user's function fails on, by number.
        input_bytes: of them all, for progress.
        duration_ns: that an attempt takes on a worker that is not slow, once it has its inputs.
    """

    seed: int
    stage: int
    task: int
    reads: tuple[tuple[int, int], ...]
    is_final: bool
    records: int
    bad: tuple[int, ...]
    input_bytes: int
    duration_ns: int


SPEC = msgspec.msgpack.Decoder(TaskSpec)
encode_spec = msgspec.msgpack.Encoder().encode


def compute(
    spec: TaskSpec, inputs: Mapping[tuple[int, int], bytes], skip: Sequence[int]
) -> tuple[bytes, dict[str, int]]:
    """The output and the counters of a task.

    Args:
        spec: of the task.
        inputs: outputs of earlier tasks, by stage and task; all that it reads.
        skip: numbers of records to pass over.
    """
    digest = hashlib.blake2b(b"%d %d %d" % (spec.seed, spec.stage, spec.task), digest_size=OUTPUT_BYTES)
    digest.update(b" %d" * len(skip) % tuple(sorted(skip)))
    start = spec.task * PIECE_BYTES
    count = 0
    for stage, tasks in spec.reads:
        for task in range(tasks):
            digest.update(inputs[stage, task][start : start + PIECE_BYTES])
            count += 1
    counters = {"tasks": 1, "records": spec.records - len(skip), "inputs": count, f"stage {spec.stage}": spec.task}
    if skip:
        counters["skipped"] = len(skip)
    return digest.digest(), counters


def task_specs(
    seed: int, stages: Sequence[StageSpec], bad: Mapping[tuple[int, int], tuple[int, ...]]
) -> list[list[TaskSpec]]:
    """The tasks of a job, by stage. Durations follow from the seed.

    Args:
        seed: of the job.
        stages: of the job.
        bad: by stage and task, the numbers of its bad records.
    """
    read = {index for stage in stages for index in stage.reads}
    made = []
    for index, stage in enumerate(stages):
        reads = tuple((source, stages[source].tasks) for source in stage.reads)
        made.append([
            TaskSpec(
                seed, index, task, reads, index not in read, 0 if reads else 10 + task % 3, bad.get((index, task), ()),
                INPUT_BYTES, 200_000_000 + (seed * 7 + index * 31 + task * 17) % 23 * 150_000_000,
            )
            for task in range(stage.tasks)
        ])  # fmt: skip
    return made


def expect(tasks: Sequence[Sequence[TaskSpec]]) -> tuple[dict[tuple[int, int], bytes], dict[str, int]]:
    """The outputs of a job that succeeded, by stage and task, and its counters: all bad records were skipped."""
    outputs: dict[tuple[int, int], bytes] = {}
    totals: dict[str, int] = {}
    for stage in tasks:
        for spec in stage:
            output, counters = compute(spec, outputs, spec.bad)
            outputs[spec.stage, spec.task] = output
            for name, count in counters.items():
                totals[name] = totals.get(name, 0) + count
    return outputs, totals
