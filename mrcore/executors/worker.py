"""The worker process: works for one job after the other, as its parent tells it.

Started by :mod:`mrcore.executors.worker_process` as ``python -m mrcore.executors.worker CONTROL PAGE PARENT``:
descriptors of the socket pair with the parent and of a shared page, and the parent's process id. It ends with its
parent, by the end of file on the socket pair and by the kernel's word, so that none is ever left behind. Ctrl-C and
requests to end are the coordinator's to handle.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import mmap
import os
import re
import signal
import socket
import sys
import threading

from mrcore import resources
from mrcore.engine.record_page import RECORD_PAGE_BYTES, RecordPage
from mrcore.executors.attach import FREE, Attach, decode_attach
from mrcore.executors.attempts import Connection
from mrcore.executors.outcome import Runner
from mrcore.executors.process_state import process_state
from mrcore.executors.task_log import TaskLog
from mrcore.executors.unix_socket import connect
from mrcore.executors.user_modules import UserModules
from mrcore.kernels.process import die_with_parent
from mrcore.wire.frames import FrameDecoder

_OUTPUT = re.compile(r"/p\d+\.\d+\.\d+(\.\d+)?(\.merge-\d+)?$")


class Worker:
    """This process.

    Args:
        control: our end of the socket pair.
        page: the shared page, or None.
    """

    def __init__(self, control: socket.socket, page: RecordPage | None) -> None:
        self._control, self._page = control, page
        self._log = TaskLog()
        self._session = -1
        self._modules = UserModules()
        self._state = process_state()
        os.register_at_fork(after_in_child=self._detach)

    def serve(self) -> None:
        """Works until the parent closes its end."""
        frames = FrameDecoder()
        while data := self._control.recv(1 << 16):
            for payload in frames.feed(data):
                self._work_for(decode_attach(payload))
                self._control.sendall(FREE)

    def _work_for(self, attach: Attach) -> None:
        if attach.cwd:
            os.chdir(attach.cwd)
        if self._modules.are_edited():
            os._exit(0)  # a module was edited since it was loaded: a new process loads the new one
        self._log.direct(attach.log)
        runner = Runner(self._page, attach.disk_slot, self._modules)
        try:
            peer = connect(attach.folder)
        except (FileNotFoundError, ConnectionRefusedError):  # the job is over already
            self._log.direct(b"")
            return
        with peer:
            self._session = peer.fileno()
            Connection(peer, attach, runner, self._log).serve()
        self._session = -1
        if threading.active_count() > 1 or self._state != process_state():
            os._exit(0)  # users' functions left something behind: the next job gets a process without it
        self._log.direct(b"")
        runner.forget()

    def _detach(self) -> None:
        """In a process that a user's function forked: it dies with us, and writes to none of our files and sockets."""
        die_with_parent()
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd, target in resources.open_files().items():
            if fd in (self._control.fileno(), self._session) or _OUTPUT.search(target):
                os.dup2(nothing, fd, inheritable=False)
        os.close(nothing)


def main() -> None:
    """Entry point of the worker process."""
    control, page_fd, parent = (int(word) for word in sys.argv[1:4])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # they were blocked from the start, lest one come before this
    die_with_parent()
    if os.getppid() != parent:
        return
    faulthandler.enable()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what users print must not wait for an end that is a kill
    page = None
    if page_fd >= 0:
        page = RecordPage(mmap.mmap(page_fd, RECORD_PAGE_BYTES))
        os.close(page_fd)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), socket.socket(fileno=control) as peer:
        Worker(peer, page).serve()


if __name__ == "__main__":
    main()
