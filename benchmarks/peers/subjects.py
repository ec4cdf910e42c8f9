"""What is timed: mrcore as its users run it, and the same job in what they would pick instead."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import Subject

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Peer:
    """Another engine, and at least two formulations of the job in it, of which the fastest counts."""

    name: str
    script: str
    formulations: tuple[str, ...]

    def command(self, python: str, *arguments: str) -> list[str]:
        interpreter = [] if self.script.endswith(".sh") else [python]
        return [*interpreter, str(HERE / self.script), *arguments]

    def version(self, python: str) -> str | None:
        """None when it cannot be run here."""
        try:
            done = subprocess.run(self.command(python, "--version"), capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def subjects(self, python: str, source: Path, threads: int) -> list[Subject]:
        def subject(formulation: str) -> Subject:
            def command(output: Path) -> Sequence[str]:
                return self.command(python, formulation, str(source), str(output), str(threads))

            return Subject(f"{self.name} {formulation}", command)

        return [subject(formulation) for formulation in self.formulations]


PEERS = (
    Peer("chdb", "peer_chdb.py", ("whitespace", "char", "small-blocks")),
    Peer("duckdb", "peer_duckdb.py", ("split", "filter-late", "regex")),
    Peer("polars", "peer_polars.py", ("explode", "filter-late", "spaces-end-rows")),
    Peer("multiprocessing", "peer_multiprocessing.py", ("chunks", "lines")),
    Peer("gnu", "peer_gnu.sh", ("sort", "awk")),
)


def to_directory(mrcore: str, source: Path, workers: int) -> Subject:
    """Part files: sorted, checksummed and fsynced as ever."""

    def command(output: Path) -> Sequence[str]:
        return [mrcore, "wordcount", "-j", str(workers), "-o", str(output), str(source)]

    return Subject(f"mrcore -j {workers} -o DIR", command)


def to_stdout(mrcore: str, source: Path, workers: int) -> Subject:
    def command(_: Path) -> Sequence[str]:
        return [mrcore, "wordcount", "-j", str(workers), str(source)]

    return Subject(f"mrcore -j {workers} > FILE", command, to_stdout=True)
