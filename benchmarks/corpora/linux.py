"""Real text for the corpora: the files of Debian's package of the kernel source, cleaned so that all peers agree.

make.py calls this. Peers split on less than mrcore does (a tab, a form feed), so a separator is a space or a newline
here; what they stop at or drop is left out: carriage returns, NUL bytes, and the few files that are not UTF-8.
"""

import re
import subprocess
import tarfile
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path

PACKAGE = "linux-source-6.1"
SEPARATORS = bytes.maketrans(b"\t\v\f", b"   ")
REMOVED = b"\0\r"

# Of the tree: C files of ordinary size, whose names a list with commas can hold.
TREE_NAME = re.compile(r"[\w./+-]+\.[ch]", re.ASCII)
TREE_FILE_BYTES_MAX = 128 << 10
TREE_STEP = 2  # every second one, so that all subsystems are there


class PackageError(Exception):
    """The package cannot be had, or holds less than is needed."""


def download(folder: Path, versions: Iterable[str]) -> tuple[str, Path]:
    """Version and archive of the package: the first of the versions that is still served, else the one that is."""
    for wanted in [*(f"{PACKAGE}={version}" for version in versions), PACKAGE]:
        done = subprocess.run(["apt-get", "download", wanted], cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            package = next(folder.glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
            return package.name.split("_")[1], folder / "usr/src" / f"{PACKAGE}.tar.xz"
    raise PackageError(f"apt-get download {PACKAGE} failed (is apt-get update due?): {done.stderr.strip()}")


def text_files(archive: Path) -> Generator[tuple[str, bytes], None, None]:
    """Name and text of every regular file that is UTF-8, in the order of the package; links are left out."""
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            content = members.extractfile(member) if member.isreg() else None
            original = content.read() if content else b""
            if is_utf8(original):
                yield member.name.partition("/")[2], original.translate(SEPARATORS, REMOVED)


def write_one_file(archive: Path, target: Path, size_bytes_max: int) -> None:
    """One file after the other, up to the last whole line that fits."""
    room = size_bytes_max
    with closing(text_files(archive)) as files, target.open("wb") as out:
        for _, text in files:
            if len(text) > room:
                out.write(text[: text.rfind(b"\n", 0, room) + 1])
                return
            out.write(text)
            room -= len(text)
    raise PackageError(f"{archive.name} holds less than {size_bytes_max} bytes of text")


def write_tree(archive: Path, target: Path, file_count: int) -> None:
    """Files and folders as they are, of every second C file the first ``file_count``."""
    seen = written = 0
    with closing(text_files(archive)) as files:
        for name, text in files:
            if not TREE_NAME.fullmatch(name) or len(text) > TREE_FILE_BYTES_MAX:
                continue
            seen += 1
            if seen % TREE_STEP:
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            written += 1
            if written == file_count:
                return
    raise PackageError(f"{archive.name} holds only {written} of the {file_count} files")


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
