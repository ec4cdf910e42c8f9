"""A job: stages in an order that their inputs give, ended once and for all by the journal."""

from __future__ import annotations

import msgspec

from mrcore.scheduler.states import Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.ledger import JobLedger
    from mrcore.scheduler.stage import Stage

TABLE = Table(
    "job",
    "running",
    ("succeeded", "failed", "cancelled"),
    [
        Row("running", "completed", "succeeded", "every stage that nobody reads is complete"),
        Row("running", "doomed", "failed", "a task failed as often as it may, or in a way that no attempt can mend"),
        Row("running", "cancelled", "cancelled", "somebody asked for it"),
    ],
)
RUNNING = TABLE.state("running")
COMPLETED, DOOMED, CANCEL = map(TABLE.event, ("completed", "doomed", "cancelled"))

_S = 1_000_000_000
TASKS_MAX = 1 << 24  # of a stage
STAGES_MAX = 1000
ATTEMPTS_MAX = (1 << 16) - 1  # of a task that count against it: the ledger has 16 bits for them
_INT64_MAX = (1 << 63) - 1  # of any other number: the journal takes no larger ones


class StageSpec(msgspec.Struct, frozen=True, array_like=True):
    """What the scheduler has to know of a stage.

    Every task of a stage reads the outputs of all tasks of the stages in ``reads``; steps without a shuffle
    between them are one task.
    """

    tasks: int
    reads: tuple[int, ...] = ()  # earlier stages; empty: the job's own input
    memory_bytes: int = 0  # that an attempt may hold
    cpu_milli: int = 1000  # thousandths of a processor
    task_bytes: int | tuple[int, ...] = 0  # input of each task, or of each one; 0: not known
    hosts: tuple[tuple[str, ...], ...] = ()  # of each task, those that have its input; empty: all alike
    fetch_from_percent: int = 100  # of what it reads, so much is committed before its tasks may start to fetch


class JobOptions(msgspec.Struct, frozen=True, array_like=True):
    """How a job wants to be treated."""

    attempts_max: int = 4  # of a task that count against it
    backoff_ns: int = _S  # before the second attempt; doubled each time
    backoff_ns_max: int = 60 * _S
    skip_bad_max: int = 0  # records that may be skipped after they failed twice (MapReduce paper, section 4.6)
    speculate: bool = True
    weight: int = 1  # of its share of the slots
    timeout_ns: int = 0  # an attempt that has read nothing for so long is ended, once its inputs are there; 0: never
    hold: bool = False  # it does not end when its stages are complete: an output that is lost later is made again


def check_job(stages: tuple[StageSpec, ...], options: JobOptions) -> str | None:
    """What is wrong with the specification of a job, or None."""
    if not (1 <= options.weight <= _INT64_MAX and 1 <= options.attempts_max <= ATTEMPTS_MAX):
        bounds = f"both are at least 1, attempts at most {ATTEMPTS_MAX}"
        return f"weight {options.weight} and attempts_max {options.attempts_max}: {bounds}"
    for name in ("backoff_ns", "backoff_ns_max", "skip_bad_max", "timeout_ns"):
        if not 0 <= (value := getattr(options, name)) <= _INT64_MAX:
            return f"{name} is {value}: 0 to {_INT64_MAX} are possible"
    if not 1 <= len(stages) <= STAGES_MAX:
        return f"a job of {len(stages)} stages: 1 to {STAGES_MAX} are possible"
    for index, stage in enumerate(stages):
        if not 0 <= stage.tasks <= TASKS_MAX:
            return f"stage {index} has {stage.tasks} tasks: up to {TASKS_MAX} are possible"
        if any(not 0 <= read < index for read in stage.reads) or len(set(stage.reads)) != len(stage.reads):
            return f"stage {index} reads {stage.reads}: name earlier stages, each once"
        if stage.hosts and len(stage.hosts) != stage.tasks:
            return f"stage {index} has {stage.tasks} tasks and hosts for {len(stage.hosts)}"
        sizes = (stage.task_bytes,) if isinstance(stage.task_bytes, int) else stage.task_bytes
        if sizes is stage.task_bytes and len(sizes) != stage.tasks:
            return f"stage {index} has {stage.tasks} tasks and sizes for {len(sizes)}"
        numbers = (stage.memory_bytes, stage.cpu_milli, stage.fetch_from_percent, *sizes)
        if min(numbers) < 0 or max(numbers) > _INT64_MAX:
            return f"stage {index} has a number below 0 or above {_INT64_MAX}: {min(numbers)}, {max(numbers)}"
    return None


class Job:
    """A job that has not ended.

    Attributes:
        ledger: what of it survives a crash.
        stages: in the order of the specification.
        state: RUNNING until it ends.
        number: jobs are numbered as they come; ties in shares go to the lower one.
        running: attempts that hold a slot.
        speculative: of these, second ones.
        finals: stages that nobody reads and that are not complete.
    """

    __slots__ = ("finals", "ledger", "number", "running", "speculative", "stages", "state")

    def __init__(self, ledger: JobLedger, number: int) -> None:
        self.ledger, self.number = ledger, number
        self.stages: list[Stage] = []
        self.state = RUNNING
        self.running = self.speculative = self.finals = 0
