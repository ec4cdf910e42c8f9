"""A plan as text: what ``--dry-run`` and ``explain()`` print."""

from __future__ import annotations

from mrcore.config import show_size
from mrcore.runtime.jobs import Job
from mrcore.runtime.pipeline import ItemsSource
from mrcore.runtime.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.engine.program import Program
    from mrcore.runtime.pipeline import Pipeline, PipelinePlan


def explain_plan(job: Job, plan: Plan) -> str:
    """A plan as lines of text."""
    files = sum(source.size is not None for source in plan.inputs)
    streams = len(plan.inputs) - files
    size = f"{plan.split_bytes:,} bytes each at most" if plan.split_bytes else "one a file"
    made = {"counts": "counted", "postings": "with the files they are in", "sketch": "sketched (HyperLogLog)"}[job.make]
    lines = [
        f"input      {files:,} files, {plan.input_bytes:,} bytes" + (f", {streams} streams" if streams else ""),
        f"map        {len(plan.splits):,} tasks, {size}: {_show_keys(job)}, {made}",
    ]
    if job.make != "sketch":
        how = "by key range" if plan.ordered else "by key hash"
        lines.append(f"shuffle    {plan.partitions:,} partitions {how}: sorted runs on disk")
        lines.append(f"reduce     {plan.partitions:,} tasks: {_show_reduce(job)}")
    lines.append(f"workers    {plan.workers or 'none: in this process'}")
    lines.append(
        f"memory     at most {show_size(plan.memory)}, {show_size(plan.share)} a task; "
        f"it would run with {show_size(plan.memory_least)}"
    )
    limit = "no limit" if plan.tmp_limit is None else f"limit {show_size(plan.tmp_limit)}"
    unknown = " beside the streams" if streams else ""
    lines.append(f"tmp        at most {show_size(plan.tmp_estimate)} of intermediate files{unknown}, {limit}")
    return "\n".join(lines)


def _show_keys(job: Job) -> str:
    keys = job.keys
    if keys.tokenizer == "lines":
        return "lines" + (" (lower)" if keys.lower else "")
    about = f"({keys.tokenizer}{', lower' if keys.lower else ''})"
    if not keys.ngrams and not keys.cross_lines:
        return f"words {about}"
    sizes = f"{keys.n_min}" if keys.n_min == keys.n_max else f"{keys.n_min}-{keys.n_max}"
    return f"{sizes}-grams {about}{', across lines' if keys.cross_lines else ''}"


def _show_reduce(job: Job) -> str:
    if job.emit == "nothing":
        return "merge, count keys"
    if job.emit != "lines":
        return "merge, join lists of files"
    if job.top:
        return f"merge, add, top {job.top}"
    return f"merge, add, {f'count >= {job.min_count}' if job.min_count > 1 else 'all'}"


def explain_pipeline(pipeline: Pipeline, plan: PipelinePlan) -> str:
    """A pipeline's plan as lines of text: a stage is what stands between two shuffles."""
    source = pipeline.source
    if isinstance(source, ItemsSource):
        lines = [f"input      {len(source.items):,} items of the program"]
    else:
        size = f"{plan.split_bytes:,} bytes each at most" if plan.split_bytes else "one a file"
        lines = [
            f"input      {len(plan.inputs):,} inputs, {plan.input_bytes:,} bytes",
            f"map        {len(plan.splits):,} tasks, {size}: {source.keys.tokenizer}",
        ]
    for number, program in enumerate(pipeline.stages, 1):
        steps = [kind for kind, _ in program.steps]
        if program.batches is not None:
            steps.insert(0, "map_batches")
        lines.append(f"stage {number}    {', '.join(steps) or 'nothing'}" + _show_shuffle(program))
    lines.append(f"workers    {plan.workers or 'none: in this process'}")
    lines.append(
        f"memory     at most {show_size(plan.memory)} beside what the functions hold, {show_size(plan.share)} a task; "
        f"it would run with {show_size(plan.memory_least)}"
    )
    limit = "no limit" if plan.tmp_limit is None else f"limit {show_size(plan.tmp_limit)}"
    lines.append(f"tmp        as many bytes of intermediate files as the functions make, {limit}")
    return "\n".join(lines)


def _show_shuffle(program: Program) -> str:
    shuffle = program.shuffle
    if shuffle is None:
        return ""
    how = "all values" if shuffle.aggregate is None else repr(shuffle.aggregate)
    if shuffle.combine is not None:
        how = "combine"
    after = [kind for kind, _ in program.after]
    if shuffle.reduce is not None:
        after.insert(0, "reduce")
    by = "partition and key" if shuffle.place else "key hash"
    return f" | shuffle by {by}, {how} | {', '.join(after) or 'as it is'}"
