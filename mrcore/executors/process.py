"""A plain pool of worker processes on this machine.

Each worker is a fresh interpreter, not a fork, so that it starts clean whatever threads and
state the caller has. It talks over a socket pair that only the two of them hold. A worker
that dies ends the job: attempts and retries belong to the scheduler.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import socket
import sys
import time
from collections import deque

import msgspec

import mrcore
from mrcore import resources
from mrcore.engine.spec import PythonReduceSpec, ReduceSpec, TaskResult, encode_spec
from mrcore.errors import MrcoreError, UsageError, WorkerLostError, shown
from mrcore.executors.base import error_of
from mrcore.wire.frames import FrameDecoder, encode_frame
from mrcore.wire.messages import (
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskNoted,
    TaskProgressed,
    decode_message,
    encode_message,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mrcore.engine.spec import TaskSpec

_OURS_TO_HANDLE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent to all of a process group by terminals and supervisors. A worker starts with them blocked and then
ignores them: the coordinator decides, and the end of its socket ends the worker."""


_MODULE = "mrcore.executors.worker"
_KILLS_MAX = 100
"""Looks for what a dead worker left, each killing what it finds: a process that the kernel cannot end is left to it."""

_numbers = itertools.count()
_MARK = "MRCORE_WORKER"
"""In a worker's environment, and so in that of what a user's function starts there."""


class _Worker:
    """One worker process as the coordinator sees it."""

    def __init__(self, number: int) -> None:
        self._number = number
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            fd = theirs.fileno()
            self.pid = os.posix_spawn(
                sys.executable,
                # -P: the current directory is not searched, so no file in it can pose as a module of ours
                [sys.executable, "-P", "-m", _MODULE, str(fd), str(os.getpid())],
                _environment() | {_MARK: self._mark()},
                # Onto itself, which clears close-on-exec. A number of our choice could be that of an
                # input such as /dev/fd/3, which the worker inherits. What a user's function prints is no data.
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd), (os.POSIX_SPAWN_DUP2, 2, 1)],
                setsigmask=_OURS_TO_HANDLE,
            )
            undo.pop_all()
        self.socket = ours
        self.pidfd = _pidfd(self.pid)
        self.decoder = FrameDecoder()
        self.status: int | None = None
        self.tasks: deque[TaskSpec] = deque()  # given and not answered

    def give(self, spec: TaskSpec) -> None:
        self.tasks.append(spec)
        try:
            self.socket.sendall(encode_frame(encode_message(RunTask(encode_spec(spec)))))
        except (BrokenPipeError, ConnectionResetError):
            raise self.lost() from None

    def lost(self) -> WorkerLostError:
        """The error for a worker whose socket closed."""
        code = os.waitstatus_to_exitcode(self.reap())
        if code < 0:
            how = f"killed by {_shown_signal(-code)}"
            hint = "the system may be out of memory: lower -j" if code == -signal.SIGKILL else "run again with -v"
        else:
            how, hint = f"exit status {code}", "see its message above"
        at = f", while it ran {_shown_task(self.tasks[0])}" if self.tasks else ""
        return WorkerLostError(f"a worker process ended: pid {self.pid}, {how}{at}: {hint}")

    def reap(self) -> int:
        if self.status is None:
            try:
                self.status = os.waitpid(self.pid, 0)[1]
            except ChildProcessError:  # we were started with SIGCHLD ignored: the system reaps, and tells nobody
                self.status = 0
        return self.status

    def _mark(self) -> str:
        return f"{os.getpid()}.{self._number}"

    def kill(self) -> None:
        """Kills it, and the processes that a user's function started in it."""
        self.socket.close()
        if self.status is None:
            _kill([*_descendants(self.pid), self.pid])
            self.reap()
        else:  # it died by itself, and what it left has other parents
            for _ in range(_KILLS_MAX):
                left = resources.processes_with(f"{_MARK}={self._mark()}")
                if not left:
                    break
                _kill(left)
                time.sleep(0.01)
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def _is_worker() -> bool:
    """Is this process a worker itself? A program that a user's function starts is none."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == _MODULE


def _pidfd(pid: int) -> int:
    """A descriptor that is readable once the process has ended, where the system has them; else -1.

    The end of the socket may not come: a process that a user's function forked holds it open.
    """
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


def _shown_signal(number: int) -> str:
    """A signal's name, which most real-time signals do not have."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shown_task(spec: TaskSpec) -> str:
    """A task, for an error."""
    spans = getattr(spec, "spans", ())
    if not spans:
        return f"{'reduce' if isinstance(spec, ReduceSpec | PythonReduceSpec) else 'map'} task {spec.task}"
    first, last = spans[0], spans[-1]
    bytes_of = f"bytes {first.start} to {last.stop}" if len(spans) == 1 else f"byte {first.start}, and what follows"
    return f"map task {spec.task} ({shown(first.path)}, {bytes_of})"


