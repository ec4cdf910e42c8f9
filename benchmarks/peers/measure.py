"""The protocol by which two programs are timed against each other (benchmarks/README.md).

A Subject is a whole process from start to exit that leaves an answer behind. Before every timed run the laboratory
1. waits until nothing is left to be written to disk, so that nobody pays for another's pages;
2. touches and frees gigabytes of memory, so that pages which the guest already has are there for everyone;
3. reads the input once, so that it is in the page cache.
After the run its answer is read, and all its files are removed. Pairs alternate A B B A, so that a drift of the
machine's speed falls on both, and the ratio is taken inside each pair.
"""

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import memory
from answers import Answer, AnswerError, Reader

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
READ_BYTES = 4 << 20
ERROR_CHARACTERS = 400  # of a failed program's standard error that are shown: its end


class SubjectError(Exception):
    """A subject failed, took too long (``is_timeout``), or left no answer."""

    def __init__(self, message: str, is_timeout: bool = False) -> None:
        super().__init__(message)
        self.is_timeout = is_timeout


@dataclass(frozen=True, slots=True)
class Subject:
    """A program to be timed: ``command`` makes its argument list from the path of the output.

    ``source`` is the file or folder that it reads, None if nothing is to be prepared. With ``to_stdout`` the output is
    the file to which its standard output goes. Without ``read`` the output is not read afterwards.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    source: Path | None
    read: Reader | None
    to_stdout: bool = False
    folder: Path | None = None  # where it runs, instead of an empty directory
    feed: Sequence[str] | None = None  # the program whose output is its standard input
    is_watched: bool = False  # for its memory: this takes a little time from it


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float  # from before the start of the process to after its exit
    cpu_s: float  # user and system, with the processes that it waited for
    rss_bytes: int  # of the largest of its processes, at its largest; ours of the moment at least, which it began as
    answer: Answer | None
    footprint: memory.Footprint | None = None
    feed_cpu_s: float = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Runs of A and of B; runs of one index ran one after the other."""

    a: list[Run] = field(default_factory=list)
    b: list[Run] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """Of every pair, how many times as long as A B took."""
        return [b.seconds / a.seconds for a, b in zip(self.a, self.b, strict=True)]

    def ratio(self) -> float:
        return statistics.median(self.ratios())

    def answers(self) -> set[Answer | None]:
        return {run.answer for run in self.a + self.b}


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Where and how runs are made; ``work`` is a scratch directory on the disk that takes the outputs."""

    work: Path
    programs: Path  # the folder with the compiled helpers
    touch_mib: int
    timeout_s: float

    def run(self, subject: Subject, idle_s: float = 0) -> Run:
        """One run after the preparations. After ``idle_s`` of idling no memory is touched: idling is to be seen."""
        os.sync()
        if not idle_s:
            subprocess.run([self.programs / "touch_memory", str(self.touch_mib)], check=True)
        if subject.source is not None:
            warm(subject.source)
        time.sleep(idle_s)
        return self.time(subject)

    def pairs(self, a: Subject, b: Subject, count: int, idle_s: float = 0) -> Pairs:
        pairs = Pairs()
        for index in range(count):
            for subject in (a, b) if index % 2 == 0 else (b, a):
                (pairs.a if subject is a else pairs.b).append(self.run(subject, idle_s))
        return pairs

    def time(self, subject: Subject) -> Run:
        """One run with a directory for its files, which is gone with all that it held when the answer has been read."""
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.work) as name:
            folder = Path(name)
            run = self.run_in(folder, subject)
            if subject.read is None:
                return run
            try:
                answer = subject.read(self.programs / "sum_lines", folder / "output", subject.source or folder)
            except (AnswerError, OSError) as error:
                raise SubjectError(f"{subject.name}: no answer: {error}") from error
            return replace(run, answer=answer)

    def run_in(self, folder: Path, subject: Subject) -> Run:
        output, errors = folder / "output", folder / "stderr"
        with (
            open(output if subject.to_stdout else os.devnull, "wb") as stdout,
            errors.open("wb") as stderr,
            fed(subject) as feed,
        ):
            start = time.perf_counter()
            process = subprocess.Popen(
                subject.command(output),
                stdin=feed.stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=subject.folder or folder,
                env={**os.environ, "TMPDIR": str(folder)},
                start_new_session=True,
            )
            feed.hand_over()
            watched = memory.watch(process.pid, folder) if subject.is_watched else nullcontext()
            with killed_after(process.pid, self.timeout_s), watched as footprint:
                _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == -signal.SIGKILL and seconds >= self.timeout_s:
            raise SubjectError(f"{subject.name}: took more than {self.timeout_s:g} s", is_timeout=True)
        if process.returncode:
            message = errors.read_text(errors="replace").strip()[-ERROR_CHARACTERS:]
            raise SubjectError(f"{subject.name}: exit status {process.returncode}: {message}")
        if feed.exit_status:
            raise SubjectError(f"{subject.name}: did not read to the end: {subject.feed} ended with {feed.exit_status}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(seconds, cpu_s, usage.ru_maxrss << 10, None, footprint, feed.cpu_s)


@dataclass(slots=True)
class Feed:
    """The program at the other end of a subject's standard input, if there is one."""

    process: subprocess.Popen[bytes] | None = None
    cpu_s: float = 0
    exit_status: int = 0

    @property
    def stdin(self) -> IO[bytes] | int:
        return subprocess.DEVNULL if self.process is None else self.process.stdout or subprocess.DEVNULL

    def hand_over(self) -> None:
        """Closes our copy of the pipe, so that its ends belong to the two programs alone."""
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def fed(subject: Subject) -> Iterator[Feed]:
    """Starts the feeding program; after the block it has ended, for nobody reads from it any more."""
    if subject.feed is None:
        yield Feed()
        return
    feed = Feed(subprocess.Popen(subject.feed, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL))
    assert feed.process is not None
    try:
        yield feed
    finally:
        feed.hand_over()
        _, status, usage = os.wait4(feed.process.pid, 0)
        feed.process.returncode = feed.exit_status = os.waitstatus_to_exitcode(status)
        feed.cpu_s = usage.ru_utime + usage.ru_stime


@contextmanager
def laboratory(parent: Path | None, touch_mib: int, timeout_s: float) -> Iterator[Laboratory]:
    with tempfile.TemporaryDirectory(prefix="mrcore-peers-", dir=parent) as name:
        folder = Path(name).resolve()
        programs = folder / "programs"
        programs.mkdir()
        compile_c(programs / "touch_memory", HERE / "touch_memory.c")
        compile_c(programs / "sum_lines", HERE / "sum_lines.c", CSRC / "mr_hash.c")
        yield Laboratory(folder, programs, touch_mib, timeout_s)


def compile_c(program: Path, *sources: Path) -> None:
    compiler = os.environ.get("CC", "cc")
    command: list[str | Path] = [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-I", CSRC, "-o", program, *sources]
    subprocess.run(command, check=True)


@contextmanager
def killed_after(group: int, seconds: float) -> Iterator[None]:
    """Kills the process group when the time is up, or when we are interrupted ourselves."""
    timer = threading.Timer(seconds, os.killpg, (group, signal.SIGKILL))
    timer.start()
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        raise
    finally:
        timer.cancel()


def warm(path: Path) -> None:
    """Reads a file, or all files of a folder, into the page cache."""
    for file in (found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]:
        with file.open("rb", buffering=0) as source:
            while source.read(READ_BYTES):
                pass
