"""What surrounds the steps of every job: its work directory, budget, history and executor, and how all of it goes away.

A job with a directory for its output and workers to run it leaves that work directory behind when it is interrupted,
and only then: what stands in it is gone on with by the next run that is asked to. Success, failure and a cancellation
remove it.
"""

from __future__ import annotations

import contextlib
import os
import sys

import mrcore
from mrcore.errors import JobCancelledError, OutputExistsError, shown
from mrcore.storage.budget import DiskBudget
from mrcore.storage.workdir import default_tmp, temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrcore.executors.base import Executor
    from mrcore.runtime.identity import Identity
    from mrcore.runtime.local_timeline import Timeline
    from mrcore.runtime.plan import Options
    from mrcore.runtime.sinks import Sink
    from mrcore.storage.history import JobRecord
    from mrcore.storage.workdir import WorkDir

_IDENTITY = "identity"


class Execution:
    """One run of a job; a context manager.

    Args:
        about: what is known of the job, for its history.
        options: how to run it.
        sink: where the result goes; None: it stays in memory.
        identity: of the job, asked for where it survives a crash.
        changed: called with processes at work, and attempts that failed so far.

    Attributes:
        work: the work directory.
        disk: the budget of intermediate files.
    """

    def __init__(
        self, about: Mapping[str, object], options: Options, sink: Sink | None, identity: Callable[[], Identity],
        changed: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        self._about, self._options, self._sink = about, options, sink
        self._identity, self._changed = identity, changed
        self._stack = contextlib.ExitStack()
        self._record: JobRecord | None = None
        self._timeline: Timeline | None = None
        self._durable = False
        self.work: WorkDir
        self.disk: DiskBudget

    @property
    def id(self) -> str:
        """The name of the job in the history; empty if it has none."""
        return "" if self._record is None else self._record.id

    def __enter__(self) -> Execution:
        tmp, sink = self._options.tmp or default_tmp(), self._sink
        with contextlib.ExitStack() as stack:
            stack.push(self._end_record)
            if sink is not None:
                stack.push(self._abandon_sink)  # after the work directory is gone
            self.work = stack.enter_context(temporary(tmp) if sink is None else sink.open(tmp))
            stack.push(self._keep_work)
            held = self._resume() if sink is not None and sink.resumed else 0
            self.disk = DiskBudget.create(self.work.file("disk"), self._options.tmp_limit, held, replace=True)
            stack.enter_context(contextlib.closing(self.disk))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> bool | None:
        return self._stack.__exit__(*error)  # type: ignore[arg-type]

    def _resume(self) -> int:
        """Goes on with what an earlier run left, if this is the same job; bytes of it."""
        from mrcore.runtime.identity import difference, read_identity

        self._durable = True  # it stays as it is, whatever goes wrong before this run has begun
        known = read_identity(self.work.file(_IDENTITY))
        if known is None:  # it ended before it began
            self._durable = False
            self.work.clear()
            return 0
        changed = difference(known, self._identity())
        if changed is not None:
            raise OutputExistsError(
                f"cannot resume: {shown(os.path.dirname(self.work.path))}: {changed}: undo that, or begin anew "
                "with --overwrite"
            )
        return self.work.size()

    def executor(
        self, workers: int, tasks: int, *, streams: bool = False, places: tuple[bytes, ...] | None = None
    ) -> Executor:
        """What runs so many tasks with so many workers at most; 0: this process.

        Args:
            streams: some read what only a process that is started for them can.
            places: where users' modules come from, if there are functions of theirs.
        """
        options, sink = self._options, self._sink
        if workers == 0 and not (sink is not None and sink.resumed):
            from mrcore.executors.inline import Inline

            return self._stack.enter_context(
                Inline(self.work.path, self.disk, skip_bad=options.faults.skip_bad)
            )
        from mrcore.executors.worker_process import check_not_worker
        from mrcore.runtime.local_cluster import local_cluster

        check_not_worker()
        processes = max(1, min(workers, tasks))
        if not streams:
            cluster = local_cluster()
            cluster.soon(lambda: cluster.prepare(processes, places))  # they start while we load the rest
        from mrcore.runtime.local_executor import LocalExecutor, Place
        from mrcore.runtime.local_timeline import Timeline
        from mrcore.storage.history import JobRecord

        is_durable = False
        if sink is not None and not sink.ordered and not streams:  # a stream cannot be read again
            from mrcore.runtime.identity import write_identity

            write_identity(self.work.file(_IDENTITY), self._identity())
            is_durable = True
        if self._timeline is None:
            self._record = JobRecord.begin(self._told(workers))
            self._timeline = Timeline(self._record)
        self._durable = is_durable
        adopt = (lambda step, task: None) if sink is None else sink.adopt
        place = Place(self.work.path, options.tmp or default_tmp(), self.disk, self._durable, adopt)
        needs = options.needs
        return self._stack.enter_context(
            LocalExecutor(
                processes, place, options.faults, self._timeline,
                memory_bytes=needs.memory or 0, cpu=needs.cpu, changed=self._changed,
            )
        )  # fmt: skip

    def done(self, counters: Mapping[str, int]) -> None:
        """The job has succeeded."""
        if self._record is not None:
            self._record.say("counters", counters=dict(counters))
            self._record.end("succeeded", counters=dict(counters))

    def _told(self, workers: int) -> dict[str, object]:
        options, sink = self._options, self._sink
        return {
            **self._about,
            "argv": sys.argv,
            "cwd": os.getcwd(),
            "pid": os.getpid(),
            "workers": workers,
            "output": None if sink is None or sink.path is None else os.fsdecode(sink.path),
            "memory": options.memory,
            "version": mrcore.__version__,
        }

    def _end_record(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if self._record is None:
            return
        if error is None:
            self._record.end("succeeded")
        elif isinstance(error, JobCancelledError):
            self._record.end("cancelled", str(error))
        elif isinstance(error, Exception):
            self._record.end("failed", str(error))
        else:
            self._record.end("interrupted")

    def _abandon_sink(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if kind is not None and self._sink is not None and not self._is_kept(kind):
            self._sink.abandon()

    def _keep_work(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if kind is not None and self._is_kept(kind):
            self.work.keep()
            if error is not None and not isinstance(error, Exception):
                error.add_note(f": {shown(os.path.dirname(self.work.path))}: go on with --resume")

    def _is_kept(self, kind: type[BaseException]) -> bool:
        """Whether what is there is to be gone on with: not after an error of the job's own."""
        return self._durable and (self._timeline is None or not issubclass(kind, Exception))
