"""What faults cost: kills, stragglers, resumption, interrupts, as ratios to undisturbed runs in the same minutes.

    python benchmarks/faults/bench_faults.py [NAME...] --corpus FILE [--mrcore COMMAND] [--pairs N]

``FILE`` is a text of which a Python word count takes 30 s or more, such as ``zipf-4g.txt`` of ``benchmarks/corpora``.
Outputs are compared by digest with the undisturbed run's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
JOBS = HERE / "jobs.py"
SPLIT = "16MiB"


class Run(NamedTuple):
    """A run that has ended."""

    seconds: float
    status: int
    digest: str


class Bench:
    """The command, a folder, and the corpus."""

    def __init__(self, command: str, corpus: str, folder: Path) -> None:
        self.command, self.corpus, self.folder = command, corpus, folder
        self.out, self.marks = folder / "out", folder / "marks"

    def start(self, job: str, inputs: list[str], *options: str, **variables: str) -> subprocess.Popen[bytes]:
        """A job, in a process group of its own."""
        arguments = [self.command, "run", f"{JOBS}:{job}", *inputs, "-j", "2", "-o", str(self.out), *options]
        environment = os.environ | variables | {"MARKS": str(self.marks)}
        return subprocess.Popen(arguments, env=environment, start_new_session=True, stderr=subprocess.PIPE)

    def clear(self) -> None:
        """Nothing is left of the run before."""
        for folder in (self.out, self.marks):
            shutil.rmtree(folder, ignore_errors=True)
        self.marks.mkdir()

    def count(self, *options: str) -> subprocess.Popen[bytes]:
        """The word count."""
        return self.start("WordCount", [self.corpus], "--split", SPLIT, *options)

    def wait(self, process: subprocess.Popen[bytes], begun: float) -> Run:
        """Until it ends."""
        _, said = process.communicate()
        seconds = time.monotonic() - begun
        if process.returncode not in (0, 130, -9):
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


def workers_of(pid: int) -> list[int]:
    """Worker processes of a coordinator."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = file.read().split()
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += file.read().split()
    except OSError:
        return []
    return sorted({int(child) for child in children})


def undisturbed(bench: Bench) -> Run:
    """A run that nobody touches."""
    bench.clear()
    begun = time.monotonic()
    return bench.wait(bench.count(), begun)


def one_kill(bench: Bench, base: Run) -> None:
    """One worker of two is killed in the middle."""
    bench.clear()
    begun = time.monotonic()
    process = bench.count()
    time.sleep(base.seconds / 2)
    os.kill(random.choice(workers_of(process.pid)), signal.SIGKILL)
    run = bench.wait(process, begun)
    print(
        f"one kill at 50 %: {run.seconds:.2f} s against {base.seconds:.2f} s, {run.seconds / base.seconds:.3f}; "
        f"same bytes {run.digest == base.digest}; attempts of map tasks {sum(bench.attempts())} of "
        f"{len(bench.attempts())}"
    )


def many_kills(bench: Bench, base: Run) -> None:
    """A random worker each second, and the coordinator once, which is resumed."""
    bench.clear()
    begun = time.monotonic()
    process, kills, resumed = bench.count("--max-attempts", "50"), 0, False
    while process.poll() is None:
        time.sleep(1)
        if not resumed and time.monotonic() - begun > base.seconds / 2:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process, resumed = bench.count("--max-attempts", "50", "--resume"), True
        elif workers := workers_of(process.pid):
            os.kill(random.choice(workers), signal.SIGKILL)
            kills += 1
    run = bench.wait(process, begun)
    attempts = bench.attempts()
    print(
        f"a kill a second ({kills}), the coordinator once: {run.seconds:.2f} s, {run.seconds / base.seconds:.2f}; "
        f"same bytes {run.digest == base.digest}; {sum(attempts)} attempts of {len(attempts)} map tasks"
    )


def resume(bench: Bench, base: Run) -> None:
    """Everything is killed at 60 %, and resumed."""
    bench.clear()
    process = bench.count()
    time.sleep(0.6 * base.seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    begun = time.monotonic()
    run = bench.wait(bench.count("--resume"), begun)
    attempts = bench.attempts()
    print(
        f"kill -9 of all at 60 %, resumed: {run.seconds:.2f} s, {run.seconds / base.seconds:.3f} of the whole; "
        f"same bytes {run.digest == base.digest}; {sum(attempts) - len(attempts)} map tasks begun twice"
    )


def interrupt(bench: Bench, base: Run) -> None:
    """Ctrl-C in the middle: how long until all is gone."""
    bench.clear()
    process = bench.count()
    time.sleep(base.seconds / 3)
    workers = workers_of(process.pid)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    run = bench.wait(process, begun)
    left = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
    print(f"Ctrl-C: gone after {run.seconds * 1000:.0f} ms, exit {run.status}, {len(left)} of {len(workers)} left")


def straggler(bench: Bench, pairs: int, slowness: str) -> None:
    """40 tasks of a second, one of two workers slower: speculation on and off."""
    inputs = []
    for number in range(40):
        path = bench.folder / f"task{number:02d}"
        path.write_text(f"{number}\n")
        inputs.append(str(path))
    ratios = []
    for pair in range(pairs):
        seconds = {}
        for mode in ("auto", "off") if pair % 2 else ("off", "auto"):
            bench.clear()
            mark = bench.folder / "slow"
            mark.unlink(missing_ok=True)
            begun = time.monotonic()
            process = bench.start(
                "Straggler", inputs, "--split", "file", "--speculation", mode, SLOW_MARK=str(mark), SLOWNESS=slowness
            )
            seconds[mode] = bench.wait(process, begun).seconds
        ratios.append(seconds["off"] / seconds["auto"])
        print(f"straggler {slowness}x: off {seconds['off']:.2f} s, on {seconds['auto']:.2f} s")
    print(f"straggler {slowness}x: speculation is {statistics.median(ratios):.2f} times as fast")


def nothing(bench: Bench) -> None:
    """1,000 tasks without work."""
    folder = bench.folder / "nothing"
    folder.mkdir(exist_ok=True)
    for number in range(1000):
        (folder / f"{number:04d}").touch()
    times = []
    for _ in range(5):
        bench.clear()
        begun = time.monotonic()
        times.append(bench.wait(bench.start("Nothing", [str(folder)], "--split", "file"), begun).seconds)
    print(f"1,000 tasks of nothing, -o: {statistics.median(times):.2f} s, {statistics.median(times):.2f} ms a task")


def main() -> None:
    """Runs the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ("nothing", "one-kill", "many-kills", "resume", "interrupt", "straggler")
    parser.add_argument("names", nargs="*", choices=[*known, []], default=list(known), metavar="NAME")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--mrcore", default="mrcore")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--slowness", default="10")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-faults-", dir=os.path.dirname(os.path.abspath(arguments.corpus))))
    bench = Bench(arguments.mrcore, os.path.abspath(arguments.corpus), folder)
    try:
        needing = {"one-kill": one_kill, "many-kills": many_kills, "resume": resume, "interrupt": interrupt}
        base = undisturbed(bench) if any(name in needing for name in arguments.names) else None
        if base is not None:
            print(f"undisturbed: {base.seconds:.2f} s")
        for name in arguments.names:
            if name in needing and base is not None:
                needing[name](bench, base)
            elif name == "straggler":
                straggler(bench, arguments.pairs, arguments.slowness)
            else:
                nothing(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
