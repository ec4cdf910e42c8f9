"""One life of a simulated worker.

A process connects, proves who it is, registers, sends heartbeats, and runs attempts (:mod:`execution`). When its lease
is over or its connection breaks, it gives up its attempts and registers anew. A zombie does not: it goes on with some
of them under the old generation, and says so whenever it can. One that stalls does nothing at all for a while, and
then what it would have done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcore.scheduler.attempt import AttemptId
from mrcore.testing.simulation.disk import PowerCutError
from mrcore.testing.simulation.execution import Execution
from mrcore.testing.simulation.machines import FINAL, SHARED
from mrcore.testing.simulation.scenario import honest
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_COORDINATOR_BYTES_MAX, FROM_WORKER
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake
from mrcore.wire.output_names import output_name

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from typing import Any

    from mrcore.testing.simulation.clock import Timer
    from mrcore.testing.simulation.scenario import WorkerPlan
    from mrcore.testing.simulation.stream import End
    from mrcore.testing.simulation.worker import Worker

S = 1_000_000_000
COORDINATOR = "coordinator"


class Process:
    """One life of a worker. A receiver of its connections."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.cluster = worker, worker.cluster
        self.rng: random.Random = worker.rng
        self.plan: WorkerPlan = worker.plan if not self.cluster.is_calm else honest(worker.plan)
        self.name = worker.plan.name
        self.address = f"{self.name}:{7000 + worker.lives}"
        self.alive, self.is_stalled = True, False
        self.runs: dict[fields.AttemptId, Execution] = {}
        self.generation = self._last_generation = 0
        self._wakes_ns = self._said_ns = self._sequence = 0
        self._registered: wire.Registered | None = None
        self._is_draining = False
        self._ghosts: list[Execution] = []
        self._timers: list[Timer] = []
        self.count("start")
        if self.plan.slowness > 1:
            self.count("slow")
        self._await_fate()
        self._connect()

    def end_life(self) -> None:
        """Nothing of it happens any more."""
        self.alive = False
        for run in [*self.runs.values(), *self._ghosts]:
            run.stop()

    def count(self, kind: str) -> None:
        """Something happened."""
        self.cluster.coverage.add(f"worker.{kind}")

    def after(self, delay_ns: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Lets something happen in this process, by its host's clock, unless it is dead by then."""
        return self.worker.host.clock.after(delay_ns, self._do, callback, args)

    def _do(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if not self.alive:
            return
        if self.is_stalled:
            self.cluster.clock.at(self._wakes_ns, self._do, callback, args)
            return
        callback(*args)

    # What attempts ask

    def say(self, message: wire.FromWorker, end: End | None = None) -> None:
        """Says something on a connection, or on the present one if that is over; if there is none, to nobody."""
        end = end if end is not None and end.open else self._end
        if end.open and (end is not self._end or self._is_known):
            end.send(encode_frame(FROM_WORKER.encode(message)))

    def finished(self, run: Execution) -> None:
        """An attempt is over."""
        run.stop()
        if self.runs.get(run.attempt) is run:
            del self.runs[run.attempt]
        elif run in self._ghosts:
            self._ghosts.remove(run)
            self.count("zombie_finish")
        self.cluster.attempt_ended(self, run)

    def slander(self, name: str, generation: int) -> None:
        """Says that an output which it has read is damaged."""
        self.count("slander")
        self.say(wire.OutputLost(generation, name, fields.LossReason.CORRUPT, None))

    def write_output(self, name: str, data: bytes, is_final: bool) -> None:
        """Writes an output durably, where it belongs.

        Raises:
            OSError: the disk's; it is not durable.
        """
        if is_final or not self.plan.keeps_outputs:
            self.cluster.shared.write(FINAL if is_final else SHARED, name, data)
            return
        try:
            self.worker.host.write(f"/{self.name}", name, data)
        except PowerCutError:
            self.cluster.fell(self.worker.host)

    # The connection

    def _connect(self) -> None:
        cluster = self.cluster
        now_ns = cluster.clock.now_ns
        self._handshake = Handshake(Role.WORKER, self.name, cluster.token, self.rng.randbytes(32), now_ns + TIMEOUT_NS)
        self._frames = FrameDecoder(FROM_COORDINATOR_BYTES_MAX)
        self._is_known = False
        self._end = cluster.network.connect(self.name, COORDINATOR, self)
        self._patience = self.after(TIMEOUT_NS + 1, self._give_up, self._end)

    def _give_up(self, end: End) -> None:
        if end is self._end and not self._is_known and end.open:
            end.abort()
            self._lose_connection("refused")

    def on_connected(self, end: End) -> None:
        """The coordinator's machine is there."""
        self._do(self._greet, (end,))

    def on_bytes(self, end: End, data: bytes) -> None:
        """The coordinator speaks."""
        self._do(self._receive, (end, data))

    def on_closed(self, end: End, why: str) -> None:
        """The connection is over."""
        self._do(self._closed, (end,))

    def _greet(self, end: End) -> None:
        if end is self._end and end.open:
            end.send(self._handshake.handle_start(self.cluster.clock.now_ns).send)

    def _closed(self, end: End) -> None:
        if end is self._end:
            self._lose_connection("disconnected" if self._is_known else "refused")

    def _receive(self, end: End, data: bytes) -> None:
        if end is not self._end or not end.open:
            return  # a connection that it left
        if not self._is_known:
            step = self._handshake.handle_bytes(data, self.cluster.clock.now_ns)
            if step.send:
                end.send(step.send)
            if step.error is not None:
                end.abort()
                self._lose_connection("refused")
                return
            if step.peer is None:
                return
            self._is_known, data = True, step.rest
            self._patience.cancel()
            if self._ghosts and self.rng.random() < 0.8:
                self.count("register_late")
                self._haunt(self._ghosts[-1].generation, end)
                self.after(self.rng.randint(1, 3 * S), self._register_again, end)
            else:
                self._register()
        for payload in self._frames.feed(data):
            self._hear(FROM_COORDINATOR.decode(payload))
            if not self.alive or end is not self._end:
                return

    def _lose_connection(self, kind: str) -> None:
        self.count(kind)
        self._patience.cancel()
        self._give_up_attempts()
        pause_ns = self.rng.randint(0, 2 * S) if not self.cluster.is_calm else S // 10
        self._is_known = False
        self.after(pause_ns, self._reconnect, self._end)

    def _reconnect(self, end: End) -> None:
        if end is self._end:
            self.count("reconnect")
            self._connect()

    def _register(self) -> None:
        self._said_ns = self.cluster.clock.now_ns
        addresses = (self.address,) if self.plan.keeps_outputs else ()
        plan = self.plan
        self.say(wire.Register(self.name, self._last_generation, plan.slots, plan.memory_bytes, plan.host, addresses))

    # The lease

    def _hear(self, message: object) -> None:
        match message:
            case wire.Registered():
                self._begin(message)
            case wire.LeaseLost(generation) if generation == self.generation:
                self.count("lease_lost")
                self._lose_lease()
            case wire.StartAttempt() if message.generation == self.generation:
                self._start(message)
            case wire.AddInputs() if message.attempt in self.runs:
                self.runs[message.attempt].add_inputs(message.inputs)
            case wire.CancelAttempt() if message.generation == self.generation:
                self._cancel(message)

    def _begin(self, message: wire.Registered) -> None:
        assert message.generation > self._last_generation, "generations rise"
        self.generation = self._last_generation = message.generation
        self._registered, self._sequence = message, 0
        self.cluster.say(self.name, "generation", message.generation)
        self.after(message.heartbeat_ns, self._beat, message.generation)

    def _beat(self, generation: int) -> None:
        registered = self._registered
        if generation != self.generation or registered is None:
            return
        now_ns = self.cluster.clock.now_ns
        if now_ns - self._said_ns > registered.lease_ns:
            self.count("lease_over")
            self._lose_lease()
            return
        if self._is_draining and not self.runs:
            self._leave()
            return
        self._said_ns, self._sequence = now_ns, self._sequence + 1
        running = tuple([fields.RunningAttempt(name, run.progress_bytes(now_ns)) for name, run in self.runs.items()])
        self.say(wire.Heartbeat(generation, self._sequence, running, self.plan.memory_bytes))
        self.after(registered.heartbeat_ns, self._beat, generation)

    def _lose_lease(self) -> None:
        """It registers again, here or on another connection; the one that it leaves may stay open."""
        self._give_up_attempts()
        end, drawn = self._end, self.rng.random()
        if drawn < 0.6 or self.cluster.is_calm:
            self.count("register_again")
            self.after(self.rng.randint(0, S), self._register_again, end)
            return
        if drawn < 0.8:
            end.close()
        self._lose_connection("disconnected")

    def _register_again(self, end: End) -> None:
        if end is self._end and end.open and self._is_known and not self.generation:
            self._register()

    def _give_up_attempts(self) -> None:
        """All of them, if it is honest."""
        generation, self.generation = self.generation, 0
        for run in list(self.runs.values()):
            if self.plan.is_zombie and self.rng.random() < 0.7:
                self.count("zombie_attempt")
                self._ghosts.append(run)
            else:
                run.stop()
        self.runs.clear()
        if self._ghosts and generation:
            self.after(self.rng.randint(1, 2 * S), self._haunt, generation, self._end)

    def _haunt(self, generation: int, end: End) -> None:
        running = tuple([fields.RunningAttempt(run.attempt, 0) for run in self._ghosts if run.generation == generation])
        if running:
            self.count("zombie_heartbeat")
            self.say(wire.Heartbeat(generation, 1 << 20, running, 0), end)
            self.after(self.rng.randint(1, 2 * S), self._haunt, generation, end)

    # Attempts

    def _start(self, message: wire.StartAttempt) -> None:
        if message.attempt in self.runs:
            return
        name = self._output_name(message.attempt)
        run = self.runs[message.attempt] = Execution(self, message, name, self._end)
        self.cluster.attempt_started(self, run)

    def _cancel(self, message: wire.CancelAttempt) -> None:
        run = self.runs.get(message.attempt)
        self.remove_output(self._output_name(message.attempt))
        if run is None:
            self.count("cancelled_unknown")
            return
        self.count("cancelled")
        self.finished(run)
        if self.rng.random() < self.plan.forgets:
            self.count("forget")
            return
        failure = fields.FailureClass.CANCELLED
        self.say(wire.AttemptFailed(message.attempt, message.generation, failure, "", message.reason.value))

    def remove_output(self, name: str) -> None:
        """Takes an output away, wherever it is; one that is not there is no error."""
        try:
            self.worker.host.remove(f"/{self.name}", name)
        except PowerCutError:
            self.cluster.fell(self.worker.host)
        self.cluster.shared.remove(name)

    @staticmethod
    def _output_name(attempt: fields.AttemptId) -> str:
        return output_name(AttemptId(attempt.job, attempt.stage, attempt.task, attempt.attempt))

    # What befalls it

    def _await_fate(self) -> None:
        plan, rng = self.plan, self.rng
        if plan.dies_ns:
            self.after(rng.randint(1, 2 * plan.dies_ns), self._die)
        if plan.stalls_ns:
            self.after(rng.randint(1, 2 * plan.stalls_ns), self._stall)
        if plan.restless_ns:
            self.after(rng.randint(1, 2 * plan.restless_ns), self._begin_anew)
        if plan.drains:
            self.after(rng.randint(1, 12 * S), self._drain)

    def _begin_anew(self) -> None:
        self.after(self.rng.randint(1, 2 * self.plan.restless_ns), self._begin_anew)
        if self.generation and self._end.open:
            self.count("restless")
            self._give_up_attempts()
            self._register()

    def _die(self) -> None:
        host, rng = self.worker.host, self.rng
        if not self.plan.dies_with_machine or rng.random() < 0.5:
            self.worker.die("die_process", rng.randint(0, 10 * S))
        elif rng.random() < 0.5:
            self.cluster.fell(host, "die_machine")
        else:
            host.disk.cut_power_after(rng.randrange(6))

    def _stall(self) -> None:
        self.count("stall")
        stall_ns = self.rng.randint(1, 20 * S)
        clock = self.cluster.clock
        self.is_stalled, self._wakes_ns = True, clock.now_ns + stall_ns
        clock.at(self._wakes_ns, self._wake)

    def _wake(self) -> None:
        self.is_stalled = False
        if self.alive:
            self.after(self.rng.randint(1, 2 * self.plan.stalls_ns), self._stall)

    def _drain(self) -> None:
        if self.generation and not self._is_draining:
            self.count("drain")
            self._is_draining = True
            self.say(wire.Drain(self.generation, 10 * S))

    def _leave(self) -> None:
        self.count("goodbye")
        self.say(wire.Goodbye(self.generation, "drained"))
        self._end.close()
        self.worker.die("die_process", self.rng.randint(0, 5 * S))
