"""What the scheduler wants, carried out: messages to workers, and outputs to whoever keeps them.

The second half of :mod:`mrcore.runtime.coordinator`, which decides when. An action for a worker whose connection or
generation is gone is dropped.

Where a worker serves its outputs is what it said when it registered last. Of an output whose holder's address is not
known, as after a recovery, readers are told when the holder registers, and again when it comes back at another place.
"""

from __future__ import annotations

from typing import Protocol

from mrcore.errors import ProtocolError
from mrcore.runtime.cluster_translation import (
    cancel_message,
    encode_check,
    input_messages,
    start_messages,
)
from mrcore.scheduler import actions, events
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_fields import TEXT_MAX, InputFile, clipped
from mrcore.wire.output_names import output_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrcore.runtime.session import Session
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.scheduler.scheduler import Scheduler

WORKERS_MAX = 1 << 16
"""Workers whose addresses are kept: of more, those that moved longest ago are forgotten until they come again."""


class Jobs(Protocol):
    """What the coordinator has to be told of jobs, and tells of them."""

    def spec(self, job: str, stage: int, task: int) -> bytes:
        """What a worker has to know to run a task: the same bytes for all attempts."""

    def publish_output(self, attempt: AttemptId) -> None:
        """Gives an attempt's file its final name, durably. One that has it is no error: a recovery says it again."""

    def discard_output(self, attempt: AttemptId) -> None:
        """Removes an attempt's file from the disk that all share. One that is not there is no error."""

    def end_job(self, job: str, outcome: str, error: str) -> None:
        """A job has ended: durably, and its outputs are published if it succeeded."""


class TellAddresses(actions.Action, frozen=True):
    """Tell attempts that read outputs of a worker where it is now."""

    worker: str


