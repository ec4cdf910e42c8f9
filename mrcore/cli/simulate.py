"""``mrcore simulate``: plays failure stories of a cluster and says which law of the scheduler one of them breaks."""

from __future__ import annotations

import argparse
import time

from mrcore.cli.output import write_note, write_out
from mrcore.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Story

SEEDS_MAX = 1 << 32


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "simulate",
        help="play failure stories of a cluster",
        description="Plays stories of a simulated cluster, in which the real scheduler, journal and messages meet "
        "slow, dying and lying workers, bad networks and bad disks, and checks what must hold in all of them. "
        "The same seed tells the same story. Exit status 1 when a law is broken.",
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", metavar="N", type=_seed, help="play one story")
    which.add_argument("--seeds", metavar="A:B", type=_seeds, help="play stories A to B - 1, until one breaks a law")
    parser.add_argument("--verbose", action="store_true", help="print every line of the story (with --seed)")
    parser.add_argument("--coverage", action="store_true", help="print how often each kind of event happened")
    parser.set_defaults(run=run)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"not a seed: {text!r}: write a number from 0 to {SEEDS_MAX - 1}")
    return int(text)


def _seeds(text: str) -> range:
    first, colon, last = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"not a range of seeds: {text!r}: write first and end, as in 0:300")
    return range(_seed(first), _seed(last))


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Plays them; 1 if one broke a law."""
    from mrcore.testing.simulation.checkers.law import BrokenLawError
    from mrcore.testing.simulation.checkers.laws import declared, try_seed
    from mrcore.testing.simulation.trace import Trace

    if arguments.verbose and arguments.seed is None:
        raise UsageError("--verbose tells one story: add --seed N")
    seeds = [arguments.seed] if arguments.seed is not None else arguments.seeds
    if not seeds:
        raise UsageError("no seeds: write --seeds A:B with A below B")
    coverage = declared()
    started, told_ns, story = time.monotonic(), 0, None
    for seed in seeds:
        trace = Trace(0, _tell) if arguments.verbose else Trace()
        try:
            story = try_seed(seed, trace)
        except BrokenLawError as error:
            trace.flush()
            if not arguments.verbose:
                write_note(trace.text().rstrip("\n"))
            write_note(f"seed {seed} breaks the law {error.law}: {error.text}")
            write_note(f"mrcore simulate --seed {seed} --verbose")
            return 1
        coverage.merge(story.coverage)
        told_ns += story.ended_ns
    if arguments.coverage:
        write_out(coverage.table().rstrip("\n"))
    if arguments.seed is not None and story is not None:
        write_out(_ending(story))
    else:
        seconds = time.monotonic() - started
        write_out(f"{len(seeds)} stories of {told_ns / 3.6e12:.1f} hours in {seconds:.1f} s: no law was broken")
    return 0


def _tell(lines: str) -> None:
    write_out(lines.rstrip("\n"))


def _ending(story: Story) -> str:
    how = ", ".join(f"{job} {outcome}" for job, outcome in story.outcomes.items())
    lines, digest = f"{len(story.trace):,} lines", story.trace.digest()
    return f"seed {story.seed}: {story.ended_ns / 1e9:.1f} s, {lines}, {how}; digest {digest}"
