"""A race: one task, ours against every peer.

Every formulation of every peer runs once, and the promising ones once more; each peer's fastest is then timed against
ours in pairs. No ratio is printed when an answer differs from another.
"""

from dataclasses import asdict, dataclass
from typing import Any

from bench import Bench, Corpus, print_header, print_row, spread
from measure import Pairs, Run, Subject, SubjectError
from subjects import Ours, Task

IDLE_PAIRS = 2  # A B B A


@dataclass(frozen=True, slots=True)
class Race:
    task: Task
    ours: tuple[Ours, ...]
    workers: int = 2  # of the peers; ours have them in their commands
    against: tuple[str, ...] | None = None  # these peers only

    def play(self, bench: Bench, corpus: Corpus) -> dict[str, Any]:
        ours = [make(bench.options.mrcore, corpus.path) for make in self.ours]
        print_header("first run, or the faster of two", "seconds", "MB/s", "CPU s", "peak MiB of a process", "answer")
        first: dict[str, Run] = {}
        for subject in ours:
            first[subject.name] = bench.laboratory.run(subject)
            print_first(bench, subject.name, first, corpus)
        best = self.scout(bench, corpus, first)
        print(f"\nOur answer: {first[ours[0].name].answer}\n")

        paired = [subject for subject in best if is_promising(bench, first[subject.name], first)]
        print_comparison_header(bench)
        comparisons = []
        for theirs in paired:
            for subject in ours:
                idle_s = bench.options.idle if theirs is paired[0] else 0
                comparisons.append(compare(bench, subject, theirs, idle_s))
        return {"first_runs": {name: asdict(run) for name, run in first.items()}, "comparisons": comparisons}

    def scout(self, bench: Bench, corpus: Corpus, first: dict[str, Run]) -> list[Subject]:
        """Each peer's fastest formulation with the right answer, the fastest peer first; the runs go to ``first``.

        One run would let a hiccup of the machine choose a peer's slower formulation, in our favour: whatever has a
        chance gets a second.
        """
        answer = next(iter(first.values())).answer
        best = []
        for peer in bench.peers():
            if self.against is not None and peer.name not in self.against:
                continue
            right = []
            for subject in peer.subjects(self.task, bench.options.peer_python, corpus.path, self.workers):
                try:
                    first[subject.name] = bench.laboratory.run(subject)
                    if is_promising(bench, first[subject.name], first):
                        again = bench.laboratory.run(subject)
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


def print_comparison_header(bench: Bench) -> None:
    idle = f"after {bench.options.idle:.0f} s of idling" if bench.options.idle else "after idling"
    print_header("A", "B", "A s, median (range)", "B s, median (range)", "B / A, median (range)", idle)


def compare(bench: Bench, a: Subject, b: Subject, idle_s: float = 0) -> dict[str, Any]:
    """Pairs of A and B, and a line of the table about them; no ratio when any answer differs from another."""
    pairs = bench.laboratory.pairs(a, b, bench.options.pairs)
    idle = bench.laboratory.pairs(a, b, IDLE_PAIRS, idle_s) if idle_s else Pairs()
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
