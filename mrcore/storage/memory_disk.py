"""A directory in memory, for a journal that is to outlive nothing: the job's files go with the process anyway."""

from __future__ import annotations


class MemoryFile:
    """A file of it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def size(self) -> int:
        """Bytes in the file."""
        return len(self._data)

    def read(self, offset: int, size: int) -> bytes:
        """That many bytes from there; fewer only where the file ends."""
        return bytes(self._data[offset : offset + size])

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Writes all of ``data`` at ``offset``."""
        if data and offset > len(self._data):
            self._data += bytes(offset - len(self._data))
        self._data[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        """Cuts the file off."""
        del self._data[size:]

    def sync(self) -> None:
        """Nothing is durable here."""

    def close(self) -> None:
        """The directory keeps it."""


class MemoryDisk:
    """A :class:`mrcore.storage.disk.Disk` of one process."""

    path = b"memory"

    def __init__(self) -> None:
        self._files: dict[str, MemoryFile] = {}

    def lock(self) -> None:
        """Nobody else can see it."""

    def names(self) -> list[str]:
        """The names of the files."""
        return list(self._files)

    def open(self, name: str) -> MemoryFile:
        """The file of that name, made if there is none."""
        return self._files.setdefault(name, MemoryFile())

    def rename(self, source: str, target: str) -> None:
        """Gives the file another name, in place of the file that has it."""
        self._files[target] = self._files.pop(source)

    def unlink(self, name: str) -> None:
        """Takes the name away."""
        del self._files[name]

    def sync_directory(self) -> None:
        """Nothing is durable here."""

    def close(self) -> None:
        """The files go with it."""
