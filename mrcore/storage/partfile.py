"""Part files: a job's output lines, written once, checked, and on the disk when they are closed."""

from __future__ import annotations

import os

from xxhash import xxh3_64

from mrcore.errors import CorruptionError, shown
from mrcore.kernels.process import start_writeback
from mrcore.storage.files import WRITEBACK_BYTES, reading, write_error, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from mrcore.storage.budget import DiskBudget

CHECK_BYTES = 4 << 20  # that are read at a time to check a file


class PartWriter:
    """Writes a part file; a context manager.

    On a clean exit the file is synced, if ``sync``; on an error it is removed. What it takes is
    taken from ``disk``, if that is given.

    Raises:
        OutputExistsError: it exists already or cannot be written.
        DiskFullError: no space is left.
    """

    def __init__(self, path: bytes, *, sync: bool = True, disk: DiskBudget | None = None) -> None:
        self.path = path
        self.size = 0
        self._check = xxh3_64()
        self._sync = sync
        self._disk, self._taken = disk, 0
        self._sent = 0  # bytes whose writing to the disk was started
        with writing(path):
            self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed in __exit__

    @property
    def check(self) -> str:
        """XXH3-64 of what was written, as 16 hexadecimal digits."""
        return self._check.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        """Appends all of ``data``."""
        self._check.update(data)
        view = memoryview(data)
        self.size += len(view)
        if self._disk is not None and self.size > self._taken:
            self._taken += self._disk.take(self.size - self._taken, self.path)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise write_error(self.path, error) from error
        if self._sync and self.size - self._sent >= WRITEBACK_BYTES:
            start_writeback(self._file.fileno(), self._sent, self.size - self._sent)
            self._sent = self.size

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None and self._sync:
                with writing(self.path):
                    os.fsync(self._file.fileno())
        except BaseException:
            kind = BaseException
            raise
        finally:
            self._file.close()
            if kind is not None:
                os.unlink(self.path)
            if self._disk is not None:
                self._disk.give(self._taken - (self.size if kind is None else 0))


def file_check(path: bytes) -> tuple[int, str]:
    """Size of a file that is there, and its checksum as its writer's ``check`` says it: part file or run file.

    Raises:
        InputError: it cannot be read.
    """
    size, check = 0, xxh3_64()
    with reading(path), open(path, "rb", buffering=0) as file, memoryview(bytearray(CHECK_BYTES)) as piece:
        while count := file.readinto(piece):
            check.update(piece[:count])
            size += count
    return size, check.hexdigest()


def read_part(path: bytes, size: int, check: str) -> bytes:
    """All of a small part file.

    Raises:
        CorruptionError: it has not ``size`` bytes, or they fail their checksum.
        InputError: it cannot be read.
    """
    with reading(path), open(path, "rb") as file:
        data = file.read(size + 1)
    if len(data) != size or xxh3_64(data).hexdigest() != check:
        raise CorruptionError(f"corrupt part file: {shown(path)}: its {size} bytes did not read back as written")
    return data
