"""The command as a benchmark starts it, in a folder of its own, and what came of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = Path(__file__).parent / "jobs.py"
SPLIT = "16MiB"


class Run(NamedTuple):
    """A run that has ended."""

    seconds: float
    status: int
    digest: str


class Subject:
    """The command, a folder, and the corpus.

    Attributes:
        out: the output of every run.
        marks: has a file for each attempt of a map task of the word count.
        state: where the job's record is.
    """

    def __init__(self, command: str, corpus: str, folder: Path) -> None:
        self.command, self.corpus, self.folder = command, corpus, folder
        self.out, self.marks, self.state = folder / "out", folder / "marks", folder / "state"

    def start(self, job: str, inputs: list[str], *options: str, **variables: str) -> subprocess.Popen[bytes]:
        """A job of jobs.py, in a process group of its own."""
        return self.begin("run", f"{JOBS}:{job}", *inputs, "-j", "2", "-o", str(self.out), *options, **variables)

    def begin(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """The command."""
        environment = os.environ | variables | {"MARKS": str(self.marks), "XDG_STATE_HOME": str(self.state)}
        environment.pop("PYTHONPATH", None)  # what is measured is what is installed
        return subprocess.Popen(
            [self.command, *arguments], env=environment, start_new_session=True, stderr=subprocess.PIPE
        )

    def count(self, *options: str) -> subprocess.Popen[bytes]:
        """The word count in Python."""
        return self.start("WordCount", [self.corpus], "--split", SPLIT, *options)

    def clear(self) -> None:
        """Nothing is left of the run before."""
        for folder in (self.out, self.marks):
            shutil.rmtree(folder, ignore_errors=True)
        self.marks.mkdir()

    def undisturbed(self) -> Run:
        """A word count that nobody touches."""
        self.clear()
        begun = time.monotonic()
        return self.wait(self.count(), begun)

    def wait(self, process: subprocess.Popen[bytes], begun: float) -> Run:
        """Until it ends; the seconds since then."""
        _, said = process.communicate()
        seconds = time.monotonic() - begun
        if process.returncode not in (0, 6, 130, -9):
            sys.stderr.write(said.decode())
        return Run(seconds, process.returncode, self.digest())

    def digest(self) -> str:
        """Of all part files."""
        found = hashlib.blake2b(digest_size=8)
        for part in sorted(self.out.glob("part-*")):
            found.update(part.read_bytes())
        return found.hexdigest()

    def attempts(self) -> list[int]:
        """How often each map task was begun."""
        tasks: dict[int, int] = {}
        for mark in os.listdir(self.marks):
            task = int(mark.split(".")[0])
            tasks[task] = tasks.get(task, 0) + 1
        return [tasks[task] for task in sorted(tasks)]


@contextmanager
def subject(command: str, corpus: str) -> Iterator[Subject]:
    """One with a folder beside the corpus, which is gone afterwards."""
    corpus = os.path.abspath(corpus)
    folder = Path(tempfile.mkdtemp(prefix="bench-faults-", dir=os.path.dirname(corpus)))
    try:
        yield Subject(command, corpus, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def workers_of(pid: int) -> list[int]:
    """Worker processes of a coordinator."""
    children: list[str] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += file.read().split()
    except OSError:
        return []
    return sorted({int(child) for child in children})
