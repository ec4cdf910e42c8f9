"""What the tests share: a text that is hard to count, and the command as a user starts it."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import mrcore
from mrcore.testing import reference

MARK = "MRCORE_TEST_MARK"


def pytest_configure() -> None:
    """Undoes what the shell that started us may have done, and gives the history of jobs a place of its own.

    A shell's background jobs ignore Ctrl-C, and so would the commands that the tests interrupt.
    """
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="state-of-tests-")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Ten thousand tests are a million objects, which no garbage collection need go through again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Removes that place."""
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


def make_text(size: int, seed: int = 1) -> bytes:
    """About ``size`` bytes of words: frequent and rare ones, long ones, NULs, CRLF and bytes that are not UTF-8."""
    rng = random.Random(seed)
    common = [rng.randbytes(rng.randint(1, 9)).hex().encode() for _ in range(200)]
    odd = [b"\0", b"a", b"a\0", b"a\0\0", b"\xff\xfe", b"\xc3\xa9t\xc3\xa9", b"x" * 15, b"x" * 16, b"y" * 70_000]
    gaps = [b" ", b" ", b"\n", b"\r\n", b"\t", b"  ", b"\x0b", b"\x0c"]
    pieces, total = [], 0
    while total < size:
        kind = rng.random()
        word = rng.choice(common) if kind < 0.7 else b"%x" % rng.getrandbits(40) if kind < 0.999 else rng.choice(odd)
        pieces += [word, rng.choice(gaps)]
        total += len(word) + 1
    return b"".join(pieces[:-1])  # no final newline


def count_lines(data: bytes, tokenizer: str = "whitespace", lower: bool = False, min_count: int = 1) -> bytes:
    """What wordcount prints for ``data``, in plain Python."""
    counts = Counter(reference.tokenize(data, tokenizer, lower))
    return b"".join(b"%s\t%d\n" % (word, counts[word]) for word in sorted(counts) if counts[word] >= min_count)


@pytest.fixture(scope="session")
def text() -> bytes:
    return make_text(300_000)


@pytest.fixture(scope="session")
def counted(text: bytes) -> bytes:
    return count_lines(text)


@pytest.fixture(scope="session", name="count_lines")
def count_lines_fixture() -> Callable[..., bytes]:
    return count_lines


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: bytes
    seconds: float

    def failed(self, status: int, *said: str) -> bool:
        """One clear line, the right status, nothing on standard output; asserts, so that a failure shows why."""
        assert self.status == status, self
        assert self.out == b""
        assert self.err.startswith(b"mrcore: ") and self.err.endswith(b"\n") and self.err.count(b"\n") == 1, self.err
        for words in said:
            assert words in self.err.decode(), self.err
        return True


class Shell:
    """Runs the command in a folder of its own, with a place for temporary files that must end up empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "here"
        self.tmp = folder / "tmp"
        self.folder.mkdir()
        self.tmp.mkdir()
        self._mark = f"{os.getpid()}-{time.monotonic_ns()}"
        root = os.path.dirname(os.path.dirname(os.path.abspath(mrcore.__file__)))
        self.env = {**os.environ, "PYTHONPATH": root, "TMPDIR": os.fspath(self.tmp), MARK: self._mark}
        self.command = [sys.executable, "-P", "-m", "mrcore.cli.main"]

    def start(self, *args: str | bytes, prefix: Sequence[str] = (), **how: object) -> subprocess.Popen[bytes]:
        """Starts ``mrcore ARGS``, in a session and process group of its own."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        return subprocess.Popen(
            [*prefix, *self.command, *args], cwd=self.folder, env=self.env, start_new_session=True, **how
        )

    def run(self, *args: str | bytes, stdin_bytes: bytes | None = None, timeout: float = 60, **how: object) -> Done:
        """Runs ``mrcore ARGS`` to its end."""
        start = time.monotonic()
        if stdin_bytes is not None:
            how["stdin"] = subprocess.PIPE
        with self.start(*args, **how) as process:
            try:
                out, err = process.communicate(stdin_bytes, timeout)
            except BaseException:
                process.kill()
                raise
        return Done(process.returncode, out or b"", err or b"", time.monotonic() - start)

    def sh(self, script: str, timeout: float = 60) -> Done:
        """Runs a shell script in which ``mrcore`` is the command."""
        start = time.monotonic()
        define = 'mrcore() { "$PYTHON" -P -m mrcore.cli.main "$@"; }\n'
        done = subprocess.run(
            ["bash", "-c", define + script], cwd=self.folder, env={**self.env, "PYTHON": sys.executable},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - start)

    def write(self, name: str | bytes, content: bytes) -> str | bytes:
        """Writes a file into the folder; its name."""
        with open(os.path.join(os.fsencode(self.folder), os.fsencode(name)), "wb") as file:
            file.write(content)
        return name

    def processes(self) -> list[int]:
        """Living processes that come from commands of this shell."""
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self._is_ours(pid)]

    def _is_ours(self, pid: str) -> bool:
        try:  # of a zombie this is empty
            with open(f"/proc/{pid}/environ", "rb") as file:
                return f"{MARK}={self._mark}".encode() in file.read().split(b"\0")
        except OSError:
            return False

    def gone(self, seconds: float = 2) -> bool:
        """Whether no process is left, now or very soon."""
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.01)
        return not self.processes()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    here = Shell(tmp_path)
    yield here
    left = here.processes()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == []
    assert os.listdir(here.tmp) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; skips where mounting is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)
