"""The cluster of the MapReduce paper as a load of virtual workers: what its map and reduce tasks take.

Dean and Ghemawat, "MapReduce: Simplified Data Processing on Large Clusters", OSDI 2004. From the paper:

- 5.1: about 1,800 machines, of two 2 GHz Xeons, 4 GB of memory, two IDE disks and a gigabit link each; 100 to 200
  Gbit/s at the root of the network.
- 5.3: 10^10 records of 100 bytes; 15,000 map tasks of 64 MB, 4,000 reduce tasks; at most one reduce task a machine at
  a time; the output is written twice. 5.5: 1,746 workers.
- 5.2: about a minute of start-up, which is added to the time of the job here.
- Figure 3(a): input is read at 13 GB/s at the peak, which is 7.5 MB/s a machine; with one map task at a time a map task
  takes 9 s. Output is written at 2 to 4 GB/s.
- 3.6: a machine with a bad disk reads at 1 MB/s, not 30.

What the paper does not say, and is assumed:

- A reduce task fetches one piece after the other. A piece has 17 KB, so it costs its holder's disk a seek and half
  a turn, 12 ms for a disk of 7,200 turns a minute; the bytes, and the network, count for nothing beside that: all
  machines together fetch 2.4 GB/s, a tenth of what the root of the network carries.
- A reduce task sorts 252 MB through its disk: out and in at 30 MB/s, 17 s. It writes 3.4 MB/s: 3 GB/s by half of the
  machines. Its disks serve pieces and other machines' second copies meanwhile.
- Lengths vary from attempt to attempt as exp of a normal variate with deviation 0.1.
- A slow machine, five of them, reads and writes at 1 MB/s: 134 s a map task, and behind its fetching 755 s a reduce
  task, for three passes. Others' fetches from it are not slower: it is one of 1,746 holders.
- An attempt's progress is what the user's function has seen: of a reduce task nothing until all is fetched.
- Locality: every machine reads as fast as every other one. The paper's did mostly, by placement.

The rates above were chosen before the first run. The three passes of a slow machine's reduce task, and what counts as
its progress, were chosen after runs in which a slow one took one pass, or in which half of its progress was fetching:
then no reduce task got a second attempt, and the job took 1,022 s and 1,142 s.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mrcore.scheduler.actions import AddInputs, CancelAttempt, DiscardOutput, EndJob, InputRange, StartAttempt
from mrcore.scheduler.events import AttemptFailed, AttemptFinished, Event, FailureClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcore.scheduler.attempt import AttemptId

S = 1_000_000_000
MB = 1_000_000
SPLIT_BYTES = 64 << 20
PART_BYTES = 15_000 * SPLIT_BYTES // 4000


class Sizes(NamedTuple):
    """The job and the machines; the defaults are the paper's."""

    machines: int = 1746
    maps: int = 15_000
    reduces: int = 4000
    slow: int = 5  # machines
    startup_s: float = 60
    map_s: float = SPLIT_BYTES / (7.5 * MB)
    piece_s: float = 0.012
    reduce_s: float = PART_BYTES / (3.4 * MB) + 2 * PART_BYTES / (30 * MB)  # behind its fetching
    slow_map_s: float = 2 * SPLIT_BYTES / MB
    slow_reduce_s: float = 3 * PART_BYTES / MB
    deviation: float = 0.1


class _Attempt:
    """One that runs. A reduce task's ``got`` says which maps' pieces it has; ``ends_ns`` is known when it has all."""

    __slots__ = ("ends_ns", "fetched_ns", "generation", "got", "inputs", "position", "started_ns", "told", "worker")

    def __init__(self, action: StartAttempt, now_ns: int) -> None:
        self.worker, self.generation, self.started_ns = action.worker, action.generation, now_ns
        self.ends_ns = self.fetched_ns = 0
        self.position = self.told = self.inputs = 0
        self.got: np.ndarray | None = None


