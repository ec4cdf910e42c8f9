"""A story on all the parts: clients hand numbered messages to a server, which keeps each once and says so.

The server keeps them in a file, crashes, and starts again; clients lose patience, connect again and send
again what was not acknowledged. Whatever befalls them, after the faults have ended each message is kept
once. Run as a program it prints what two processes must agree on: ``test_story.py SEED...``.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import mrcore
from mrcore.testing.simulation import disk, network
from mrcore.testing.simulation.clock import Clock, NodeClock
from mrcore.testing.simulation.coverage import Coverage
from mrcore.testing.simulation.faults import DiskFaults, Faults, NetworkFaults
from mrcore.testing.simulation.trace import Trace
from mrcore.wire.frames import FrameDecoder, encode_frame

S = 10**9
CLIENTS, MESSAGES = ("ann", "bob", "cyd"), 40
FAULTS = Faults(
    network=NetworkFaults(break_lost=0.01, break_delivered=0.01, half_open=0.01, late=0.01),
    disk=DiskFaults(full=0.002, sync_fails=0.02, flip=0.1),
)
HEAD = struct.Struct("<II")


class World:
    """Everything there is in one seed."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.clock, self.trace, self.coverage = Clock(), Trace(), Coverage()
        faults = FAULTS.swarm(rng)
        self.network = network.Network(self.clock, self.fork(rng), self.coverage, faults.network, self.trace)
        self.disk = disk.SimulatedDisk(
            self.fork(rng), self.coverage, faults.disk, 1 << 20, rots=lambda path: path == "/kept/rot"
        )
        self.rng = self.fork(rng)
        self.clocks = [NodeClock(self.clock, 10 * S) for _ in CLIENTS]
        for clock in self.clocks:
            clock.torment(faults.clock, self.fork(rng), self.coverage)
        self.network.torment()
        self.server: Server | None = None
        self.restart()
        self.clients = [Client(self, name, clock) for name, clock in zip(CLIENTS, self.clocks, strict=True)]
        self.killing = self.clock.after(5 * S, self.kill)

    @staticmethod
    def fork(rng: random.Random) -> random.Random:
        return random.Random(rng.getrandbits(64))

    def say(self, node: str, *words: str | int) -> None:
        self.trace.add(self.clock.now_ns, node, *words)

    def kill(self) -> None:
        """Now and then the server's process dies, or its machine, or power fails in the midst of its next writes."""
        fate = self.rng.choice(("process", "machine", "power"))
        if fate == "power":
            self.disk.cut_power_after(self.rng.randrange(8))
        else:
            self.end_server(fate == "machine")
        self.killing = self.clock.after(self.rng.randint(S, 30 * S), self.kill)

    def end_server(self, machine: bool) -> None:
        if self.server is not None:
            self.server.directory.close()
            self.server = None
            self.clock.after(self.rng.randint(0, 10 * S), self.restart)
        self.network.crash("server", silent=machine)
        if machine:
            self.disk.crash()

    def restart(self) -> None:
        directory = self.disk.directory(b"/kept")
        try:
            self.server = Server(self, directory)
        except OSError as error:
            self.say("server", "cannot start", error.errno or 0)
            directory.close()
            self.clock.after(S, self.restart)
        except disk.PowerCutError:
            self.network.crash("server", silent=True)
            self.disk.crash()
            self.clock.after(S, self.restart)
        else:
            self.network.listen("server", lambda end: Session(self, self.server))

    def play(self) -> None:
        """Ten minutes of faults, then as long as it takes, which is not long."""
        self.clock.run(600 * S)
        self.killing.cancel()
        self.network.calm()
        self.disk.calm()
        for clock in self.clocks:
            clock.calm()
        self.clock.run(self.clock.now_ns + 300 * S)
        assert [client.acked for client in self.clients] == [MESSAGES] * len(CLIENTS), self.trace.text()
        self.end_server(machine=True)
        wanted = [f"{name} {number}" for name in CLIENTS for number in range(MESSAGES)]
        kept = Server(self, self.disk.directory(b"/kept")).kept
        assert sorted(kept) == sorted(wanted), self.trace.text()


