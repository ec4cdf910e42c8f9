"""The worker process: takes a task from its socket, runs it, answers, takes the next.

Started by :mod:`mrcore.executors.process` as ``python -m mrcore.executors.worker FD PARENT``.
It ends with its socket's end of file, and with its parent by the kernel's word, so that none
is ever left behind. Ctrl-C and requests to end are the coordinator's to handle.
"""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import sys

import msgspec

from mrcore import resources
from mrcore.engine.spec import PythonMapSpec, PythonReduceSpec, decode_spec
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import MrcoreError, plain_text
from mrcore.kernels.process import die_with_parent
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.messages import (
    Message,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskNoted,
    TaskProgressed,
    decode_message,
    encode_message,
)

_OUTPUT = re.compile(r"/(map|part)-[-\d]+\.attempt-\d+(\.merge-\d+)?$")
PROGRESS_BYTES = 32 << 20  # consumed input between two messages about it


def serve(peer: socket.socket) -> None:
    """Runs tasks from ``peer`` until it closes."""

    own = os.getpid()

    def send(message: Message) -> None:
        if os.getpid() != own:  # a user's function forked, and its child came back out of it
            os._exit(1)
        peer.sendall(encode_frame(encode_message(message)))

    unreported = 0

    def progress(count: int) -> None:
        nonlocal unreported
        unreported += count
        if unreported >= PROGRESS_BYTES:
            send(TaskProgressed(unreported))
            unreported = 0

    def note(kind: str, text: str) -> None:
        send(TaskNoted(kind, text))

    decoder, env = FrameDecoder(), TaskEnv(progress, note)
    while data := peer.recv(1 << 16):
        for payload in decoder.feed(data):
            message = decode_message(payload)
            assert isinstance(message, RunTask)
            answer = _run(message.spec, env)
            send(TaskProgressed(unreported))
            unreported = 0
            send(answer)


def _run(spec: bytes, env: TaskEnv) -> TaskFinished | TaskFailed:
    try:
        task = decode_spec(spec)
        if isinstance(task, PythonMapSpec | PythonReduceSpec):
            _contain(task.code.ceiling)
        return TaskFinished(msgspec.msgpack.encode(run_task(task, env)))
    except MrcoreError as error:
        user = plain_text(getattr(error, "user_traceback", ""))
        return TaskFailed(type(error).__name__, plain_text(str(error)), _traceback(), user)
    except (BrokenPipeError, ConnectionResetError):
        raise  # the coordinator is gone, and so is the reason to go on
    except Exception as error:  # a defect of ours: reported, not hidden
        return TaskFailed("", plain_text(f"{type(error).__name__}: {error}"), _traceback())


def _contain(ceiling: int) -> None:
    """Keeps users' functions from taking all of the machine's memory."""
    import resource

    if ceiling and resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _detach(peer: int) -> None:
    """In a process that a user's function forked: it dies with us, and writes neither to our files nor our socket."""
    die_with_parent()
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd, target in resources.open_files().items():
        if fd == peer or _OUTPUT.search(target):
            os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


def _traceback() -> str:
    import traceback  # seldom needed, and a tenth of a worker's start

    return plain_text(traceback.format_exc())


def main() -> None:
    """Entry point of the worker process."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # they were blocked from the start, lest one come before this
    die_with_parent()
    if os.getppid() != parent:
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what users print must not wait for an end that is a kill
    try:
        with socket.socket(fileno=fd) as peer:
            os.register_at_fork(after_in_child=lambda: _detach(fd))
            serve(peer)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the coordinator closed: it wants no answer


if __name__ == "__main__":
    main()
