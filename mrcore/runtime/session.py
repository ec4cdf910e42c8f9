"""One connection of a worker to the coordinator, from its first byte to its last, without a socket.

First a stranger's handshake, then frames of messages. A session is not a registration: a worker may register on it
again, and then it has another generation. :mod:`mrcore.runtime.coordinator` owns sessions and does what their
messages ask for.
"""

from __future__ import annotations

from typing import Protocol

from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER, FROM_WORKER_BYTES_MAX
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.payloads import UnknownMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mrcore.scheduler.actions import InputRange
    from mrcore.scheduler.attempt import AttemptId
    from mrcore.wire.cluster_messages import FromCoordinator, FromWorker
    from mrcore.wire.handshake import Handshake, Peer


class Connection(Protocol):
    """The transport's side of a connection."""

    def send(self, data: bytes) -> None:
        """Queues bytes.

        Raises:
            OSError: the connection is over, or the other side takes nothing; it is of no more use.
        """

    def close(self) -> None:
        """What was sent still goes out, then the connection ends. A second call does nothing."""


class Session:
    """The coordinator's side of one connection.

    Args:
        connection: to send on.
        handshake: our side of it, new.

    Attributes:
        open: until the coordinator closes it.
        worker: who it is, once it has proved that it holds the token; else empty.
        generation: of its last registration; 0: none.
        spoken: the generation that its last message bore; 0: none did.
        told: of attempts that run here, the inputs that they were told of.
    """

    __slots__ = ("_frames", "_handshake", "_peer", "connection", "generation", "open", "spoken", "told", "worker")

    def __init__(self, connection: Connection, handshake: Handshake) -> None:
        self.connection = connection
        self.open = True
        self.worker = ""
        self.generation = self.spoken = 0
        self.told: dict[AttemptId, tuple[InputRange, ...]] = {}
        self._handshake = handshake
        self._frames = FrameDecoder(FROM_WORKER_BYTES_MAX)
        self._peer: Peer | None = None

    def receive(self, data: bytes, now_ns: int) -> Iterator[FromWorker]:
        """Takes bytes, and gives the messages that they complete; with the last part of the handshake, none or more.

        Raises:
            AuthenticationError: it does not hold the token.
            ProtocolError: these bytes are not what is due. The connection is of no more use.
            OSError: the handshake's answer cannot be sent.
        """
        if self._peer is None:
            step = self._handshake.handle_bytes(data, now_ns)
            if step.send:
                self.connection.send(step.send)
            if step.error is not None:
                raise step.error
            if step.peer is None:
                return
            self._peer, self.worker = step.peer, step.peer.identity
            data = step.rest
        for payload in self._frames.feed(data):
            message = FROM_WORKER.decode(payload, peer_is_newer=self._peer.is_newer)
            if not isinstance(message, UnknownMessage):
                yield message

    def check_patience(self, now_ns: int) -> None:
        """Looks at the clock.

        Raises:
            AuthenticationError: the time to say who it is, is over.
        """
        if self._peer is None and (error := self._handshake.handle_time(now_ns).error) is not None:
            raise error

    def send(self, messages: Iterable[FromCoordinator]) -> None:
        """Says something; all of it, or nothing where one of the messages is out of bounds.

        Raises:
            ProtocolError: the other side would refuse one of them.
            OSError: the connection is over.
        """
        data = b"".join([encode_frame(FROM_COORDINATOR.encode(message)) for message in messages])
        if data:
            self.connection.send(data)
