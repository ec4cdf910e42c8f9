"""What a figure has to name: the machine, how busy it is, and how fast it reads."""

import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import measure


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int  # that this process may use
    memory_bytes: int
    memory_available_bytes: int
    kernel: str
    load_average: float  # of the last minute, before anything was run

    def __str__(self) -> str:
        gib = 1 << 30
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_bytes / gib:.1f} GiB"
            f" ({self.memory_available_bytes / gib:.1f} available), Linux {self.kernel}, load {self.load_average:.2f}"
        )


def describe() -> Machine:
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return Machine(
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=int(memory["MemTotal"].split()[0]) << 10,
        memory_available_bytes=int(memory["MemAvailable"].split()[0]) << 10,
        kernel=platform.release(),
        load_average=os.getloadavg()[0],
    )


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def line_count_bytes_per_s(path: Path, runs: int = 3) -> float:
    """Bytes a second of ``wc -l`` on a warm file: one core, hardly any work but reading."""
    seconds = []
    for _ in range(runs):
        measure.warm(path)
        start = time.perf_counter()
        subprocess.run(["wc", "-l", path], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return path.stat().st_size / statistics.median(seconds)
