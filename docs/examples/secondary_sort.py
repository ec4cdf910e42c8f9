"""Secondary sort: what comes to reduce is sorted within its group too.

    mrcore run secondary_sort.py -o pauses/ visits.log

A line of the input is a visit: ``visitor second page``, between white space, in any order. Out come
all visits by visitor and time, each with the seconds since that visitor's visit before::

    ('ann', 1000)   (0, '/home')
    ('ann', 1060)   (60, '/about')
    ('bob', 990)    (0, '/home')

The key is made of both, visitor and second, so the sort orders by both. The partition is chosen by
the visitor alone, so one reduce task sees all visits of a visitor, one after the other, and nothing
has to be held in memory.
"""

import zlib

import mrcore as mr


class Pauses(mr.MapReduce):
    """What is kept in ``self`` lives as long as its task."""

    encoding = "utf-8"

    def setup(self, ctx):
        """Each task begins with a copy of its own."""
        self.visitor = self.second = None

    def map(self, record, ctx):
        """Keys of a job are of one type, here a tuple of str and int."""
        fields = record.split()
        if len(fields) == 3:
            visitor, second, page = fields
            yield (visitor, int(second)), page

    def partition(self, key, reducers):
        """A checksum, because Python's own ``hash`` of a str differs from process to process."""
        visitor, _ = key
        return zlib.crc32(visitor.encode())

    def reduce(self, key, values, ctx):
        """Called in the order of keys; visits of the same second come in input order."""
        visitor, second = key
        for page in values:
            pause = second - self.second if visitor == self.visitor else 0
            self.visitor, self.second = visitor, second
            yield key, (pause, page)
