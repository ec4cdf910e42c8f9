#!/usr/bin/env python3
"""What it costs to be ready for faults where none come: a task of nothing, a small job, a large one.

    benchmarks/faults/bench_overhead.py [NAME...] --corpus FILE [--mrcore COMMAND] [--against OTHER] [--rounds N]

``warm`` and ``tasks`` call the mrcore of this interpreter. ``native`` runs ``mrcore wordcount FILE -o DIR``
by two commands, as A B B A, and tells the difference; ``OTHER`` is another mrcore's.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time

import jobs
from subject import Subject, subject

import mrcore as mr

TASKS = 1000


def said(name: str, times: list[float], unit: str = "ms", per: int = 1) -> str:
    """A line of figures."""
    scale = 1000 / per
    low, middle, high = (scale * time for time in (min(times), statistics.median(times), max(times)))
    return f"{name}: {middle:.2f} {unit}, median of {len(times)} ({low:.2f} to {high:.2f})"


def tasks(bench: Subject, rounds: int) -> None:
    """1,000 tasks without work: the command; then a program whose workers are there."""
    folder = bench.folder / "nothing"
    folder.mkdir()
    for number in range(TASKS):
        (folder / f"{number:04d}").touch()
    times = []
    for _ in range(rounds):
        bench.clear()
        begun = time.monotonic()
        run = bench.wait(bench.start("Nothing", [str(folder)], "--split", "file"), begun)
        assert run.status == 0, run
        times.append(run.seconds)
    print(said("a task of nothing, -o, the command", times, per=TASKS), flush=True)
    for output in (bench.out, None):
        times = []
        for _ in range(rounds + 1):
            bench.clear()
            begun = time.monotonic()
            mr.run(jobs.Nothing, str(folder), output, executor=mr.Local(2), split="file")
            times.append(time.monotonic() - begun)
        name = "a task of nothing, in a program" + (", -o" if output else "")
        print(said(name, times[1:], per=TASKS), flush=True)


def warm(bench: Subject, rounds: int) -> None:
    """A small job in a program that had one before."""
    path = bench.folder / "small"
    path.write_bytes(b"the quick brown fox\n" * 1000)
    for output in (bench.out, None):
        times = []
        for _ in range(rounds + 1):
            bench.clear()
            begun = time.monotonic()
            mr.run(jobs.WordCount, str(path), output, executor=mr.Local(2))
            times.append(time.monotonic() - begun)
        name = "a second small job" + (", -o" if output else "")
        print(f"{said(name, times[1:])}; the first {times[0] * 1000:.0f} ms", flush=True)


def native(bench: Subject, rounds: int, other: str) -> None:
    """Word count by the kernels, by this command and by another one."""

    def once(command: str) -> float:
        shutil.rmtree(bench.out, ignore_errors=True)
        begun = time.monotonic()
        run = Subject(command, bench.corpus, bench.folder)
        assert run.wait(run.begin("wordcount", bench.corpus, "-o", str(bench.out)), begun).status == 0
        return time.monotonic() - begun

    once(other)
    more, base = [], []
    for _ in range(rounds):
        a, b, c, d = once(other), once(bench.command), once(bench.command), once(other)
        more.append((b + c - a - d) / 2)
        base += [a, d]
    print(said("the other", base), said("more", more), sep="\n", flush=True)


def main() -> None:
    """Runs the parts that are named, or those that need no other command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=["tasks", "warm", "native", []], default=[])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--mrcore", default="mrcore")
    parser.add_argument("--against")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with subject(arguments.mrcore, arguments.corpus) as bench:
        for name in arguments.names or ["tasks", "warm"]:
            if name == "tasks":
                tasks(bench, arguments.rounds)
            elif name == "warm":
                warm(bench, arguments.rounds)
            elif not arguments.against:
                parser.error("native needs --against")
            else:
                native(bench, arguments.rounds, arguments.against)


if __name__ == "__main__":
    main()
