"""docs/examples/pagerank.py against the same formula over dicts.

Ranks are floats, and the digests are equal all the same: a page's shares are added by ``math.fsum``,
whose result does not depend on their order.
"""

import math
import random

import pytest

STEPS = 4


@pytest.fixture
def links(write_rows):
    """A web in two files: pages without links, pages that nobody links to, links that are there twice or to oneself."""
    rng = random.Random(5)
    pages = [f"page{n}" for n in range(200)] + ["été", "汉字", "page-\\"]
    found = [(rng.choice(pages[:180]), rng.choice(pages[20:])) for _ in range(1500)]
    write_rows("links-1", found[:1000], " ")
    write_rows("links-2", found[1000:], "\t")
    return found


INPUTS = ["links-1", "links-2"]


def expected(links, steps):
    """Ranks by page."""
    targets = {}
    for page, target in links:
        targets.setdefault(page, []).append(target)
    ranks = dict.fromkeys(targets, 1.0)
    for _ in range(steps):
        shares = {page: [] for page in ranks}
        for page, ends in targets.items():
            for target in ends:
                shares.setdefault(target, []).append(ranks[page] / len(ends))
        ranks = {page: 1 - 0.85 + 0.85 * math.fsum(parts) for page, parts in shares.items()}
    return {page.encode(): rank for page, rank in ranks.items()}


def test_ranks_are_exactly_those_of_the_formula(examples, links):
    module = examples.load("pagerank")
    result = examples.same_in_all_ways(lambda inputs: module.pagerank(inputs, STEPS), INPUTS)
    assert dict(result.read()) == expected(links, STEPS)


def test_the_command_and_a_pipe_print_the_same(examples, links, shell):
    ranks = expected(links, STEPS)
    lines = [b"%s\t%s" % (page.replace(b"\\", b"\\\\"), repr(ranks[page]).encode()) for page in sorted(ranks)]
    assert examples.command("pagerank.py:pagerank", INPUTS, str(STEPS)).split(b"\n") == [*lines, b""]
    whole = b"\n".join((shell.folder / name).read_bytes() for name in INPUTS)
    assert examples.piped("pagerank.py:pagerank", whole, str(STEPS)).split(b"\n") == [*lines, b""]


def test_a_line_that_is_no_link_changes_nothing(examples, shell):
    shell.write("web", b"a b\n\nalone\nb a\r\nthree words here\na b")
    found = dict(examples.load("pagerank").pagerank("web", 1).collect())
    assert found == {b"a": pytest.approx(1), b"b": pytest.approx(1)}
