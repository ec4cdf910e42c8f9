"""Lazy, immutable datasets: what to do with which input, run when a result is asked for.

``read_text(...).words().count()`` is a chain of small plan nodes; an *end* (``collect``,
``write_tsv``) lowers it to a job of :mod:`mrcore.runtime.jobs` and runs it. ``explain``
shows the plan without running it.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import msgspec

from mrcore.dataflow.executors import Executor, options_of, parse_split
from mrcore.dataflow.index_lines import parse_files
from mrcore.engine.spec import Keys
from mrcore.errors import UsageError
from mrcore.runtime.job import JobResult, read_lines, run_job
from mrcore.runtime.jobs import CountJob, DistinctJob, IndexJob, Job
from mrcore.runtime.plan import plan_job
from mrcore.runtime.sinks import MemorySink, sink_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mrcore.dataflow.python_dataset import PythonDataset

Path = str | bytes | os.PathLike[str]


def read_text(paths: Path | Iterable[Path], *, encoding: str | None = None) -> TextDataset:
    """Text files as a dataset.

    Args:
        paths: a file, a folder (with its subfolders), a glob pattern, ``-`` for standard input,
            or several of these. Bytes need not be valid UTF-8.
        encoding: of the text, for Python functions: they are given str. Without it they are given bytes.

    Nothing is opened before a result is asked for.
    """
    if encoding is not None:
        from mrcore.engine.program import check_encoding

        check_encoding(encoding)
    several = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
    return TextDataset(tuple(os.fspath(path) for path in several), encoding)


class _Records:
    """What a user's own functions can do with the records of a text: its lines, or its words."""

    __slots__ = ()

    def _python(self) -> PythonDataset:
        raise NotImplementedError

    def map(self, function: Callable[[Any], Any]) -> PythonDataset:
        """``function(record)`` for each record: a line or a word."""
        return self._python().map(function)

    def filter(self, function: Callable[[Any], Any]) -> PythonDataset:
        """The records for which ``function(record)`` is true."""
        return self._python().filter(function)

    def flat_map(self, function: Callable[[Any], Iterable[Any]]) -> PythonDataset:
        """All that ``function(record)`` yields or returns, for each record."""
        return self._python().flat_map(function)

    def key_by(self, function: Callable[[Any], Any]) -> PythonDataset:
        """Pairs ``(function(record), record)``."""
        return self._python().key_by(function)

    def map_batches(self, function: Callable[[Any, Any], Iterable[Any]]) -> PythonDataset:
        """See :meth:`mrcore.dataflow.python_dataset.PythonDataset.map_batches`."""
        return self._python().map_batches(function)

    def take(self, count: int, executor: Executor | None = None) -> list[Any]:
        """The first records."""
        return self._python().take(count, executor)

    def collect(self, executor: Executor | None = None) -> list[Any]:
        """All records, in their order. Holds the whole text in memory, beside the budget."""
        return self._python().collect(executor)


class _TextFields(NamedTuple):
    paths: tuple[str | bytes, ...]
    encoding: str | None = None


class TextDataset(_TextFields, _Records):
    """Text, not yet cut into anything; of a user's functions the elements are its lines."""

    __slots__ = ()

    def _python(self) -> PythonDataset:
        return _python_dataset(self.paths, Keys("lines"), self.encoding)

    def words(self, *, tokenizer: str = "whitespace", lower: bool = False) -> KeyDataset:
        """The tokens of the text.

        Args:
            tokenizer: ``whitespace`` (maximal runs of bytes outside 0x09-0x0D and 0x20);
                ``ascii`` (maximal runs of ``[A-Za-z0-9_]``); ``unicode`` (maximal runs of letters,
                marks and numbers of Unicode 16.0; bytes that are not UTF-8 separate); or
                ``regex:PATTERN`` (what ``re.findall`` finds in a line, as bytes).
            lower: fold ``A-Z`` to ``a-z``; with ``unicode``, simple case folding.
        """
        return KeyDataset(self.paths, Keys(tokenizer, lower), self.encoding)

    def ngrams(
        self, n: int, n_max: int | None = None, *, tokenizer: str = "whitespace", lower: bool = False,
        cross_lines: bool = False,
    ) -> KeyDataset:  # fmt: skip
        """Sequences of tokens; see :meth:`KeyDataset.ngrams`."""
        return self.words(tokenizer=tokenizer, lower=lower).ngrams(n, n_max, cross_lines=cross_lines)

    def lines(self, *, lower: bool = False) -> KeyDataset:
        """The lines of the text, without their LF."""
        return KeyDataset(self.paths, Keys("lines", lower), self.encoding)


