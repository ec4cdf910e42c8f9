"""Jobs about ourselves alone: scaling, start-up, batches against native code, what Python itself allows, memory under a
budget, and a long stream from a pipe."""

import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import subjects
from bench import Bench, Corpus, print_header, print_row, spread
from measure import HERE, Run, Subject, SubjectError, compile_c, warm
from race import compare, print_comparison_header

STARTUP_RUNS = 20
MIB, GIB = 1 << 20, 1 << 30

# What a job under a memory budget may take: a tenth more, and the interpreter and libraries of each process.
BUDGET_SHARE = 1.1
PROCESS_BYTES = 32 * MIB
MEMORY_BUDGET_BYTES = 128 * MIB
STREAM_BUDGET_BYTES = 512 * MIB
STREAM_DISK_SHARE = 2  # of the text: room for temporary files that a stream has to find
STREAM_SEED = 5


def play_scaling(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    mrcore = bench.options.mrcore
    two, one = (subjects.to_directory(subjects.WORD_COUNT, count)(mrcore, corpus.path) for count in (2, 1))
    print_comparison_header(bench)
    return {"comparisons": [compare(bench, two, one, bench.options.idle)]}


def play_startup(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    """Short runs in turn. Nothing is touched before them: their memory is a few megabytes."""
    mrcore, room = bench.options.mrcore, bench.laboratory
    python = python_of(mrcore)
    programs = {
        "python -c pass": [python, "-c", "pass"],
        "mrcore --help": [mrcore, "--help"],
        f"mrcore wordcount, {corpus.size_bytes} bytes": [mrcore, "wordcount", str(corpus.path)],
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(STARTUP_RUNS):
        for name, command in programs.items():
            milliseconds[name].append(room.time(subjects.fixed(name, command)).seconds * 1000)
    medians = {name: statistics.median(values) for name, values in milliseconds.items()}
    print_header("program", f"ms, median of {STARTUP_RUNS} (range)", "over the bare interpreter, ms")
    for name, values in milliseconds.items():
        print_row(name, spread(values), f"{medians[name] - medians['python -c pass']:.0f}")
    return {"milliseconds": milliseconds}


def python_of(mrcore: str) -> str:
    """The interpreter that stands beside the program, or else ours."""
    beside = Path(mrcore).with_name("python")
    return str(beside) if beside.exists() else sys.executable


# Python functions: batches against native code, and what the interpreter itself allows.


def play_batches(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    """How many words have each length; of the native answer, which counts words, that is made afterwards."""
    mrcore = bench.options.mrcore
    tasks = (subjects.PYTHON_LENGTHS, subjects.NATIVE_LENGTHS)
    batches, native = (subjects.to_directory(task)(mrcore, corpus.path) for task in tasks)
    print_comparison_header(bench)
    found = compare(bench, batches, native, bench.options.idle)
    speeds = {
        subject.name: corpus.size_bytes / statistics.median(run["seconds"] for run in found["pairs"][side]) / 1e6
        for subject, side in ((batches, "a"), (native, "b"))
    }
    print(f"\n{'; '.join(f'{name}: {speed:.0f} MB/s' for name, speed in speeds.items())}.")
    return {"comparisons": [found], "megabytes_per_s": speeds}


def play_ceiling(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    """One process, one core, no engine; what drain.py times, start-up is not in it."""
    python = python_of(bench.options.mrcore)
    warm(corpus.path)
    done = subprocess.run([python, HERE / "drain.py", corpus.path], check=True, stdout=subprocess.PIPE, text=True)
    print_header("one core, without an engine", "seconds", "MB/s", "ns a pair")
    seconds = {}
    for line in done.stdout.splitlines():
        what, taken, pairs = line.split("\t")
        seconds[what] = float(taken)
        megabytes_per_s, ns = corpus.size_bytes / seconds[what] / 1e6, seconds[what] / int(pairs) * 1e9
        print_row(what, f"{seconds[what]:.2f}", f"{megabytes_per_s:.1f}", f"{ns:.0f}")
    return {"python": python, "seconds": seconds}


# Memory: the peak of all processes together, against what the budget allows them.


def play_memory(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    budget = f"{MEMORY_BUDGET_BYTES // MIB}MiB"
    make = subjects.to_directory(subjects.WORD_COUNT, 2, "--memory", budget, is_watched=True)
    subject = make(bench.options.mrcore, corpus.path)
    run = bench.laboratory.run(subject)
    print_header("program", "seconds", *MEMORY_TITLES, "files in its folder, MiB at most")
    print_row(subject.name, f"{run.seconds:.2f}", *memory_cells(run, MEMORY_BUDGET_BYTES), folder_cell(run))
    print(f"\nOur answer: {run.answer}")
    return {"budget_bytes": MEMORY_BUDGET_BYTES, "run": asdict(run)}


MEMORY_TITLES = ("peak MiB of all processes", "processes then", "allowed MiB", "verdict")


def memory_cells(run: Run, budget_bytes: int) -> list[str]:
    """The cells below MEMORY_TITLES."""
    assert run.footprint is not None
    peak, processes = run.footprint.memory_bytes, run.footprint.processes
    allowed = int(budget_bytes * BUDGET_SHARE) + PROCESS_BYTES * processes
    verdict = f"{(peak - allowed) / MIB:.0f} MiB **over**" if peak > allowed else "within"
    return [f"{peak / MIB:.0f}", f"{processes}", f"{allowed / MIB:.0f}", verdict]


def folder_cell(run: Run) -> str:
    assert run.footprint is not None
    return f"{run.footprint.folder_bytes / MIB:,.0f}"


# A stream: random tokens, nearly all distinct, from a pipe; the result is sorted as a whole and goes to /dev/null.


class Stream:
    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def play(self, bench: Bench, _: Corpus) -> dict[str, Any]:
        work = bench.laboratory.work
        self.check_disk(work)
        program = work / "distinct"
        compile_c(program, HERE.parent / "corpora" / "distinct.c")
        feed = [str(program), str(self.size_bytes), str(STREAM_SEED)]
        words = [bench.options.mrcore, "wordcount", "-j", "2", "--memory", f"{STREAM_BUDGET_BYTES // MIB}MiB", "-"]
        name = " ".join(["mrcore", *words[1:], "< PIPE > /dev/null"])
        alone_s = self.time_feed(feed)
        run = bench.laboratory.run(Subject(name, lambda _: words, None, None, feed=feed, is_watched=True))
        print_header(
            "program", "seconds", "MB/s", "CPU s", *MEMORY_TITLES, "temporary files, MiB at most", "CPU s of the feeder"
        )
        print_row(
            name,
            f"{run.seconds:.1f}",
            f"{self.size_bytes / run.seconds / 1e6:.1f}",
            f"{run.cpu_s:.1f}",
            *memory_cells(run, STREAM_BUDGET_BYTES),
            folder_cell(run),
            f"{run.feed_cpu_s:.1f}",
        )
        print(f"\nAlone, the feeder writes {self.size_bytes / alone_s / 1e6:.0f} MB/s; here it shares the processors.")
        return {"budget_bytes": STREAM_BUDGET_BYTES, "size_bytes": self.size_bytes, "run": asdict(run)}

    def check_disk(self, work: Path) -> None:
        needed, free = self.size_bytes * STREAM_DISK_SHARE, shutil.disk_usage(work).free
        print(f"Temporary files need up to {needed / GIB:.1f} GiB; {free / GIB:.1f} GiB are free in {work}.\n")
        if free < needed:
            raise SubjectError("not enough free disk for the temporary files: --work DIR names another place")

    def time_feed(self, feed: list[str]) -> float:
        """Seconds for the whole text, from those for a part of it."""
        part_bytes = min(self.size_bytes, GIB)
        start = os.times()
        subprocess.run([feed[0], str(part_bytes), feed[2]], check=True, stdout=subprocess.DEVNULL)
        return (os.times().elapsed - start.elapsed) * self.size_bytes / part_bytes
