"""The tasks of one step as its coordinator asks for them: specs on the way out, files and results on the way back."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from mrcore.engine.spec import MapSpec, PythonMapSpec, TaskResult, encode_spec
from mrcore.errors import WorkerLostError, shown
from mrcore.executors.attach import encode_task
from mrcore.executors.base import error_of
from mrcore.executors.outcome import remove_output
from mrcore.scheduler.attempt import AttemptId
from mrcore.storage.files import publish
from mrcore.wire.output_names import output_name, published_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from collections.abc import Sequence

    from mrcore.engine.spec import TaskSpec
    from mrcore.errors import MrcoreError
    from mrcore.executors.base import Step
    from mrcore.scheduler.ledger import Ledger, StageLedger
    from mrcore.scheduler.records import AttemptCommitted
    from mrcore.storage.budget import DiskBudget
    from mrcore.wire.cluster_messages import AttemptFailed

FAILURES_MAX = 64
"""Words of so many attempts are kept: others may fail before the one that ends the job is known to."""


class StepTasks:
    """See :class:`mrcore.runtime.dispatch.Jobs`, which this is.

    Args:
        name: of the step in its journal and its files.
        step: what to run.
        folder: where files are.
        disk: the budget that they are counted in.
        inbox: takes ("result", (half, result)) of each task, and ("consumed", bytes).

    Attributes:
        results: by half and task, of the attempts that count.
        error: why the step is over, once it is and not well.
        failures: the attempts that failed last, in their own words.
        deaths: those whose process died last, and the record that it was at: file and offset.
        how_lost: how the last process ended.
        recovering: what the coordinator says may be said again.
    """

    def __init__(
        self, name: str, step: Step, folder: bytes, disk: DiskBudget | None, inbox: queue.SimpleQueue[tuple[str, Any]]
    ) -> None:
        self.name, self.step, self.folder, self.disk = name, step, folder, disk
        self.results: dict[tuple[int, int], TaskResult] = {}
        self.error: MrcoreError | None = None
        self.failures: dict[str, AttemptFailed] = {}
        self.deaths: dict[str, tuple[bytes, int]] = {}
        self.how_lost = ""
        self.recovering = True
        self.final = 0 if step.merge is None else 1
        self._inbox = inbox
        self._told: set[tuple[int, int]] = set()
        self._merges: Sequence[TaskSpec] | None = None
        self._streams_read: set[int] = set()  # tasks that read what can be read once, and were given out
        self._consumed: dict[AttemptId, int] = {}  # bytes that the inbox was told of
        self._reads_input = bool(step.tasks) and isinstance(step.tasks[0], MapSpec | PythonMapSpec)

    @property
    def is_stream(self) -> bool:
        """Whether a task reads what can be read once only."""
        return any(map(_reads_stream, self.step.tasks))

    # ---- what the coordinator asks for --------------------------------------------------------

    def spec(self, job: str, stage: int, task: int) -> bytes:
        """What a worker has to know to run a task."""
        if stage == 0:
            spec = self.step.tasks[task]
            if _reads_stream(spec):
                self._check_unread(task)
        else:
            if self._merges is None:
                assert self.step.merge is not None
                self._merges = self.step.merge.specs([self.results[0, i] for i in range(len(self.step.tasks))])
            spec = self._merges[task]
        return encode_task(self.folder, encode_spec(spec))

    def _check_unread(self, task: int) -> None:
        if task in self._streams_read:
            mine = f"{AttemptId(self.name, 0, task, 0)}".removesuffix("0")
            for attempt, said in reversed(self.failures.items()):
                if attempt.startswith(mine):  # what went wrong, not that it cannot be tried again
                    raise error_of(said.error, said.text, said.traceback, said.user_traceback)
            raise WorkerLostError(
                f"{self.how_lost or 'an attempt was lost'}, while it read a stream, which cannot be read again: "
                "give it as a file, or run the job again"
            )
        self._streams_read.add(task)

    def publish_output(self, attempt: AttemptId) -> None:
        """Gives an attempt's file its final name, and tells of its result."""
        source, target = self.path(output_name(attempt)), self._final_path(attempt.stage, attempt.task)
        if self.recovering:  # it may have been done; what is missing is found later
            if os.path.lexists(source):
                publish(source, target)
            return
        if self.results[attempt.stage, attempt.task].check:  # else it is a number, which stands in the result
            publish(source, target)
        self.tell(attempt.stage, attempt.task)

    def discard_output(self, attempt: AttemptId) -> None:
        """Removes an attempt's file."""
        freed = remove_output(self.path(output_name(attempt)))
        if self.disk is not None:
            self.disk.give(freed)

    def end_job(self, job: str, outcome: str, error: str) -> None:
        """The scheduler gives up."""
        if self.error is None:
            self.error = self._error_of(error)

    # ---- what has come of tasks ---------------------------------------------------------------

    def fail(self, attempt: AttemptId, message: AttemptFailed) -> None:
        """Remembers what an attempt says of its failure, for when the job ends by it."""
        _remember(self.failures, attempt, message)

    def die(self, attempt: AttemptId, record: tuple[bytes, int]) -> None:
        """Remembers at which record an attempt's process died."""
        _remember(self.deaths, attempt, record)

    def commit(self, record: AttemptCommitted) -> TaskResult:
        """An attempt is the task's."""
        attempt = AttemptId(record.job, record.stage, record.task, record.attempt)
        result = self._result(attempt, record.result, record.counters)
        self.results[record.stage, record.task] = result
        if record.stage != self.final:
            self.tell(record.stage, record.task)
        return result

    def tell(self, stage: int, task: int) -> None:
        """Puts a result into the inbox, once."""
        if (stage, task) not in self._told:
            self._told.add((stage, task))
            self._inbox.put(("result", (stage, self.results[stage, task])))

    def count(self, attempt: AttemptId, total: int) -> int:
        """So many bytes of the input has an attempt consumed; how many more, or fewer, than were told."""
        more = total - self._consumed.get(attempt, 0)
        if not more or attempt.stage != 0 or not self._reads_input:
            return 0
        self._consumed[attempt] = total
        self._inbox.put(("consumed", more))
        return more

    def _result(self, attempt: AttemptId, data: bytes, counters: dict[str, int]) -> TaskResult:
        result = msgspec.msgpack.decode(data, type=TaskResult)
        final = attempt.stage == self.final
        path = self._final_path(attempt.stage, attempt.task) if final else self.path(output_name(attempt))
        return msgspec.structs.replace(result, output=path, counters=tuple(sorted(counters.items())))

    def path(self, name: str) -> bytes:
        """Of a file of the step."""
        return os.path.join(self.folder, name.encode())

    def _final_path(self, stage: int, task: int) -> bytes:
        return self.path(published_name(self.name, stage, task))

    # ---- what a journal knows -----------------------------------------------------------------

    def restore(self, ledger: Ledger) -> None:
        """Takes what an earlier coordinator had committed."""
        for stage, found in enumerate(self._stages(ledger)):
            for task, data in found.results.items():
                attempt = AttemptId(self.name, stage, task, found.attempts[task])
                counters = {name: column[task] for name, column in found.counters.items() if column[task]}
                self.results[stage, task] = self._result(attempt, data, counters)

    def outputs(self, ledger: Ledger) -> list[tuple[AttemptId, bytes, int, int]]:
        """Of each committed task whose output is read still: attempt, path, size and checksum."""
        stages = self._stages(ledger)
        if not stages:
            return []
        wanted = [self.final] if self.is_done(ledger) else range(len(stages))
        return [
            (
                AttemptId(self.name, stage, task, number),
                self.results[stage, task].output,
                stages[stage].sizes[task],
                stages[stage].checks[task],
            )
            for stage in wanted
            for task, number in enumerate(stages[stage].attempts)
            if number >= 0
        ]

    def is_done(self, ledger: Ledger) -> bool:
        """Whether every final output is committed."""
        stages = self._stages(ledger)
        return bool(stages) and all(number >= 0 for number in stages[self.final].attempts)

    def tell_known(self, ledger: Ledger) -> None:
        """Puts what is committed into the inbox."""
        for stage, found in enumerate(self._stages(ledger)):
            for task, number in enumerate(found.attempts):
                if number >= 0:
                    attempt = AttemptId(self.name, stage, task, number)
                    self.count(attempt, self.results[stage, task].bytes_in)
                    self.tell(stage, task)

    def inputs_left(self) -> list[bytes]:
        """Files of the first half, which nobody reads once the step is done."""
        return [result.output for (stage, _), result in self.results.items() if stage != self.final]

    def _stages(self, ledger: Ledger) -> list[StageLedger]:
        job = ledger.jobs.get(self.name)
        return [] if job is None else job.stages

    # ---- errors -------------------------------------------------------------------------------

    def _error_of(self, text: str) -> MrcoreError:
        """The error of a job that the scheduler has given up: in the words of the attempt that did it."""
        where, _, rest = text.partition(": ")
        said = self.failures.get(where)
        if said is not None:
            return error_of(said.error, said.text, said.traceback, said.user_traceback)
        why = rest.partition("\n")[0]  # a traceback may follow
        return WorkerLostError(f"{why or where}, while it ran {self._shown(where)}")

    def _shown(self, attempt: str) -> str:
        """A task, for an error."""
        try:
            _, stage, task, _ = attempt.split("/")
            spec = self.step.tasks[int(task)] if stage == "0" else None
        except (ValueError, IndexError):
            return attempt
        spans = getattr(spec, "spans", ())
        if (record := self.deaths.get(attempt)) is not None:
            where = shown(record[0]) if record[1] < 0 or spec is None else f"{shown(record[0])}, byte {record[1]}"
            return f"{'reduce' if spec is None else 'map'} task {task} ({where})"
        if not spans:
            return f"{'reduce' if spec is None else 'map'} task {task}"
        first, last = spans[0], spans[-1]
        where = f"bytes {first.start} to {last.stop}" if len(spans) == 1 else f"byte {first.start}, and what follows"
        return f"map task {task} ({shown(first.path)}, {where})"


def _reads_stream(spec: TaskSpec) -> bool:
    return any(span.is_stream for span in getattr(spec, "spans", ()))


def _remember(known: dict[str, Any], attempt: AttemptId, what: object) -> None:
    known[str(attempt)] = what
    if len(known) > FAILURES_MAX:
        del known[next(iter(known))]
