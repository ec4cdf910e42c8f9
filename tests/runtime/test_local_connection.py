"""A connection that is never waited for: what cannot be sent now is sent later, in its order."""

import select
import socket

import pytest

from mrcore.runtime import local_connection
from mrcore.runtime.local_connection import LocalConnection


class Ends:
    """Both ends, and what the near one waits for."""

    def __init__(self):
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.settimeout(5)
        self.waited = []
        self.connection = LocalConnection(near, lambda fd, mask: self.waited.append((fd, mask)))
        self.fd = near.fileno()

    def read(self, size):
        data = bytearray()
        while len(data) < size and (piece := self.far.recv(1 << 16)):
            data += piece
            self.connection.go_on()
        return bytes(data)


@pytest.fixture
def ends():
    made = Ends()
    yield made
    made.connection.abort()
    made.far.close()


LARGE = bytes(range(256)) * 20_000


def test_it_waits_for_bytes_from_the_start(ends):
    assert ends.waited == [(ends.fd, select.POLLIN)]
    assert ends.connection.receive() is None
    ends.far.sendall(b"hello")
    assert ends.connection.receive() == b"hello"
    ends.far.close()
    assert ends.connection.receive() == b""


def test_what_does_not_fit_is_sent_when_there_is_room_in_its_order(ends):
    for piece in (LARGE, b"then this", LARGE):
        ends.connection.send(piece)
    assert ends.waited[-1] == (ends.fd, select.POLLIN | select.POLLOUT)
    assert ends.read(2 * len(LARGE) + 9) == LARGE + b"then this" + LARGE
    assert ends.waited[-1] == (ends.fd, select.POLLIN)


def test_closing_lets_go_when_all_is_sent(ends):
    ends.connection.send(LARGE)
    ends.connection.close()
    with pytest.raises(BrokenPipeError):
        ends.connection.send(b"more")
    assert (ends.fd, 0) not in ends.waited
    assert ends.read(len(LARGE) + 1) == LARGE
    assert ends.waited[-1] == (ends.fd, 0)
    assert ends.connection.receive() == b""


def test_closing_one_that_has_nothing_to_say_is_at_once(ends):
    ends.connection.close()
    assert ends.waited[-1] == (ends.fd, 0)
    assert ends.far.recv(1) == b""


def test_aborting_does_not_wait(ends):
    ends.connection.send(LARGE)
    ends.connection.abort()
    ends.connection.abort()
    assert ends.waited.count((ends.fd, 0)) == 1
    with pytest.raises(BrokenPipeError):
        ends.connection.send(b"more")


def test_one_who_takes_nothing_is_given_up(ends, monkeypatch):
    monkeypatch.setattr(local_connection, "QUEUE_BYTES_MAX", 2 * len(LARGE))
    ends.connection.send(LARGE)
    ends.connection.send(LARGE)
    with pytest.raises(OSError, match="a worker takes nothing"):
        ends.connection.send(LARGE)


def test_the_other_ends_death_is_an_end_of_the_stream(ends):
    ends.connection.send(LARGE)
    ends.far.close()
    ends.connection.go_on()
    assert ends.connection.receive() == b""
