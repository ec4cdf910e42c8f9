"""A worker's side of one connection to a coordinator: it registers, runs what it is told to, and says how it went.

The main thread runs attempts, so that signals and users' functions have the thread that they expect. A second one
listens: it sends heartbeats, takes words to start and to stop, and interrupts the main thread where an attempt is not
wanted any more. Who does not let itself be interrupted is killed by the coordinator's side.

The process ends with its coordinator while it runs an attempt: nobody would take the answer.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time

from mrcore.engine.interruption import Interrupted
from mrcore.executors.outcome import Outcome, Runner
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_fields import TEXT_MAX, AttemptId, NoteKind, RunningAttempt, clipped
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_COORDINATOR_BYTES_MAX, FROM_WORKER
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import NONCE_BYTES, Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from mrcore.executors.attach import Attach
    from mrcore.executors.task_log import TaskLog

INTERRUPT = signal.SIGURG
"""Sent to the main thread by the other one; where a user's function takes its handler away it does nothing."""

_RECEIVE_BYTES = 1 << 18


class Connection:
    """The connection, from its handshake on.

    Args:
        peer: connected; closed by the caller.
        attach: who we are.
        runner: runs attempts.
        log: where users' functions print.
    """

    def __init__(self, peer: socket.socket, attach: Attach, runner: Runner, log: TaskLog) -> None:
        self._peer, self._attach, self._runner, self._log = peer, attach, runner, log
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._frames = FrameDecoder(FROM_COORDINATOR_BYTES_MAX)
        self._generation = 0
        self._heartbeat_s = 1.0
        self._sequence = 0
        self._starts: queue.SimpleQueue[wire.StartAttempt | None] = queue.SimpleQueue()
        self._waiting: dict[AttemptId, wire.StartAttempt] = {}  # whose inputs are not all known
        self._wanted: dict[AttemptId, None] = {}  # started, and not told to stop
        self._current: AttemptId | None = None
        self._interruptible = False
        self._consumed = 0

    # ---- the main thread ---------------------------------------------------------------

    def serve(self) -> None:
        """Works until the coordinator closes the connection.

        Raises:
            AuthenticationError, ProtocolError: it is not who it should be.
            OSError: the connection broke before there was one.
        """
        rest = self._shake_hands()
        attach = self._attach
        self._send(wire.Register(attach.name, 0, attach.slots, attach.memory_bytes, "localhost", ()))
        before = signal.signal(INTERRUPT, self._on_interrupt)
        listener = threading.Thread(target=self._mind, args=(rest,), name="mrcore-listener", daemon=True)
        listener.start()
        try:
            while (start := self._starts.get()) is not None:
                self._run(start)
        finally:
            signal.signal(INTERRUPT, before)
        listener.join()

    def _run(self, start: wire.StartAttempt) -> None:
        attempt, generation = start.attempt, start.generation
        self._current, self._consumed = attempt, 0
        began = self._log.position()
        try:
            try:
                self._interruptible = True
                if attempt not in self._wanted:
                    raise Interrupted
                outcome = self._runner.run(start, self._count, self._note)
            finally:
                self._interruptible = False
        except Interrupted:
            outcome = self._runner.stopped(start)
        self._current = None
        self._wanted.pop(attempt, None)
        printed = (began, self._log.position())
        self._say(outcome, attempt, generation, printed)

    def _say(self, outcome: Outcome, attempt: AttemptId, generation: int, printed: tuple[int, int]) -> None:
        for name, reason in outcome.lost_inputs:
            self._send(wire.OutputLost(generation, name, reason))
        if outcome.failure is None:
            self._send(
                wire.AttemptFinished(
                    attempt, generation, outcome.output, outcome.output_bytes, outcome.output_check,
                    dict(outcome.counters), outcome.result, printed,
                )
            )  # fmt: skip
        else:
            self._send(
                wire.AttemptFailed(
                    attempt, generation, outcome.failure, outcome.error, outcome.text, outcome.user_traceback,
                    outcome.traceback, outcome.record, printed,
                )
            )  # fmt: skip

    def _count(self, count: int) -> None:
        self._consumed += count

    def _note(self, kind: str, text: str) -> None:
        if self._current is not None:
            self._send(wire.AttemptNoted(self._current, self._generation, NoteKind(kind), clipped(text, TEXT_MAX)))

    def _on_interrupt(self, number: int, frame: object) -> None:
        if self._interruptible and self._current not in self._wanted:
            self._interruptible = False
            raise Interrupted

    # ---- both --------------------------------------------------------------------------

    def _send(self, message: wire.FromWorker) -> None:
        if os.getpid() != self._pid:  # a user's function forked, and its child came back out of it
            os._exit(1)
        data = encode_frame(FROM_WORKER.encode(message))
        try:
            with self._sending:
                self._peer.sendall(data)
        except OSError:
            os._exit(1)  # the coordinator is gone, and so is the reason to go on

    def _shake_hands(self) -> bytes:
        """Until the other side has proved that it holds our token; what it said behind that."""
        nonce = os.urandom(NONCE_BYTES)
        deadline_ns = time.monotonic_ns() + TIMEOUT_NS
        handshake = Handshake(Role.WORKER, self._attach.name, self._attach.token, nonce, deadline_ns)
        self._peer.settimeout(TIMEOUT_NS / 1e9)
        step = handshake.handle_start(time.monotonic_ns())
        while step.peer is None:
            self._peer.sendall(step.send)
            if step.error is not None:
                raise step.error
            data = self._peer.recv(_RECEIVE_BYTES)
            step = handshake.handle_bytes(data, time.monotonic_ns()) if data else handshake.handle_end()
        self._peer.sendall(step.send)
        self._peer.settimeout(None)
        return step.rest

    # ---- the listening thread ----------------------------------------------------------

    def _mind(self, rest: bytes) -> None:
        try:
            self._listen(rest)
        except BaseException:  # who works on and hears nothing would be waited for without end
            import traceback

            traceback.print_exc()
            os._exit(1)

    def _listen(self, rest: bytes) -> None:
        poll = select.poll()
        poll.register(self._peer, select.POLLIN)
        due = time.monotonic()
        data = rest
        while True:
            for payload in self._frames.feed(data):
                self._take(FROM_COORDINATOR.decode(payload))
            now = time.monotonic()
            if self._generation and now >= due:
                self._beat()
                self._log.check_size()
                due = now + self._heartbeat_s
            data = b""
            if poll.poll(max(0, int((due - now) * 1000)) if self._generation else None):
                try:
                    data = self._peer.recv(_RECEIVE_BYTES)
                except OSError:
                    data = b""
                if not data:
                    break
        if self._wanted:
            os._exit(1)
        self._starts.put(None)

    def _beat(self) -> None:
        self._sequence += 1
        current = self._current
        running = tuple(
            [RunningAttempt(attempt, self._consumed if attempt == current else 0) for attempt in list(self._wanted)]
        )
        self._send(wire.Heartbeat(self._generation, self._sequence, running, 0))

    def _take(self, message: object) -> None:
        match message:
            case wire.Registered():
                self._generation, self._heartbeat_s = message.generation, message.heartbeat_ns / 1e9
            case wire.StartAttempt():
                self._wanted[message.attempt] = None
                self._waiting[message.attempt] = message
                self._release(message.attempt)
            case wire.AddInputs():
                waiting = self._waiting.get(message.attempt)
                if waiting is not None:
                    self._waiting[message.attempt] = _with(waiting, message.inputs)
                    self._release(message.attempt)
            case wire.CancelAttempt():
                self._wanted.pop(message.attempt, None)
                waiting = self._waiting.pop(message.attempt, None)
                if waiting is not None:
                    self._starts.put(waiting)  # the main thread sees that it is not wanted, and says so
                elif message.attempt == self._current:
                    signal.pthread_kill(threading.main_thread().ident or 0, INTERRUPT)
            case wire.LeaseLost():
                os._exit(1)  # what runs here is another's by now; a new process is cheaper than a clean slate
            case _:
                pass

    def _release(self, attempt: AttemptId) -> None:
        start = self._waiting[attempt]
        if len(start.inputs) >= start.inputs_total:
            del self._waiting[attempt]
            self._starts.put(start)


def _with(start: wire.StartAttempt, inputs: wire.Inputs) -> wire.StartAttempt:
    """With more inputs: of one task, the last counts."""
    import msgspec

    by_task = {one.name.rpartition(".")[0]: one for one in (*start.inputs, *inputs)}
    return msgspec.structs.replace(start, inputs=tuple(by_task.values()))
