"""Merging as many runs as there are, with as much memory as there is.

A merge holds one block of each of its runs. How many runs that may be follows from the
memory, from the number of descriptors, and from FAN_IN_MAX. More runs than that are first merged
into fewer, neighbours with neighbours, so that the order of the runs stays what it was; the
first pass merges only as many as must be for the last one to take the rest (Knuth, TAOCP
volume 3, section 5.4.9: the short merges come first).
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from mrcore.errors import BudgetError, shown
from mrcore.kernels.merge import Merge
from mrcore.storage.runfile import BLOCK_SIZE, RunReader, RunWriter, Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcore.storage.budget import DiskBudget

FAN_IN_MAX = 512  # nine comparisons a record
RUN_BYTES = 4 << 10  # that a run holds beside its block
OUT_BYTES = 1 << 20  # output buffer, where the memory is large
LEAST_BYTES = 2 << 20


class Run(NamedTuple):
    """One run of the partition: where it is."""

    path: bytes
    segment: Segment


class Limits(NamedTuple):
    """What a merge may take."""

    memory: int
    files: int = 256  # run files open at a time
    runs: int = FAN_IN_MAX

    @property
    def out_bytes(self) -> int:
        """Bytes of the output buffer."""
        return min(OUT_BYTES, self.memory // 8)


def find_runs(paths: tuple[bytes, ...], partition: int) -> list[Run]:
    """The partition's runs in all of the files, in their order.

    Raises:
        CorruptionError, InputError: a file is not what was written, or gone.
    """
    found = []
    for path in paths:
        with RunReader(path) as reader:
            found += [Run(path, segment) for segment in reader.segments(partition)]
    return found


def merge_memory(runs: list[Run], limits: Limits, kind: str = "sum") -> int:
    """Bytes that a merge of these runs holds.

    A run holds its block. While one block is read its compressed form is there too, and the output
    may hold one record as large as any block; of postings, one as large as all of them, which is
    held three times while its room doubles.
    """
    blocks = [run.segment.block_max for run in runs]
    return _merge_memory(sum(blocks) + RUN_BYTES * len(runs), max(blocks, default=0), len(runs), limits, kind)


def _merge_memory(held: int, largest: int, count: int, limits: Limits, kind: str) -> int:
    record = largest if kind != "posting" or count == 1 else 3 * held
    return held + largest + record + limits.out_bytes


def fan_in(runs: list[Run], limits: Limits, kind: str = "sum") -> int:
    """How many of the first runs can be merged at once."""
    files: set[bytes] = set()
    held = largest = count = 0
    for run in runs[: limits.runs]:
        held += run.segment.block_max + RUN_BYTES
        largest = max(largest, run.segment.block_max)
        files.add(run.path)
        if _merge_memory(held, largest, count + 1, limits, kind) > limits.memory or len(files) > limits.files:
            break
        count += 1
    return count


class Merging:
    """Merges runs of one partition; a context manager that removes its intermediate files.

    Args:
        name: intermediate files are ``name.merge-N``.
    """

    def __init__(
        self, runs: list[Run], limits: Limits, name: bytes, *, kind: str = "sum", disk: DiskBudget | None = None
    ) -> None:
        self.runs, self.limits, self.kind = runs, limits, kind
        self.passes = 1
        self.merged_bytes = self.memory_peak = 0
        self._name, self._disk = name, disk
        self._made = 0
        self._temporary: dict[bytes, int] = {}  # path -> bytes
        self._files = contextlib.ExitStack()

    def final(self, emit: str, value_min: int | None, out_bytes: int | None = None) -> Merge:
        """The last merge, after as many passes as were needed before it."""
        while self._over(self.runs):
            self._pass()
            self.passes += 1
        return self._merge(self.runs, emit, value_min, out_bytes or self.limits.out_bytes)

    def _over(self, runs: list[Run]) -> int:
        """How many runs more than one merge takes."""
        return len(runs) - fan_in(runs, self.limits, self.kind)

    def _pass(self) -> None:
        """Merges neighbours into fewer runs: all of them, or the first that are too many."""
        runs, merged = self.runs, list[Run]()
        while runs and (over := self._over(merged + runs)):
            many = fan_in(runs, self.limits, self.kind)
            if many < min(2, len(runs)):  # merging others first makes no record smaller
                raise self._too_large(runs[:2])
            group = runs[: min(many, 1 + over)]
            merged.append(self._merge_to_file(group))
            runs = runs[len(group) :]
        self.runs = merged + runs

    def _too_large(self, runs: list[Run]) -> BudgetError:
        run = max(runs, key=lambda run: run.segment.block_max)
        return BudgetError(
            f"not enough memory to merge: {shown(run.path)} and others have records of {run.segment.block_max:,} "
            f"bytes, and the task has {self.limits.memory:,}: raise --memory, or lower -j"
        )

    def _merge_to_file(self, group: list[Run]) -> Run:
        if len(group) == 1:
            return group[0]
        path = b"%s.merge-%d" % (self._name, self._made)
        self._made += 1
        merge = self._merge(group, "records", None, min(self.limits.out_bytes, BLOCK_SIZE))  # a chunk is a block
        partition = group[0].segment.partition
        with RunWriter(path, partition + 1, kind=self.kind, sync=False, disk=self._disk) as file:
            file.segment(partition, merge, lambda: merge.records_out)
        self._temporary[path] = file.size
        self.merged_bytes += file.size
        self._files.close()
        for run in group:
            self._remove(run.path)
        with RunReader(path) as reader:
            return Run(path, reader.segments(partition)[0])

    def _merge(self, runs: list[Run], emit: str, value_min: int | None, out_bytes: int) -> Merge:
        self.memory_peak = max(self.memory_peak, merge_memory(runs, self.limits, self.kind))
        readers: dict[bytes, RunReader] = {}
        blocks: list[Iterator[bytes | memoryview]] = []
        for run in runs:
            if run.path not in readers:
                readers[run.path] = reader = self._files.enter_context(RunReader(run.path))
                if reader.kind != self.kind:
                    raise reader.corrupt(8, f"values of kind {reader.kind} where {self.kind} is merged")
            blocks.append(readers[run.path].blocks(run.segment))
        names = [f"{shown(run.path)}, segment at byte {run.segment.offset}" for run in runs]
        return Merge(blocks, emit, value_min, names, out_bytes, kind=self.kind)

    def _remove(self, path: bytes) -> None:
        """Removes a file if it is one of ours, and gives its bytes back."""
        if path in self._temporary:
            os.unlink(path)
            size = self._temporary.pop(path)
            if self._disk is not None:
                self._disk.give(size)

    def __enter__(self) -> Merging:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()
        for path in list(self._temporary):
            self._remove(path)
