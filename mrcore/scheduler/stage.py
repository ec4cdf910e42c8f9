"""A stage: the tasks between two shuffles, which read the outputs of the stages before it.

Its tasks are arrays: their states here, what is durable of them in the ledger.
"""

from __future__ import annotations

from array import array
from collections import deque

from mrcore.scheduler import task as tasks_of
from mrcore.scheduler.ledger import NO_ATTEMPT
from mrcore.scheduler.states import Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.attempt import Attempt
    from mrcore.scheduler.job import Job, StageSpec
    from mrcore.scheduler.ledger import StageLedger

TABLE = Table(
    "stage",
    "closed",
    (),
    [
        Row("closed", "inputs near", "fetching", "enough of what it reads is committed for its tasks to fetch"),
        Row("closed", "inputs complete", "open", "all that it reads is committed, or it reads the job's input"),
        Row("closed", "restored", "complete", "a coordinator before this one had journaled all that is needed of it"),
        Row("fetching", "inputs complete", "open", "the last input is committed"),
        Row("fetching", "input lost", "fetching", "one more output has to be made again"),
        Row("open", "input lost", "fetching", "an output that its tasks may not have read yet has to be made again"),
        Row("open", "all committed", "complete", "every task has an output, or one that nobody has to read any more"),
        Row("fetching", "all committed", "complete", "its tasks had read the inputs that were lost"),
        Row("complete", "output lost", "open", "somebody has to read an output that is gone, and its inputs are there"),
        Row("complete", "output and input lost", "fetching", "and inputs have to be made again first"),
    ],
)
CLOSED, FETCHING, OPEN, COMPLETE = map(TABLE.state, ("closed", "fetching", "open", "complete"))
INPUTS_NEAR, INPUTS_COMPLETE, RESTORED, INPUT_LOST, ALL_COMMITTED, OUTPUT_LOST, BOTH_LOST = map(
    TABLE.event,
    (
        "inputs near", "inputs complete", "restored", "input lost", "all committed", "output lost",
        "output and input lost",
    ),
)  # fmt: skip

DURATIONS_MAX = 255
"""Durations that are remembered of a stage: their median is what an attempt is compared with."""


class Stage:
    """A stage of a job that has not ended.

    Attributes:
        job, index, spec, ledger: whose it is, which, and what is durable of it.
        sources, readers: stages that it reads, and that read it.
        state: of the table.
        tasks: state of each task.
        numbers: attempts of each task in this epoch.
        pending, committed, vanished: tasks in these states.
        running: by task, its attempts that are not told to stop.
        requeued: tasks that are pending again; some entries are stale.
        local: by host, tasks whose input it has; some entries are stale.
        cursor: tasks before it have been started, or are in ``requeued``.
        log: committed tasks in the order in which they were; one whose output was lost comes again.
        opened_ns: when the last of its inputs was committed.
        told: length of the sources' logs when attempts were last told of inputs.
        durations: of finished attempts, the last ones, in ns.
        failed_on: by task, workers that it should not run on, with the time until.
        reports: by task, readers whom the holder of its output did not answer.
        starved_ns: when it was first seen to have pending tasks and no room; 0: it has not.
    """

    __slots__ = (
        "committed", "cursor", "durations", "failed_on", "index", "job", "ledger", "local", "log", "numbers",
        "opened_ns", "pending", "readers", "reports", "requeued", "running", "sources", "spec", "starved_ns", "state",
        "tasks", "told", "vanished",
    )  # fmt: skip

    def __init__(self, job: Job, index: int, spec: StageSpec, ledger: StageLedger) -> None:
        self.job, self.index, self.spec, self.ledger = job, index, spec, ledger
        self.sources = [job.stages[read] for read in spec.reads]
        self.readers: list[Stage] = []
        for source in self.sources:
            source.readers.append(self)
        self.state = CLOSED
        self.tasks = bytearray(spec.tasks)
        self.numbers = array("H", [0]) * spec.tasks
        self.log = array("i")
        for task, attempt in enumerate(ledger.attempts):  # of a coordinator before this one
            if attempt != NO_ATTEMPT:
                self.tasks[task] = tasks_of.COMMITTED
                self.log.append(task)
        self.committed = len(self.log)
        self.pending = spec.tasks - self.committed
        self.running: dict[int, list[Attempt]] = {}
        self.requeued: deque[int] = deque()
        self.local: dict[str, deque[int]] = {}
        for task, hosts in enumerate(spec.hosts):
            for host in hosts:
                self.local.setdefault(host, deque()).append(task)
        self.cursor = self.opened_ns = self.told = self.starved_ns = self.vanished = 0
        self.durations: deque[int] = deque(maxlen=DURATIONS_MAX)
        self.failed_on: dict[int, dict[str, int]] = {}
        self.reports: dict[int, list[str]] = {}

    @property
    def is_active(self) -> bool:
        """Whether its tasks may be started."""
        return self.state == OPEN or self.state == FETCHING

    @property
    def is_done(self) -> bool:
        """Whether none of its tasks has to run."""
        return self.committed + self.vanished == self.spec.tasks

    def inputs_complete(self) -> bool:
        """Whether all that it reads is committed."""
        return all(source.committed == source.spec.tasks for source in self.sources)

    def inputs_near(self) -> bool:
        """Whether enough of what it reads is committed for its tasks, if it has any, to begin to fetch."""
        spec = self.spec
        return spec.tasks > 0 and all(
            source.committed * 100 >= spec.fetch_from_percent * source.spec.tasks for source in self.sources
        )

    def is_needed(self) -> bool:
        """Whether somebody still has to read its outputs: a later stage, or who submitted the job."""
        return not self.readers or any(reader.state != COMPLETE for reader in self.readers)

    def task_bytes(self, task: int) -> int:
        """Input of a task; 0: not known."""
        sizes = self.spec.task_bytes
        return sizes if isinstance(sizes, int) else sizes[task]