class _KeyFields(NamedTuple):
    paths: tuple[str | bytes, ...]
    keys: Keys
    encoding: str | None = None


class KeyDataset(_KeyFields, _Records):
    """A text's words, n-grams or lines, as bytes."""

    __slots__ = ()

    def _python(self) -> PythonDataset:
        return _python_dataset(self.paths, self.keys, self.encoding)

    def ngrams(self, n: int, n_max: int | None = None, *, cross_lines: bool = False) -> KeyDataset:
        """Sequences of ``n`` tokens of a line (or of ``n`` to ``n_max``), joined by one space.

        Args:
            cross_lines: they go on over the end of a line, but not of a file.

        Raises:
            UsageError: of n-grams there are no n-grams.
        """
        if self.keys.ngrams:
            raise UsageError("n-grams of n-grams: call ngrams() once, on words")
        keys = msgspec.structs.replace(self.keys, n_min=n, n_max=n if n_max is None else n_max, cross_lines=cross_lines)
        return self._replace(keys=keys)

    def count(self, *, min_count: int = 1) -> CountDataset:  # type: ignore[override]  # of tuple: nobody counts in this
        """How often each distinct key occurs; keys that occur less often than ``min_count`` are left out."""
        return CountDataset(CountJob(self.paths, self.keys, min_count))

    def top(self, count: int) -> CountDataset:
        """The ``count`` most frequent keys, as ``count().top(count)``."""
        return self.count().top(count)

    def distinct(self, *, approx: bool = False) -> DistinctDataset:
        """The different keys.

        Args:
            approx: only their number is wanted, and an estimate will do: HyperLogLog, standard
                error 0.81 %, 16 KiB a task.
        """
        return DistinctDataset(DistinctJob(self.paths, self.keys, approx))

    def index(self, *, counts: bool = False) -> IndexDataset:  # type: ignore[override]  # of tuple
        """Which files each key occurs in, and with ``counts`` how often."""
        return IndexDataset(IndexJob(self.paths, self.keys, counts))


class CountDataset(NamedTuple):
    """Pairs ``(key, count)``: bytes and an exact integer."""

    job: CountJob

    def top(self, count: int) -> CountDataset:
        """The ``count`` largest counts, largest first; equal counts by key bytes."""
        least = count if self.job.top is None else min(count, self.job.top)
        return CountDataset(msgspec.structs.replace(self.job, top=least))

    def collect(self, executor: Executor | None = None) -> list[tuple[bytes, int]]:
        """All pairs, sorted by key bytes (after :meth:`top`: by count, descending).

        Holds the whole result in memory, beside the budget.

        Raises:
            UsageError, InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        return list(read_lines(_collect_lines(self.job, executor)))

    def write_tsv(
        self, path: Path, *, reducers: int | None = None, split: int | str | None = None, single: bool = False,
        overwrite: bool = False, resume: bool = False, executor: Executor | None = None,
    ) -> JobResult:  # fmt: skip
        """Writes ``key TAB count`` lines.

        Args:
            path: a directory for part files, each sorted by key bytes, with ``_manifest.json``
                and ``_SUCCESS``; or with ``single`` one file, sorted as a whole.
            reducers: part files; by default one for each 256 MiB of input.
            split: bytes a map task (a number, or text such as ``"64MiB"``), or ``"file"``.
            overwrite: replace output that is there.
            resume: go on with an interrupted job there, if there is one; see :func:`mrcore.run`.

        Raises:
            OutputExistsError: the output is there already, or the place cannot be written.
            UsageError, InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        return _write(self.job, path, reducers, split, executor, single=single, overwrite=overwrite, resume=resume)

    def explain(self, executor: Executor | None = None) -> str:
        """The plan of :meth:`collect` as text: inputs, map tasks, partitions, workers, budgets.

        Looks at names and sizes only. Part files are partitioned by key hash instead: ``--dry-run``
        with ``-o`` shows that plan.
        """
        return _explain(self.job, executor)


