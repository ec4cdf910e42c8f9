"""What the benchmarks conclude from: whether two answers are equal, and how much memory a tree of processes takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xxhash

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
MIB = 1 << 20


@pytest.fixture(scope="module")
def sum_lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip("needs a C compiler")
    program = tmp_path_factory.mktemp("programs") / "sum_lines"
    sources = [PEERS / "sum_lines.c", ROOT / "csrc" / "mr_hash.c"]
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-I", ROOT / "csrc"]
    subprocess.run([compiler, *flags, "-o", program, *sources], check=True)
    return program


def run(*command: str | Path) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def hash_sum(lines: list[bytes]) -> str:
    return f"{sum(map(xxhash.xxh3_64_intdigest, lines)) % 2**64:016x}"


def test_counts_are_the_same_in_any_order_and_in_any_number_of_files(sum_lines: Path, tmp_path: Path) -> None:
    lines = [b"a\t1", b"two words\t20", b"tab\tinside\t300", b"x" * 5000 + b"\t18446744073709551615", b"\t7"]
    whole, one, two, empty = (tmp_path / name for name in ("whole", "one", "two", "empty"))
    whole.write_bytes(b"".join(line + b"\n" for line in lines))
    one.write_bytes(b"".join(line + b"\n" for line in lines[:1:-1]))
    two.write_bytes(b"\n".join(lines[:2]))  # a last line without a newline
    empty.write_bytes(b"")
    total = (1 + 20 + 300 + 2**64 - 1 + 7) % 2**64
    assert run(sum_lines, "counts", whole) == ["5", hash_sum(lines), str(total)]
    assert run(sum_lines, "counts", one, empty, two) == run(sum_lines, "counts", whole)
    assert run(sum_lines, "counts", empty) == ["0", "0" * 16, "0"]


@pytest.mark.parametrize("line", [b"no count", b"a\t", b"a\t1x", b"12", b"", b"a 5"])
def test_a_line_that_is_not_a_count_is_refused(sum_lines: Path, tmp_path: Path, line: bytes) -> None:
    (tmp_path / "answer").write_bytes(b"a\t1\n" + line + b"\n")
    done = subprocess.run([sum_lines, "counts", tmp_path / "answer"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "decimal number" in done.stderr


def test_paths_of_an_index_count_from_behind_the_folder(sum_lines: Path, tmp_path: Path) -> None:
    forms = {
        "absolute": b"word\t/some/where/tree/a.c,/some/where/tree/sub/b.c\nother\t/some/where/tree/tre/c.c\n",
        "from the folder": b"other\ttree/tre/c.c\nword\ttree/a.c,tree/sub/b.c\n",
        "inside": b"word\ta.c,sub/b.c\nother\ttre/c.c\n",
    }
    expected = ["2", hash_sum([b"word\ta.c,sub/b.c", b"other\ttre/c.c"]), "3"]
    for name, text in forms.items():
        (tmp_path / name).write_bytes(text)
        assert run(sum_lines, "index", "tree", tmp_path / name) == expected, name
    (tmp_path / "wrong").write_bytes(b"word\tsub/b.c,a.c\nother\ttre/c.c\n")
    assert run(sum_lines, "index", "tree", tmp_path / "wrong") != expected


def test_memory_is_that_of_all_processes_together() -> None:
    take = "x = bytearray({} << 20); import time"
    child = take.format(60) + "; time.sleep(0.5)"
    parent = (
        take.format(40) + f"; import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); sys.exit(3)"
    )
    command = [sys.executable, PEERS / "memory.py", sys.executable, "-c", parent]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, "the exit status is the command's"
    words = done.stderr.split()
    assert words[0] == "memory.py:"
    assert 100 <= float(words[1]) < 160
    assert words[4:6] == ["2", "processes"]
