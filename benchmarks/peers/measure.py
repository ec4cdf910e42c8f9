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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from answers import Answer, AnswerError, read_answer

HERE = Path(__file__).resolve().parent
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

    With ``to_stdout`` the output is the file to which its standard output goes. Without ``has_answer`` the output is
    not read afterwards.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    to_stdout: bool = False
    has_answer: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float  # from before the start of the process to after its exit
    cpu_s: float  # user and system, with the processes that it waited for
    rss_bytes: int  # of the largest of its processes, at its largest; ours of the moment at least, which it began as
    answer: Answer | None


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
    touch_program: Path
    touch_mib: int
    timeout_s: float

    def run(self, subject: Subject, source: Path, idle_s: float = 0) -> Run:
        """One run after the preparations. After ``idle_s`` of idling no memory is touched: idling is to be seen."""
        os.sync()
        if not idle_s:
            subprocess.run([self.touch_program, str(self.touch_mib)], check=True)
        warm(source)
        time.sleep(idle_s)
        return self.time(subject)

    def pairs(self, a: Subject, b: Subject, source: Path, count: int, idle_s: float = 0) -> Pairs:
        pairs = Pairs()
        for index in range(count):
            for subject in (a, b) if index % 2 == 0 else (b, a):
                (pairs.a if subject is a else pairs.b).append(self.run(subject, source, idle_s))
        return pairs

    def time(self, subject: Subject) -> Run:
        """One run in an empty directory, which is gone with all that it held when the answer has been read."""
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.work) as folder:
            output, errors = Path(folder) / "output", Path(folder) / "stderr"
            with open(output if subject.to_stdout else os.devnull, "wb") as stdout, errors.open("wb") as stderr:
                start = time.perf_counter()
                process = subprocess.Popen(
                    subject.command(output),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=folder,
                    env={**os.environ, "TMPDIR": folder},
                    start_new_session=True,
                )
                with killed_after(process.pid, self.timeout_s):
                    _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode == -signal.SIGKILL and seconds >= self.timeout_s:
                raise SubjectError(f"{subject.name}: took more than {self.timeout_s:g} s", is_timeout=True)
            if process.returncode:
                message = errors.read_text(errors="replace").strip()[-ERROR_CHARACTERS:]
                raise SubjectError(f"{subject.name}: exit status {process.returncode}: {message}")
            answer = find_answer(subject, output) if subject.has_answer else None
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, answer)


def find_answer(subject: Subject, output: Path) -> Answer:
    try:
        return read_answer(output)
    except (AnswerError, OSError) as error:
        raise SubjectError(f"{subject.name}: no answer: {error}") from error


@contextmanager
def laboratory(parent: Path | None, touch_mib: int, timeout_s: float) -> Iterator[Laboratory]:
    with tempfile.TemporaryDirectory(prefix="mrcore-peers-", dir=parent) as folder:
        program = Path(folder) / "touch_memory"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-std=gnu11", "-O2", "-o", program, HERE / "touch_memory.c"], check=True)
        yield Laboratory(Path(folder).resolve(), program.resolve(), touch_mib, timeout_s)


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
    with path.open("rb", buffering=0) as source:
        while source.read(READ_BYTES):
            pass
