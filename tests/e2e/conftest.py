"""Inputs that are as odd as inputs may be, and every verb's answer about them in plain Python."""

from __future__ import annotations

import itertools
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from mrcore.testing import reference

ODD_NAMES = {  # name: content
    b"a b.txt": b"one two\r\nthree  two\r\n\r\none",
    b"com,ma.txt": b"one, two\none, two\n",
    b"new\nline": b"\n\n one\n\n",
    b"back\\slash,n": b"two\\one one\x0btwo\x0cthree\n",
    b"tab\tand\rcr": b"\0 \0one\0\n\0\0\n\0",
    b"\xff\xfe": b"\xff\xfe o\x80ne \xc3\n\xc3\xa9t\xc3\xa9 \xc3\x89T\xc3\x89 One ONE\n",
    b"deep/er/unicode": (
        "Straße STRASSE ẞ ß ǅ ǆ İ \u0131 Σς \u03c3 K k e\u0301té ١٢٣ Ⅷ x² 汉字、かな \uff46\uff55\uff4c\uff4c\n"
        "A_b-C d\u00a0e\u2028f\u200bg".encode()
        + b" \xc0\x80a \xed\xa0\x80b \xf4\x90\x80\x80c \xe2\x82d \xe2\x82\xacx \xf0\x9f\x98\x80y\n"
    ),
    b"deep/no-newline": b"last line\nwithout end",
    b"empty": b"",
    b"only-newlines": b"\n\n\n",
    b"one-newline": b"\n",
    b"spaces": b" \t\x0b\x0c\r ",
    b":colon:7": b"one one one\n",
}
STDIN = b"from standard input\none two one\n\nend"


class Keys(NamedTuple):
    """What a verb's options say about the keys; ``of_lines`` for whole lines."""

    tokenizer: str = "whitespace"
    lower: bool = False
    n: tuple[int, int] | None = None
    cross_lines: bool = False
    of_lines: bool = False

    def arguments(self) -> list[str]:
        """The options."""
        found = [] if self.of_lines else ["--tokenizer", self.tokenizer]
        found += ["--lower"] * self.lower + ["--cross-lines"] * self.cross_lines + ["--of", "lines"] * self.of_lines
        return found + (["-n", f"{self.n[0]}-{self.n[1]}"] if self.n else [])

    def tokens(self, text: bytes) -> list[bytes]:
        """The tokens of a text."""
        if self.tokenizer == "unicode":
            return reference.unicode(text, self.lower).split(b"\n")[:-1]
        if self.tokenizer.startswith("regex:"):
            found = re.compile(os.fsencode(self.tokenizer[6:])).finditer
            lines = (text.lower() if self.lower else text).split(b"\n")
            return [match[0] for line in lines for match in found(line) if match[0]]
        return reference.tokenize(text, self.tokenizer, self.lower)

    def find(self, text: bytes) -> list[bytes]:
        """The keys of a text."""
        if self.of_lines:
            return reference.tokenize(text, "lines", self.lower)
        if self.n is None:
            return self.tokens(text)
        pieces = [self.tokens(piece) for piece in ([text] if self.cross_lines else text.split(b"\n"))]
        sizes = range(self.n[0], self.n[1] + 1)
        grams = (zip(*(tokens[i:] for i in range(n)), strict=False) for tokens in pieces for n in sizes)
        return [b" ".join(gram) for gram in itertools.chain.from_iterable(grams)]


class Corpus(NamedTuple):
    """Inputs of a job: what is typed, and what it means."""

    arguments: list[str | bytes]
    stdin: bytes
    texts: list[tuple[bytes, bytes]]  # path and content of each mention

    def count(self, keys: Keys) -> Counter[bytes]:
        """How often each key occurs."""
        return Counter(key for _, text in self.texts for key in keys.find(text))

    def index(self, keys: Keys) -> dict[bytes, dict[bytes, int]]:
        """How often each key occurs in each file, files in path order."""
        found: dict[bytes, dict[bytes, int]] = {}
        for path, text in sorted(dict(self.texts).items()):
            for key, count in Counter(keys.find(text)).items():
                found.setdefault(key, {})[path] = count
        return found

    def index_lines(self, keys: Keys, counts: bool) -> bytes:
        """What ``index`` prints."""
        lines = []
        for key, files in sorted(self.index(keys).items()):
            names = (escape(path) + (b":%d" % count if counts else b"") for path, count in files.items())
            lines.append(b"%s\t%s\n" % (key, b",".join(names)))
        return b"".join(lines)