class Dispatcher:
    """Carries actions out.

    Args:
        scheduler: asked for outputs.
        jobs: asked for tasks, and told of outputs.

    Attributes:
        sessions: that have proved who they are, by worker, in the order in which they came.
        granted: by worker and generation, the session that registered under it last.
        broken: sessions on which nothing can be said any more; the caller closes them.
        failed: attempts that could not be started; the caller has the scheduler handle them.
    """

    def __init__(self, scheduler: Scheduler, jobs: Jobs) -> None:
        self._scheduler, self._jobs = scheduler, jobs
        self.sessions: dict[str, dict[Session, None]] = {}
        self.granted: dict[tuple[str, int], Session] = {}
        self.broken: list[Session] = []
        self.failed: list[events.AttemptFailed] = []
        self._addresses: dict[str, tuple[str, ...]] = {}  # by worker

    def move(self, worker: str, addresses: tuple[str, ...]) -> bool:
        """A worker says where it serves its outputs; whether that is news."""
        if self._addresses.get(worker, ()) == addresses:
            return False
        self._addresses.pop(worker, None)
        self._addresses[worker] = addresses
        if len(self._addresses) > WORKERS_MAX:
            del self._addresses[next(iter(self._addresses))]
        return True

    def carry_out(self, action: actions.Action) -> None:
        """Does it. What it follows from is durable.

        Raises:
            Exception: whatever ``jobs`` raises.
        """
        match action:
            case actions.GrantLease():
                registered = wire.Registered(action.generation, action.lease_ns, action.heartbeat_ns)
                self._say(self.granted.get((action.worker, action.generation)), [registered])
            case actions.RevokeLease():
                for session in list(self.sessions.get(action.worker, ())):
                    if action.generation in (session.generation, session.spoken):
                        self._say(session, [wire.LeaseLost(action.generation)])
            case actions.StartAttempt():
                self._start(action)
            case actions.AddInputs():
                self._add_inputs(action)
            case actions.CancelAttempt():
                self._cancel(action)
            case actions.PublishOutput():
                self._jobs.publish_output(action.attempt)
            case actions.DiscardOutput():
                self._discard(action)
            case actions.EndJob():
                self._jobs.end_job(action.job, action.outcome, action.error)
            case TellAddresses():
                self._tell_addresses(action.worker)
            case _:
                raise AssertionError(f"nobody knows how to {action}")

    def _start(self, action: actions.StartAttempt) -> None:
        session = self.granted.get((action.worker, action.generation))
        if session is None:
            return
        attempt = action.attempt
        spec = self._jobs.spec(attempt.job, attempt.stage, attempt.task)
        try:
            self._say(session, start_messages(action, spec, self._inputs(attempt.job, action.inputs)))
        except ProtocolError as error:  # of ours: no worker can be told, now or later
            text = clipped(f"attempt {attempt} cannot be started: {error}", TEXT_MAX)
            failure = events.FailureClass.DEFECT
            self.failed.append(events.AttemptFailed(action.worker, action.generation, attempt, failure, text))
        else:
            if action.inputs_total:
                session.told[attempt] = action.inputs

    def _add_inputs(self, action: actions.AddInputs) -> None:
        session = self.granted.get((action.worker, action.generation))
        if session is not None and action.attempt in session.told:
            session.told[action.attempt] = _joined(session.told[action.attempt], action.inputs)
            inputs = self._inputs(action.attempt.job, action.inputs)
            self._say(session, input_messages(action.attempt, action.generation, inputs))

    def _cancel(self, action: actions.CancelAttempt) -> None:
        session = self.granted.get((action.worker, action.generation))
        if session is not None:
            session.told.pop(action.attempt, None)
            self._say(session, [cancel_message(action.attempt, action.generation, action.reason)])

    def _discard(self, action: actions.DiscardOutput) -> None:
        if not action.holder:
            self._jobs.discard_output(action.attempt)
            return
        for session in list(self.sessions.get(action.holder, ()))[-1:]:
            if session.generation:
                reason = actions.CancelReason.TWIN_COMMITTED
                self._say(session, [cancel_message(action.attempt, session.generation, reason)])

    def _tell_addresses(self, worker: str) -> None:
        """To attempts that read outputs of a worker: they were told of another place, or of none."""
        found: dict[tuple[str, tuple[actions.InputRange, ...]], list[InputFile]] = {}  # most were told of the same
        for session in list(self.granted.values()):
            for attempt, ranges in session.told.items():
                if (attempt.job, ranges) not in found:
                    found[attempt.job, ranges] = self._inputs(attempt.job, ranges, worker)
                if inputs := found[attempt.job, ranges]:
                    self._say(session, input_messages(attempt, session.generation, inputs))

    def _inputs(self, job: str, ranges: Sequence[actions.InputRange], holder: str | None = None) -> list[InputFile]:
        """Outputs and where they are; of one holder, or all. Where that is not known, they are left out."""
        found: dict[AttemptId, InputFile] = {}  # what was made again stands in the log twice
        for each in ranges:
            for output in self._scheduler.outputs(job, each, holder):
                addresses = self._addresses.get(output.holder, ()) if output.holder else ()
                if addresses or not output.holder:
                    name, check = output_name(output.attempt), encode_check(output.check)
                    found[output.attempt] = InputFile(name, output.size_bytes, check, addresses)
        return list(found.values())

    def _say(self, session: Session | None, messages: Iterable[wire.FromCoordinator]) -> None:
        """To whoever is there to hear it."""
        if session is None or not session.open:
            return
        try:
            session.send(messages)
        except OSError:
            self.broken.append(session)


def _joined(
    told: tuple[actions.InputRange, ...], added: tuple[actions.InputRange, ...]
) -> tuple[actions.InputRange, ...]:
    """One range of each stage: what an attempt is told of a log goes on where it ended."""
    ranges = {each.stage: each for each in told}
    for each in added:
        before = ranges.get(each.stage, each)
        ranges[each.stage] = actions.InputRange(each.stage, before.start, each.stop)
    return tuple(ranges.values())
