"""Deciding how a job is run, before anything of it is read: splits, partitions, workers, budgets.

The memory budget is divided before the job starts: what the coordinator holds for its list of
inputs, then an equal share for each worker, from which its tasks take what they hold, one at a
time. A job that cannot run in its shares is refused here, with the least budget that would do.
"""

from __future__ import annotations

from typing import NamedTuple

from mrcore import config, resources
from mrcore.engine import combiner, merging
from mrcore.engine.keys import is_plain
from mrcore.engine.map_task import EXPANDED_BYTES
from mrcore.engine.spec import Span
from mrcore.engine.splits import plan_splits
from mrcore.errors import BudgetError, UsageError
from mrcore.formats.inputs import Input, find_inputs, shown_name
from mrcore.runtime.jobs import COUNT_MAX, IndexJob, Job, check_job
from mrcore.storage.budget import STEP
from mrcore.storage.runfile import BLOCK_SIZE

RANGE_BYTES = 32 * config.MIB  # input bytes a range partition: small enough to start writing early
RANGES_MAX = 64
STREAM_RANGES = 16
TASKS_MAX = 1 << 20
FILE_BYTES = 12 << 10  # of an intermediate file beside its records: head, trailer, rounding up
SEGMENT_BYTES = 64  # of a run's entry for a partition
INPUT_BYTES = 512  # that the coordinator holds for each input, about: path, spans, specs
NAME_COPIES, NAME_BYTES = 3, 40  # of a file's name in an index, and what each copy takes beside its bytes
TOP_LINE_BYTES = 256  # that a line among the best takes
WORKERS_MAX = 1024
ATTEMPTS_MAX = 1000
SKIPS_MAX = 1_000_000
TIMEOUT_MAX_S = 10_000_000


class Faults(NamedTuple):
    """What a job does about failures.

    Attributes:
        attempts_max: of a task, before the job fails.
        skip_bad: records of the job that may be passed over once they have failed twice: the answer is without them.
        speculate: second attempts of slow tasks.
        timeout_s: seconds without a byte read after which an attempt is ended; 0: never.
    """

    attempts_max: int = 4
    skip_bad: int = 0
    speculate: bool = True
    timeout_s: float = 0.0


class Needs(NamedTuple):
    """What each task at work takes of the machine.

    Attributes:
        memory: bytes, of the job's budget; None: an equal share for each worker.
        cpu: processors.
    """

    memory: int | None = None
    cpu: float = 1.0


class Options(NamedTuple):
    """How to run it; only ``faults.skip_bad`` can change the answer, and ``reducers`` the part files."""

    workers: int | None = None  # None: one a core, and none at all for small input; 0: this process
    reducers: int | None = None
    split: int | None = None  # bytes; 0: one task a file
    tmp: bytes | None = None
    memory: int | None = None  # bytes; None: half of what is available
    tmp_limit: int | None = None  # bytes of intermediate files
    faults: Faults = Faults()
    needs: Needs = Needs()
    job_file: str = ""  # checksum of the file that the job was read from, if it was


