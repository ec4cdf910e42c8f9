#!/usr/bin/env python3
"""How much memory a command and its descendants take together, and how much they leave in a folder meanwhile.

    memory.py [--interval MS] [--folder DIR] COMMAND...

Every few milliseconds RssAnon and RssShmem of every process of the tree are read from /proc and added up: the memory
that is theirs. Mapped files are the page cache's and do not count. The highest sum is printed to standard error after
the command has ended, with the number of processes at that moment; the exit status is the command's. measure.py uses
``watch`` for the jobs about memory.

A process that lives for less than the interval may be missed, and a page of shared memory counts once in each process
that has touched it. Of the folder, the blocks of all files that can be seen in it count; a file that was removed while
it was open cannot be seen.
"""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_S = 0.005
FOLDER_EVERY = 40  # samples: looking through a folder takes longer
STATUS_BYTES = 8192
COUNTED = (b"RssAnon:", b"RssShmem:")


@dataclass(slots=True)
class Footprint:
    """The peaks so far."""

    memory_bytes: int = 0
    processes: int = 0  # at the peak of memory
    folder_bytes: int = 0
    samples: int = 0

    def __str__(self) -> str:
        mib = 1 << 20
        return f"{self.memory_bytes / mib:.1f} MiB of {self.processes} processes at the peak, {self.samples} samples"


@dataclass(slots=True)
class ProcessTree:
    """The processes that descend from one; a member stays one when its parent has gone.

    The status file of a member is kept open: reading it fails when the process has ended, whoever has its number then.
    """

    members: dict[int, int] = field(default_factory=dict)  # process -> descriptor of its status

    def sample(self) -> tuple[int, int]:
        """Bytes of memory, and processes that have some."""
        total = processes = 0
        for process, descriptor in list(self.members.items()):
            try:
                status = os.pread(descriptor, STATUS_BYTES, 0)
            except ProcessLookupError:
                os.close(self.members.pop(process))
                continue
            if memory_bytes := own_memory_bytes(status):
                total += memory_bytes
                processes += 1
            for child in children(process):
                self.add(child)
        return total, processes

    def add(self, process: int) -> None:
        if process not in self.members:
            with suppress(OSError):
                self.members[process] = os.open(f"/proc/{process}/status", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        for descriptor in self.members.values():
            os.close(descriptor)
        self.members.clear()


def own_memory_bytes(status: bytes) -> int:
    """Of the text of /proc/PID/status; a process that has ended but not been waited for has none."""
    return sum(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(COUNTED))


def children(process: int) -> Iterator[int]:
    """Every thread has a list of the processes that it started."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with suppress(OSError), open(f"/proc/{process}/task/{thread}/children", "rb") as source:
                yield from map(int, source.read().split())


def folder_bytes(folder: Path) -> int:
    """Blocks of all files below a folder that is being written to."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


@contextmanager
def watch(process: int, folder: Path | None = None, interval_s: float = INTERVAL_S) -> Iterator[Footprint]:
    """Samples the tree below a process while the block runs; the peaks are complete when it has ended."""
    footprint, tree, done = Footprint(), ProcessTree(), threading.Event()
    tree.add(process)

    def look() -> None:
        is_last = False
        while not is_last:
            is_last = done.wait(interval_s if footprint.samples else 0)
            memory_bytes, processes = tree.sample()
            if memory_bytes > footprint.memory_bytes:
                footprint.memory_bytes, footprint.processes = memory_bytes, processes
            if folder is not None and (is_last or footprint.samples % FOLDER_EVERY == 0):
                footprint.folder_bytes = max(footprint.folder_bytes, folder_bytes(folder))
            footprint.samples += 1

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield footprint
    finally:
        done.set()
        thread.join()
        tree.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a command and say how much memory its processes took together.")
    parser.add_argument("--interval", type=float, metavar="MS", default=INTERVAL_S * 1000, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="also say how much was in this folder at most")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    options = parser.parse_args()
    if not options.command:
        parser.error("name a COMMAND")
    process = subprocess.Popen(options.command)
    with watch(process.pid, options.folder, options.interval / 1000) as footprint:
        status = process.wait()
    print(f"memory.py: {footprint}", file=sys.stderr)
    if options.folder:
        print(f"memory.py: {footprint.folder_bytes / (1 << 20):.1f} MiB in {options.folder}", file=sys.stderr)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
