"""A reduce task of users' functions: one partition of every run, merged, grouped, reduced and written."""

from __future__ import annotations

from typing import Any

from mrcore import resources
from mrcore.engine.aggregates import Collect
from mrcore.engine.context import Context
from mrcore.engine.merging import Limits, Merging, find_runs
from mrcore.engine.pickling import dumps, loads
from mrcore.engine.program import read_program
from mrcore.engine.python_output import PythonOutput
from mrcore.engine.record_page import RecordPage
from mrcore.engine.reduce_task import DESCRIPTORS_KEPT
from mrcore.engine.spec import TaskResult
from mrcore.engine.user_code import set_up, shown_value, user_code
from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec
from mrcore.kernels.drain import PREFIX_BYTES
from mrcore.kernels.fold import Folder
from mrcore.kernels.reduce import Reducer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.engine.program import Program
    from mrcore.engine.spec import PythonReduceSpec
    from mrcore.engine.task import TaskEnv
    from mrcore.kernels.merge import Merge

GROUPS_A_CALL = 1000


def run_python_reduce(spec: PythonReduceSpec, env: TaskEnv) -> TaskResult:
    """Runs a reduce task of users' functions; see :func:`mrcore.engine.task.run_task`."""
    env.drop()
    program = read_program(spec.code)
    ctx = Context(spec.task, "reduce", env.note)
    runs = find_runs(spec.runs, spec.task)
    bytes_in = sum(run.segment.size for run in runs)
    limits = Limits(spec.memory, max(2, resources.descriptors() - DESCRIPTORS_KEPT))
    keyed = spec.emit != "lines"
    with (
        Merging(runs, limits, spec.output, kind="values", disk=env.disk(spec.disk)) as merging,
        PythonOutput(
            spec.output, columns=0 if spec.emit == "elements" else program.columns, keyed=keyed, sync=spec.sync,
            disk=env.disk(spec.disk) if spec.part_disk else None, types=spec.types,
        ) as output,
    ):  # fmt: skip
        merge = merging.final("records", None)
        skipped = _reduce(spec, program, ctx, env, merge, output)
        output.finish()
    return TaskResult(
        spec.task, spec.output, bytes_in, output.size, merge.records_in, output.taker.records, output.check,
        passes=merging.passes, merged_bytes=merging.merged_bytes, memory=merging.memory_peak,
        counters=ctx.counts(), types=output.taker.types, skipped=skipped,
    )  # fmt: skip


def _reduce(
    spec: PythonReduceSpec, program: Program, ctx: Context, env: TaskEnv, merge: Merge, output: PythonOutput
) -> int:
    """Reduces the partition's groups; how many it passed over."""
    shuffle = program.shuffle
    assert shuffle is not None
    values = ValueCodec(dumps, loads)
    chain = Chain(program.after, output.taker, ctx)
    fold = None
    if shuffle.aggregate is not None:
        aggregate: Any = shuffle.aggregate
        fold = Folder(aggregate.native, values) if aggregate.native else aggregate.finish
        if isinstance(aggregate, Collect):
            fold = list  # what its finish() calls, without a call of ours for each of millions of keys
    page = env.page or RecordPage.private()
    skip = frozenset(name for name, partition in env.skip if partition == spec.task) or None
    reducer = Reducer(
        merge, KeyCodec(spec.key_type), values, chain, output.taker,
        prefix=PREFIX_BYTES if shuffle.place is not None else 0, fold=fold, reduce=shuffle.reduce, ctx=ctx,
        each=shuffle.each, skip=skip, page=page.name,
    )  # fmt: skip
    with user_code(lambda: f"reduce task {spec.task}"):
        set_up(program.setup, ctx)
    page.open(b"", spec.task)
    try:
        with user_code(lambda: f"key {shown_value(reducer.key)}, reduce task {spec.task}", spec.memory, page.read):
            while reducer.run(GROUPS_A_CALL):
                env.progress(0)
            if program.teardown is not None:
                made = program.teardown(ctx)
                if made is not None:
                    chain.push_all(made, "teardown")
    finally:
        page.close()
    return reducer.skipped
