"""The worker process: takes a task from its socket, runs it, answers, takes the next.

Started by :mod:`mrcore.executors.process` as ``python -m mrcore.executors.worker FD PARENT``.
It ends with its socket's end of file, and with its parent by the kernel's word, so that none
is ever left behind. Ctrl-C and requests to end are the coordinator's to handle.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec

from mrcore.engine.spec import decode_spec
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import MrcoreError
from mrcore.kernels.process import die_with_parent
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.messages import (
    Message,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskProgressed,
    decode_message,
    encode_message,
)

PROGRESS_BYTES = 32 << 20  # consumed input between two messages about it


def serve(peer: socket.socket) -> None:
    """Runs tasks from ``peer`` until it closes."""

    def send(message: Message) -> None:
        peer.sendall(encode_frame(encode_message(message)))

    unreported = 0

    def progress(count: int) -> None:
        nonlocal unreported
        unreported += count
        if unreported >= PROGRESS_BYTES:
            send(TaskProgressed(unreported))
            unreported = 0

    decoder, env = FrameDecoder(), TaskEnv(progress)
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
        return TaskFinished(msgspec.msgpack.encode(run_task(decode_spec(spec), env)))
    except MrcoreError as error:
        return TaskFailed(type(error).__name__, str(error), _traceback())
    except (BrokenPipeError, ConnectionResetError):
        raise  # the coordinator is gone, and so is the reason to go on
    except Exception as error:  # a defect of ours: reported, not hidden
        return TaskFailed("", f"{type(error).__name__}: {error}", _traceback())


def _traceback() -> str:
    import traceback  # seldom needed, and a tenth of a worker's start

    return traceback.format_exc()


def main() -> None:
    """Entry point of the worker process."""
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # they were blocked from the start, lest one come before this
    die_with_parent()
    if os.getppid() != parent:
        return
    try:
        with socket.socket(fileno=fd) as peer:
            serve(peer)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the coordinator closed: it wants no answer


if __name__ == "__main__":
    main()
