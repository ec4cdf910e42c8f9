"""Word count in plain Python: peer_multiprocessing.py wordcount FORMULATION INPUT OUTPUT WORKERS, or --version."""

import multiprocessing
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator

CHUNK_BYTES = 32 << 20

Chunk = tuple[str, int, int]  # path, offset, bytes; ends at a line end


def chunks(path: str) -> Iterator[Chunk]:
    size_bytes, start = os.path.getsize(path), 0
    with open(path, "rb") as source:
        while start < size_bytes:
            source.seek(min(start + CHUNK_BYTES, size_bytes))
            source.readline()
            end = source.tell()
            yield path, start, end - start
            start = end


def read(chunk: Chunk) -> bytes:
    path, offset, size_bytes = chunk
    with open(path, "rb") as source:
        source.seek(offset)
        return source.read(size_bytes)


def count_whole_chunk(chunk: Chunk) -> Counter[bytes]:
    return Counter(read(chunk).split())


def count_lines(chunk: Chunk) -> Counter[bytes]:
    """Never more than a line's words as Python objects beside the counts."""
    counts: Counter[bytes] = Counter()
    for line in read(chunk).splitlines():
        counts.update(line.split())
    return counts


FORMULATIONS: dict[str, Callable[[Chunk], Counter[bytes]]] = {"chunks": count_whole_chunk, "lines": count_lines}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"Python {platform.python_version()}, multiprocessing and Counter")
        return
    _, formulation, source, target, workers = sys.argv[1:]
    total: Counter[bytes] = Counter()
    with multiprocessing.Pool(int(workers)) as pool:
        for counts in pool.imap_unordered(FORMULATIONS[formulation], chunks(source)):
            total.update(counts)
    with open(target, "wb", buffering=1 << 20) as out:
        out.writelines(b"%b\t%d\n" % item for item in total.items())


if __name__ == "__main__":
    main()
