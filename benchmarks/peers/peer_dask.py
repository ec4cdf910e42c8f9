"""Word count in Dask bag: peer_dask.py wordcount FORMULATION INPUT OUTPUT WORKERS, or --version."""

import sys
from collections.abc import Callable, Iterator
from operator import add, itemgetter

import dask
from dask import bag

BLOCK_BYTES = 32 << 20


def map_words(record: str) -> Iterator[tuple[str, int]]:
    for word in record.split():
        yield word, 1


def add_count(total: int, pair: tuple[str, int]) -> int:
    return total + pair[1]


def foldby(lines: bag.Bag) -> bag.Bag:
    return lines.map(map_words).flatten().foldby(itemgetter(0), add_count, 0, add, 0)


def map_frequencies(lines: bag.Bag) -> bag.Bag:
    """Takes every count for 1."""
    return lines.map(map_words).flatten().pluck(0).frequencies()


def split_frequencies(lines: bag.Bag) -> bag.Bag:
    """Without a function of a record."""
    return lines.str.split().flatten().frequencies()


FORMULATIONS: dict[str, Callable[[bag.Bag], bag.Bag]] = {
    "foldby": foldby,
    "frequencies": map_frequencies,
    "split-frequencies": split_frequencies,
}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"Dask {dask.__version__}, bag in processes")
        return
    _, formulation, source, target, workers = sys.argv[1:]
    counts = FORMULATIONS[formulation](bag.read_text(source, blocksize=BLOCK_BYTES))
    with open(target, "w", buffering=1 << 20) as out:
        found = counts.compute(scheduler="processes", num_workers=int(workers))
        out.writelines(f"{word}\t{count}\n" for word, count in found)


if __name__ == "__main__":
    main()
