"""Python functions of a record in multiprocessing: peer_records.py JOB FORMULATION INPUT OUTPUT WORKERS, or --version.

The function is a generator of pairs, as mrcore's user writes it; what is done with the pairs is plain Python at its
best. The input of an index is a folder, relative to the working directory. peer_multiprocessing.py has the same jobs
without a function of a record.
"""

import multiprocessing
import os
import pickle
import tempfile
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

from peer_multiprocessing import Chunk, merge_joined, play, shares, slices, write_index, write_joined

Pairs = Iterable[tuple[bytes, int]]
Groups = dict[Any, Any]  # key -> its values so far


# The user's functions.


def map_words(record: bytes) -> Iterator[tuple[bytes, int]]:
    for word in record.split():
        yield word, 1


def map_postings(record: bytes, file: bytes) -> Iterator[tuple[bytes, bytes]]:
    for word in record.split():
        yield word, file


def map_numbers(record: bytes) -> Iterator[tuple[int, float]]:
    key, value = record.split(b"\t")
    yield int(key), float(value)


def records(piece: Chunk) -> Iterator[bytes]:
    """The lines of a slice that begins and ends at a line end."""
    path, offset, size_bytes = piece
    with open(path, "rb", buffering=1 << 20) as source:
        source.seek(offset)
        for record in source:
            size_bytes -= len(record)
            if size_bytes < 0:
                return
            yield record


def extend_all(groups: Groups, more: Groups) -> None:
    if not groups:
        groups.update(more)
        return
    for key, values in more.items():
        if (group := groups.get(key)) is None:
            groups[key] = values
        else:
            group.extend(values)


# Word count: a dict in each worker, which the parent adds up.


def fold_get(pairs: Pairs) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for word, count in pairs:
        counts[word] = counts.get(word, 0) + count
    return counts


def fold_defaultdict(pairs: Pairs) -> dict[bytes, int]:
    counts: dict[bytes, int] = defaultdict(int)
    for word, count in pairs:
        counts[word] += count
    return counts


def fold_counter(pairs: Pairs) -> dict[bytes, int]:
    """Takes every count for 1, which lets the loop run in C."""
    return Counter(map(itemgetter(0), pairs))


def count_slice(fold: Callable[[Pairs], dict[bytes, int]], piece: Chunk) -> dict[bytes, int]:
    return fold(chain.from_iterable(map(map_words, records(piece))))


def count_words(fold: Callable[[Pairs], dict[bytes, int]], source: str, target: str, workers: int) -> None:
    total: Counter[bytes] = Counter()
    with multiprocessing.Pool(workers) as pool:
        for counts in pool.imap_unordered(partial(count_slice, fold), slices(source, workers)):
            total.update(counts)
    with open(target, "wb", buffering=1 << 20) as out:
        out.writelines(b"%b\t%d\n" % item for item in total.items())


# Inverted index.


def index_files(files: Sequence[bytes]) -> Groups:
    """The files of every word; a file comes once, for its lines come one after the other."""
    index: dict[bytes, list[bytes]] = {}
    for file in files:
        with open(file, "rb") as source:
            for record in source:
                for word, name in map_postings(record, file):
                    names = index.get(word)
                    if names is None:
                        index[word] = [name]
                    elif names[-1] is not name:
                        names.append(name)
    return index


def index_files_joined(files: Sequence[bytes]) -> Groups:
    return {word: b",".join(names) for word, names in index_files(files).items()}


def index_in_parent(source: str, target: str, workers: int) -> None:
    with multiprocessing.Pool(workers) as pool:
        first, *others = pool.imap_unordered(index_files, shares(source, workers))
    for other in others:
        extend_all(first, other)
    write_index(first, target)


def index_partitioned_joined(source: str, target: str, workers: int) -> None:
    """One object a word is pickled, instead of a list; shares are neighbours, so that names stay in order."""
    partitioned(index_files_joined, shares(source, workers), zlib.crc32, write_joined, target, merge_joined)


def index_partitioned(source: str, target: str, workers: int) -> None:
    partitioned(index_files, shares(source, workers), zlib.crc32, write_index, target)


# All values of a key in one place.


def group_lists(piece: Chunk) -> Groups:
    groups: dict[int, list[float]] = defaultdict(list)
    for key, value in chain.from_iterable(map(map_numbers, records(piece))):
        groups[key].append(value)
    return groups


def group_arrays(piece: Chunk) -> Groups:
    """Eight bytes a value instead of a pointer and an object."""
    groups: dict[int, array[float]] = {}
    for key, value in chain.from_iterable(map(map_numbers, records(piece))):
        group = groups.get(key)
        if group is None:
            groups[key] = array("d", (value,))
        else:
            group.append(value)
    return groups


def group_numbers(group: Callable[[Chunk], Groups], source: str, target: str, workers: int) -> None:
    partitioned(group, list(slices(source, workers)), int, write_statistics, target)


def write_statistics(groups: Groups, target: str) -> None:
    with open(target, "w", buffering=1 << 20) as out:
        out.writelines(f"{key}\t{[len(values), sum(values)]}\n" for key, values in groups.items())


# Map, shuffle and reduce: every worker leaves a pickle for every partition, and merges one.


def partitioned(
    group: Callable[[Any], Groups],
    inputs: Sequence[Any],
    number: Callable[[Any], int],
    write: Callable[[Groups, str], None],
    target: str,
    merge: Callable[[Groups, Groups], None] = extend_all,
) -> None:
    """A directory of part files, one a worker; ``number`` is that of a key, and chooses its partition."""
    count = len(inputs)
    os.mkdir(target)
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(count) as pool:
        pool.starmap(spread, [(group, piece, number, count, f"{folder}/{at}") for at, piece in enumerate(inputs)])
        pool.starmap(gather, [(merge, write, count, folder, part, f"{target}/part-{part}") for part in range(count)])


def spread(group: Callable[[Any], Groups], piece: Any, number: Callable[[Any], int], count: int, stem: str) -> None:
    partitions: list[Groups] = [{} for _ in range(count)]
    for key, values in group(piece).items():
        partitions[number(key) % count][key] = values
    for part, partition in enumerate(partitions):
        with open(f"{stem}-{part}", "wb") as out:
            pickle.dump(partition, out, pickle.HIGHEST_PROTOCOL)


def gather(
    merge: Callable[[Groups, Groups], None],
    write: Callable[[Groups, str], None],
    count: int,
    folder: str,
    part: int,
    target: str,
) -> None:
    merged: Groups = {}
    for at in range(count):
        with open(f"{folder}/{at}-{part}", "rb") as source:
            merge(merged, pickle.load(source))
    write(merged, target)


FORMULATIONS: dict[str, dict[str, Callable[[str, str, int], None]]] = {
    "wordcount": {
        "get": partial(count_words, fold_get),
        "defaultdict": partial(count_words, fold_defaultdict),
        "counter": partial(count_words, fold_counter),
    },
    "index": {"in-parent": index_in_parent, "partitioned": index_partitioned, "joined": index_partitioned_joined},
    "groupby": {"lists": partial(group_numbers, group_lists), "arrays": partial(group_numbers, group_arrays)},
}


if __name__ == "__main__":
    play(FORMULATIONS, "multiprocessing and a generator of pairs")
