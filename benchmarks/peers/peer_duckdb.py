"""Word count in DuckDB: peer_duckdb.py FORMULATION INPUT OUTPUT THREADS, or --version."""

import sys

import duckdb

# A line is a CSV row of one column; the delimiter is a byte that is in no corpus.
LINES = (
    "read_csv('{input}', delim = '\x01', header = false, quote = '', escape = '', auto_detect = false,"
    " columns = {{'line': 'varchar'}}, max_line_size = 4000000, strict_mode = false)"
)
WORDS = f"select unnest(string_split(line, ' ')) as w from {LINES}"
FORMULATIONS = {
    "split": f"select w, count(*) from ({WORDS}) where w <> '' group by w",
    # Empty strings are filtered after the grouping, where there is only one left.
    "filter-late": f"select w, n from (select w, count(*) as n from ({WORDS}) group by w) where w <> ''",
    "regex": f"select w, count(*) from (select unnest(regexp_split_to_array(line, ' +')) as w from {LINES})"
    " where w <> '' group by w",
}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"DuckDB {duckdb.__version__}")
        return
    formulation, source, target, threads = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}")
    connection.execute("set preserve_insertion_order = false")
    query = FORMULATIONS[formulation].format(input=source)
    connection.execute(f"copy ({query}) to '{target}' (format csv, delimiter '\t', header false, quote '', escape '')")


if __name__ == "__main__":
    main()
