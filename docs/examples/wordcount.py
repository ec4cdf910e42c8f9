"""Word count: how often each word occurs.

    mrcore run wordcount.py corpus/                       # to the screen
    mrcore run wordcount.py -o counts/ corpus/            # part files

A word is what stands between white space. Out come lines ``word TAB count``, sorted by word::

    and     5013
    answer  42
"""

import mrcore as mr


class WordCount(mr.MapReduce):
    """The classic first program."""

    combine = mr.Sum()  # adds up in the map tasks already, so that few pairs travel

    def map(self, record, ctx):
        """A record is a line, as bytes."""
        for word in record.split():
            yield word, 1
