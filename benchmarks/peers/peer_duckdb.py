"""The jobs in DuckDB: peer_duckdb.py JOB FORMULATION INPUT OUTPUT THREADS, or --version.

The input of an index is a folder, relative to the working directory.
"""

import sys
from pathlib import Path

import duckdb

# A line is a CSV row of one column; the delimiter is a byte that is in no corpus.
LINES = (
    "read_csv('{input}', delim = '\x01', header = false, quote = '', escape = '', auto_detect = false,"
    " columns = {{'line': 'varchar'}}, max_line_size = 4000000, strict_mode = false)"
)
WORDS = f"select unnest(string_split(line, ' ')) as w from {LINES}"
COUNT = f"select w, count(*) as n from ({WORDS}) where w <> '' group by w"
# Empty strings are filtered after the grouping, where there is only one left.
COUNT_LATE = f"select w, n from (select w, count(*) as n from ({WORDS}) group by w) where w <> ''"
COUNT_REGEX = (
    f"select w, count(*) as n from (select unnest(regexp_split_to_array(line, ' +')) as w from {LINES})"
    " where w <> '' group by w"
)

TOKENS = f"select string_split(line, ' ') as t from {LINES}"
COUNT_JOINED = "select g, count(*) from ({}) group by g"
NEIGHBOURS = f"select unnest(t[:-2]) as a, unnest(t[2:]) as b from ({TOKENS})"

FILES = "read_text('{input}/**')"
FILE_WORDS = "string_split(replace(content, '\n', ' '), ' ')"
POSTINGS = f"select filename as f, unnest(list_distinct({FILE_WORDS})) as w from {FILES}"
FILE_LINES = LINES.replace("'{input}'", "'{input}/**'").replace("delim", "filename = true, delim")

FORMULATIONS = {
    "wordcount": {"split": COUNT, "filter-late": COUNT_LATE, "regex": COUNT_REGEX},
    "distinct": {
        "groups": f"select count(*) from (select w from ({WORDS}) group by w) where w <> ''",
        "count-distinct": f"select count(distinct w) from ({WORDS}) where w <> ''",
    },
    "top": {
        "split": COUNT + " order by n desc, w limit 100",
        "filter-late": COUNT_LATE + " order by n desc, w limit 100",
    },
    "bigrams": {
        # Two lists unnested side by side, grouped by both columns.
        "two-lists": f"select a || ' ' || b, n from (select a, b, count(*) as n from ({NEIGHBOURS}) group by a, b)",
        "two-lists-joined": COUNT_JOINED.format(f"select a || ' ' || b as g from ({NEIGHBOURS})"),
        "zip": "select p[1] || ' ' || p[2], n from (select p, count(*) as n from"
        f" (select unnest(list_zip(t[:-2], t[2:])) as p from ({TOKENS})) group by p)",
        # The word after a word in the order of the file; an empty one ends each line.
        "lead": "select w || ' ' || v, count(*) from (select w, lead(w) over () as v from"
        f" (select unnest(string_split(line || ' ', ' ')) as w from {LINES})) where w <> '' and v <> '' group by w, v",
    },
    "index": {
        "list-sort": f"select w, array_to_string(list_sort(list(f)), ',') from ({POSTINGS}) where w <> '' group by w",
        "distinct-of-lines": "select w, array_to_string(list_sort(list(f)), ',') from"
        f" (select distinct filename as f, unnest(string_split(line, ' ')) as w from {FILE_LINES})"
        " where w <> '' group by w",
    },
}
IN_ORDER = {"lead"}  # rows must come in the order of the file


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"DuckDB {duckdb.__version__}")
        return
    job, formulation, source, target, threads = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}")
    connection.execute(f"set temp_directory = '{Path(target).parent}'")
    connection.execute(f"set preserve_insertion_order = {str(formulation in IN_ORDER).lower()}")
    query = FORMULATIONS[job][formulation].format(input=source)
    connection.execute(f"copy ({query}) to '{target}' (format csv, delimiter '\t', header false, quote '', escape '')")


if __name__ == "__main__":
    main()
