"""docs/examples/sort_lines.py against Python's sort, which is stable too."""

import random

import mrcore as mr


def expected(texts, column):
    """Pairs of key and line, sorted."""
    lines = [line for text in texts for line in text.removesuffix(b"\n").split(b"\n") if text]
    keyed = [((line.split() + [b""] * column)[column - 1], line) for line in lines]
    return sorted(keyed, key=lambda pair: pair[0])


def test_the_parts_one_after_the_other_are_sorted(examples, corpus):
    result = examples.same_in_all_ways(examples.load("sort_lines").SortLines(2), ["books"])
    assert list(result.read()) == expected(corpus.values(), 2)
    assert len(result.outputs) == 3


def test_one_file_is_sorted_as_a_whole(examples, corpus, shell):
    texts = []
    for split in (None, "4KiB"):
        result = mr.run(examples.load("sort_lines").SortLines, "books", "one", single=True, overwrite=True, split=split)
        assert list(result.read()) == expected(corpus.values(), 1)
        texts.append((shell.folder / "one").read_bytes())
    assert texts[0] == texts[1]


def test_the_command_and_a_pipe_print_the_same(examples, corpus):
    printed = examples.command("sort_lines.py", ["books"], "2")
    assert printed.count(b"\n") == len(expected(corpus.values(), 2))
    whole = b"".join(text if not text or text.endswith(b"\n") else text + b"\n" for text in corpus.values())
    assert examples.piped("sort_lines.py", whole, "2") == printed


def test_more_than_memory_holds_is_the_same_bytes(examples, shell):
    rng = random.Random(3)
    lines = [b"%08x %s" % (rng.getrandbits(20), rng.randbytes(20).hex().encode()) for _ in range(250_000)]
    shell.write("large", b"\n".join(lines))
    job = examples.load("sort_lines").SortLines(1)
    roomy = mr.run(job, "large", "roomy", executor=mr.Inline())
    tight = mr.run(job, "large", "tight", executor=mr.Inline(roomy.plan.memory_least), split="file")
    assert tight.counters["spills"] > roomy.counters["spills"]
    texts = [(shell.folder / name / "part-00000").read_bytes() for name in ("roomy", "tight")]
    assert texts[0] == texts[1]
    assert texts[0] == b"".join(b"%s\t%s\n" % pair for pair in expected([b"\n".join(lines)], 1))
