"""Sort: lines by one of their columns.

    mrcore run sort_lines.py -o sorted.tsv --single access.log -- 2
    mrcore run sort_lines.py -o sorted/ -R 8 access.log -- 2

The number behind ``--`` is the column, the first being 1; columns stand between white space. Out come
lines ``column TAB line``, sorted by the column's bytes; lines with the same column stay in input order::

    /about  10:02 /about ann
    /home   10:01 /home ann
    /home   10:01 /home bob

With ``--single`` that is one file. Without it each part file holds a range of keys: part 0 has the
first ones, so that ``cat sorted/part-*`` is sorted as a whole.
"""

import mrcore as mr


class SortLines(mr.MapReduce):
    """The sort is what the engine does between map and reduce: only the key must be found."""

    def __init__(self, column=1):
        self.column = int(column) - 1

    def map(self, record, ctx):
        """A line without that column has an empty key, and comes first."""
        columns = record.split()
        key = columns[self.column] if self.column < len(columns) else b""
        yield key, record

    def partition(self, key, reducers):
        """Equal shares of the 256 first bytes that a key can have.

        Text uses few of them, so the parts differ in size; with keys that you know, do better.
        """
        first = key[0] if key else 0
        return first * reducers // 256
