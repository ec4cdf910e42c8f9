#!/usr/bin/env python3
"""Mutants: defects, each a patch, which the simulator has to find within so many seeds, by a law that the patch names.

    tests/simulation/mutants.py [NAME ...]

Each patch is applied to a copy of mrcore, in which ``mrcore simulate`` plays seeds until a law is broken. What is
printed is the law and the seed. Exit status 1 when one lives, or another law or seed than the named one has found it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "mrcore"
SEEDS = 500
_BROKEN = re.compile(r"seed (\d+) breaks the law (\w+)")


class Mutant(NamedTuple):
    """A defect.

    Attributes:
        name: of its file.
        about: what is wrong.
        law: that finds it.
        patch: the file.
        seed: that finds it, as far as is known.
    """

    name: str
    about: str
    law: str
    patch: Path
    seed: int


class Found(NamedTuple):
    """How a mutant was found: the law that was broken, or an empty word, and the seed."""

    law: str
    seed: int


def mutants() -> list[Mutant]:
    """All of them, by name."""
    return [_read(path) for path in sorted((HERE / "mutants").glob("*.patch"))]


def _read(path: Path) -> Mutant:
    head = dict(line.split(": ", 1) for line in path.read_text().split("\n\n")[0].splitlines())
    return Mutant(path.stem, head["Mutant"], head["Caught by"], path, int(head["At seed"]))


def hunt(mutant: Mutant, folder: Path, first: int = 0) -> Found:
    """Lets a mutant live in a folder, until a law is broken; from a first seed on.

    Raises:
        CalledProcessError: the patch does not fit the code any more, or the command failed.
    """
    shutil.copytree(PACKAGE, folder / "mrcore", ignore=shutil.ignore_patterns("*.so", "*.pyx", "*.c", "__pycache__"))
    apart = os.environ | {"GIT_DIR": "/nowhere"}  # the folder may lie inside of somebody's repository
    subprocess.run(["git", "apply", "-p1", mutant.patch], cwd=folder, check=True, env=apart)
    words = [sys.executable, "-P", "-m", "mrcore", "simulate", "--seeds", f"{first}:{SEEDS}"]
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    broken = _BROKEN.search(done.stderr)
    if done.returncode == 1 and broken:
        return Found(broken[2], int(broken[1]))
    done.check_returncode()
    return Found("", SEEDS)


def main() -> int:
    """Hunts those that are named, or all; 1 if one lives."""
    wrong = 0
    for mutant in mutants():
        if sys.argv[1:] and mutant.name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = hunt(mutant, Path(folder))
        named = Found(mutant.law, mutant.seed)
        wrong += found != named
        said = f"{found.law}, seed {found.seed}" if found.law else "LIVES"
        print(f"{mutant.name:45} {said}{'' if found == named else f'  (named: {named})'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
