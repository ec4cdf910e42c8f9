"""Somebody who connects to the coordinator and is no worker: noise, a wrong token, or a frame without end.

Each connects once; the coordinator has to close the connection and be none the worse for it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mrcore.wire.greetings import MAGIC, Role
from mrcore.wire.handshake import TIMEOUT_NS, Handshake

if TYPE_CHECKING:
    import random

    from mrcore.testing.simulation.cluster import Cluster
    from mrcore.testing.simulation.stream import End

NODE = "stranger"
KINDS = ("noise", "wrong_token", "endless_frame", "silence")
"""What one may be, each counted as ``stranger.KIND``."""


class Stranger:
    """One of them. A receiver of its connection."""

    def __init__(self, cluster: Cluster, coordinator: str, rng: random.Random) -> None:
        self._cluster, self._rng = cluster, rng
        self._kind = rng.choice(KINDS)
        cluster.coverage.add(f"stranger.{self._kind}")
        now_ns, nonce = cluster.clock.now_ns, rng.randbytes(32)
        self._handshake = Handshake(Role.WORKER, NODE, b"not the token of the cluster", nonce, now_ns + TIMEOUT_NS)
        cluster.network.connect(NODE, coordinator, self)

    def on_connected(self, end: End) -> None:
        """Says what it has to say."""
        if self._kind == "noise":
            end.send(self._rng.randbytes(self._rng.randrange(1, 400)))
        elif self._kind == "endless_frame":
            end.send(MAGIC + struct.pack("<I", (1 << 32) - 1))
        elif self._kind == "wrong_token":
            end.send(self._handshake.handle_start(self._cluster.clock.now_ns).send)

    def on_bytes(self, end: End, data: bytes) -> None:
        """Proves what it can."""
        if self._kind == "wrong_token":
            step = self._handshake.handle_bytes(data, self._cluster.clock.now_ns)
            assert step.peer is None, "the coordinator took a stranger for a worker"
            if step.send and end.open:
                end.send(step.send)

    def on_closed(self, end: End, why: str) -> None:
        """As it should be."""
