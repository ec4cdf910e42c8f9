"""The jobs in chdb (ClickHouse in a process): peer_chdb.py JOB FORMULATION INPUT OUTPUT THREADS, or --version.

The input of an index is a folder, relative to the working directory.
"""

import sys
from pathlib import Path

import chdb

LINES = "file('{input}', LineAsString)"
# Blocks of lines that stay in the cache after they have been split.
SMALL = " settings max_block_size = 16384"
WHITESPACE, CHAR = "splitByWhitespace(line)", "splitByChar(' ', line)"

COUNT = f"select arrayJoin({{}}) as w, count() as n from {LINES} group by w"
TOP = COUNT + "{} order by n desc, w limit 100"
GROUPS = f"select count() from (select arrayJoin({{}}) as w from {LINES} group by w{{}})"

# Neighbours in a line, as pairs or already joined.
PAIRS = "arrayZip(arrayPopBack({0} as t), arrayPopFront(t))"
JOINED = "arrayMap((a, b) -> concat(a, ' ', b), arrayPopBack({0} as t), arrayPopFront(t))"
COUNT_PAIRS = (
    f"select concat(p.1, ' ', p.2), n from (select arrayJoin({PAIRS}) as p, count() as n from {LINES} group by p)"
)
COUNT_JOINED = f"select arrayJoin({JOINED}) as g, count() from {LINES} group by g"

# The virtual column is the absolute path: what it has more than {input} is cut off.
WHOLE_FILES = "file('{input}/**', RawBLOB, 'content String')"
NAME = "substring(_path, {path_start})"
CONTENT = "splitByWhitespace(content)"

FORMULATIONS = {
    "wordcount": {
        # The function that is made for it.
        "whitespace": COUNT.format(WHITESPACE, input="{input}"),
        # One separator byte, and the empty strings filtered after the grouping, where there is only one left.
        "char": COUNT.format(CHAR, input="{input}") + " having w != ''",
        "small-blocks": COUNT.format(WHITESPACE, input="{input}") + SMALL,
    },
    "distinct": {
        "uniq-exact": f"select uniqExact(arrayJoin({WHITESPACE})) from {LINES}",
        "uniq-exact-array": f"select uniqExactArray({WHITESPACE}) from {LINES}",
        "groups": GROUPS.format(WHITESPACE, "", input="{input}"),
        "groups-char": GROUPS.format(CHAR, " having w != ''", input="{input}"),
        "groups-small-blocks": GROUPS.format(WHITESPACE, "", input="{input}") + SMALL,
    },
    "top": {
        "whitespace": TOP.format(WHITESPACE, "", input="{input}"),
        "char": TOP.format(CHAR, " having w != ''", input="{input}"),
        "small-blocks": TOP.format(WHITESPACE, "", input="{input}") + SMALL,
    },
    "bigrams": {
        "pairs": COUNT_PAIRS.format(WHITESPACE, input="{input}"),
        "joined": COUNT_JOINED.format(WHITESPACE, input="{input}"),
        "joined-small-blocks": COUNT_JOINED.format(WHITESPACE, input="{input}") + SMALL,
    },
    "index": {
        "whole-files": f"select w, arrayStringConcat(arraySort(groupArray(f)), ',') from"
        f" (select {NAME} as f, arrayJoin(arrayDistinct({CONTENT})) as w from {WHOLE_FILES}) group by w",
        "unique-of-whole-files": f"select w, arrayStringConcat(arraySort(groupUniqArray(f)), ',') from"
        f" (select {NAME} as f, arrayJoin({CONTENT}) as w from {WHOLE_FILES}) group by w",
    },
}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"chdb {chdb.__version__}, ClickHouse {chdb.engine_version}")
        return
    job, formulation, source, target, threads = sys.argv[1:]
    path_start = len(str(Path.cwd()).encode()) + 2  # counted from 1, after the slash
    query, _, settings = FORMULATIONS[job][formulation].partition(" settings ")
    query = query.format(input=source, path_start=path_start)
    settings = ", ".join(filter(None, [f"max_threads = {threads}", settings]))
    chdb.query(f"{query} into outfile '{target}' truncate format TSVRaw settings {settings}")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