class Server:
    """Keeps each message once: a record is its length, its CRC and itself."""

    def __init__(self, world: World, directory: disk.SimulatedDirectory) -> None:
        self.world, self.directory = world, directory
        self.directory.lock()
        data = self.directory.open("messages").read(0, 1 << 20)
        self.kept: dict[str, None] = {}
        at = 0
        while at + HEAD.size < len(data):
            size, check = HEAD.unpack_from(data, at)
            at += HEAD.size + size
            record = data[at - size : at]
            if not size or len(record) < size or zlib.crc32(record) != check:  # zeros have the right CRC
                break
            self.kept[record.decode().rstrip(".")] = None
        rot = self.directory.open("rot")
        rot.append(bytes(100))
        rot.read(0, 100)
        self.file = self.directory.open("new")  # what was read may not be durable: it is written again
        self.file.truncate(0)
        self.write(list(self.kept))
        self.directory.rename("new", "messages")
        self.directory.sync_directory()
        world.say("server", "starts with", len(self.kept))

    def write(self, messages: list[str]) -> None:
        for message in messages:
            record = message.encode().ljust(300, b".")
            self.file.append(HEAD.pack(len(record), zlib.crc32(record)) + record)
        self.file.sync()
        self.kept.update(dict.fromkeys(messages))


class Session:
    """The server's side of a connection."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server
        self.decoder = FrameDecoder()

    def on_bytes(self, end, data: bytes) -> None:
        messages = [payload.decode() for payload in self.decoder.feed(data)]
        try:
            self.server.write([message for message in messages if message not in self.server.kept])
        except OSError as error:
            self.world.say("server", "fails with", error.errno or 0)
            self.world.end_server(machine=False)
        except disk.PowerCutError:
            self.world.end_server(machine=True)
        else:
            self.world.say("server", "has", len(self.server.kept))
            end.send(b"".join(encode_frame(message.split()[1].encode()) for message in messages))

    def on_closed(self, end, why: str) -> None:
        self.world.say("server", "hears", why, end.peer)


class Client:
    """Sends its messages in windows of four, and on the next connection again what was not acknowledged."""

    def __init__(self, world: World, name: str, clock: NodeClock) -> None:
        self.world, self.name, self.clock, self.acked = world, name, clock, 0
        self.connect()

    def connect(self) -> None:
        self.decoder, self.sent = FrameDecoder(), self.acked
        self.end = self.world.network.connect(self.name, "server", self)
        self.clock.after(20 * S, self.watch, self.end, self.acked)

    def watch(self, end, acked: int) -> None:
        """Who has heard nothing new for so long tries another connection."""
        if end is self.end and acked < MESSAGES:
            if acked == self.acked:
                end.abort()
                self.connect()
            else:
                self.clock.after(20 * S, self.watch, end, self.acked)

    def on_connected(self, end) -> None:
        self.send_more(end)

    def send_more(self, end) -> None:
        if end is self.end and end.open:
            for number in range(self.sent, min(self.acked + 4, MESSAGES)):
                end.send(encode_frame(f"{self.name} {number}".encode()))
                self.sent = number + 1

    def on_bytes(self, end, data: bytes) -> None:
        for payload in self.decoder.feed(data):
            self.acked = max(self.acked, int(payload) + 1)
        self.world.say(self.name, "has", self.acked, "at", self.clock.now_ns)
        self.clock.after(15 * S, self.send_more, end)

    def on_closed(self, end, why: str) -> None:
        self.world.say(self.name, "hears", why)
        self.clock.after(self.world.rng.randint(0, S), self.reconnect, end)

    def reconnect(self, end) -> None:
        if end is self.end and self.acked < MESSAGES:
            self.connect()


def test_each_message_is_kept_once_and_every_kind_of_fault_befalls_some_seed():
    total = Coverage(
        [f"network.{kind}" for kind in network.KINDS if kind != "overflow"]  # nobody sends 64 MiB here
        + [f"disk.{kind}" for kind in disk.KINDS]
        + [f"clock.{kind}" for kind in ("skew", "drift", "jump_forward", "jump_backward")]
    )
    for seed in range(40):
        world = World(seed)
        world.play()
        total.merge(world.coverage)
    assert total.below(1) == [], total.table()


def test_two_seeds_are_two_stories():
    assert len({told(seed) for seed in range(5)}) == 5


@pytest.mark.parametrize("seeds", [("1", "2", "3")])
def test_a_seed_tells_the_same_story_in_every_process(seeds):
    told_by = []
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(mrcore.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-P", __file__, *seeds], env=environment, capture_output=True, text=True, check=True
        )
        told_by.append(done.stdout)
    assert told_by[0].count("network.crash_silent") == len(seeds) and told_by == told_by[:1] * 3


def told(seed: int) -> str:
    """Digest, number of lines and counts of a story."""
    world = World(seed)
    world.play()
    return f"{seed} {world.trace.digest()} {len(world.trace)}\n{world.coverage.table()}"


if __name__ == "__main__":
    print("".join(told(int(seed)) for seed in sys.argv[1:]), end="")
