"""Join: brings the lines of two files together that begin with the same key.

    mrcore run join.py -o joined/ customers.tsv orders.tsv -- customers.tsv

A line is ``key TAB row``. Behind ``--`` is the name of the left file, as it was given as an input; all
other files are the right side. Out comes one line for each left row and each right row of a key::

    c17     (b'Ada, London', b'2 lamps')
    c17     (b'Ada, London', b'1 chair')

Keys that only one side has are left out: an inner join.
"""

import mrcore as mr


class Join(mr.MapReduce):
    """Each row carries a mark of its side through the sort; reduce gets both sides of a key together."""

    def __init__(self, left):
        self.left = left

    def map(self, record, ctx):
        """The key is what the two sides are brought together by."""
        key, _, row = record.rstrip(b"\r").partition(b"\t")
        if key:
            side = "left" if ctx.input.file == self.left else "right"
            yield key, (side, row)

    def reduce(self, key, values, ctx):
        """``values`` can be read once, so the rows are kept: those of one key must fit in memory."""
        left, right = [], []
        for side, row in values:
            if side == "left":
                left.append(row)
            else:
                right.append(row)
        for one in left:
            for other in right:
                yield key, (one, other)
