"""A reduce task: one partition of every run, merged, combined and written."""

from __future__ import annotations

import os

from mrcore import resources
from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.engine.spec import ReduceSpec, TaskResult
from mrcore.storage.documents import read_documents
from mrcore.storage.partfile import PartWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mrcore.engine.task import TaskEnv
    from mrcore.kernels.merge import Merge

TOP_BUFFER = 64 << 10
TOP_SPARE = 1000  # lines beside twice the wanted ones that are kept before the worst are dropped
DOCUMENT_COPIES = 3  # of the file names, as objects and as text
DESCRIPTORS_KEPT = 24  # that are not for run files


def run_reduce(spec: ReduceSpec, env: TaskEnv) -> TaskResult:
    """Runs a reduce task; see :func:`mrcore.engine.task.run_task`."""
    env.drop()
    runs = find_runs(spec.runs, spec.task)
    bytes_in = sum(run.segment.size for run in runs)
    kind = "posting" if spec.emit.startswith("files") else "sum"
    memory = spec.memory
    if spec.documents:
        memory -= DOCUMENT_COPIES * os.path.getsize(spec.documents)
    limits = Limits(memory, max(2, resources.descriptors() - DESCRIPTORS_KEPT))
    with Merging(runs, limits, spec.output, kind=kind, disk=env.disk(spec.disk)) as merging:
        merge, chunks = _plan_chunks(spec, merging)
        if spec.emit == "nothing":
            for _ in chunks:
                pass
            size, check = 0, ""
        else:
            disk = env.disk(spec.disk) if spec.part_disk else None
            with PartWriter(spec.output, sync=spec.sync, disk=disk) as part:
                for chunk in chunks:
                    part.write(chunk)
                    env.progress(0)
            size, check = part.size, part.check
    records_out = spec.top if spec.top and spec.top < merge.records_out else merge.records_out
    return TaskResult(
        spec.task, spec.output, bytes_in, size, merge.records_in, records_out, check,
        passes=merging.passes, merged_bytes=merging.merged_bytes, memory=merging.memory_peak,
    )  # fmt: skip


def _plan_chunks(spec: ReduceSpec, merging: Merging) -> tuple[Merge, Iterable[bytes | memoryview]]:
    """The last merge, and the output that comes of it as it is iterated."""
    if spec.emit.startswith("files"):
        from mrcore.kernels.postings import PostingsText

        merge = merging.final("records", None)
        text = PostingsText(read_documents(spec.documents), spec.emit == "files:counts", merging.limits.out_bytes)
        return merge, text.lines(merge)
    if spec.top:
        merge = merging.final("lines", spec.min_count, TOP_BUFFER)
        return merge, _top_lines(merge, spec.top)
    merge = merging.final(spec.emit, spec.min_count)
    return merge, merge


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
