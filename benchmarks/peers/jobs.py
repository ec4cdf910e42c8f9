"""The jobs that run.py knows: what each one runs, and the table that it prints.

A word count runs every formulation of every peer once, and the promising ones once more; each peer's fastest is then
timed against ours in pairs. No ratio is printed when an answer differs from another.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import subjects
from measure import Laboratory, Pairs, Run, Subject, SubjectError

IDLE_PAIRS = 2  # A B B A
STARTUP_RUNS = 20


@dataclass(frozen=True, slots=True)
class Corpus:
    name: str
    digest: str
    size_bytes: int
    path: Path


@dataclass(slots=True)
class Bench:
    """What all jobs share: the settings, the programs that are installed, and whether anything failed so far."""

    options: argparse.Namespace
    laboratory: Laboratory
    versions: dict[str, str]
    results: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False

    def peers(self) -> list[subjects.Peer]:
        return [peer for peer in subjects.PEERS if peer.name in self.versions]


@dataclass(frozen=True, slots=True)
class Job:
    about: str
    corpus: str | None  # None: a text of a kilobyte
    play: Callable[[Bench, Corpus, int], dict[str, Any]]
    workers: int = 2


# Word count: ours into a directory and to standard output, against every peer.


def play_count(bench: Bench, corpus: Corpus, workers: int) -> dict[str, Any]:
    ours = [make(bench.options.mrcore, corpus.path, workers) for make in (subjects.to_directory, subjects.to_stdout)]
    print_header("first run, or the faster of two", "seconds", "MB/s", "CPU s", "peak MiB of a process", "answer")
    first: dict[str, Run] = {}
    for subject in ours:
        first[subject.name] = bench.laboratory.run(subject, corpus.path)
        print_first(bench, subject.name, first, corpus)
    best = scout(bench, corpus, workers, first)
    print(f"\nOur answer: {first[ours[0].name].answer}\n")

    paired = [subject for subject in best if is_promising(bench, first[subject.name], first)]
    idle_title = f"after {bench.options.idle:.0f} s of idling" if bench.options.idle else "after idling"
    print_header(
        "ours", "peer", "ours s, median (range)", "peer s, median (range)", "ratio, median (range)", idle_title
    )
    comparisons = []
    for theirs in paired:
        for subject in ours:
            idle_s = bench.options.idle if theirs is paired[0] else 0
            comparisons.append(compare(bench, subject, theirs, corpus.path, idle_s))
    return {"first_runs": {name: asdict(run) for name, run in first.items()}, "comparisons": comparisons}


def scout(bench: Bench, corpus: Corpus, workers: int, first: dict[str, Run]) -> list[Subject]:
    """Each peer's fastest formulation with the right answer, the fastest peer first; the runs are added to ``first``.

    One run would let a hiccup of the machine choose a peer's slower formulation, in our favour: whatever has a chance
    gets a second.
    """
    answer = next(iter(first.values())).answer
    best = []
    for peer in bench.peers():
        right = []
        for subject in peer.subjects(bench.options.peer_python, corpus.path, workers):
            try:
                first[subject.name] = bench.laboratory.run(subject, corpus.path)
                if is_promising(bench, first[subject.name], first):
                    again = bench.laboratory.run(subject, corpus.path)
                    first[subject.name] = min(first[subject.name], again, key=lambda run: run.seconds)
            except SubjectError as error:
                print_row(subject.name, "", "", "", "", str(error).splitlines()[0].replace("|", "/"))
                bench.failed |= not error.is_timeout
                continue
            print_first(bench, subject.name, first, corpus)
            if first[subject.name].answer == answer:
                right.append(subject)
        if right:
            best.append(min(right, key=lambda subject: first[subject.name].seconds))
    return sorted(best, key=lambda subject: first[subject.name].seconds)


def is_promising(bench: Bench, run: Run, first: dict[str, Run]) -> bool:
    """Whether a peer's run is near enough to the best peer's so far."""
    theirs = [other.seconds for name, other in first.items() if not name.startswith("mrcore")]
    limit: float = bench.options.pair_below * min(theirs)
    return run.seconds <= limit


def print_first(bench: Bench, name: str, first: dict[str, Run], corpus: Corpus) -> None:
    run, answer = first[name], next(iter(first.values())).answer
    bench.failed |= run.answer != answer
    print_row(
        name,
        f"{run.seconds:.2f}",
        f"{corpus.size_bytes / run.seconds / 1e6:.0f}",
        f"{run.cpu_s:.2f}",
        f"{run.rss_bytes >> 20}",
        "as ours" if run.answer == answer else f"DIFFERS: {run.answer}",
    )


def compare(bench: Bench, a: Subject, b: Subject, source: Path, idle_s: float = 0) -> dict[str, Any]:
    """Pairs of A and B, and a line of the table about them; no ratio when any answer differs from another."""
    pairs = bench.laboratory.pairs(a, b, source, bench.options.pairs)
    idle = bench.laboratory.pairs(a, b, source, IDLE_PAIRS, idle_s) if idle_s else Pairs()
    found = {"a": a.name, "b": b.name, "pairs": asdict(pairs), "idle_pairs": asdict(idle)}
    seconds = [spread([run.seconds for run in runs]) for runs in (pairs.a, pairs.b)]
    if len(pairs.answers() | idle.answers()) > 1:
        bench.failed = True
        print_row(a.name, b.name, *seconds, "no ratio: answers differ", "")
        return {**found, "ratio": None, "ratio_idle": None}
    ratio_idle = idle.ratio() if idle_s else None
    print_row(
        a.name, b.name, *seconds, f"**{spread(pairs.ratios())}**", "-" if ratio_idle is None else f"{ratio_idle:.2f}"
    )
    return {**found, "ratio": pairs.ratio(), "ratio_idle": ratio_idle}


# Jobs about ourselves alone.


def play_scaling(bench: Bench, corpus: Corpus, workers: int) -> dict[str, Any]:
    many, one = (subjects.to_directory(bench.options.mrcore, corpus.path, count) for count in (workers, 1))
    print_header("A", "B", "A s, median (range)", "B s, median (range)", "B / A, median (range)", "after idling")
    return {"comparisons": [compare(bench, many, one, corpus.path, bench.options.idle)]}


def play_startup(bench: Bench, corpus: Corpus, _: int) -> dict[str, Any]:
    """Short runs in turn. Nothing is touched before them: their memory is a few megabytes."""
    mrcore, room = bench.options.mrcore, bench.laboratory
    beside = Path(mrcore).with_name("python")
    python = str(beside) if beside.exists() else sys.executable
    programs = {
        "python -c pass": [python, "-c", "pass"],
        "mrcore --help": [mrcore, "--help"],
        f"mrcore wordcount, {corpus.size_bytes} bytes": [mrcore, "wordcount", str(corpus.path)],
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(STARTUP_RUNS):
        for name, command in programs.items():
            milliseconds[name].append(room.time(fixed_subject(name, command)).seconds * 1000)
    medians = {name: statistics.median(values) for name, values in milliseconds.items()}
    print_header("program", f"ms, median of {STARTUP_RUNS} (range)", "over the bare interpreter, ms")
    for name, values in milliseconds.items():
        print_row(name, spread(values), f"{medians[name] - medians['python -c pass']:.0f}")
    return {"milliseconds": milliseconds}


def fixed_subject(name: str, command: list[str]) -> Subject:
    return Subject(name, lambda _: command, to_stdout=True, has_answer=False)


def print_header(*titles: str) -> None:
    print_row(*titles)
    print_row(*["---"] * len(titles))


def print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


JOBS = {
    "zipf-128m": Job("word count of 128 MiB of Zipf text, a rehearsal", "zipf-128m", play_count),
    "zipf-1g": Job("word count of 1 GiB of Zipf text, 300,000 words", "zipf-1g", play_count),
    "zipf-4g": Job("word count of 4 GiB of Zipf text, 300,000 words", "zipf-4g", play_count),
    "linux-1g": Job("word count of 1 GiB of kernel source", "linux-1g", play_count),
    "distinct-64m": Job("word count of 64 MiB of random tokens, a rehearsal", "distinct-64m", play_count),
    "distinct-512m": Job("word count of 512 MiB of random tokens, nearly all distinct", "distinct-512m", play_count),
    "one-worker": Job("zipf-1g with one worker or thread each", "zipf-1g", play_count, workers=1),
    "scaling": Job("zipf-1g with two workers (A) and with one (B)", "zipf-1g", play_scaling),
    "startup": Job("the time before the work begins", None, play_startup),
}