class DistinctDataset(NamedTuple):
    """The different keys of a text."""

    job: DistinctJob

    def count(self, executor: Executor | None = None) -> int:
        """How many there are: exactly, or with ``approx`` about.

        Raises:
            UsageError, InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        result = run_job(self.job, options_of(executor), MemorySink())
        assert result.distinct is not None
        return result.distinct

    def collect(self, executor: Executor | None = None) -> list[bytes]:
        """The keys, sorted by their bytes. Holds them all in memory, beside the budget.

        Raises:
            UsageError: after ``distinct(approx=True)``.
            InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        if self.job.approx:
            raise UsageError("distinct(approx=True) has no keys, only their number: call count()")
        counts = CountJob(self.job.paths, self.job.keys)
        return [key for key, _ in read_lines(_collect_lines(counts, executor))]

    def explain(self, executor: Executor | None = None) -> str:
        """The plan of :meth:`count` as text."""
        return _explain(self.job, executor)


class IndexDataset(NamedTuple):
    """Pairs of a key and the files it occurs in."""

    job: IndexJob

    def collect(self, executor: Executor | None = None) -> list[tuple[bytes, list[bytes] | list[tuple[bytes, int]]]]:
        """``(key, [file, ...])``, or with ``counts`` ``(key, [(file, count), ...])``, sorted by key bytes.

        Files are in path order, as bytes. Holds the whole result in memory, beside the budget.

        Raises:
            UsageError, InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        lines = (line.rpartition(b"\t") for line in _collect_lines(self.job, executor))
        return [(key, parse_files(files, self.job.counts)) for key, _, files in lines]

    def write_tsv(
        self, path: Path, *, reducers: int | None = None, split: int | str | None = None, single: bool = False,
        overwrite: bool = False, resume: bool = False, executor: Executor | None = None,
    ) -> JobResult:  # fmt: skip
        """Writes ``key TAB file,file,...`` lines; see :meth:`CountDataset.write_tsv`.

        In file names backslash, TAB, LF, CR and comma stand behind a backslash.
        """
        return _write(self.job, path, reducers, split, executor, single=single, overwrite=overwrite, resume=resume)

    def explain(self, executor: Executor | None = None) -> str:
        """The plan of :meth:`collect` as text."""
        return _explain(self.job, executor)


def _python_dataset(paths: tuple[str | bytes, ...], keys: Keys, encoding: str | None) -> PythonDataset:
    from mrcore.dataflow.python_dataset import PythonDataset
    from mrcore.engine.program import Program
    from mrcore.runtime.pipeline import TextSource

    return PythonDataset(TextSource(paths, keys), (Program(encoding=encoding),), (None,))


def _collect_lines(job: Job, executor: Executor | None) -> list[bytes]:
    sink = MemorySink()
    run_job(job, options_of(executor), sink)
    return [line for part in sink.parts for line in part.split(b"\n")[:-1]]


def _write(
    job: Job, path: Path, reducers: int | None, split: int | str | None, executor: Executor | None, *, single: bool,
    overwrite: bool, resume: bool,
) -> JobResult:  # fmt: skip
    sink = sink_at(path, single=single, overwrite=overwrite, resume=resume)
    return run_job(job, options_of(executor, reducers, parse_split(split)), sink)


def _explain(job: Job, executor: Executor | None) -> str:
    from mrcore.dataflow.explain import explain_plan  # brings with it what only pipelines of functions need

    return explain_plan(job, plan_job(job, options_of(executor), ordered=True))
