"""Connections: what two nodes hold the ends of, and the bytes on their way between them.

As of TCP, what a direction delivers is a prefix of what was sent into it, in pieces that are cut
anywhere. Each direction is a :class:`_Pipe`, which holds the bytes that were sent and not yet
delivered, and has at most one timer: its next delivery. Before each delivery the network says what
befalls it (:meth:`Weather.befalls`).

How a side learns of the end::

    why            who says it
    closed         the other side closed, and everything that it had sent has arrived
    reset          the connection broke, or the other side aborted, or its process died
    refused        nobody listens there, or the network refused
    timeout        a partition lies between, or the other side fell silent

A side that closed or aborted hears nothing more. Until a side learns, it believes that the
connection lives, and what it sends may go nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random

    from mrcore.testing.simulation.clock import Clock, Timer
    from mrcore.testing.simulation.coverage import Coverage
    from mrcore.testing.simulation.faults import NetworkFaults

BUFFER_BYTES_MAX = 64 << 20
"""Bytes on their way in one direction at most; a sender that runs so far ahead is cut off, as a time-out would."""


class Receiver(Protocol):
    """What a node does with its side of a connection. May send, close, connect or crash from inside."""

    def on_connected(self, end: End) -> None:
        """The other side is there. Only said to the side that connected."""

    def on_bytes(self, end: End, data: bytes) -> None:
        """The next bytes, at least one."""

    def on_closed(self, end: End, why: str) -> None:
        """The connection is over. Said once, and last."""


class Weather(Protocol):
    """What a connection needs to know of the network."""

    clock: Clock
    rng: random.Random
    faults: NetworkFaults
    coverage: Coverage

    def blocked(self, source: str, target: str) -> bool:
        """Whether a partition keeps bytes from getting from one node to another."""

    def befalls(self) -> str:
        """The fault that befalls the next delivery, or the empty word."""

    def befell(self, end: End, fault: str) -> None:
        """It did, to bytes that this end sends."""

    def stall(self, pipe: _Pipe) -> None:
        """Wakes the pipe when a partition has healed."""

    def ended(self, end: End, why: str) -> None:
        """A side knows that it is over."""


class End:
    """One node's side of a connection.

    Attributes:
        number: of the connection, the same on both sides.
        node: whose side it is.
        peer: the node on the other side.
        open: whether this side believes that the connection lives.
        receiver: told what arrives.
    """

    __slots__ = ("_out", "_weather", "node", "number", "open", "other", "peer", "receiver")

    other: End

    def __init__(self, weather: Weather, number: int, node: str, peer: str) -> None:
        self.number, self.node, self.peer = number, node, peer
        self.open = True
        self.receiver: Receiver | None = None
        self._weather = weather
        self._out = _Pipe(weather, self)

    def send(self, data: bytes) -> None:
        """Sends bytes, whether or not the other side is there yet.

        Raises:
            BrokenPipeError: this side knows that the connection is over.
        """
        if not self.open:
            raise BrokenPipeError(f"connection {self.number} of {self.node} with {self.peer} is over")
        self._out.put(data)

    @property
    def unsent_bytes(self) -> int:
        """Bytes sent that have not arrived, as far as the network holds them."""
        return len(self._out.buffer)

    def close(self) -> None:
        """Ends it: what was sent still arrives, then the other side is told."""
        self._leave("closed")

    def abort(self) -> None:
        """Ends it: what has not arrived is dropped, then the other side is told."""
        self._out.buffer.clear()
        self._leave("reset")

    def _leave(self, why: str) -> None:
        if self.open:
            self.open = False
            self._weather.ended(self, why)
            self._out.finish(why)

    def learn(self, why: str) -> None:
        """This side is told that it is over, unless it knows."""
        if self.open:
            self.open = False
            self._weather.ended(self, why)
            if self.receiver is not None:
                self.receiver.on_closed(self, why)

    def learn_later(self, why: str, delay_ns_max: int) -> None:
        """This side is told within a time."""
        weather = self._weather
        weather.clock.after(weather.rng.randint(0, delay_ns_max), self.learn, why)

    def established(self) -> None:
        """Both sides are there: bytes may flow from here."""
        self._out.held = False
        self._out.wake()

    def vanish(self, arrives: bool, silence_ns_max: int) -> None:
        """The node is gone: nobody here hears or says anything any more.

        Args:
            arrives: whether what it had sent still arrives.
            silence_ns_max: within this the other side is told, by nobody but its own patience; 0 is a reset that
                follows the bytes.
        """
        self.open, self.receiver = False, None
        if not arrives:
            self._out.buffer.clear()
        if silence_ns_max:
            self.other.learn_later("timeout", silence_ns_max)
        else:
            self._out.finish("reset")


class _Pipe:
    """One direction: the bytes on their way, and how it ends."""

    __slots__ = ("_cut_off", "_end", "_finish", "_timer", "_weather", "buffer", "held")

    def __init__(self, weather: Weather, end: End) -> None:
        self._weather = weather
        self._end = end  # who sends
        self.buffer = bytearray()
        self.held = True  # by a partition, or because the connection is not there yet
        self._finish = ""  # what the receiver is told after the last byte
        self._cut_off = False  # what is sent now goes nowhere
        self._timer: Timer | None = None

    def put(self, data: bytes) -> None:
        """Adds bytes behind those on their way."""
        if self._cut_off:
            return
        self.buffer += data
        if len(self.buffer) > BUFFER_BYTES_MAX:
            self._weather.befell(self._end, "overflow")
            self._break("overflow")
        else:
            self.wake()

    def finish(self, why: str) -> None:
        """After the bytes on their way, the receiver is told that it is over."""
        if not self._finish and not self._cut_off:
            self._finish = why
            self.wake()

    def cut_off(self) -> None:
        """Drops what is on its way and all that follows; nobody is told."""
        self.buffer.clear()
        self._cut_off = True
        self._stop()

    def wake(self) -> None:
        """Has the next delivery, if there is something to deliver and nothing holds it."""
        if self._timer is None and not self.held and (self.buffer or self._finish):
            faults, rng = self._weather.faults, self._weather.rng
            least = faults.delay_ns_min
            delay_ns = least + int(rng.random() * (faults.delay_ns_max - least))
            self._timer = self._weather.clock.after(delay_ns, self._deliver)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_long(self, delay_ns_max: int, calmly: bool = False) -> None:
        weather = self._weather
        self._timer = weather.clock.after(weather.rng.randint(1, delay_ns_max), self._deliver, calmly)

    def _deliver(self, calmly: bool = False) -> None:
        self._timer = None
        weather, end = self._weather, self._end
        if weather.blocked(end.node, end.peer):
            self.held = True
            weather.stall(self)
            return
        fault = "" if calmly else weather.befalls()
        size = len(self.buffer)
        if not fault or (fault == "cut" and size < 2):
            self._hand_over(size)
            return
        weather.befell(end, fault)
        if fault == "cut":
            self._hand_over(weather.rng.randrange(1, size))
        elif fault == "slow":
            self._wait_long(weather.faults.slow_ns_max, True)
        elif fault == "clog":
            self._wait_long(weather.faults.clog_ns_max)
        else:
            self._break(fault)

    def _hand_over(self, size: int) -> None:
        """Gives the receiver the first bytes, and the end if there is nothing more."""
        other = self._end.other
        if size:
            data = bytes(self.buffer) if size == len(self.buffer) else bytes(self.buffer[:size])
            del self.buffer[:size]
            if other.open and other.receiver is not None:
                other.receiver.on_bytes(other, data)
        if self.buffer or not self._finish:
            self.wake()
        else:
            self._cut_off, self.held = True, True  # it is over: nothing more comes
            other.learn(self._finish)

    def _break(self, fault: str) -> None:
        """The network breaks the connection; who learns when, and what still arrives, is the kind of the break."""
        near, far, weather = self._end, self._end.other, self._weather
        faults, rng = weather.faults, weather.rng
        far._out.cut_off()
        self._stop()
        if fault == "break_delivered":
            self._finish = "reset"
            self._hand_over(len(self.buffer))
            near.learn_later("reset", faults.delay_ns_max)
        elif fault == "late":
            self._finish = "reset"
            self._wait_long(faults.late_ns_max)
            near.learn("reset")
        else:  # break_lost, half_open, overflow
            self.cut_off()
            first, last = (near, far) if rng.random() < 0.5 else (far, near)
            last.learn_later("timeout", faults.silence_ns_max if fault == "half_open" else faults.delay_ns_max)
            first.learn_later("reset", faults.delay_ns_max)
