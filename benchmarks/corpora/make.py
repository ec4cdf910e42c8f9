#!/usr/bin/env python3
"""Makes the corpora of the benchmarks, each checked against a digest that is pinned here.

    make.py NAME... --into DIR      make.py --list

NAME is a corpus or a family (``zipf`` is all of its sizes). For every corpus one line goes to standard
output, ``name TAB digest TAB bytes TAB path``, once its digest has been verified; a corpus that is already
there with the right digest is left alone, and has then been read, which leaves it in the page cache. A
corpus appears under its name only when it is whole and right (made beside it, then renamed). A wrong
digest is an error, and the exit status is 1.

The digest is the XXH3-64 of the file. That of a directory is taken over, for each file in the order of
its path's bytes: the path, a NUL byte, the size in decimal, a newline, and the content.

The kernel source is other people's text, and Debian serves the versions it pleases. Its digests are pinned
for the package versions in LINUX_DIGESTS, which are asked for first. Another version is accepted with a
warning, and its digest recorded beside the corpus in ``PATH.origin``: such a figure compares only with
others that were measured on the same bytes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import linux
import xxhash

HERE = Path(__file__).resolve().parent
BLOCK_BYTES = 4 << 20
MIB, GIB = 1 << 20, 1 << 30

# Package version -> corpus -> digest, the newest version first.
LINUX_DIGESTS = {"6.1.192-2": {"linux-1g": "f0dae2f9d3b38946", "tree-25k": "1096b1eab859ad71"}}

SMALL_FILES_COUNT = 25_600
SMALL_FILES_PER_FOLDER = 100


class CorpusError(Exception):
    """A corpus could not be made, or is not what its digest says."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """One corpus. ``make`` writes it to the path that it is given and returns the digest that it must have."""

    name: str
    path: str
    about: str
    make: Callable[[Path], str]
    pinned: Callable[[Path], str]

    @property
    def family(self) -> str:
        return self.name.rpartition("-")[0]


def main() -> int:
    parser = argparse.ArgumentParser(description="Make corpora and verify their pinned digests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a corpus or a family, see --list")
    parser.add_argument("--into", type=Path, metavar="DIR", help="the directory that holds the corpora")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    options = parser.parse_args()
    if options.list:
        for corpus in CORPORA:
            print(f"{corpus.name:14} {corpus.about}")
        return 0
    if not options.names or options.into is None:
        parser.error("NAME and --into DIR are needed (or --list)")
    if unknown := [name for name in options.names if not named(name)]:
        parser.error(f"no corpus or family is called {', '.join(unknown)}; --list names them")

    options.into.mkdir(parents=True, exist_ok=True)
    for corpus in dict.fromkeys(corpus for name in options.names for corpus in named(name)):
        try:
            digest, size_bytes = provide(corpus, options.into)
        except (CorpusError, linux.PackageError, OSError, subprocess.CalledProcessError) as error:
            print(f"make.py: {corpus.name}: {error}", file=sys.stderr)
            return 1
        print(corpus.name, digest, size_bytes, options.into / corpus.path, sep="\t", flush=True)
    return 0


def named(name: str) -> list["Corpus"]:
    return [corpus for corpus in CORPORA if name in (corpus.name, corpus.family)]


def provide(corpus: Corpus, into: Path) -> tuple[str, int]:
    """Digest and bytes of a corpus, which is made first when it is not there with the right digest."""
    target = into / corpus.path
    if target.exists():
        digest, size_bytes = measure(target)
        if digest != corpus.pinned(target):
            raise CorpusError(f"{target} has digest {digest}, not {corpus.pinned(target)}: remove it and run again")
        return digest, size_bytes

    partial = into / f"{corpus.path}.partial"
    remove(partial)
    print(f"{corpus.name}: making {target}", file=sys.stderr)
    try:
        wanted = corpus.make(partial)
        digest, size_bytes = measure(partial)
        if digest != wanted:
            raise CorpusError(f"was made with digest {digest}, but {wanted} is pinned")
        partial.rename(target)
    finally:
        remove(partial)
    return digest, size_bytes


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def measure(path: Path) -> tuple[str, int]:
    """Digest (16 hexadecimal digits) and size in bytes of a file or directory."""
    hasher, size_bytes = xxhash.xxh3_64(), 0
    if not path.is_dir():
        return hash_file(hasher, path).hexdigest(), path.stat().st_size
    files = {os.fsencode(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    for name in sorted(files):
        file_bytes = files[name].stat().st_size
        hasher.update(b"%b\0%d\n" % (name, file_bytes))
        hash_file(hasher, files[name])
        size_bytes += file_bytes
    return hasher.hexdigest(), size_bytes


def hash_file(hasher: xxhash.xxh3_64, path: Path) -> xxhash.xxh3_64:
    with path.open("rb", buffering=0) as source:
        while block := source.read(BLOCK_BYTES):
            hasher.update(block)
    return hasher


@contextmanager
def generated(generator: str, size_bytes: int, seed: int) -> Iterator[IO[bytes]]:
    """The output of one of the C generators beside this module, which is compiled for the occasion."""
    with tempfile.TemporaryDirectory(prefix="mrcore-corpora-") as folder:
        program = Path(folder) / generator
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-std=c11", "-O2", "-o", program, HERE / f"{generator}.c"], check=True)
        with subprocess.Popen([program, str(size_bytes), str(seed)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, generator)


def generated_file(name: str, size_bytes: int, seed: int, digest: str, about: str) -> Corpus:
    def make(target: Path) -> str:
        with generated(name.partition("-")[0], size_bytes, seed) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, BLOCK_BYTES)
        return digest

    return Corpus(name, f"{name}.txt", about, make, lambda _: digest)


def small_files(name: str, digest: str, about: str) -> Corpus:
    """The Zipf text cut at line ends into files of 256 bytes to 64 KiB, each doubling of the size as likely."""

    def make(target: Path) -> str:
        sizes = list(small_file_sizes())
        with generated("zipf", sum(sizes) + MIB * 4, seed=2) as source:  # each file ends a line later than asked
            for index, size_bytes in enumerate(sizes):
                folder = target / f"{index // SMALL_FILES_PER_FOLDER:03}"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{index:05}.txt").write_bytes(source.read(size_bytes) + source.readline())
            while source.read(BLOCK_BYTES):  # the generator must not meet a closed pipe
                pass
        return digest

    return Corpus(name, name, about, make, lambda _: digest)


def small_file_sizes() -> Iterator[int]:
    """SplitMix64 once more (see random_words.h): the top bits choose the doubling, the others the place in it."""
    mask, state = (1 << 64) - 1, 2
    for _ in range(SMALL_FILES_COUNT):
        state = (state + 0x9E3779B97F4A7C15) & mask
        draw = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        draw = ((draw ^ (draw >> 27)) * 0x94D049BB133111EB) & mask
        draw ^= draw >> 31
        smallest = 256 << (draw >> 61)
        yield smallest + draw % smallest


def from_linux(name: str, path: str, about: str, write: Callable[[Path, Path], None]) -> Corpus:
    """A corpus that ``write`` makes of the kernel's source archive."""

    def make(target: Path) -> str:
        origin = origin_of(target.with_suffix(""))  # beside the corpus, not beside the partial one
        with tempfile.TemporaryDirectory(prefix="mrcore-linux-", dir=target.parent) as folder:
            version, archive = linux.download(Path(folder), LINUX_DIGESTS)
            write(archive, target)
        digest, _ = measure(target)
        if version not in LINUX_DIGESTS:
            print(
                f"{name}: no digest is pinned for version {version} of {linux.PACKAGE}; recorded {digest} in {origin}",
                file=sys.stderr,
            )
        origin.write_text(f"{linux.PACKAGE} {version} {digest}\n")
        return LINUX_DIGESTS.get(version, {}).get(name, digest)

    def pinned(target: Path) -> str:
        origin = origin_of(target)
        if not origin.exists():
            return next(iter(LINUX_DIGESTS.values()))[name]
        _, version, recorded = origin.read_text().split()
        return LINUX_DIGESTS.get(version, {}).get(name, recorded)

    return Corpus(name, path, about, make, pinned)


