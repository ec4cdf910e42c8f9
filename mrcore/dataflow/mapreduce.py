"""The classic shape: a class with ``map``, ``combine`` and ``reduce``, and ``run`` to run it."""

from __future__ import annotations

import os
from typing import Any

from mrcore.dataflow.executors import Executor, Inline, Local, options_of, parse_split
from mrcore.engine.aggregates import check_aggregate
from mrcore.engine.program import Program, Shuffle, check_encoding
from mrcore.errors import UsageError
from mrcore.runtime.pipeline import Pipeline, TextSource
from mrcore.runtime.pipeline_run import PipelineResult, run_pipeline
from mrcore.runtime.sinks import sink_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mrcore.engine.context import Context

Path = str | bytes | os.PathLike[str]


class MapReduce:
    """A job of one's own: derive from it and write ``map``, and what else it needs.

    A job's object is pickled when the job starts; each task works on a copy of its own, so what
    a method keeps in ``self`` lives as long as its task.

    Attributes:
        combine: an aggregate such as ``mr.Sum()``: then ``reduce`` gets its result as the only
            value. Or a method ``combine(self, key, values, ctx)`` that yields pairs of the same
            key: it is called on parts of a key's values, any number of times, so ``reduce`` must be there too.
        encoding: of the text; then records are str. By default they are bytes.
        resources: what each task takes, such as ``{"memory": "2GiB", "cpu": 1}``; see :class:`mrcore.Local`.
    """

    combine: Any = None
    encoding: str | None = None
    resources: Mapping[str, Any] | None = None

    def map(self, record: Any, ctx: Context) -> Iterable[tuple[Any, Any]]:
        """Yields the pairs of a record: a line without its LF.

        Keys are bytes, str, int, float, or tuples of these, of one type in a job. Values are
        anything that can be pickled; int, float, str, bytes and tuples of these are the fastest.
        """
        raise NotImplementedError

    def reduce(self, key: Any, values: Iterable[Any], ctx: Context) -> Iterable[tuple[Any, Any]]:
        """Yields the pairs of a key. ``values`` can be read once, in input order.

        Without a ``reduce`` the pairs of key and aggregate come out, or all pairs sorted by key.
        """
        raise NotImplementedError

    def setup(self, ctx: Context) -> None:
        """Called before a task's first record or key; ``ctx.phase`` says which of the two."""

    def teardown(self, ctx: Context) -> Any:
        """Called after a task's last record or key.

        It may yield pairs: those of a map task are shuffled like the others, those of a reduce
        task stand behind its others. ``ctx.phase`` says which it is: ``"map"`` or ``"reduce"``.
        """

    def partition(self, key: Any, reducers: int) -> int:
        """Which reducer gets a key, modulo their number. By default a hash of the key decides."""
        raise NotImplementedError

    def map_batches(self, data: Any, offsets: Any) -> Any:
        """In place of ``map``: records in batches.

        Args:
            data: uint8 array: bytes of the text as they were read. It is used again afterwards.
            offsets: int64 array of shape (n, 2): record ``i`` is ``data[offsets[i, 0]:offsets[i, 1]]``.

        Yields pairs, or pairs of two equally long arrays: keys and their values.
        """
        raise NotImplementedError


