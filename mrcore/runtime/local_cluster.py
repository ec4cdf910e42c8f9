"""The one thread of a program that minds worker processes: hears them, notices their ends, keeps idle ones warm.

Steps of jobs (:mod:`mrcore.runtime.local_step`) are added to it and live on its thread until they are removed; so a
coordinator answers its workers whatever the thread does that wanted the job, and two jobs of two threads
run side by side. It starts all worker processes, because the kernel ends them with the thread that started
them, and this one ends with the program.

A process that has done its work waits for :data:`IDLE_S` for another job of the same surroundings: to start an
interpreter and load the engine takes far longer than to say hello. One that has run users' functions
is only taken for jobs whose functions come from the same places.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import os
import select
import threading
import time
from typing import NamedTuple, Protocol

from mrcore.executors.worker_process import WorkerProcess, environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S = 30.0
TICK_S = 0.25
_CLOSE_S = 2.0


class Tenant(Protocol):
    """What lives on the thread: one step of a job."""

    def work(self, now_ns: int) -> None:
        """Called after each round of events, and at least every :data:`TICK_S`."""

    def fail(self, error: BaseException) -> None:
        """The thread ends by a defect, and nothing goes on."""


class Surroundings(NamedTuple):
    """What a process was started in, and what it has loaded: it must be the same for the next job.

    Attributes:
        variables: of the environment.
        places: where users' modules come from; None: no function of a user's has run there.
    """

    variables: dict[str, str]
    places: tuple[bytes, ...] | None

    def suit(self, wanted: Surroundings) -> bool:
        """Whether a process of these may be used where those are wanted."""
        return self.variables == wanted.variables and self.places in (None, wanted.places)


class _Idle(NamedTuple):
    process: WorkerProcess
    surroundings: Surroundings
    until: float


class LocalCluster:
    """The thread and its processes; made by :func:`local_cluster`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._tenants: dict[Tenant, None] = {}
        self._idle: list[_Idle] = []
        self._closing = False
        self.watch(self._wake, select.POLLIN, lambda mask: self._drain())
        self._thread = threading.Thread(target=self._loop, name="mrcore-cluster", daemon=True)
        self._thread.start()

    # ---- for any thread ------------------------------------------------------------------

    def soon(self, call: Callable[[], None]) -> None:
        """Has something done on the thread."""
        self._calls.append(call)
        os.eventfd_write(self._wake, 1)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive() and not self._closing

    def close(self) -> None:
        """Kills all processes and ends the thread."""
        if self.pid == os.getpid() and self._thread.is_alive():
            self.soon(self._stop)
            self._thread.join(_CLOSE_S)

    # ---- on the thread -------------------------------------------------------------------

    def add(self, tenant: Tenant) -> None:
        """Lets a step live here."""
        self._tenants[tenant] = None

    def remove(self, tenant: Tenant) -> None:
        """Lets it go."""
        self._tenants.pop(tenant, None)

    def watch(self, fd: int, mask: int, handler: Callable[[int], None] | None = None) -> None:
        """Has a handler called with the events that a descriptor is waited for; with 0 no more."""
        if not mask:
            self._handlers.pop(fd, None)
            with contextlib.suppress(KeyError):  # it was not waited for
                self._poll.unregister(fd)
            return
        if handler is not None:
            self._handlers[fd] = handler
        self._poll.register(fd, mask)

    def prepare(self, processes: int, places: tuple[bytes, ...] | None) -> None:
        """Starts processes that nobody has asked for yet, unless so many are idle: they load while a job is planned."""
        wanted = Surroundings(environment(), places)
        idle = sum(one.surroundings.suit(wanted) for one in self._idle)
        with contextlib.suppress(OSError):  # who takes one is told
            for _ in range(processes - idle):
                self.give(WorkerProcess(), wanted._replace(places=None), reusable=True)

    def take(self, wanted: Surroundings, *, fresh: bool) -> WorkerProcess:
        """A process that works for nobody: a warm one, unless it has to be fresh.

        Those that were started in another environment end: a program has one, and seldom comes back to an old one.

        Raises:
            OSError: none can be started.
        """
        for idle in [one for one in self._idle if one.surroundings.variables != wanted.variables]:
            self._idle.remove(idle)
            self._unwatch(idle.process)
            idle.process.close()
        for index, idle in enumerate(self._idle if not fresh else ()):
            if idle.surroundings.suit(wanted):
                del self._idle[index]
                self._unwatch(idle.process)
                if idle.process.is_alive():
                    return idle.process
                idle.process.close()
                return self.take(wanted, fresh=fresh)
        return WorkerProcess()

    def give(self, process: WorkerProcess, surroundings: Surroundings, *, reusable: bool) -> None:
        """Takes a process back that is done, or about to be."""
        if self._closing or not reusable or not process.is_alive():
            process.close()
            return
        self._idle.append(_Idle(process, surroundings, time.monotonic() + IDLE_S))
        self.watch(process.control.fileno(), select.POLLIN, lambda mask: self._stir(process))

    def _stir(self, process: WorkerProcess) -> None:
        """An idle process says that it is free, or has died."""
        try:
            alive = bool(process.control.recv(64))
        except BlockingIOError:
            alive = True
        except OSError:
            alive = False
        if not alive:
            self._idle = [idle for idle in self._idle if idle.process is not process]
            self._unwatch(process)
            process.close()

    def _unwatch(self, process: WorkerProcess) -> None:
        self.watch(process.control.fileno(), 0)

    def _loop(self) -> None:
        try:
            self._serve()
        except Exception as error:  # a defect of ours: who waits for this thread must not wait for ever
            self._closing = True
            for tenant in list(self._tenants):
                tenant.fail(error)
            self._stop()

    def _serve(self) -> None:
        while not self._closing:
            for fd, mask in self._poll.poll(self._patience_ms()):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(mask)
                else:  # nobody's: it would never let us sleep
                    self.watch(fd, 0)
            while self._calls:
                self._calls.popleft()()
            now_ns = time.monotonic_ns()
            for tenant in list(self._tenants):
                tenant.work(now_ns)
            self._retire()

    def _patience_ms(self) -> int | None:
        if self._tenants:
            return int(TICK_S * 1000)
        if self._idle:
            return max(0, int((self._idle[0].until - time.monotonic()) * 1000)) + 1
        return None

    def _retire(self) -> None:
        now = time.monotonic()
        while self._idle and self._idle[0].until <= now:
            idle = self._idle.pop(0)
            self._unwatch(idle.process)
            idle.process.close()

    def _drain(self) -> None:
        os.eventfd_read(self._wake)

    def _stop(self) -> None:
        self._closing = True
        for idle in self._idle:
            idle.process.close()
        self._idle.clear()


_lock = threading.Lock()
_cluster: LocalCluster | None = None


def local_cluster() -> LocalCluster:
    """The one of this process; a process that was forked has its own."""
    global _cluster
    with _lock:
        if _cluster is None or _cluster.pid != os.getpid() or not _cluster.is_alive:
            _cluster = LocalCluster()
            atexit.register(_cluster.close)
        return _cluster
