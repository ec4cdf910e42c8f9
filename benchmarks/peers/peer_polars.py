"""The jobs in Polars: peer_polars.py JOB FORMULATION INPUT OUTPUT THREADS, or --version.

They run in its streaming engine, unless a name ends in -in-memory. The input of an index is a folder, relative to the
working directory.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

if len(sys.argv) == 6:
    os.environ["POLARS_MAX_THREADS"] = sys.argv[5]  # read once, when Polars is imported

import polars as pl

WORDS = pl.col("line").str.split(" ")


# Word count, and what is made of it.


def explode(source: str) -> pl.LazyFrame:
    words = pl.scan_lines(source, name="line").select(WORDS.alias("w")).explode("w")
    return words.filter(pl.col("w") != "").group_by("w").agg(pl.len())


def filter_late(source: str) -> pl.LazyFrame:
    """Empty strings are filtered after the grouping, where there is only one left."""
    words = pl.scan_lines(source, name="line").select(WORDS.list.explode().alias("w"))
    return words.group_by("w").agg(pl.len()).filter(pl.col("w") != "")


def spaces_end_rows(source: str) -> pl.LazyFrame:
    """The CSV reader splits at spaces; what it takes for one word across a line end is split after a first count."""
    rows = pl.scan_csv(
        source, separator="\x01", eol_char=" ", has_header=False, quote_char=None, schema={"w": pl.String}
    )
    words = rows.group_by("w").agg(pl.len()).with_columns(pl.col("w").str.split("\n")).explode("w")
    return words.filter(pl.col("w") != "").group_by("w").agg(pl.col("len").sum())


def distinct_groups(source: str) -> pl.LazyFrame:
    return filter_late(source).select(pl.len())


def distinct_n_unique(source: str) -> pl.LazyFrame:
    words = pl.scan_lines(source, name="line").select(WORDS.list.explode().alias("w"))
    return words.filter(pl.col("w") != "").select(pl.col("w").n_unique())


def top_sorted(source: str) -> pl.LazyFrame:
    return filter_late(source).sort(["len", "w"], descending=[True, False]).head(100)


def top_k(source: str) -> pl.LazyFrame:
    return filter_late(source).top_k(100, by=["len", "w"], reverse=[False, True])


# Bigrams: neighbours in a line.


def neighbours(source: str) -> pl.LazyFrame:
    """Two columns of words; a line of fewer than two has none."""
    tokens = pl.scan_lines(source, name="line").select(WORDS.alias("t")).filter(pl.col("t").list.len() > 1)
    first = pl.col("t").list.slice(0, pl.col("t").list.len() - 1)
    return tokens.select(first.alias("a"), pl.col("t").list.slice(1).alias("b")).explode("a", "b")


def two_lists(source: str) -> pl.LazyFrame:
    joined = pl.concat_str("a", "b", separator=" ")
    return neighbours(source).group_by("a", "b").agg(pl.len()).select(joined, pl.col("len"))


def two_lists_joined(source: str) -> pl.LazyFrame:
    return neighbours(source).select(pl.concat_str("a", "b", separator=" ").alias("g")).group_by("g").agg(pl.len())


# Inverted index.


def files_below(source: str) -> list[str]:
    """In the order of their paths' bytes."""
    return sorted(os.fspath(path) for path in Path(source).rglob("*") if path.is_file())


def texts(files: list[str]) -> list[str]:
    return [Path(file).read_bytes().decode() for file in files]


def postings(source: str, names_are_numbers: bool = False) -> pl.LazyFrame:
    """A row for every word of a file: ``w``, and in ``f`` the file's name, in the order of names."""
    files = files_below(source)
    f = pl.Series(files, dtype=pl.Enum(files)) if names_are_numbers else files
    words = pl.col("text").str.replace_all("\n", " ", literal=True).str.split(" ").list.unique()
    rows = pl.LazyFrame({"f": f, "text": texts(files)}).select("f", words.alias("w")).explode("w")
    return rows.filter(pl.col("w") != "")


def index_names(source: str) -> pl.LazyFrame:
    return postings(source).group_by("w").agg(pl.col("f").sort()).with_columns(pl.col("f").list.join(","))


def index_numbers(source: str) -> pl.LazyFrame:
    """Numbers are sorted; they become names when the lists are joined."""
    lists = postings(source, names_are_numbers=True).group_by("w").agg(pl.col("f").sort())
    return lists.with_columns(pl.col("f").cast(pl.List(pl.String)).list.join(","))


def index_in_order(source: str) -> pl.LazyFrame:
    """Groups keep the order of their rows, which is that of the files: nothing is sorted."""
    return postings(source).group_by("w", maintain_order=True).agg(pl.col("f").str.join(","))


FORMULATIONS: dict[str, dict[str, Callable[[str], pl.LazyFrame]]] = {
    "wordcount": {"explode": explode, "filter-late": filter_late, "spaces-end-rows": spaces_end_rows},
    "distinct": {"groups": distinct_groups, "n-unique": distinct_n_unique},
    "top": {"sorted": top_sorted, "top-k": top_k},
    "bigrams": {"two-lists": two_lists, "two-lists-joined": two_lists_joined},
    "index": {"names": index_names, "numbers": index_numbers, "in-order-in-memory": index_in_order},
}
IN_MEMORY = "-in-memory"  # a formulation that ends so is not run in the streaming engine


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"Polars {pl.__version__}")
        return
    job, formulation, source, target, _ = sys.argv[1:]
    answer = FORMULATIONS[job][formulation](source)
    csv = {"separator": "\t", "include_header": False, "quote_style": "never"}
    if formulation.endswith(IN_MEMORY):
        answer.collect(engine="in-memory").write_csv(target, **csv)
    else:
        answer.sink_csv(target, **csv, engine="streaming")


if __name__ == "__main__":
    main()