def escape(path: bytes) -> bytes:
    """A path as it stands in a line."""
    for byte, written in ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b",", b"\\,")):
        path = path.replace(byte, written)
    return path


def lines_of(counts: Counter[bytes], min_count: int = 1, top: int | None = None) -> bytes:
    """What the verbs that count print."""
    pairs = [pair for pair in sorted(counts.items()) if pair[1] >= min_count]
    if top is not None:
        pairs = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:top]
    return b"".join(b"%s\t%d\n" % pair for pair in pairs)


@pytest.fixture
def corpus(shell, text: bytes) -> Corpus:
    """A folder, a glob, standard input, and files that are mentioned twice."""
    folder = os.fsencode(shell.folder)
    contents = {b"in/" + name: content for name, content in ODD_NAMES.items()}
    contents |= {b"more/x.txt": text[:30_000], b"more/y.txt": text[30_000:40_000], b"more/z.log": b"not matched"}
    for name, content in contents.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        shell.write(name, content)
    walked = sorted(name for name in contents if name.startswith(b"in/"))
    order = [*walked, b"more/x.txt", b"more/y.txt", b"-", b"in/a b.txt"]
    return Corpus(["in", "more/*.txt", "-", "in/a b.txt"], STDIN, [(name, contents.get(name, STDIN)) for name in order])


@pytest.fixture(scope="session")
def oracle() -> tuple[type[Keys], Callable[..., bytes]]:
    """:class:`Keys` and :func:`lines_of`, for the tests of this folder."""
    return Keys, lines_of


class Watched(NamedTuple):
    """How a command ended, and what its processes held at most."""

    status: int
    err: bytes
    memory: int  # RssAnon + RssShmem of all processes, in bytes
    processes: int
    disk: int  # bytes of files in a folder and below


@pytest.fixture
def watch(shell) -> Callable[..., Watched]:
    """Runs a command, looking every few milliseconds at what its processes hold; standard output goes to a file."""

    def run(*args: str | bytes, folder: str | os.PathLike[str] = "", out: str = "stdout", **how: object) -> Watched:
        memory = processes = disk = 0
        with open(shell.folder / out, "wb") as stdout, shell.start(*args, stdout=stdout, **how) as process:
            living = [process.pid]
            for turn in itertools.count():
                if process.poll() is not None:
                    break
                if turn % 10 == 0:
                    living = shell.processes()
                memory = max(memory, sum(held(pid) for pid in living))
                processes = max(processes, len(living))
                if folder:
                    disk = max(disk, bytes_below(folder))
                time.sleep(0.002)
            err = process.stderr.read()
        return Watched(process.returncode, err, memory, processes, disk)

    return run


_RSS = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)


def held(pid: int) -> int:
    """RssAnon + RssShmem of a process, in bytes; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return sum(1024 * int(size) for size in _RSS.findall(file.read()))
    except OSError:
        return 0


def bytes_below(folder: str | os.PathLike[str]) -> int:
    """Sizes of all files of a folder that is being written to."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total


@pytest.fixture(scope="session")
def distinct_words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """60 MB of words of 12 letters, all distinct but for a few, in lines of 20."""
    rng = random.Random(4)
    path = tmp_path_factory.mktemp("large") / "distinct"
    with open(path, "w") as file:
        file.writelines(rng.randbytes(120).hex(" ", 6) + "\n" for _ in range(230_000))
    yield str(path)
    path.unlink()


@pytest.fixture(scope="session")
def repeated_words(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> Iterator[str]:
    """60 MB of the same text again and again."""
    path = tmp_path_factory.mktemp("large") / "repeated"
    with open(path, "wb") as file:
        for _ in range(200):
            file.write(text + b"\n")
    yield str(path)
    path.unlink()