def run(
    job: MapReduce | type[MapReduce],
    inputs: Path | Iterable[Path],
    output: Path | None = None,
    *,
    reducers: int | None = None,
    executor: Executor | None = None,
    split: int | str | None = None,
    single: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    verify: bool = False,
    max_attempts: int | None = None,
    skip_bad: int | None = None,
    speculation: str | None = None,
    timeout: float | None = None,
    resources: Mapping[str, Any] | None = None,
) -> PipelineResult:
    """Runs a job.

    Args:
        job: an object of a class derived from :class:`MapReduce`, or such a class.
        inputs: files, folders, glob patterns, ``-`` for standard input.
        output: a directory for part files, with ``_manifest.json`` and ``_SUCCESS``; or with
            ``single`` one file, sorted as a whole. Without it ``result.read()`` has the pairs, in
            memory.
        reducers: part files; by default one for each 256 MiB of input.
        split: bytes a map task (a number, or text such as ``"64MiB"``), or ``"file"``.
        overwrite: replace output that is there.
        resume: go on with an interrupted job in ``output``: only what is missing there is run. With nothing to go on
            with it begins. Refused if the inputs, the code or an option that changes the answer is not what it was.
        max_attempts, skip_bad, speculation, timeout, resources: in place of the executor's, or the job's own
            ``resources``; see :class:`mrcore.Local`.
        verify: look for values that show that the combiner is not associative, or an aggregate not
            what it promises.

    Raises:
        UserCodeError: a method failed, or yielded what it must not; its traceback is a note.
        SerializationError: the object, or a value, cannot be pickled.
        UsageError, InputError, OutputExistsError, BudgetError, DiskFullError, MrcoreError: see
            :mod:`mrcore.errors`.
    """
    if single and output is None:
        raise UsageError("single=True without an output: name the file")
    several = [inputs] if isinstance(inputs, str | bytes | os.PathLike) else list(inputs)
    pipeline = pipeline_of(job, tuple(os.fspath(path) for path in several), verify=verify)
    if resume and output is None:
        raise UsageError("resume=True without an output: name the directory to go on with")
    sink = None if output is None else sink_at(output, single=single, overwrite=overwrite, resume=resume)
    local = executor or Local()
    if isinstance(local, Inline):
        local = Local(0, *local)
    own = job.resources if resources is None else resources
    local = local._replace(
        max_attempts=local.max_attempts if max_attempts is None else max_attempts,
        skip_bad=local.skip_bad if skip_bad is None else skip_bad,
        speculation=local.speculation if speculation is None else speculation,
        timeout=local.timeout if timeout is None else timeout,
        resources=local.resources if own is None else own,
    )
    return run_pipeline(pipeline, options_of(local, reducers, parse_split(split)), sink)


def pipeline_of(job: MapReduce | type[MapReduce], paths: tuple[str | bytes, ...], *, verify: bool = False) -> Pipeline:
    """A job as a pipeline of one stage.

    Raises:
        UsageError: it is no job, lacks a method, or has one that cannot be called, or an encoding that is none.
    """
    if isinstance(job, type):
        if not issubclass(job, MapReduce):
            raise UsageError(f"not a job: {job.__name__}: derive it from mr.MapReduce")
        job = job()
    if not isinstance(job, MapReduce):
        raise UsageError(f"not a job: {job!r}: write a class derived from mr.MapReduce")
    name = type(job).__name__
    _check_methods(job, name)
    batches = _own(job, "map_batches")
    if not _own(job, "map") and not batches:
        raise UsageError(f"a job without map: {name}: write map(self, record, ctx)")
    aggregate = combine = None
    if job.combine is not None:
        if hasattr(job.combine, "__func__"):
            combine = job.combine
        else:
            check_aggregate(job.combine)
            aggregate = job.combine
    reduce = job.reduce if _own(job, "reduce") else None
    if combine is not None and reduce is None:  # what comes out would be the parts that a task's memory and split made
        raise UsageError(f"combine() without reduce(): {name}: write reduce(), or reduce = combine if it does the same")
    place = job.partition if _own(job, "partition") else None
    shuffle = Shuffle(aggregate, combine, reduce, each=reduce is None and aggregate is None, place=place)
    program = Program(
        () if batches else (("map_record", job.map),),
        job.map_batches if batches else None,
        shuffle,
        setup=job.setup if _own(job, "setup") else None,
        teardown=job.teardown if _own(job, "teardown") else None,
        encoding=job.encoding,
        verify=verify,
    )
    return Pipeline(TextSource(paths), (program,), name)


def _check_methods(job: MapReduce, name: str) -> None:
    for method in ("map", "reduce", "setup", "teardown", "partition", "map_batches"):
        found = getattr(job, method)
        if not callable(found):
            hint = f"an aggregate goes into combine = {found!r}" if hasattr(found, "fold") else "write a method"
            raise UsageError(f"{method} is no method: {name}: {found!r}: {hint}")
    check_encoding(job.encoding)


def _own(job: MapReduce, name: str) -> bool:
    """Does the class of the job have a method of its own?"""
    return getattr(type(job), name) is not getattr(MapReduce, name) or name in vars(job)
