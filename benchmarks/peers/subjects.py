"""What is timed: mrcore as its users run it, and the same job in what they would pick instead."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import answers
from measure import Subject

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Task:
    """One question to a text: how mrcore is asked, and what its answer looks like."""

    name: str  # as the peers' scripts know it
    verb: tuple[str, ...]
    read: answers.Reader
    is_named_from_parent: bool = False  # the input is named relative to its parent: the name is in the answer

    def argument(self, source: Path) -> str:
        return source.name if self.is_named_from_parent else str(source)

    def words(self) -> str:
        """The verb as a table shows it: of a file only its name."""
        return " ".join(Path(word).name for word in self.verb)

    def folder(self, source: Path) -> Path | None:
        return source.parent if self.is_named_from_parent else None


WORD_COUNT = Task("wordcount", ("wordcount",), answers.read_counts)
DISTINCT = Task("distinct", ("distinct",), answers.read_number)
TOP = Task("top", ("top", "100"), answers.read_top)
BIGRAMS = Task("bigrams", ("ngrams", "-n", "2"), answers.read_bigrams)
INDEX = Task("index", ("index",), answers.read_index, is_named_from_parent=True)


def python_task(name: str, file: str, read: answers.Reader, is_named_from_parent: bool = False) -> Task:
    """A job whose functions are Python: ``mrcore run FILE``."""
    return Task(name, ("run", str(HERE / file)), read, is_named_from_parent)


PYTHON_WORD_COUNT = python_task("wordcount", "python_wordcount.py", answers.read_counts)
PYTHON_INDEX = python_task("index", "python_index.py:Lists", answers.read_index_of_lists, is_named_from_parent=True)
PYTHON_GROUPS = python_task("groupby", "python_groupby.py", answers.read_groups)
PYTHON_LENGTHS = python_task("lengths", "python_batches.py:word_lengths", answers.read_lengths)
NATIVE_LENGTHS = Task("lengths", ("wordcount",), answers.read_counts_as_lengths)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another engine, and at least two formulations of each task that it knows, of which the fastest counts."""

    name: str
    script: str
    formulations: Mapping[Task, tuple[str, ...]]

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

    def subjects(self, task: Task, python: str, source: Path, threads: int) -> list[Subject]:
        def subject(formulation: str) -> Subject:
            def command(output: Path) -> Sequence[str]:
                words = (task.name, formulation, task.argument(source), str(output), str(threads))
                return self.command(python, *words)

            return Subject(f"{self.name} {formulation}", command, source, task.read, folder=task.folder(source))

        return [subject(formulation) for formulation in self.formulations.get(task, ())]


PEERS = (
    Peer(
        "chdb",
        "peer_chdb.py",
        {
            WORD_COUNT: ("whitespace", "char", "small-blocks"),
            DISTINCT: ("uniq-exact", "uniq-exact-array", "groups", "groups-char", "groups-small-blocks"),
            TOP: ("whitespace", "char", "small-blocks"),
            BIGRAMS: ("pairs", "joined", "joined-small-blocks"),
            INDEX: ("whole-files", "unique-of-whole-files"),
        },
    ),
    Peer(
        "duckdb",
        "peer_duckdb.py",
        {
            WORD_COUNT: ("split", "filter-late", "regex"),
            DISTINCT: ("groups", "count-distinct"),
            TOP: ("split", "filter-late"),
            BIGRAMS: ("two-lists", "two-lists-joined", "zip", "lead"),
            INDEX: ("list-sort", "distinct-of-lines"),
        },
    ),
    Peer(
        "polars",
        "peer_polars.py",
        {
            WORD_COUNT: ("explode", "filter-late", "spaces-end-rows"),
            DISTINCT: ("groups", "n-unique"),
            TOP: ("sorted", "top-k"),
            BIGRAMS: ("two-lists", "two-lists-joined"),
            INDEX: ("names", "numbers", "in-order-in-memory"),
        },
    ),
    Peer(
        "multiprocessing",
        "peer_multiprocessing.py",
        {
            WORD_COUNT: ("chunks", "lines"),
            PYTHON_WORD_COUNT: ("chunks", "lines"),
            PYTHON_INDEX: ("lists", "joined"),
        },
    ),
    Peer("gnu", "peer_gnu.sh", {WORD_COUNT: ("sort", "awk")}),
    Peer(
        "records",
        "peer_records.py",
        {
            PYTHON_WORD_COUNT: ("get", "defaultdict", "counter"),
            PYTHON_INDEX: ("in-parent", "partitioned", "joined"),
            PYTHON_GROUPS: ("lists", "arrays"),
        },
    ),
    Peer("dask", "peer_dask.py", {PYTHON_WORD_COUNT: ("foldby", "frequencies", "split-frequencies")}),
    Peer("pyspark", "peer_pyspark.py", {PYTHON_WORD_COUNT: ("coarse", "fine"), PYTHON_GROUPS: ("coarse", "fine")}),
    Peer("mrjob", "peer_mrjob.py", {PYTHON_WORD_COUNT: ("json", "text")}),
)

Ours = Callable[[str, Path], Subject]  # the program and the input


def to_directory(task: Task, workers: int = 2, *options: str, is_watched: bool = False) -> Ours:
    """Part files: sorted, checksummed and fsynced as ever."""

    def subject(mrcore: str, source: Path) -> Subject:
        settings = ["-j", str(workers), *options]
        return Subject(
            " ".join(["mrcore", task.words(), *settings, "-o DIR"]),
            lambda output: [mrcore, *task.verb, task.argument(source), "-o", str(output), *settings],
            source,
            task.read,
            folder=task.folder(source),
            is_watched=is_watched,
        )

    return subject


def to_stdout(task: Task, workers: int = 2) -> Ours:
    def subject(mrcore: str, source: Path) -> Subject:
        words = [mrcore, *task.verb, "-j", str(workers)]
        name = " ".join(["mrcore", *words[1:], "> FILE"])
        return Subject(name, lambda _: [*words, task.argument(source)], source, task.read, to_stdout=True)

    return subject


def fixed(name: str, command: list[str]) -> Subject:
    """A command as it stands, whose output is not read."""
    return Subject(name, lambda _: command, None, None, to_stdout=True)
