"""The jobs in plain Python: peer_multiprocessing.py JOB FORMULATION INPUT OUTPUT WORKERS, or --version.

The input of an index is a folder, relative to the working directory.
"""

import gc
import multiprocessing
import os
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

CHUNK_BYTES = 32 << 20

Chunk = tuple[str, int, int]  # path, offset, bytes; ends at a line end


def chunks(path: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    size_bytes, start = os.path.getsize(path), 0
    with open(path, "rb") as source:
        while start < size_bytes:
            source.seek(min(start + chunk_bytes, size_bytes))
            source.readline()
            end = source.tell()
            yield path, start, end - start
            start = end


def slices(path: str, count: int) -> Iterator[Chunk]:
    """As many chunks, or fewer."""
    return chunks(path, max(1, -(-os.path.getsize(path) // count)))


def read(chunk: Chunk) -> bytes:
    path, offset, size_bytes = chunk
    with open(path, "rb") as source:
        source.seek(offset)
        return source.read(size_bytes)


# Word count.


def count_whole_chunk(chunk: Chunk) -> Counter[bytes]:
    return Counter(read(chunk).split())


def count_lines(chunk: Chunk) -> Counter[bytes]:
    """Never more than a line's words as Python objects beside the counts."""
    counts: Counter[bytes] = Counter()
    for line in read(chunk).splitlines():
        counts.update(line.split())
    return counts


def count_words(count: Callable[[Chunk], Counter[bytes]], source: str, target: str, workers: int) -> None:
    total: Counter[bytes] = Counter()
    with multiprocessing.Pool(workers) as pool:
        for counts in pool.imap_unordered(count, chunks(source)):
            total.update(counts)
    with open(target, "wb", buffering=1 << 20) as out:
        out.writelines(b"%b\t%d\n" % item for item in total.items())


# Inverted index: the words of a file are a set.


def files_below(source: str) -> list[bytes]:
    """In the order of their paths' bytes."""
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(os.fsencode(source)) for name in names)


def index_files(files: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    index: dict[bytes, list[bytes]] = defaultdict(list)
    for file in files:
        with open(file, "rb") as source:
            for word in set(source.read().split()):
                index[word].append(file)
    return index


def index_joined(files: Sequence[bytes]) -> dict[bytes, bytes]:
    """One object a word goes to the parent, instead of one a posting."""
    return {word: b",".join(names) for word, names in index_files(files).items()}


def shares(source: str, workers: int) -> list[list[bytes]]:
    """A run of neighbouring files for each worker, of about the same bytes: lists of names are joined in order."""
    files = files_below(source)
    share_bytes = sum(map(os.path.getsize, files)) / workers
    parts: list[list[bytes]] = [[] for _ in range(workers)]
    before_bytes = 0
    for file in files:
        parts[min(int(before_bytes / share_bytes), workers - 1)].append(file)
        before_bytes += os.path.getsize(file)
    return parts


def index_as_lists(source: str, target: str, workers: int) -> None:
    index: dict[bytes, list[bytes]] = defaultdict(list)
    with multiprocessing.Pool(workers) as pool:
        for part in pool.imap(index_files, shares(source, workers)):
            for word, names in part.items():
                index[word] += names
    write_index(index, target)


def index_as_joined(source: str, target: str, workers: int) -> None:
    with multiprocessing.Pool(workers) as pool:
        index, *others = pool.imap(index_joined, shares(source, workers))
    for other in others:
        merge_joined(index, other)
    write_joined(index, target)


def merge_joined(index: dict[bytes, bytes], more: Mapping[bytes, bytes]) -> None:
    for word, names in more.items():
        before = index.get(word)
        index[word] = names if before is None else b"%b,%b" % (before, names)


def write_joined(index: Mapping[bytes, bytes], target: str) -> None:
    with open(target, "wb", buffering=1 << 20) as out:
        out.writelines(b"%b\t%b\n" % (escaped(word), names) for word, names in index.items())


def write_index(index: Mapping[bytes, Sequence[bytes]], target: str) -> None:
    with open(target, "wb", buffering=1 << 20) as out:
        out.writelines(b"%b\t%b\n" % (escaped(word), b",".join(sorted(names))) for word, names in index.items())


def escaped(word: bytes) -> bytes:
    """As it stands in a part file of mrcore. A word holds no TAB and no newline."""
    return word.replace(b"\\", b"\\\\")


FORMULATIONS: dict[str, dict[str, Callable[[str, str, int], None]]] = {
    "wordcount": {"chunks": partial(count_words, count_whole_chunk), "lines": partial(count_words, count_lines)},
    "index": {"lists": index_as_lists, "joined": index_as_joined},
}


def play(formulations: dict[str, dict[str, Callable[[str, str, int], None]]], about: str) -> None:
    """Runs what the command line names, or says what this is."""
    if sys.argv[1:] == ["--version"]:
        print(f"Python {platform.python_version()}, {about}")
        return
    gc.disable()  # nothing here refers to itself, and looking for such objects takes a part of the time
    job, formulation, source, target, workers = sys.argv[1:]
    formulations[job][formulation](source, target, int(workers))


if __name__ == "__main__":
    play(FORMULATIONS, "multiprocessing")
