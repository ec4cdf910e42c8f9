"""Word count in chdb (ClickHouse in a process): peer_chdb.py FORMULATION INPUT OUTPUT THREADS, or --version."""

import sys

import chdb

COUNT = "select arrayJoin({split}) as w, count() from file('{{input}}', LineAsString) group by w"
FORMULATIONS = {
    # The function that is made for it.
    "whitespace": COUNT.format(split="splitByWhitespace(line)"),
    # One separator byte, and the empty strings filtered after the grouping, where there is only one left.
    "char": COUNT.format(split="splitByChar(' ', line)") + " having w != ''",
    # Blocks of lines that stay in the cache after they have been split.
    "small-blocks": COUNT.format(split="splitByWhitespace(line)") + " settings max_block_size = 16384",
}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"chdb {chdb.__version__}, ClickHouse {chdb.engine_version}")
        return
    formulation, source, target, threads = sys.argv[1:]
    query, _, settings = FORMULATIONS[formulation].format(input=source).partition(" settings ")
    settings = ", ".join(filter(None, [f"max_threads = {threads}", settings]))
    chdb.query(f"{query} into outfile '{target}' truncate format TSVRaw settings {settings}")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
