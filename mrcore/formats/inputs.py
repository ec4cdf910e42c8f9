"""From what a user types to the list of inputs: files, folders, globs and standard input.

The order is part of the contract: arguments in their order, the files of a folder or a glob
by the bytes of their paths. A folder is walked with its subfolders; links to folders are
not followed, links to files are. What another mrcore job wrote beside its part files
(``_SUCCESS``, ``_manifest.json``, ``_work``) is not input.
"""

from __future__ import annotations

import glob
import os
import stat
from typing import NamedTuple

from mrcore.errors import InputError, shown
from mrcore.storage.files import reading
from mrcore.storage.mapped import STDIN, open_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SIZE_UNSURE = 4096  # larger files are as large as they say

OUTPUT_MARKER = b"_SUCCESS"
OUTPUT_EXTRAS = (OUTPUT_MARKER, b"_manifest.json", b"_work")


class Input(NamedTuple):
    """One file or stream of a job."""

    path: bytes
    size: int | None  # bytes of the whole file; None: a stream, of which only the end is known

    @property
    def bytes(self) -> int:
        """Bytes to read, as far as known before reading."""
        return self.size or 0


def shown_name(path: bytes) -> bytes:
    """What an input is called in a result: a redirected standard input is still ``-``."""
    return STDIN if path == b"/proc/%d/fd/0" % os.getpid() else path


def find_inputs(paths: Iterable[bytes | str]) -> list[Input]:
    """Resolves paths, folders, patterns and ``-``.

    Raises:
        InputError: nothing there, or it cannot be read.
    """
    found: list[Input] = []
    for given in paths:
        path = os.fsencode(given)
        if b"\0" in path:
            raise InputError(f"cannot read: {shown(path)}: no file name holds a NUL")
        if path == STDIN:
            found.append(_standard_input())
        elif os.path.isdir(path):
            found.extend(_look(file) for file in sorted(_walk(path)))
        elif os.path.lexists(path) or not glob.has_magic(path):
            found.append(_look(path))
        else:
            matches = sorted(_expand(path))
            if not matches:
                raise InputError(f"no input: {shown(path)}: no file matches")
            found.extend(_look(match) for match in matches)
    return _streams_once(found)


def _streams_once(found: list[Input]) -> list[Input]:
    """Leaves out a pipe's later mentions: it is at its end then, and two tasks would tear its words apart."""
    seen: set[tuple[int, int]] = set()
    kept = []
    for source in found:
        if source.size is None:
            with reading(source.path):
                status = os.fstat(0) if source.path == STDIN else os.stat(source.path)
            identity = status.st_dev, status.st_ino
            if not stat.S_ISREG(status.st_mode) and identity in seen:
                continue
            seen.add(identity)
        kept.append(source)
    return kept


def _expand(pattern: bytes) -> set[bytes]:
    """The files that match, and those inside of folders that match; each once, whichever way it was found."""
    files: set[bytes] = set()
    for match in glob.glob(pattern, recursive=True):
        folder, name = os.path.split(match)
        if os.path.isdir(match):
            if not os.path.islink(match):
                files.update(_walk(match.rstrip(b"/") or b"/"))
        elif name not in OUTPUT_EXTRAS or not os.path.lexists(os.path.join(folder, OUTPUT_MARKER)):
            files.add(match)
    return files


def _look(path: bytes) -> Input:
    with reading(path):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISSOCK(status.st_mode):
                raise InputError(f"cannot read: {shown(path)}: is a socket")
            return Input(path, None)
        if not os.access(path, os.R_OK):
            raise PermissionError(13, os.strerror(13))
        if not status.st_blocks and status.st_size <= _SIZE_UNSURE and _size_lies(path, status.st_size):
            return Input(path, None)
    return Input(path, status.st_size)


def _size_lies(path: bytes, size: int) -> bool:
    """Whether the system makes the file up as it is read, as under /proc (size 0) and /sys (4096)."""
    with open_input(path) as fd:
        return len(os.pread(fd, size + 1, 0)) != size


def _standard_input() -> Input:
    with reading(b"standard input"):
        status = os.fstat(0)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, os.strerror(21))
        if not stat.S_ISREG(status.st_mode):
            return Input(STDIN, None)
        # A redirected file is as good as a named one; workers open it through this process. Unless it
        # was read from already, or was opened for us by somebody with more rights than ours.
        if os.lseek(0, 0, os.SEEK_CUR) or not os.access("/proc/self/fd/0", os.R_OK):
            return Input(STDIN, None)
        return _look(b"/proc/%d/fd/0" % os.getpid())


def _walk(folder: bytes) -> Iterator[bytes]:
    folders = [folder]  # not by recursion: paths can be 2,000 folders deep
    while folders:
        folder = folders.pop()
        with reading(folder), os.scandir(folder) as entries:
            children = list(entries)
        written_by_us = any(child.name == OUTPUT_MARKER for child in children)
        for child in children:
            if written_by_us and child.name in OUTPUT_EXTRAS:
                continue
            with reading(child.path):
                inside, wanted = child.is_dir(follow_symlinks=False), child.is_file()
            if inside:
                folders.append(child.path)
            elif wanted:
                yield child.path
