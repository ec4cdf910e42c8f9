"""What comes of a pipeline's last stage: lines for a sink, or elements for the caller."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.engine.pickling import loads
from mrcore.engine.spec import TaskResult
from mrcore.kernels.output import elements_of, lines_of
from mrcore.storage.partfile import PartWriter
from mrcore.storage.runfile import RunReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mrcore.runtime.sinks import Sink
    from mrcore.storage.budget import DiskBudget
    from mrcore.storage.workdir import WorkDir

PIECE_BYTES = 64 << 20  # of merged lines that are handed to the sink at once
OPEN_RUNS = 256  # files that the last merge opens


class PipelineOutput:
    """Where the parts of the last stage go.

    Args:
        sink: takes lines; without one, elements are kept.
        memory: bytes that merging may take.
        limit: so many elements are enough.
    """

    def __init__(self, sink: Sink | None, work: WorkDir, disk: DiskBudget, memory: int, limit: int | None) -> None:
        self.sink, self._work, self._disk, self._memory, self._limit = sink, work, disk, memory, limit
        self.types: list[tuple[str | None, ...]] = []  # of the columns of each part that was taken
        self.columns: list[str | None] = [None, None]  # of all parts
        self.elements: list[Any] = []
        self.records = self.bytes = 0

    @property
    def ordered(self) -> bool:
        """Do the parts become one, in order?"""
        return self.sink is None or self.sink.ordered

    def differing(self, parts: Sequence[TaskResult]) -> list[TaskResult]:
        """Parts whose columns are not of the types that all of one file must have: those of the first that has any."""
        columns = max((len(part.types) for part in parts), default=0)
        for column in range(columns):
            self.columns[column] = next((part.types[column] for part in parts if part.types[column]), None)
        del self.columns[columns:]
        if not self.ordered:
            return []
        wanted = self.columns
        return [part for part in parts if any(a and a != b for a, b in zip(part.types, wanted, strict=True))]

    def take(self, parts: Sequence[TaskResult]) -> None:
        """Gives parts of lines to the sink, in their order."""
        assert self.sink is not None
        for part in parts:
            self.records += part.records_out
            self.bytes += part.bytes_out
            self.types.append(part.types)
            self.sink.take(part)
            if self.sink.ordered:
                self.remove(part.output)

    def merge_lines(self, parts: Sequence[TaskResult]) -> None:
        """Merges keyed lines of all parts and gives them to the sink in pieces."""
        self.records += sum(part.records_out for part in parts)
        with self._merging(parts) as merging:
            lines = (lines_of(chunk) for chunk in merging.final("records", None))
            piece = 0
            while self._take_piece(piece, lines):
                piece += 1
        for part in parts:
            self.remove(part.output)

    def _take_piece(self, piece: int, lines: Iterator[bytes]) -> bool:
        """Gives some of the lines to the sink; False when they were the last ones."""
        assert self.sink is not None
        more = False
        with PartWriter(self._work.file(f"piece-{piece}"), sync=False, disk=self._disk) as written:
            for text in lines:
                written.write(text)
                more = written.size >= PIECE_BYTES
                if more:
                    break
        self.bytes += written.size
        self.sink.take(TaskResult(piece, written.path, 0, written.size, 0, 0, written.check))
        self.remove(written.path)
        return more

    def keep(self, parts: Sequence[TaskResult], *, merged: bool) -> None:
        """Reads the elements: by key, or part after part."""
        for element in self._merged_elements(parts) if merged else _elements_in_order(parts):
            if len(self.elements) == self._limit:
                break
            self.elements.append(element)
        self.records += len(self.elements)

    def _merging(self, parts: Sequence[TaskResult]) -> Merging:
        runs = find_runs(tuple(part.output for part in parts), 0)
        limits = Limits(self._memory, OPEN_RUNS)
        return Merging(runs, limits, self._work.file("final"), kind="values", disk=self._disk)

    def _merged_elements(self, parts: Sequence[TaskResult]) -> Iterator[Any]:
        with self._merging(parts) as merging:
            for chunk in merging.final("records", None):
                yield from elements_of(chunk, loads)

    def remove(self, path: bytes) -> None:
        """Removes an intermediate file and gives its bytes back."""
        with contextlib.suppress(FileNotFoundError):
            size = os.path.getsize(path)
            os.unlink(path)
            self._disk.give(size)


def _elements_in_order(parts: Sequence[TaskResult]) -> Iterator[Any]:
    for part in parts:
        with RunReader(part.output) as reader:
            for segment in reader.segments(0):
                for block in reader.blocks(segment):
                    yield from elements_of(block, loads)
