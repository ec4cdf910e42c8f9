"""What all jobs share: the session with its settings, the corpora, and the tables that are printed."""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import subjects
from measure import Laboratory


@dataclass(frozen=True, slots=True)
class Corpus:
    name: str
    digest: str
    size_bytes: int
    path: Path


@dataclass(slots=True)
class Bench:
    """The settings, the programs that are installed, and whether anything failed so far."""

    options: argparse.Namespace
    laboratory: Laboratory
    versions: dict[str, str]
    results: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False

    def peers(self) -> list[subjects.Peer]:
        return [peer for peer in subjects.PEERS if peer.name in self.versions]


@dataclass(frozen=True, slots=True)
class Job:
    """What run.py knows by a name: it is played once for each corpus, or once with a text of a kilobyte."""

    about: str
    corpora: tuple[str, ...]
    play: Callable[[Bench, Corpus], dict[str, Any]]


def print_header(*titles: str) -> None:
    print_row(*titles)
    print_row(*["---"] * len(titles))


def print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
