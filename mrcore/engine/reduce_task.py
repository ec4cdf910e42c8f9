"""A reduce task: one partition of every run, merged, combined and written as lines.

Runs are merged FAN_IN at a time; more of them are first merged into fewer, in passes over
neighbours, so that open files and buffers stay bounded whatever the number of map tasks.
"""

from __future__ import annotations

import os

from mrcore.engine.spec import ReduceSpec, TaskResult
from mrcore.errors import shown
from mrcore.kernels.merge import Merge
from mrcore.storage.partfile import PartWriter
from mrcore.storage.runfile import RunReader, RunWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcore.engine.task import TaskEnv

FAN_IN = 64  # runs a merge: six comparisons a record; 64 descriptors and about 8 MiB of buffers
LINES_BUFFER = 1 << 20
TOP_BUFFER = 64 << 10
TOP_SPARE = 1000  # lines beside twice the wanted ones that are kept before the worst are dropped

Segment = tuple[RunReader, int]  # a run file and the partition of it to read


def run_reduce(spec: ReduceSpec, env: TaskEnv) -> TaskResult:
    """Runs a reduce task; see :func:`mrcore.engine.task.run_task`."""
    segments: list[Segment] = [(RunReader(path), spec.task) for path in spec.runs]
    bytes_in = sum(run.segments[p][1] for run, p in segments)
    temporary: list[bytes] = []
    try:
        segments = _merge_down(segments, spec, temporary)
        merge = _merge(segments, "lines", spec.min_count, TOP_BUFFER if spec.top else LINES_BUFFER)
        chunks: Iterator[bytes | memoryview] = iter(_top_lines(merge, spec.top)) if spec.top else iter(merge)
        with PartWriter(spec.output, sync=spec.sync) as part:
            for chunk in chunks:
                part.write(chunk)
                env.progress(0)
    finally:
        for path in temporary:
            os.unlink(path)
    records_out = spec.top if spec.top and spec.top < merge.records_out else merge.records_out
    return TaskResult(spec.task, spec.output, bytes_in, part.size, merge.records_in, records_out, part.check)


def _merge(segments: list[Segment], emit: str, min_count: int | None, room: int) -> Merge:
    return Merge(
        [run.blocks(partition) for run, partition in segments],
        emit,
        min_count,
        [f"corrupt run file: {shown(run.path)}, partition {partition}" for run, partition in segments],
        room,
    )


def _merge_down(segments: list[Segment], spec: ReduceSpec, temporary: list[bytes]) -> list[Segment]:
    """Merges neighbours into runs of their own until one merge can take all."""
    while len(segments) > FAN_IN:
        merged: list[Segment] = []
        for first in range(0, len(segments), FAN_IN):
            group = segments[first : first + FAN_IN]
            path = b"%s.merge-%d" % (spec.output, len(temporary))
            merge = _merge(group, "records", None, LINES_BUFFER)
            with RunWriter(path, sync=False) as run:
                run.segment(iter(merge), count=lambda merge=merge: merge.records_out)
            temporary.append(path)  # only now: on an error the writer has removed it
            merged.append((RunReader(path), 0))
        segments = merged
    return segments


def _top_lines(merge: Merge, top: int) -> Iterator[bytes]:
    """The lines of the ``top`` largest counts, largest first, smaller keys first among equals.

    Once ``top`` lines are known, the merge drops whatever cannot be among them: keys come in
    ascending order, so a later key needs a larger count than the smallest that is kept.
    """
    best: list[tuple[int, bytes]] = []
    for chunk in merge:
        for line in bytes(chunk).split(b"\n")[:-1]:
            key, _, count = line.rpartition(b"\t")
            best.append((-int(count), key))
        if len(best) >= 2 * top + TOP_SPARE:  # seldom enough that sorting costs little a line
            best = sorted(best)[:top]
            merge.value_min = max(merge.value_min, 1 - best[-1][0])
    yield b"".join(b"%s\t%d\n" % (key, -count) for count, key in sorted(best)[:top])
