"""A reduce task: one partition of every run, merged, combined and written."""

from __future__ import annotations

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.engine.spec import ReduceSpec, TaskResult
from mrcore.storage.partfile import PartWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcore.engine.task import TaskEnv
    from mrcore.kernels.merge import Merge

TOP_BUFFER = 64 << 10
TOP_SPARE = 1000  # lines beside twice the wanted ones that are kept before the worst are dropped


def run_reduce(spec: ReduceSpec, env: TaskEnv) -> TaskResult:
    """Runs a reduce task; see :func:`mrcore.engine.task.run_task`."""
    env.drop_combiner()
    runs = find_runs(spec.runs, spec.task)
    bytes_in = sum(run.segment.size for run in runs)
    with Merging(runs, Limits(spec.memory), spec.output, disk=env.disk(spec.disk)) as merging:
        if not spec.lines:
            merge = merging.final("nothing", spec.min_count)
            for _ in merge:
                pass
            size, check = 0, ""
        else:
            merge = merging.final("lines", spec.min_count, TOP_BUFFER if spec.top else None)
            chunks: Iterator[bytes | memoryview] = iter(_top_lines(merge, spec.top)) if spec.top else iter(merge)
            with PartWriter(spec.output, sync=spec.sync) as part:
                for chunk in chunks:
                    part.write(chunk)
                    env.progress(0)
            size, check = part.size, part.check
    records_out = spec.top if spec.top and spec.top < merge.records_out else merge.records_out
    return TaskResult(
        spec.task, spec.output, bytes_in, size, merge.records_in, records_out, check,
        passes=merging.passes, merged_bytes=merging.merged_bytes,
    )  # fmt: skip


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
