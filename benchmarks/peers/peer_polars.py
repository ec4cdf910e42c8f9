"""Word count in Polars' streaming engine: peer_polars.py FORMULATION INPUT OUTPUT THREADS, or --version."""

import os
import sys
from collections.abc import Callable

if len(sys.argv) == 5:
    os.environ["POLARS_MAX_THREADS"] = sys.argv[4]  # read once, when Polars is imported

import polars as pl


def explode(source: str) -> pl.LazyFrame:
    words = pl.scan_lines(source, name="line").select(pl.col("line").str.split(" ").alias("w")).explode("w")
    return words.filter(pl.col("w") != "").group_by("w").agg(pl.len())


def filter_late(source: str) -> pl.LazyFrame:
    """Empty strings are filtered after the grouping, where there is only one left."""
    words = pl.scan_lines(source, name="line").select(pl.col("line").str.split(" ").list.explode().alias("w"))
    return words.group_by("w").agg(pl.len()).filter(pl.col("w") != "")


def spaces_end_rows(source: str) -> pl.LazyFrame:
    """The CSV reader splits at spaces; what it takes for one word across a line end is split after a first count."""
    rows = pl.scan_csv(
        source, separator="\x01", eol_char=" ", has_header=False, quote_char=None, schema={"w": pl.String}
    )
    words = rows.group_by("w").agg(pl.len()).with_columns(pl.col("w").str.split("\n")).explode("w")
    return words.filter(pl.col("w") != "").group_by("w").agg(pl.col("len").sum())


FORMULATIONS: dict[str, Callable[[str], pl.LazyFrame]] = {
    "explode": explode,
    "filter-late": filter_late,
    "spaces-end-rows": spaces_end_rows,
}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"Polars {pl.__version__}")
        return
    formulation, source, target, _ = sys.argv[1:]
    counts = FORMULATIONS[formulation](source)
    counts.sink_csv(target, separator="\t", include_header=False, quote_style="never", engine="streaming")


if __name__ == "__main__":
    main()
