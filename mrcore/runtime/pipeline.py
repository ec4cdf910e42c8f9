"""What a pipeline of users' functions is, and how it will be run: sources, stages, splits, workers, budgets.

A pipeline is a source and some stages. A stage's map tasks run functions on text, or on the
elements that the stage before left; behind a shuffle its reduce tasks group, reduce and run
more functions. Python takes about a hundred times as long a byte as native code, so splits are
smaller than a native job's: an eighth of the input, from 1 MiB to 64 MiB.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mrcore import config, resources
from mrcore.engine import collector, combiner, merging
from mrcore.engine.program import Program
from mrcore.engine.spec import Keys, Span
from mrcore.engine.splits import plan_splits
from mrcore.errors import BudgetError, UsageError
from mrcore.formats.inputs import Input, find_inputs
from mrcore.runtime.plan import INPUT_BYTES, TASKS_MAX, Options, check_options, most_workers

SPLIT_MIN, SPLIT_MAX = config.MIB, 64 * config.MIB
PART_BYTES, PARTS_MAX = 32 * config.MIB, 64  # of a stage's input, for a partition that is not a part file
STREAM_PARTS = 16
ITEM_TASKS = 16  # that items from the program are cut into
LEAST_BYTES = 8 * config.MIB  # of a task, beside what its functions hold


class TextSource(NamedTuple):
    """Records of text files."""

    paths: tuple[bytes | str, ...]
    keys: Keys = Keys("lines")


class ItemsSource(NamedTuple):
    """Items from the program itself."""

    items: tuple[Any, ...]


class Pipeline(NamedTuple):
    """What to run."""

    source: TextSource | ItemsSource
    stages: tuple[Program, ...]
    name: str = "pipeline"  # of the user's class, for the manifest
    partitions: tuple[int | None, ...] = ()  # of each stage's shuffle, where it says so

    def describe(self) -> dict[str, object]:
        """What is known of what decides the answer beside the input, for the manifest."""
        return {"verb": "run", "name": self.name, "stages": len(self.stages)}


class PipelinePlan(NamedTuple):
    """How a pipeline will be run."""

    inputs: list[Input]
    splits: list[tuple[Span, ...]]
    split_bytes: int
    workers: int  # 0: this process
    memory: int
    share: int  # bytes for each task at work, beside what the user's functions hold
    memory_least: int
    tmp_limit: int | None
    ceiling: int  # bytes that a worker process may map in all

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs whose size is known."""
        return sum(source.bytes for source in self.inputs)


def plan_pipeline(pipeline: Pipeline, options: Options) -> PipelinePlan:
    """Decides everything from the inputs' names and sizes and the budgets.

    Raises:
        UsageError, InputError: see :func:`mrcore.runtime.plan.check_options` and
            :func:`mrcore.formats.inputs.find_inputs`.
        BudgetError: the memory would not do.
    """
    check_options(options)
    source = pipeline.source
    inputs = find_inputs(source.paths) if isinstance(source, TextSource) else []
    total = sum(found.bytes for found in inputs)
    split = python_split(total) if options.split is None else options.split
    if split and total // split > TASKS_MAX:
        raise UsageError(f"too many map tasks: {total // split:,} splits of {split:,} bytes: write a larger --split")
    whole = isinstance(source, TextSource) and source.keys.cross_lines
    splits = plan_splits(inputs, split or 1, per_file=split == 0, taper=options.split is None, whole=whole)
    workers = resources.cores() if options.workers is None else options.workers
    available = resources.available_memory()
    memory = available // 2 if options.memory is None else options.memory
    held = INPUT_BYTES * len(inputs)
    least = _least(pipeline, options, total)
    if workers:
        workers = min(workers, most_workers(options, memory))
    if options.workers is None and workers:
        workers = max(1, min(workers, (memory - held) // least))
    share = (memory - held) // max(1, workers)
    memory_least = held + least * max(1, workers)
    if share < least:
        hint = f"give it {config.show_size(memory_least)} or more"
        if workers > 1:
            hint += f", or -j 1 and {config.show_size(held + least)}"
        raise BudgetError(f"not enough memory for this job: {config.show_size(memory)}: {hint}")
    ceiling = max(2 * config.GIB, available // max(1, workers)) + share + config.GIB // 2
    if options.needs.memory is not None:  # what it says is what it gets, beside the interpreter and the engine
        ceiling = options.needs.memory + share + config.GIB // 2
    return PipelinePlan(inputs, splits, split, workers, memory, share, memory_least, options.tmp_limit, ceiling)


def python_split(input_bytes: int) -> int:
    """Default bytes of a split that Python functions read."""
    return min(SPLIT_MAX, max(SPLIT_MIN, -(-input_bytes // config.SPLITS_AIM)))


def _least(pipeline: Pipeline, options: Options, total: int) -> int:
    several = [n for n in pipeline.partitions if n]
    most = max([*several, options.reducers or config.reducers(total), 1])
    return max(LEAST_BYTES, combiner.least_memory(most), merging.LEAST_BYTES, collector.SAMPLE_PAIRS)


def parts_of(stage_bytes: int, options: Options, wished: int | None, *, files: bool, known: bool) -> int:
    """Partitions of a stage's shuffle: part files from the bytes alone, others so that workers are kept busy."""
    if wished is not None:
        return wished
    if files:
        return options.reducers or config.reducers(stage_bytes)
    return min(PARTS_MAX, max(1, stage_bytes // PART_BYTES)) if known else STREAM_PARTS