class Plan(NamedTuple):
    """What a job will do, before it does it."""

    inputs: list[Input]
    splits: list[tuple[Span, ...]]
    split_bytes: int  # 0: one task a file
    partitions: int
    ordered: bool  # by key range
    choose: bool  # the one map task chooses the ranges: of a stream nothing is known before
    workers: int  # 0: this process
    memory: int  # bytes for all processes
    share: int  # bytes for each task at work
    memory_least: int  # with which it could run too
    tmp_limit: int | None
    tmp_estimate: int  # bytes of intermediate files at most, as far as the inputs' sizes are known

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs whose size is known."""
        return sum(source.bytes for source in self.inputs)


def check_options(options: Options) -> None:
    """Refuses what makes no sense.

    Raises:
        UsageError: naming the value and what to write instead.
    """
    if options.workers is not None and not 0 <= options.workers <= WORKERS_MAX:
        raise UsageError(f"workers out of range: {options.workers}: write 0 to {WORKERS_MAX}")
    if options.reducers is not None and not 1 <= options.reducers <= config.PARTITIONS_LIMIT:
        raise UsageError(f"reducers out of range: {options.reducers}: write 1 to {config.PARTITIONS_LIMIT}")
    check_faults(options.faults, options.needs)


def check_faults(faults: Faults, needs: Needs) -> None:
    """Refuses what makes no sense of these.

    Raises:
        UsageError: naming the value and what to write instead.
    """
    if not 1 <= faults.attempts_max <= ATTEMPTS_MAX:
        raise UsageError(f"attempts out of range: {faults.attempts_max}: write 1 to {ATTEMPTS_MAX}")
    if not 0 <= faults.skip_bad <= SKIPS_MAX:
        raise UsageError(f"records to skip out of range: {faults.skip_bad}: write 0 to {SKIPS_MAX}")
    if not 0 <= faults.timeout_s <= TIMEOUT_MAX_S:
        raise UsageError(f"timeout out of range: {faults.timeout_s}: write 0 (never) to {TIMEOUT_MAX_S} seconds")
    if not 0 < needs.cpu <= WORKERS_MAX:
        raise UsageError(f"processors out of range: {needs.cpu}: write more than 0, up to {WORKERS_MAX}")
    if needs.memory is not None and needs.memory < 1:
        raise UsageError(f"memory out of range: {needs.memory}: write a size, such as 2GiB")


def most_workers(options: Options, memory: int) -> int:
    """Tasks that may be at work at a time, by what each needs.

    Raises:
        BudgetError, UsageError: not one.
    """
    needs = options.needs
    cores = resources.cores()
    if needs.cpu > max(cores, options.workers or 0):
        raise UsageError(f"a task needs {needs.cpu:g} processors: this machine has {cores}: lower resources")
    most = WORKERS_MAX if needs.cpu == 1 else max(1, int(max(cores, options.workers or 0) / needs.cpu))
    if needs.memory is not None:
        if needs.memory > memory:
            raise BudgetError(
                f"a task needs {config.show_size(needs.memory)} and the job has {config.show_size(memory)}: "
                "raise --memory, or lower resources"
            )
        most = min(most, memory // needs.memory)
    return most


def plan_job(job: Job, options: Options, *, ordered: bool) -> Plan:
    """Decides everything from the inputs' names and sizes and the budgets.

    Raises:
        UsageError, InputError: see :func:`check_options`, :func:`mrcore.runtime.jobs.check_job` and
            :func:`mrcore.formats.inputs.find_inputs`.
        BudgetError: the memory would not do.
    """
    check_job(job)
    check_options(options)
    inputs = find_inputs(job.paths)
    if isinstance(job, IndexJob):
        inputs = sorted({source.path: source for source in inputs}.values(), key=lambda source: shown_name(source.path))
    total = sum(source.bytes for source in inputs)
    split = config.split_size(total) if options.split is None else options.split
    if split and total // split > TASKS_MAX:
        raise UsageError(f"too many map tasks: {total // split:,} splits of {split:,} bytes: write a larger --split")
    splits = plan_splits(
        inputs, split or 1, per_file=split == 0, taper=options.split is None, whole=job.keys.cross_lines
    )
    small = total <= config.SMALL_INPUT and all(source.size is not None for source in inputs)
    workers = options.workers
    if workers is None:
        alone = small or (len(splits) == 1 and not total)
        workers = 0 if alone else min(resources.cores(), WORKERS_MAX)
    if job.emit == "nothing" or job.top is not None:  # no part files: only as many as keep the workers busy
        partitions = min(RANGES_MAX, options.reducers or config.reducers(total))
    elif ordered and not total:
        partitions = STREAM_RANGES
    elif ordered:
        partitions = 1 if workers == 0 and small else min(RANGES_MAX, max(1, total // RANGE_BYTES))
    else:
        partitions = options.reducers or config.reducers(total)
    by_range = ordered and job.emit != "nothing" and job.top is None
    choose = by_range and len(splits) == 1 and splits[0][0].is_stream and job.make == "counts"
    if by_range and not total and not choose:
        partitions = 1
    plan = Plan(inputs, splits, split, partitions, by_range, choose, workers, 0, 0, 0, options.tmp_limit, 0)
    return _divide(job, options, plan)


def plan_reduce(job: Job, options: Options, plan: Plan, bytes_in: int) -> Plan:
    """The plan for the reduce stage when the bytes that were read are known: of a stream, only now.

    Map tasks ran in this process; a stream that turned out long gets workers, and the memory is
    divided among them.
    """
    if options.workers is not None or plan.workers or plan.partitions < 2 or bytes_in <= config.SMALL_INPUT:
        return plan
    workers = min(resources.cores(), plan.partitions, (plan.share + 1) // share_least(job, plan))
    return plan._replace(workers=workers, share=plan.share // workers) if workers > 1 else plan


def _divide(job: Job, options: Options, plan: Plan) -> Plan:
    """Divides the memory; with fewer workers, if the user left their number open."""
    memory = resources.available_memory() // 2 if options.memory is None else options.memory
    held = INPUT_BYTES * len(plan.inputs)
    least = share_least(job, plan)
    workers = plan.workers
    if options.workers is None and workers:
        workers = max(1, min(workers, (memory - held) // least))
    share = (memory - held) // max(1, workers)
    memory_least = held + least * max(1, workers)
    if share < least:
        hint = f"give it {config.show_size(memory_least)} or more"
        if workers > 1:
            hint += f", or -j 1 and {config.show_size(held + least)}"
        raise BudgetError(f"not enough memory for this job: {config.show_size(memory)}: {hint}")
    plan = plan._replace(workers=workers, memory=memory, share=share, memory_least=memory_least)
    return plan._replace(tmp_estimate=_estimate_tmp(job, plan))


def share_least(job: Job, plan: Plan) -> int:
    """Bytes without which a task of this job cannot run."""
    hashed = 1 if plan.ordered else plan.partitions
    least = combiner.least_memory(hashed) + (0 if is_plain(job.keys) else EXPANDED_BYTES)
    if isinstance(job, IndexJob):  # every reduce task holds the names of all files
        least += NAME_COPIES * sum(len(source.path) + NAME_BYTES for source in plan.inputs)
    words = plan.input_bytes // 2 + 1 if all(source.size is not None for source in plan.inputs) else COUNT_MAX
    most_lines = 2 * min(job.top or 0, words)
    return max(least, merging.LEAST_BYTES + TOP_LINE_BYTES * most_lines)


def _estimate_tmp(job: Job, plan: Plan) -> int:
    """Bytes of intermediate files at most: every key of the text a record of its own, and no compression.

    A token of n bytes and a separator becomes a record of n + 2; the shortest tokens are few. An
    n-gram has its tokens again for each n. Where runs are too many for one merge, a pass writes
    them anew before it removes them. Files are taken in steps, and have heads and footers.
    """
    fixed = 2 * STEP * max(1, plan.workers) + FILE_BYTES * (len(plan.splits) + plan.partitions + 2)
    if job.make == "sketch":
        return fixed + (len(plan.splits) << 14)
    tokens = sum(range(job.keys.n_min, job.keys.n_max + 1))
    records = plan.input_bytes * tokens * 5 // 4
    runs = len(plan.splits) + records // max(1, plan.share // 8)
    estimate = fixed + records + SEGMENT_BYTES * runs * plan.partitions
    if runs * (BLOCK_SIZE + merging.RUN_BYTES) > plan.share // 2 or runs > merging.FAN_IN_MAX:
        estimate += 2 * records
    if not plan.ordered:
        return estimate
    if isinstance(job, IndexJob):  # then the parts are intermediate too: each word with its file's name
        return estimate + sum(
            source.bytes * 5 // 4 + (source.bytes // 2 + 1) * (len(source.path) + 2 + 20 * job.counts)
            for source in plan.inputs
        )
    return estimate + records
