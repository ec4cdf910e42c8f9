"""The job's socket: private, in a directory however long its path is, and ours only."""

import os
import socket
import stat

import pytest

from mrcore.executors.unix_socket import connect, is_ours, listen


@pytest.fixture(params=["short", "long"])
def folder(request, tmp_path):
    path = os.fsencode(tmp_path)
    if request.param == "long":
        path = os.path.join(path, b"d" * 200, b"\xff" * 200)
        os.makedirs(path)
    return path


def test_who_connects_is_heard_and_known_to_be_ours(folder):
    with listen(folder) as listener, connect(folder) as there:
        here, _ = listener.accept()
        with here:
            assert is_ours(here)
            assert is_ours(there)
            there.sendall(b"hello")
            assert here.recv(9) == b"hello"


def test_another_users_process_is_not_ours(folder, monkeypatch):
    with listen(folder) as listener, connect(folder):
        here, _ = listener.accept()
        with here:
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            assert not is_ours(here)


def test_nobody_else_may_connect(folder):
    with listen(folder):
        mode = os.stat(os.path.join(folder, b"socket")).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600


def test_accepting_does_not_wait(folder):
    with listen(folder) as listener, pytest.raises(BlockingIOError):
        listener.accept()


def test_a_socket_that_a_dead_process_left_is_replaced(folder):
    listen(folder).close()
    with pytest.raises(ConnectionRefusedError):
        connect(folder)
    with listen(folder), connect(folder):
        assert os.listdir(folder) == [b"socket"]


def test_where_there_is_no_directory_there_is_no_socket(folder):
    missing = os.path.join(folder, b"missing")
    for call in (listen, connect):
        with pytest.raises(FileNotFoundError):
            call(missing)


def test_a_listener_that_cannot_be_made_leaves_no_descriptor(folder):
    with open(os.path.join(folder, b"file"), "wb"):
        pass
    before = os.listdir("/proc/self/fd")
    for call in (listen, connect):
        with pytest.raises(NotADirectoryError):
            call(os.path.join(folder, b"file"))
    assert os.listdir("/proc/self/fd") == before


def test_neither_end_is_inherited(folder):
    with listen(folder) as listener, connect(folder) as there:
        assert not any(os.get_inheritable(each.fileno()) for each in (listener, there))
        assert listener.family == socket.AF_UNIX
