"""Datasets of Python objects: lazy chains of a user's functions, one pipeline of stages.

Each step adds to the last stage or begins a new one: a shuffle (``reduce_by_key``,
``group_by_key``, ``partition_by``) is the border. Nothing runs before an end (``collect``,
``take``, ``write_text``, ``write_tsv``) asks for it.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from mrcore.dataflow.executors import Executor, options_of, parse_split
from mrcore.dataflow.explain import explain_pipeline
from mrcore.engine.aggregates import Reduce, check_aggregate
from mrcore.engine.program import Program, Shuffle
from mrcore.errors import UsageError
from mrcore.runtime.pipeline import ItemsSource, Pipeline, TextSource, plan_pipeline
from mrcore.runtime.pipeline_run import PipelineResult, run_pipeline
from mrcore.runtime.sinks import sink_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mrcore.engine.aggregates import Aggregation

Path = str | bytes | os.PathLike[str]


def from_items(items: Iterable[Any]) -> PythonDataset:
    """A dataset of the program's own objects, in their order; what cannot be pickled is refused when it is run."""
    return PythonDataset(ItemsSource(tuple(items)), (Program(),), (None,))


class PythonDataset(NamedTuple):
    """Elements of any type; of pairs ``(key, value)``, those with ``key`` in their names."""

    source: TextSource | ItemsSource
    stages: tuple[Program, ...]
    partitions: tuple[int | None, ...]

    def map(self, function: Callable[[Any], Any]) -> PythonDataset:
        """``function(element)`` for each element."""
        return self._step("map", function)

    def filter(self, function: Callable[[Any], Any]) -> PythonDataset:
        """The elements for which ``function(element)`` is true."""
        return self._step("filter", function)

    def flat_map(self, function: Callable[[Any], Iterable[Any]]) -> PythonDataset:
        """All that ``function(element)`` yields or returns, for each element. A generator function costs least."""
        return self._step("flat_map", function)

    def key_by(self, function: Callable[[Any], Any]) -> PythonDataset:
        """Pairs ``(function(element), element)``."""
        return self._step("key_by", function)

    def map_batches(self, function: Callable[[Any, Any], Iterable[Any]]) -> PythonDataset:
        """What ``function(data, offsets)`` yields for batches of a text's lines or words, before any other step.

        Args:
            function: is given a uint8 array of the text as it was read, and an int64 array of
                shape (n, 2): record ``i`` is ``data[offsets[i, 0]:offsets[i, 1]]``. It yields pairs, or
                pairs of two equally long arrays. The arrays are used again afterwards: copy what stays.

        Raises:
            UsageError: not on text, behind another step, or on words that are not plain.
        """
        from mrcore.engine.keys import is_plain

        if not isinstance(self.source, TextSource) or self.stages != (Program(encoding=self.stages[0].encoding),):
            raise UsageError("map_batches behind another step, or not on text: call it on read_text() or its words()")
        if not is_plain(self.source.keys) or self.source.keys.lower:
            raise UsageError("map_batches on changed words: choose tokenizer whitespace or ascii, without lower")
        return self._replace(stages=(self.stages[0]._replace(batches=function),))

    def reduce_by_key(self, aggregate: Aggregation | Callable[[Any, Any], Any]) -> PythonDataset:
        """Pairs of each key and the aggregate of its values, sorted by key.

        Args:
            aggregate: such as ``mr.Sum()``, or an associative function of two values.
        """
        is_function = callable(aggregate) and not hasattr(aggregate, "fold")
        made: Any = Reduce(aggregate) if is_function else aggregate  # type: ignore[arg-type]  # told apart just before
        check_aggregate(made)
        return self._shuffle(Shuffle(made), None)

    def group_by_key(self) -> PythonDataset:
        """Pairs of each key and its values, sorted by key.

        The values are an iterator that can be read once, in input order, however many there are;
        an end makes a list of them.
        """
        return self._shuffle(Shuffle(), None)

    def partition_by(self, partitions: int, function: Callable[[Any, int], int] | None = None) -> PythonDataset:
        """The same pairs in so many partitions, each sorted by key; values of one key in input order.

        Args:
            function: ``function(key, partitions)`` says which partition, modulo their number; by
                default a hash of the key does.
        """
        if not 1 <= partitions <= 4096:
            raise UsageError(f"partitions out of range: {partitions}: write 1 to 4096")
        return self._shuffle(Shuffle(each=True, place=function), partitions)

    def verify(self) -> PythonDataset:
        """The same, with a look for values that show that an aggregate is not what it promises."""
        return self._replace(stages=tuple(stage._replace(verify=True) for stage in self.stages))

    def collect(self, executor: Executor | None = None) -> list[Any]:
        """All elements: behind a shuffle by key, otherwise in input order.

        Holds the whole result in memory, beside the budget.

        Raises:
            UserCodeError: a function failed; its traceback is a note.
            SerializationError: a function or a value cannot be pickled.
            UsageError, InputError, BudgetError, DiskFullError, MrcoreError: see :mod:`mrcore.errors`.
        """
        return run_pipeline(self.pipeline(), options_of(executor), None).elements

    def take(self, count: int, executor: Executor | None = None) -> list[Any]:
        """The first elements of :meth:`collect`; without a shuffle no more is run than they need, about."""
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UsageError(f"take of {count!r} elements: write a number, 0 or more")
        return run_pipeline(self.pipeline(), options_of(executor), None, limit=count).elements

    def write_text(
        self, path: Path, *, reducers: int | None = None, split: int | str | None = None, single: bool = False,
        overwrite: bool = False, resume: bool = False, executor: Executor | None = None,
    ) -> PipelineResult:  # fmt: skip
        """Writes each element as a line; arguments and errors as of :meth:`write_tsv`."""
        return self._write(path, 1, reducers, split, executor, single=single, overwrite=overwrite, resume=resume)

    def write_tsv(
        self, path: Path, *, reducers: int | None = None, split: int | str | None = None, single: bool = False,
        overwrite: bool = False, resume: bool = False, executor: Executor | None = None,
    ) -> PipelineResult:  # fmt: skip
        """Writes ``key TAB value`` lines of pairs; ``result.read()`` gives the pairs back.

        Args:
            path: a directory for part files, with ``_manifest.json`` and ``_SUCCESS``; or with
                ``single`` one file, in the order of :meth:`collect`.
            reducers: part files, behind a shuffle; by default one for each 256 MiB of input.
            split: bytes a map task (a number, or text such as ``"64MiB"``), or ``"file"``.
            overwrite: replace output that is there.
            resume: go on with an interrupted job there, if there is one; see :func:`mrcore.run`.

        Raises:
            OutputExistsError: the output is there already, or the place cannot be written.
            UserCodeError, SerializationError: as of :meth:`collect`; or an element is no pair.
        """
        return self._write(path, 2, reducers, split, executor, single=single, overwrite=overwrite, resume=resume)

    def _write(
        self, path: Path, columns: int, reducers: int | None, split: int | str | None, executor: Executor | None, *,
        single: bool, overwrite: bool, resume: bool,
    ) -> PipelineResult:  # fmt: skip
        sink = sink_at(path, single=single, overwrite=overwrite, resume=resume)
        stages = (*self.stages[:-1], self.stages[-1]._replace(columns=columns))
        pipeline = self._replace(stages=stages).pipeline()
        return run_pipeline(pipeline, options_of(executor, reducers, parse_split(split)), sink)

    def pipeline(self, name: str = "pipeline") -> Pipeline:
        """What an end runs."""
        return Pipeline(self.source, self.stages, name, self.partitions)

    def explain(self, executor: Executor | None = None) -> str:
        """The plan of :meth:`collect` as text: inputs, stages, workers, budgets. Looks at names and sizes only."""
        pipeline = self.pipeline()
        return explain_pipeline(pipeline, plan_pipeline(pipeline, options_of(executor)))

    def _step(self, kind: str, function: Callable[..., Any]) -> PythonDataset:
        if not callable(function):
            raise UsageError(f"{kind}() of what is no function: {function!r}")
        last = self.stages[-1]
        step = ((kind, function),)
        if last.shuffle is None:
            last = last._replace(steps=last.steps + step)
        else:
            last = last._replace(after=last.after + step)
        return self._replace(stages=(*self.stages[:-1], last))

    def _shuffle(self, shuffle: Shuffle, partitions: int | None) -> PythonDataset:
        if self.stages[-1].shuffle is None:
            stages = (*self.stages[:-1], self.stages[-1]._replace(shuffle=shuffle))
            return self._replace(stages=stages, partitions=(*self.partitions[:-1], partitions))
        return self._replace(stages=(*self.stages, Program(shuffle=shuffle)), partitions=(*self.partitions, partitions))
