"""The files of an index: their numbers, and the names that its lines show.

Numbers ascend with the bytes of the path, so the files of a word come out in path order. The
names are written once, escaped as lines need them (:func:`mrcore.kernels.postings.escape_path`),
to a file of the work directory that reduce tasks read.
"""

from __future__ import annotations

from xxhash import xxh3_64

from mrcore.errors import CorruptionError, shown
from mrcore.kernels.postings import escape_path
from mrcore.storage.files import reading, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def write_documents(path: bytes, names: Iterable[bytes]) -> None:
    """Writes the names in the order of their numbers: escaped, each with an LF behind it, and a checksum."""
    check = xxh3_64()
    with writing(path), open(path, "xb") as file:
        for name in names:
            line = escape_path(name) + b"\n"
            check.update(line)
            file.write(line)
        file.write(check.digest())


def read_documents(path: bytes) -> list[bytes]:
    """The escaped names by number.

    Raises:
        CorruptionError: the file is not what was written.
    """
    with reading(path), open(path, "rb") as file:
        data = file.read()
    if xxh3_64(data[:-8]).digest() != data[-8:]:
        raise CorruptionError(f"corrupt list of files: {shown(path)}: it fails its checksum")
    return data[:-8].split(b"\n")[:-1]
