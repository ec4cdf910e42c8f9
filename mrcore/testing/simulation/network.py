"""A network of nodes: who reaches whom, and what goes wrong between them.

Nodes have names. One listens, another connects, and each holds an end of the connection
(:mod:`stream`). There are no datagrams: a message that is lost, doubled or overtaken by a later one is
a message of a connection that broke, sent again on a new one while the old one still delivers, which
the faults ``late`` and ``half_open`` and every partition bring about.

Faults are drawn from ``rng`` by a profile (:class:`faults.NetworkFaults`) and counted as
``network.KIND``, for the kinds in :data:`KINDS`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mrcore.testing.simulation.faults import CALM_NETWORK, calm
from mrcore.testing.simulation.stream import End

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from mrcore.testing.simulation.clock import Clock, Timer
    from mrcore.testing.simulation.coverage import Coverage
    from mrcore.testing.simulation.faults import NetworkFaults
    from mrcore.testing.simulation.stream import Receiver, _Pipe
    from mrcore.testing.simulation.trace import Trace

DELIVERY_KINDS = ("cut", "slow", "clog", "break_lost", "break_delivered", "half_open", "late")
"""What may befall a delivery, by the names of their rates."""

KINDS = (
    *DELIVERY_KINDS, "refuse", "overflow", "partition", "partition_one_way", "heal", "unreachable", "nobody_listens",
    "crash", "crash_silent",
)  # fmt: skip
"""All that is counted, each as ``network.KIND``. Not drawn, but brought about, are the last six."""

CONNECT_TIMEOUT_NS = 5_000_000_000
"""After this a side gives up to connect across a partition."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Bytes do not get from one side to the other; of both ways, nor back."""

    side: frozenset[str]
    other_side: frozenset[str]
    both_ways: bool

    def blocks(self, source: str, target: str) -> bool:
        """Whether bytes from one node do not reach another."""
        return (source in self.side and target in self.other_side) or (
            self.both_ways and source in self.other_side and target in self.side
        )


