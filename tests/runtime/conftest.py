"""A coordinator in a room of its own: peers that are a few lines and speak the real protocol, on a simulated disk."""

from __future__ import annotations

import random

import pytest

from mrcore.runtime.coordinator import Coordinator, Observer, Settings
from mrcore.scheduler.config import SchedulerConfig
from mrcore.scheduler.job import JobOptions, StageSpec
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.disk import SimulatedDisk
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.greetings import Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

S = 1_000_000_000
TOKEN = b"a token that both have"
CHECK = bytes(8)
ONE = (StageSpec(1),)


class Line:
    """A connection as the coordinator sees it."""

    def __init__(self) -> None:
        self.sent, self.closed, self.is_broken = bytearray(), False, False

    def send(self, data):
        if self.is_broken:
            raise BrokenPipeError
        self.sent += data

    def close(self):
        self.closed = True


class Peer:
    """A worker that says what a test wants it to."""

    def __init__(self, room: Room, name: str, token: bytes = TOKEN) -> None:
        self.room, self.name, self.line = room, name, Line()
        self.session = room.coordinator.accept(self.line, room.now_ns)
        self.frames = FrameDecoder()
        handshake = Handshake(Role.WORKER, name, token, room.rng.randbytes(32), room.now_ns + TIMEOUT_NS)
        self.give(handshake.handle_start(room.now_ns).send)
        while True:
            data, self.line.sent = bytes(self.line.sent), bytearray()
            step = handshake.handle_bytes(data, room.now_ns) if data else None
            if step is None or step.peer is not None or step.error is not None:
                return
            self.give(step.send)

    def give(self, data: bytes) -> None:
        self.room.coordinator.receive(self.session, data, self.room.now_ns)

    def say(self, *messages) -> None:
        self.give(b"".join(encode_frame(FROM_WORKER.encode(message)) for message in messages))

    def hear(self) -> list:
        data, self.line.sent = bytes(self.line.sent), bytearray()
        return [FROM_COORDINATOR.decode(payload) for payload in self.frames.feed(data)]

    def register(self, slots: int = 1, addresses: tuple[str, ...] = ()) -> list:
        self.say(wire.Register(self.name, 0, slots, 1 << 30, "host", addresses))
        self.room.flush()
        first, *others = self.hear()
        self.generation = first.generation
        return others

    def finish(self, start, generation: int | None = None) -> None:
        name = f"{start.attempt.job}.{start.attempt.stage}.{start.attempt.task}.{start.attempt.attempt}"
        counters = {"records": 5}
        self.say(wire.AttemptFinished(start.attempt, generation or start.generation, name, 9, CHECK, counters))
        self.room.flush()


class Room(Observer):
    """A coordinator, its disk, and what it says."""

    def __init__(self) -> None:
        self.rng, self.now_ns, self.compact_bytes = random.Random(1), 5 * S, 1 << 20
        self.disk = SimulatedDisk(self.rng, Coverage())
        self.log: list = []
        self.errors: list[tuple[str, str]] = []
        self.spec_bytes = 10
        self.start()

    def start(self) -> None:
        settings = Settings(
            TOKEN, lambda: self.rng.randbytes(32), 7, SchedulerConfig(), compact_bytes=self.compact_bytes,
            strangers_max=3,
        )  # fmt: skip
        self.directory = self.disk.directory(b"/journal")
        self.coordinator = Coordinator(self.directory, settings, self, self.now_ns, self)

    def fall(self) -> None:
        """Power fails, and it starts again."""
        self.disk.crash()
        self.start()

    def peer(self, name: str, token: bytes = TOKEN) -> Peer:
        """Somebody who connects, and proves what can be proved with a token."""
        return Peer(self, name, token)

    def stranger(self) -> Line:
        """Somebody who connects, and says nothing."""
        line = Line()
        self.coordinator.accept(line, self.now_ns)
        return line

    def flush(self) -> None:
        self.coordinator.flush(self.now_ns)

    def submit(self, job: str = "j", stages=ONE, **options) -> None:
        self.coordinator.submit(job, stages, JobOptions(**options), b"payload", self.now_ns)
        self.flush()

    def pass_time(self, seconds: int) -> None:
        for _ in range(4 * seconds):
            self.now_ns += S // 4
            self.coordinator.tick(self.now_ns)
            self.flush()

    def heard(self, *kinds: type) -> list:
        return [each for each in self.log if isinstance(each, kinds)]

    def on_record_durable(self, record):
        self.log.append(record)

    def on_action(self, action, now_ns):
        self.log.append(action)

    def on_compacted(self, snapshot):
        self.log.append(snapshot)

    def on_peer_error(self, worker, error):
        self.errors.append((worker, str(error)))

    def spec(self, job, stage, task):
        return bytes(self.spec_bytes)

    def publish_output(self, attempt):
        self.log.append(("publish", str(attempt)))

    def discard_output(self, attempt):
        self.log.append(("discard", str(attempt)))

    def end_job(self, job, outcome, error):
        self.log.append(("end", job, outcome, error))


@pytest.fixture
def room():
    return Room()
