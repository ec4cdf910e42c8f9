"""A plan as text: what ``--dry-run`` and ``explain()`` print."""

from __future__ import annotations

from mrcore.config import show_size
from mrcore.runtime.jobs import Job
from mrcore.runtime.plan import Plan


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