class Network:
    """All connections of a world.

    Args:
        clock: when things happen.
        rng: of the network alone.
        coverage: counts the faults.
        faults: how often they happen; from the start, but partitions only from :meth:`torment` on.
        trace: hears of connections, breaks and partitions, not of each delivery.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        coverage: Coverage,
        faults: NetworkFaults = CALM_NETWORK,
        trace: Trace | None = None,
    ) -> None:
        self.clock, self.rng, self.coverage = clock, rng, coverage
        self.faults = faults
        self._trace = trace
        self._connections = 0
        self._listeners: dict[str, Callable[[End], Receiver]] = {}
        self._ends: dict[str, dict[int, End]] = {}  # by node, those that believe to be open
        self._partitions: list[Partition] = []
        self._stalled: dict[_Pipe, None] = {}
        self._timer: Timer | None = None
        self._rates: list[tuple[float, str]] = []
        self._add_rates()

    def listen(self, node: str, accept: Callable[[End], Receiver]) -> None:
        """From now on a node takes connections: ``accept`` is given its end and says who receives."""
        self._ends.setdefault(node, {})
        self._listeners[node] = accept

    def connect(self, node: str, peer: str, receiver: Receiver) -> End:
        """Connects a node to another, which is told when that came about, or did not. May send at once."""
        self._connections += 1
        near, far = End(self, self._connections, node, peer), End(self, self._connections, peer, node)
        near.other, far.other = far, near
        near.receiver = receiver
        self._ends.setdefault(node, {})[near.number] = near
        self.clock.after(self._delay_ns(), self._establish, near)
        return near

    def crash(self, node: str, silent: bool = False) -> None:
        """The node's ends are gone and it listens no more; what its process had to say, it will not.

        Args:
            node: which.
            silent: its machine died too: others learn after up to ``silence_ns_max``, and what was on its way may be
                lost. Otherwise its system closes the connections behind the bytes.
        """
        self._count(node, "crash_silent" if silent else "crash")
        self._listeners.pop(node, None)
        ends = list(self._ends.get(node, {}).values())
        self._ends[node] = {}
        for end in ends:
            arrives = not silent or self.rng.random() < 0.5
            end.vanish(arrives, self.faults.silence_ns_max if silent else 0)

    def partition(self, sources: Sequence[str], targets: Sequence[str], both_ways: bool = True) -> Partition:
        """Keeps bytes from getting from one group to the other until :meth:`heal`. Partitions may overlap."""
        made = Partition(frozenset(sources), frozenset(targets), both_ways)
        self._partitions.append(made)
        self._count(",".join(sources), "partition" if both_ways else "partition_one_way", ",".join(targets))
        return made

    def heal(self, partition: Partition) -> None:
        """Ends a partition; nothing, if it has ended. What it held up is delivered now, where no other holds it."""
        if partition not in self._partitions:
            return
        self._partitions.remove(partition)
        self._count("network", "heal")
        stalled, self._stalled = self._stalled, {}
        for pipe in stalled:
            pipe.held = False
            pipe.wake()  # and stalls again if another partition holds it

    def torment(self) -> None:
        """From now on partitions come and go, drawn among the nodes that listened or connected."""
        if self.faults.partition_interval_ns and self._timer is None:
            self._timer = self.clock.after(self.rng.randint(1, 2 * self.faults.partition_interval_ns), self._divide)

    def calm(self) -> None:
        """Faults end: no more are drawn and partitions heal. What broke stays broken, and may be learned late."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.faults = calm(self.faults)
        self._add_rates()
        for partition in list(self._partitions):
            self.heal(partition)

    # What connections ask (stream.Weather)

    def blocked(self, source: str, target: str) -> bool:
        """Whether a partition keeps bytes from getting from one node to another."""
        for partition in self._partitions:  # noqa: SIM110 - called for each delivery, and this is half the cost
            if partition.blocks(source, target):
                return True
        return False

    def befalls(self) -> str:
        """The fault that befalls the next delivery, or the empty word."""
        drawn = self.rng.random()
        for below, kind in self._rates:
            if drawn < below:
                return kind
        return ""

    def befell(self, end: End, fault: str) -> None:
        """Counts it."""
        if fault in ("cut", "slow"):  # frequent, and nothing to read about
            self.coverage.add(f"network.{fault}")
        else:
            self._count(end.node, fault, end.peer, end.number)

    def stall(self, pipe: _Pipe) -> None:
        """Wakes the pipe when a partition has healed."""
        self._stalled[pipe] = None

    def ended(self, end: End, why: str) -> None:
        """Forgets a side."""
        if self._ends.get(end.node, {}).pop(end.number, None) is not None:
            self._say(end.node, why, end.peer, end.number)

    # How it comes about

    def _establish(self, near: End) -> None:
        far = near.other
        if not near.open or not far.open:
            return
        if self.blocked(near.node, far.node) or self.blocked(far.node, near.node):
            self._count(near.node, "unreachable", far.node, near.number)
            self.clock.after(CONNECT_TIMEOUT_NS, near.learn, "timeout")
        elif far.node not in self._listeners:
            self._count(near.node, "nobody_listens", far.node, near.number)
            near.learn("refused")
        elif self.rng.random() < self.faults.refuse:
            self._count(near.node, "refuse", far.node, near.number)
            near.learn("refused")
        else:
            self._ends[far.node][far.number] = far
            self._say(near.node, "connected", far.node, near.number)
            far.receiver = self._listeners[far.node](far)
            near.established()
            far.established()
            if near.open and near.receiver is not None:
                near.receiver.on_connected(near)

    def _divide(self) -> None:
        nodes, rng = list(self._ends), self.rng
        self._timer = None
        if len(nodes) > 1:
            rng.shuffle(nodes)
            size = 1 if rng.random() < 0.5 else rng.randrange(1, len(nodes))  # one node cut off is a story of its own
            made = self.partition(nodes[:size], nodes[size:], rng.random() < 0.5)
            self.clock.after(rng.randint(1, self.faults.partition_ns_max), self.heal, made)
        self.torment()

    def _delay_ns(self) -> int:
        return self.rng.randint(self.faults.delay_ns_min, self.faults.delay_ns_max)

    def _add_rates(self) -> None:
        """Adds up the rates, so that one draw decides."""
        self._rates.clear()
        below = 0.0
        for kind in DELIVERY_KINDS:
            rate = getattr(self.faults, kind)
            below += rate
            if rate:
                self._rates.append((below, kind))

    def _count(self, node: str, kind: str, *words: str | int) -> None:
        self.coverage.add(f"network.{kind}")
        self._say(node, kind, *words)

    def _say(self, node: str, *words: str | int) -> None:
        if self._trace is not None:
            self._trace.add(self.clock.now_ns, node, "network", *words)