def origin_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.origin")


def linux_source(name: str, size_bytes_max: int, about: str) -> Corpus:
    def write(archive: Path, target: Path) -> None:
        linux.write_one_file(archive, target, size_bytes_max)

    return from_linux(name, f"{name}.txt", about, write)


def linux_tree(name: str, file_count: int, about: str) -> Corpus:
    def write(archive: Path, target: Path) -> None:
        linux.write_tree(archive, target, file_count)

    return from_linux(name, name, about, write)


CORPORA = (
    generated_file("zipf-128m", 128 * MIB, 1, "3eed850755c3d8f2", "Zipf(1) text, 300,000 made words, 128 MiB"),
    generated_file("zipf-16m", 16 * MIB, 1, "89eb50d543470674", "the same, 16 MiB"),
    generated_file("zipf-256m", 256 * MIB, 1, "8a070100443d1df3", "the same, 256 MiB"),
    generated_file("zipf-1g", GIB, 1, "94fb117969c35d83", "the same, 1 GiB"),
    generated_file("zipf-4g", 4 * GIB, 1, "c133dadf3d52807e", "the same, 4 GiB"),
    generated_file("distinct-64m", 64 * MIB, 3, "cf32ebbad9f938a3", "random tokens, nearly all distinct, 64 MiB"),
    generated_file("distinct-512m", 512 * MIB, 3, "15af65c1757e4480", "the same, 512 MiB"),
    generated_file("pairs-16m", 16 * MIB, 4, "42999d9f40ecf506", "1.1 million lines of a number TAB a fraction"),
    generated_file("pairs-282m", 282 * MIB, 4, "2611643c235abfad", "the same, 20 million lines, 1 million keys"),
    linux_source("linux-1g", GIB, f"real text: the files of Debian's {linux.PACKAGE} as one, 1 GiB"),
    linux_tree("tree-25k", 25_000, f"25,000 C files of {linux.PACKAGE} in their folders, about 300 MB"),
    small_files(
        "small-files", "e2a9c288b694b426", f"{SMALL_FILES_COUNT:,} files of Zipf text, 256 bytes to 64 KiB each"
    ),
)

if __name__ == "__main__":
    sys.exit(main())