def _environment() -> dict[str, str]:
    """Ours, and where mrcore is found if that is not where every interpreter looks."""
    environment = dict(os.environ)
    environment.setdefault("PYTHONHASHSEED", "0")  # the order of a user's sets is the same in every worker
    root = os.path.dirname(os.path.dirname(os.path.abspath(mrcore.__file__)))
    if os.path.basename(root) not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else root
    return environment


class ProcessPool:
    """Worker processes of one job.

    Args:
        workers: how many, at least 1. They start at once, in the background.
    """

    def __init__(self, workers: int) -> None:
        if _is_worker():
            raise UsageError(
                "a job was started by a worker, while it loaded a job or ran its functions: "
                'put the start of a job under if __name__ == "__main__":'
            )
        self.workers = workers
        self._pool: list[_Worker] = []
        try:
            for _ in range(workers):
                self._pool.append(_Worker(next(_numbers)))
        except OSError as error:
            self.close()
            raise MrcoreError(f"cannot start a worker process: {error.strerror}: lower -j") from error

    def run(
        self, specs: Sequence[TaskSpec], progress: Callable[[int], None], *, ahead: bool = False,
        noted: Callable[[str, str], None] = lambda kind, text: None,
    ) -> Iterator[TaskResult]:  # fmt: skip
        """See :meth:`mrcore.executors.base.Executor.run`."""
        waiting = deque(specs)
        left = len(waiting)
        poll = select.poll()
        by_fd = {worker.socket.fileno(): worker for worker in self._pool}
        by_fd |= {worker.pidfd: worker for worker in self._pool if worker.pidfd >= 0}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        for _ in range(2 if ahead else 1):
            for worker in self._pool:
                if waiting:
                    worker.give(waiting.popleft())
        while left:
            for fd, _ in poll.poll():
                worker = by_fd[fd]
                for result in self._receive(worker, progress, noted, ended=fd == worker.pidfd):
                    left -= 1
                    worker.tasks.popleft()
                    if waiting:
                        worker.give(waiting.popleft())
                    yield result

    def _receive(
        self, worker: _Worker, progress: Callable[[int], None], noted: Callable[[str, str], None], *, ended: bool
    ) -> Iterator[TaskResult]:
        try:
            data = worker.socket.recv(1 << 16, socket.MSG_DONTWAIT if ended else 0)
        except (ConnectionResetError, BlockingIOError):
            data = b""
        if not data:
            raise worker.lost()
        for payload in worker.decoder.feed(data):
            match decode_message(payload):
                case TaskProgressed(count):
                    progress(count)
                case TaskNoted(kind, text):
                    noted(kind, text)
                case TaskFinished(result):
                    yield msgspec.msgpack.decode(result, type=TaskResult)
                case TaskFailed(error, text, traceback, user_traceback):
                    raise error_of(error, text, traceback, user_traceback)

    def close(self) -> None:
        """Stops every worker, whatever it is doing, and waits until it is gone."""
        for worker in self._pool:
            worker.kill()
        self._pool.clear()

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
