"""Lazy, immutable datasets: what to do with which input, run when a result is asked for.

``read_text(...).words().count()`` is a chain of small plan nodes; an *end* (``collect``,
``write_tsv``) lowers it to a :class:`~mrcore.runtime.job.CountJob` and runs it. ``explain``
shows the plan without running it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mrcore import config
from mrcore.errors import UsageError
from mrcore.runtime.job import CountJob, JobResult, Options, Plan, plan_job, read_lines, run_job
from mrcore.runtime.sinks import DirectorySink, FileSink, MemorySink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Path = str | bytes | os.PathLike[str]


class Inline(NamedTuple):
    """Run in this process, without workers."""


class Local(NamedTuple):
    """Run on this machine.

    Args:
        workers: worker processes; by default one a core, and none for small input.
        tmp: where intermediate files go; by default ``$TMPDIR`` or ``/tmp``.
    """

    workers: int | None = None
    tmp: str | bytes | None = None


Executor = Inline | Local


def read_text(paths: Path | Iterable[Path]) -> TextDataset:
    """Text files as a dataset.

    Args:
        paths: a file, a folder (with its subfolders), a glob pattern, ``-`` for standard input,
            or several of these. Bytes need not be valid UTF-8.

    Nothing is opened before a result is asked for.
    """
    several = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
    return TextDataset(tuple(os.fspath(path) for path in several))


class TextDataset(NamedTuple):
    """Text, not yet cut into anything."""

    paths: tuple[str | bytes, ...]

    def words(self, *, tokenizer: str = "whitespace", lower: bool = False) -> WordDataset:
        """The tokens of the text.

        Args:
            tokenizer: ``whitespace`` (maximal runs of bytes outside 0x09-0x0D and 0x20) or
                ``ascii`` (maximal runs of ``[A-Za-z0-9_]``).
            lower: fold ``A-Z`` to ``a-z``.
        """
        return WordDataset(self.paths, tokenizer, lower)


class WordDataset(NamedTuple):
    """A text's tokens, as bytes."""

    paths: tuple[str | bytes, ...]
    tokenizer: str
    lower: bool

    def count(self, *, min_count: int = 1) -> CountDataset:  # type: ignore[override]  # of tuple: nobody counts in this
        """How often each distinct token occurs; tokens that occur less often than ``min_count`` are left out."""
        return CountDataset(CountJob(self.paths, self.tokenizer, self.lower, min_count))


class CountDataset(NamedTuple):
    """Pairs ``(word, count)``: bytes and an exact integer."""

    job: CountJob

    def top(self, count: int) -> CountDataset:
        """The ``count`` largest counts, largest first; equal counts by word bytes."""
        return CountDataset(self.job._replace(top=count if self.job.top is None else min(count, self.job.top)))

    def collect(self, executor: Executor | None = None) -> list[tuple[bytes, int]]:
        """All pairs, sorted by word bytes (after :meth:`top`: by count, descending).

        Holds the whole result in memory.

        Raises:
            UsageError, InputError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        sink = MemorySink()
        run_job(self.job, _options(executor), sink)
        return [pair for part in sink.parts for pair in read_lines(part.split(b"\n")[:-1])]

    def write_tsv(
        self,
        path: Path,
        *,
        reducers: int | None = None,
        split: int | str | None = None,
        single: bool = False,
        overwrite: bool = False,
        executor: Executor | None = None,
    ) -> JobResult:
        """Writes ``word TAB count`` lines.

        Args:
            path: a directory for part files, each sorted by word bytes, with ``_manifest.json``
                and ``_SUCCESS``; or with ``single`` one file, sorted as a whole.
            reducers: part files; by default one for each 256 MiB of input.
            split: bytes a map task (a number, or text such as ``"64MiB"``), or ``"file"``.
            overwrite: replace output that is there.

        Raises:
            OutputExistsError: the output is there already, or the place cannot be written.
            UsageError, InputError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        target = os.fsencode(path)
        sink = FileSink(target, overwrite=overwrite) if single else DirectorySink(target, overwrite=overwrite)
        return run_job(self.job, _options(executor, reducers, parse_split(split)), sink)

    def explain(self, executor: Executor | None = None) -> str:
        """The plan of :meth:`collect` as text: inputs, map tasks, partitions, workers.

        Looks at names and sizes only. Part files are partitioned by key hash instead: ``--dry-run``
        with ``-o`` shows that plan.
        """
        return explain_plan(self.job, plan_job(self.job, _options(executor), ordered=True))


def parse_split(split: int | str | None) -> int | None:
    """Bytes of a split; 0 for ``"file"``.

    Raises:
        UsageError: not a size, or less than one byte.
    """
    if split is None or split == "file":
        return None if split is None else 0
    size = config.parse_size(split) if isinstance(split, str) else split
    if size < 1:
        raise UsageError(f"split size out of range: {split}: write a size from 1 byte, or 'file'")
    return size


def _options(executor: Executor | None, reducers: int | None = None, split: int | None = None) -> Options:
    if isinstance(executor, Inline):
        return Options(workers=0, reducers=reducers, split=split)
    local = executor or Local()
    return Options(local.workers, reducers, split, None if local.tmp is None else os.fsencode(local.tmp))


def explain_plan(job: CountJob, plan: Plan) -> str:
    """A plan as lines of text."""
    files = sum(source.size is not None for source in plan.inputs)
    streams = len(plan.inputs) - files
    size = f"{plan.split_bytes:,} bytes each at most" if plan.split_bytes else "one a file"
    how = "by key range" if plan.ordered else "by key hash"
    select = f"count >= {job.min_count}" if job.min_count > 1 else "all words"
    words = f"words ({job.tokenizer}{', lower' if job.lower else ''})"
    lines = [
        f"input      {files:,} files, {plan.input_bytes:,} bytes" + (f", {streams} streams" if streams else ""),
        f"map        {len(plan.splits):,} tasks, {size}: {words}, counted",
        f"shuffle    {plan.partitions:,} partitions {how}: sorted runs on disk",
        f"reduce     {plan.partitions:,} tasks: merge, add, {f'top {job.top}' if job.top else select}",
        f"workers    {plan.workers or 'none: in this process'}",
    ]
    return "\n".join(lines)
