"""PageRank: how important each page is, by the pages that link to it.

    mrcore run pagerank.py:pagerank links.txt -- 20

A line of the input is a link: ``page target``, between white space. The number behind ``--`` is how many
iterations to make; by default 10. Out come lines ``page TAB rank``, sorted by page::

    about   0.3211
    home    1.8724

Each page passes its rank on to its targets, in equal shares, and gets 0.15 + 0.85 * (what it was
passed). A page without links passes nothing on. All ranks begin as 1. (Brin and Page, "The anatomy
of a large-scale hypertextual web search engine", 1998, section 2.1.)
"""

import math

import mrcore as mr

DAMPING = 0.85


def pagerank(inputs, iterations="10"):
    """Each iteration adds a stage to one lazy dataset; nothing runs before its end is asked for."""
    nodes = mr.read_text(inputs).flat_map(read_link).group_by_key().map(make_node)
    for _ in range(int(iterations)):
        nodes = nodes.flat_map(send).group_by_key().map(receive)
    return nodes.map(page_and_rank)


def read_link(line):
    """A pair (page, target); nothing of a line that is no link."""
    words = line.split()
    return [(words[0], words[1])] if len(words) == 2 else []


def make_node(group):
    """A node is (page, (rank, targets)). ``group_by_key`` gives the values as an iterator."""
    page, targets = group
    return page, (1.0, tuple(targets))


def send(node):
    """What a page tells others: its links to itself, for the next iteration, and a share of its rank to each target."""
    page, (rank, targets) = node
    yield page, targets
    for target in targets:
        yield target, rank / len(targets)


def receive(group):
    """The node that comes of what a page was told.

    ``math.fsum`` is exact, so the order in which shares arrive does not show in the last digits.
    """
    page, told = group
    targets, shares = (), []
    for value in told:
        if isinstance(value, tuple):
            targets = value
        else:
            shares.append(value)
    return page, (1 - DAMPING + DAMPING * math.fsum(shares), targets)


def page_and_rank(node):
    """What comes out of a node."""
    page, (rank, _) = node
    return page, rank
