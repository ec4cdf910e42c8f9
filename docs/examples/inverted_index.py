"""Inverted index: which files each word is in.

    mrcore run inverted_index.py -o index/ corpus/

Out come lines ``word TAB list of files``, sorted by word; the files of a word are sorted too::

    answer  ['corpus/guide.txt', 'corpus/novel.txt']

``result.read()`` gives the lists back as lists.
"""

import mrcore as mr


def add(files, file):
    """One more file that a word was seen in."""
    files.add(file)
    return files


class InvertedIndex(mr.MapReduce):
    """The aggregate keeps each file once, however often the word is in it."""

    combine = mr.Aggregate(zero=set, add=add, merge=set.union, finish=sorted, commutative=True, idempotent=True)

    def map(self, record, ctx):
        """``ctx.input.file`` is the file that the line stands in."""
        for word in record.split():
            yield word, ctx.input.file