class PaperCluster:
    """The load of one sort: a :class:`mrcore.testing.fleet.Load`.

    Args:
        sizes: of the job and the machines.
        seed: of what varies.
        outputs: :meth:`mrcore.scheduler.scheduler.Scheduler.outputs`; to be set once there is a scheduler.

    Attributes:
        maps_done_ns: when a map task's attempt last ended.
        fetched_ns: when the last piece was fetched.
        ended_ns: when the job did; 0: it runs.
        started: attempts, by stage.
        second: those of them that were speculative.
    """

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self.sizes, self._rng = sizes, random.Random(seed)
        self.outputs: Callable[[str, InputRange], list] | None = None
        self._machines = {f"m{number:04}": number for number in range(sizes.machines)}
        self._slow = set(self._rng.sample(range(sizes.machines), sizes.slow))
        self._attempts: dict[AttemptId, _Attempt] = {}
        self._of: dict[str, dict[AttemptId, _Attempt]] = {}
        self._fetching: dict[AttemptId, _Attempt] = {}
        self._stopped: list[AttemptId] = []
        self._log_task = np.zeros(0, np.int32)
        self._log_holder = np.zeros(0, np.int32)
        self._holders = dict(self._machines)  # numbers of names; a process that is started anew has a new one
        self._alive = np.ones(4 * sizes.machines, bool)  # by these numbers
        self._second_ns = 0
        self.maps_done_ns = self.fetched_ns = self.ended_ns = 0
        self.outcome = ""
        self.started, self.second = [0, 0], [0, 0]

    def names(self) -> list[str]:
        """Of the workers at first."""
        return list(self._machines)

    def kill(self, names: list[str], forgets: bool) -> list[str]:
        """Ends workers' processes; the names of those that are started in their place.

        Args:
            names: of the workers.
            forgets: the new ones bear new names, and what the old ones had written is not found again.
        """
        for name in names:
            for attempt in list(self._of.get(name, ())):
                self._remove(attempt)
            if forgets:
                self._alive[self._holders[name]] = False
        if not forgets:
            return names
        anew = [f"{name}x" for name in names]
        for old, new in zip(names, anew, strict=True):
            self._machines[new] = self._machines[old]
            self._holders[new] = len(self._holders)
        return anew

    def take(self, action: object, now_ns: int) -> None:
        """See :class:`mrcore.testing.fleet.Load`."""
        if isinstance(action, StartAttempt):
            self._start(action, now_ns)
        elif isinstance(action, AddInputs):
            if attempt := self._fetching.get(action.attempt):
                self._tell(attempt, action.attempt.job, action.inputs)
        elif isinstance(action, CancelAttempt):
            self._stopped.append(action.attempt)
        elif isinstance(action, EndJob):
            self.ended_ns, self.outcome = now_ns, action.outcome
        else:
            assert not isinstance(action, DiscardOutput) or action.attempt not in self._attempts

    def due(self, now_ns: int) -> list[Event]:
        """See :class:`mrcore.testing.fleet.Load`."""
        if now_ns - self._second_ns >= S:  # pieces are counted by the second
            self._second_ns = now_ns
            for name in list(self._fetching):
                self._fetch(name, now_ns)
        events: list[Event] = []
        ended = [name for name, attempt in self._attempts.items() if 0 < attempt.ends_ns <= now_ns]
        for name in ended:
            attempt = self._remove(name)
            events.append(AttemptFinished(attempt.worker, attempt.generation, name, SPLIT_BYTES))
            if not name.stage:
                self.maps_done_ns = now_ns
        stopped, self._stopped = self._stopped, []
        for name in stopped:
            if name in self._attempts:
                attempt = self._remove(name)
                events.append(AttemptFailed(attempt.worker, attempt.generation, name, FailureClass.CANCELLED))
        return events

    def running(self, worker: str, now_ns: int) -> tuple[tuple[AttemptId, int], ...]:
        """See :class:`mrcore.testing.fleet.Load`."""
        return tuple((name, self._read_bytes(attempt, now_ns)) for name, attempt in self._of.get(worker, {}).items())

    def _read_bytes(self, attempt: _Attempt, now_ns: int) -> int:
        """What the user's function has seen: of a reduce task nothing until all is fetched."""
        if attempt.got is None:
            return int(SPLIT_BYTES * (now_ns - attempt.started_ns) / (attempt.ends_ns - attempt.started_ns))
        if attempt.ends_ns == 0:
            return 0
        return int(PART_BYTES * (now_ns - attempt.fetched_ns) / (attempt.ends_ns - attempt.fetched_ns))

    def _vary(self, seconds: float) -> int:
        return int(seconds * S * math.exp(self._rng.gauss(0, self.sizes.deviation)))

    def _is_slow(self, worker: str) -> bool:
        return self._machines[worker] in self._slow

    def _start(self, action: StartAttempt, now_ns: int) -> None:
        name = action.attempt
        attempt = self._attempts[name] = _Attempt(action, now_ns)
        self._of.setdefault(action.worker, {})[name] = attempt
        self.started[name.stage] += 1
        self.second[name.stage] += action.is_speculative
        if name.stage:
            attempt.got = np.zeros(self.sizes.maps, bool)
            self._fetching[name] = attempt
            self._tell(attempt, name.job, action.inputs)
        else:
            sizes = self.sizes
            attempt.ends_ns = now_ns + self._vary(sizes.slow_map_s if self._is_slow(action.worker) else sizes.map_s)

    def _tell(self, attempt: _Attempt, job: str, inputs: tuple[InputRange, ...]) -> None:
        for part in inputs:
            known = len(self._log_task)
            if part.stop > known:
                assert self.outputs is not None
                added = self.outputs(job, InputRange(0, known, part.stop))
                assert len(added) == part.stop - known
                self._log_task = np.append(self._log_task, [output.attempt.task for output in added])
                self._log_holder = np.append(self._log_holder, [self._holders[output.holder] for output in added])
            attempt.told = max(attempt.told, part.stop)

    def _fetch(self, name: AttemptId, now_ns: int) -> None:
        """A second's worth of pieces, of holders that live and have one that is still wanted."""
        attempt, sizes = self._fetching[name], self.sizes
        if attempt.position == attempt.told:
            return
        assert attempt.got is not None
        places = slice(attempt.position, min(attempt.told, attempt.position + round(1 / sizes.piece_s)))
        attempt.position = places.stop
        tasks = self._log_task[places]
        attempt.got[tasks[self._alive[self._log_holder[places]]]] = True
        attempt.inputs = int(np.count_nonzero(attempt.got))
        if attempt.inputs == sizes.maps:
            del self._fetching[name]
            self.fetched_ns = attempt.fetched_ns = now_ns
            length_s = sizes.slow_reduce_s if self._is_slow(attempt.worker) else sizes.reduce_s
            attempt.ends_ns = now_ns + self._vary(length_s)

    def _remove(self, name: AttemptId) -> _Attempt:
        attempt = self._attempts.pop(name)
        del self._of[attempt.worker][name]
        self._fetching.pop(name, None)
        return attempt
