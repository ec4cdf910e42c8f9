"""Runs an example in many ways that must not show in its output, and makes inputs for it."""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import mrcore as mr

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
REDUCERS = 3


class Way(NamedTuple):
    """How a job is run from Python: workers (0: inline), split, and whether it gets the least memory."""

    workers: int
    split: str | None = None
    least: bool = False

    def executor(self, memory: int | None) -> mr.Inline | mr.Local:
        """What it is run by."""
        return mr.Local(self.workers, memory=memory) if self.workers else mr.Inline(memory=memory)


WAYS = [
    Way(0), Way(1), Way(2), Way(0, "4KiB"), Way(1, "file"), Way(2, "4KiB"), Way(0, "1000", True), Way(2, "4KiB", True),
]  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    """Digest of each part file."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("part-*"))}


def write(job: Any, inputs: list[str], output: str, **how: Any) -> Any:
    """Runs a job, or a function that makes a dataset of the inputs, into a folder."""
    if isinstance(job, mr.MapReduce):
        return mr.run(job, inputs, output, **how)
    return job(inputs).write_tsv(output, **how)


class Examples:
    """The examples as modules, and as files for the command."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def load(self, name: str) -> ModuleType:
        """An example as a module."""
        return importlib.import_module(name)

    def same_in_all_ways(self, job: Any, inputs: list[str]) -> Any:
        """Runs a job in all ways, compares the part files' digests, and gives a result to read."""
        result = write(job, inputs, "first", reducers=REDUCERS)
        first, least = digests(self.shell.folder / "first"), result.plan.memory_least
        assert len(first) == REDUCERS
        for number, way in enumerate(WAYS):
            memory = self._least(least, way) if way.least else None
            write(job, inputs, f"way-{number}", reducers=REDUCERS, split=way.split, executor=way.executor(memory))
            assert digests(self.shell.folder / f"way-{number}") == first, way
        return result

    def _least(self, memory: int, way: Way) -> int:
        """The least for a way: as many shares as workers, whatever the first plan had."""
        return memory * max(1, way.workers)

    def command(self, job: str, inputs: list[str], *arguments: str) -> bytes:
        """What ``mrcore run`` prints; its part files with other hash seeds and workers are compared on the way."""
        path = os.fspath(EXAMPLES / job)
        seen = []
        for seed, workers in ((1, "0"), (2, "2")):
            self.shell.env["PYTHONHASHSEED"] = str(seed)
            how = ("-j", workers, "-R", str(REDUCERS), "-o", f"seed-{seed}")
            done = self.shell.run("run", path, *how, *inputs, "--", *arguments)
            assert (done.status, done.out, done.err) == (0, b"", b"")
            seen.append(digests(self.shell.folder / f"seed-{seed}"))
        assert seen[0] == seen[1]
        if (self.shell.folder / "first").exists():
            assert seen[0] == digests(self.shell.folder / "first")
        done = self.shell.run("run", path, *inputs, "--", *arguments)
        assert (done.status, done.err) == (0, b"")
        return done.out

    def piped(self, job: str, stdin: bytes, *arguments: str) -> bytes:
        """What ``mrcore run`` prints for a pipe, whose end is not known before: it has more partitions then."""
        done = self.shell.run("run", os.fspath(EXAMPLES / job), "-", "--", *arguments, stdin_bytes=stdin)
        assert (done.status, done.err) == (0, b"")
        return done.out


@pytest.fixture
def examples(shell: Any, monkeypatch: pytest.MonkeyPatch) -> Iterable[Examples]:
    """The examples, in the shell's folder: names of inputs are the same for the command and for Python."""
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("TMPDIR", os.fspath(shell.tmp))
    before = set(sys.modules)
    yield Examples(shell)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent == EXAMPLES:
            del sys.modules[name]


WORDS = ["the", "of", "and", "été", "Straße", "汉字", "naïve", "\u00a0", "x\u2028y", "a\0b", "back\\slash"]
WORDS += ["👍🏽", "e\u0301"]
GAPS = [" ", "  ", "\t", " \x0b"]
ENDS = ["\n", "\n", "\r\n", "\n\n", " \n", "\r\n\r\n"]


@pytest.fixture
def corpus(shell: Any) -> dict[str, bytes]:
    """Several files of odd text, by name; in the order in which a job reads them."""
    rng = random.Random(7)
    rare = [f"w{rng.getrandbits(30):x}" for _ in range(400)]

    def line() -> str:
        words = rng.choices(WORDS, k=rng.randint(0, 8)) + rng.choices(rare, k=rng.randint(0, 3))
        return "".join(word + rng.choice(GAPS) for word in words) + rng.choice(ENDS)

    texts = {
        "books/a.txt": "".join(line() for _ in range(700)).encode(),
        "books/b c.txt": "".join(line() for _ in range(300)).encode() + b"no newline \xff\xfe at the end",
        "books/deep/é.txt": "".join(line() for _ in range(50)).encode(),
        "books/empty.txt": b"",
        "books/newlines.txt": b"\n\r\n\n",
    }
    return write_files(shell, dict(sorted(texts.items(), key=lambda item: item[0].encode())))


def write_files(shell: Any, texts: dict[str, bytes]) -> dict[str, bytes]:
    """Writes the texts into files of the shell's folder."""
    for name, text in texts.items():
        (shell.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shell.write(name, text)
    return texts


@pytest.fixture
def write_rows(shell: Any) -> Callable[..., str]:
    """Writes rows of columns as a file with empty lines and CRLF here and there, and no final newline; its name."""

    def rows(name: str, table: list[tuple[object, ...]], gap: str = "\t") -> str:
        rng = random.Random(len(table))
        ends = [rng.choice(["\n", "\n", "\r\n", "\n\n"]) for _ in table]
        lines = [gap.join(map(str, row)) + end for row, end in zip(table, ends, strict=True)]
        shell.write(name, "".join(lines).rstrip("\r\n").encode())
        return name

    return rows
