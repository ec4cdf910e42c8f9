"""A worker process as its parent sees it: started, told what to work for, found dead, killed with all that it started.

Each is a fresh interpreter, not a fork, so that it starts clean whatever threads and state the caller has. The thread
that starts one must outlive it: the kernel takes the end of that thread for the parent's (prctl(2),
PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import signal
import socket
import sys
import time

import mrcore
from mrcore import resources
from mrcore.engine.record_page import RECORD_PAGE_BYTES, RecordPage
from mrcore.errors import MrcoreError, UsageError
from mrcore.executors.attach import Attach, encode_attach
from mrcore.wire.frames import encode_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS_TO_HANDLE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent to all of a process group by terminals and supervisors. A worker starts with them blocked and then
ignores them: the coordinator decides, and the end of its socket ends the worker."""

_MODULE = "mrcore.executors.worker"
_KILLS_MAX = 100
"""Looks for what a dead worker left, each killing what it finds: a process that the kernel cannot end is left to it."""

_numbers = itertools.count()
_MARK = "MRCORE_WORKER"
"""In a worker's environment, and so in that of what a user's function starts there."""


class WorkerProcess:
    """One worker process.

    Attributes:
        pid: of the process.
        control: our end of the socket pair; readable when it is free again, or dead.
        jobs: steps that it was told to work for.
        pidfd: readable once the process has ended, where the system has such; else -1. The end of ``control`` may not
            come: a process that a user's function forked may hold the other end open.

    Raises:
        OSError: the system has no room for another one.
    """

    def __init__(self) -> None:
        self._number = next(_numbers)
        self._status: int | None = None
        self.jobs = 0
        self.control, theirs = socket.socketpair()
        self._page: mmap.mmap | None = None
        page_fd = -1
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(self.control.close)
            page_fd = _memory_file()
            if page_fd >= 0:
                undo.callback(os.close, page_fd)
                self._page = mmap.mmap(page_fd, RECORD_PAGE_BYTES)
                undo.callback(self._page.close)
            self.pid = os.posix_spawn(
                sys.executable,
                # -P: the current directory is not searched, so no file in it can pose as a module of ours
                [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno()), str(page_fd), str(os.getpid())],
                _environment() | {_MARK: self._mark()},
                # Onto itself, which clears close-on-exec. A number of our choice could be that of an
                # input such as /dev/fd/3, which the worker inherits. What a user's function prints is no data.
                file_actions=[
                    *((os.POSIX_SPAWN_DUP2, fd, fd) for fd in (theirs.fileno(), page_fd) if fd >= 0),
                    (os.POSIX_SPAWN_DUP2, 2, 1),
                ],
                setsigmask=_OURS_TO_HANDLE,
            )
            undo.pop_all()
        if page_fd >= 0:
            os.close(page_fd)
        self.control.setblocking(False)
        self.pidfd = _pidfd(self.pid)

    def attach(self, attach: Attach) -> None:
        """Has it work for a job. It must be free. A dead one takes no notice."""
        self.jobs += 1
        with contextlib.suppress(OSError):
            self.control.sendall(encode_frame(encode_attach(attach)))

    def is_alive(self) -> bool:
        """Whether it has not ended; reaps it if it has."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # we were started with SIGCHLD ignored: the system reaps, and tells nobody
                pid, status = (0, 0) if os.path.exists(f"/proc/{self.pid}") else (self.pid, 0)
            if pid:
                self._status = status
        return self._status is None

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it (SIGSTOP), so that nothing of it runs."""
        return resources.process_state(self.pid) in ("T", "t")

    def how_it_ended(self) -> str:
        """In words, with what to do; of one that has ended."""
        code = os.waitstatus_to_exitcode(self._status or 0)
        if code >= 0:
            return f"exit status {code}: see its message in the job's log"
        name = shown_signal(-code)
        hint = "the system may be out of memory: lower -j" if name == "SIGKILL" else "see the job's log"
        return f"killed by {name}: {hint}"

    def record(self) -> tuple[bytes, int] | None:
        """The record that a user's function was at: file and offset."""
        return None if self._page is None else RecordPage(self._page).read()

    def strike(self) -> None:
        """Ends it and what it started, and does not wait until it is gone, as :meth:`kill` does, which is to follow."""
        if self.is_alive():
            with contextlib.suppress(OSError):
                _kill(_descendants(self.pid))
            _kill([self.pid])

    def kill(self) -> None:
        """Kills it, and the processes that users' functions started in it. A second call does nothing."""
        if self.is_alive():
            with contextlib.suppress(OSError):  # no descriptor is left to look with: the kernel ends its own at least
                _kill(_descendants(self.pid))
            _kill([self.pid])
            with contextlib.suppress(ChildProcessError):
                self._status = os.waitpid(self.pid, 0)[1]
        else:  # it died by itself, and what it left has other parents
            for _ in range(_KILLS_MAX):
                try:
                    left = resources.processes_with(f"{_MARK}={self._mark()}")
                except OSError:
                    break
                if not left:
                    break
                _kill(left)
                time.sleep(0.01)

    def close(self) -> None:
        """Kills it if it lives, and lets our descriptors go."""
        self.kill()
        self.control.close()
        if self._page is not None:
            self._page.close()
            self._page = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _mark(self) -> str:
        return f"{os.getpid()}.{self._number}"


def check_not_worker() -> None:
    """Refuses to start workers in a worker.

    Raises:
        UsageError: a job's file starts a job when it is loaded. A program that a user's function starts may.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name == _MODULE:
        raise UsageError(
            "a job was started by a worker, while it loaded a job or ran its functions: "
            'put the start of a job under if __name__ == "__main__":'
        )


def start_error(error: OSError) -> MrcoreError:
    """The error where no process can be started."""
    return MrcoreError(f"cannot start a worker process: {error.strerror}: lower -j")


def environment() -> dict[str, str]:
    """What a worker's surroundings depend on: one that was started in others is not the same."""
    return dict(os.environ)


def shown_signal(number: int) -> str:
    """A signal's name, which most real-time signals do not have."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _memory_file() -> int:
    """A page of memory that two processes can share, as a descriptor; -1 where the system has no such thing."""
    try:
        fd = os.memfd_create("mrcore-record", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        return -1
    os.ftruncate(fd, RECORD_PAGE_BYTES)
    return fd


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Processes below a process, children first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = resources.children(waiting.pop())
        found += children
        waiting += children
    return found


def _environment() -> dict[str, str]:
    """Ours, and where mrcore is found if that is not where every interpreter looks."""
    variables = environment()
    variables.setdefault("PYTHONHASHSEED", "0")  # the order of a user's sets is the same in every worker
    root = os.path.dirname(os.path.dirname(os.path.abspath(mrcore.__file__)))
    if os.path.basename(root) not in ("site-packages", "dist-packages"):
        known = variables.get("PYTHONPATH")
        variables["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else root
    return variables
