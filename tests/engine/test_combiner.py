"""The combiner: the same counts whatever its memory, whichever way the tokens went."""

import itertools
import os
import random
from collections import Counter

import pytest

from mrcore.engine import combiner as module
from mrcore.engine.combiner import GIANT_SHARE, Combiner, Scheme, TokenTooLong, least_memory
from mrcore.errors import BudgetError
from mrcore.kernels.merge import decode
from mrcore.kernels.radix import SortBuffer
from mrcore.storage.budget import DiskBudget
from mrcore.storage.runfile import RunReader, RunWriter
from mrcore.testing import reference

MIB = 1 << 20
SPLITTERS = (b"3", b"a\0", b"c", b"y" * 300)


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def distinct(count, seed=1):
    """So many different tokens of 3 to 40 bytes, in no order."""
    rng = random.Random(seed)
    words = [b"%d-%s" % (i, b"p" * rng.choice([0, 1, 5, 6, 7, 13, 30])) for i in range(count)]
    rng.shuffle(words)
    return b" ".join(words)


def frequent(count, vocabulary=300, seed=1):
    rng = random.Random(seed)
    return b" ".join(b"w%d" % rng.randrange(vocabulary) for _ in range(count))


TEXTS = {
    "nothing": b"",
    "distinct": distinct(150_000),
    "frequent": frequent(200_000),
    "distinct, then frequent": distinct(100_000) + b" " + frequent(100_000),
    "frequent, then distinct": frequent(100_000) + b" " + distinct(100_000),
    "lines": distinct(30_000).replace(b" ", b"\n") + b"\n" + b"\n".join(b"%d " % i * 700 for i in range(9)) + b"\n\nq",
    "long": b" ".join(b"%d" % i + b"z" * random.Random(i).choice([3, 2040, 2050, 70_000]) for i in range(150)),
}


def scheme(memory, partitions=1, splitters=None, tokenizer="whitespace", lower=False):
    if splitters is not None:
        partitions = len(splitters) + 1
    return Scheme(tokenizer, lower, partitions, splitters, memory)


def feed(combiner, text, window=None):
    """Feeds all of a text in windows, as a map task does."""
    at, wanted = 0, window or combiner.window
    while at < len(text):
        until = min(at + wanted, len(text))
        fed = combiner.feed(text, at, until, until == len(text))
        wanted = (window or combiner.window) if fed > at else 2 * wanted
        at = fed


def count(path, text, how, combiner=None, window=None):
    """Counts a text; the combiner, and for each partition its counts."""
    combiner = combiner or Combiner(how)
    with RunWriter(path, how.partitions, sync=False) as run:
        combiner.begin(run)
        feed(combiner, text, window)
        combiner.finish()
    parts = read(path, run)
    os.unlink(path)
    return combiner, parts


def read(path, run):
    """The sum of each partition's runs. Each run ascends, and no key stands twice in it."""
    parts, records = [], 0
    with RunReader(path) as reader:
        for partition in range(reader.partitions):
            parts.append(Counter())
            for segment in reader.segments(partition):
                pairs = [pair for block in reader.blocks(segment) for pair in decode(block)]
                assert all(a[0] < b[0] for a, b in itertools.pairwise(pairs))
                assert len(pairs) == segment.records
                parts[-1].update(dict(pairs))
                records += len(pairs)
    assert run.records == records
    return parts


def check(combiner, parts, text):
    how = combiner.scheme
    expected = [Counter() for _ in range(how.partitions)]
    for token, times in Counter(reference.tokenize(text, how.tokenizer, how.lower)).items():
        if how.splitters is None:
            expected[reference.partition(token, how.partitions)][token] = times
        else:
            expected[reference.partition_range(token, list(how.splitters))][token] = times
    assert parts == expected
    assert combiner.tokens == sum(map(Counter.total, expected))
    assert combiner.memory_peak <= how.memory


@pytest.mark.parametrize("memory", [least_memory(1), 5 * MIB, 64 * MIB, 1024 * MIB])
@pytest.mark.parametrize("text", TEXTS)
def test_the_counts_are_the_same_whatever_the_memory(path, text, memory):
    check(*count(path, TEXTS[text], scheme(memory)), TEXTS[text])


@pytest.mark.parametrize("partitions", [2, 7, 256])
@pytest.mark.parametrize("text", TEXTS)
def test_partitions_by_hash_with_the_least_memory(path, text, partitions):
    check(*count(path, TEXTS[text], scheme(least_memory(partitions), partitions)), TEXTS[text])


@pytest.mark.parametrize("splitters", [(), SPLITTERS])
@pytest.mark.parametrize("text", TEXTS)
def test_partitions_by_splitters_with_the_least_memory(path, text, splitters):
    check(*count(path, TEXTS[text], scheme(least_memory(1), splitters=splitters)), TEXTS[text])


WAYS = {  # what is patched, so that every token goes this way
    "never past the table": {"DIRECT_RATIO": 2},
    "past the table as soon as it is full": {"DIRECT_RATIO": -1, "FIRST_TOKENS": 1 << 60, "DIRECT_BYTES": 1 << 60},
    "past the table at once": {"DIRECT_RATIO": -1, "FIRST_RATIO": -1, "FIRST_TOKENS": 1, "DIRECT_BYTES": 1 << 60},
    "to and fro": {"DIRECT_RATIO": -1, "DIRECT_BYTES": 5000, "DIRECT_BYTES_MAX": 5000, "FIRST_TOKENS": 1,
                   "FIRST_RATIO": -1, "TABLE_BYTES": 2 * MIB},
    "through a small table": {"TABLE_BYTES": 2 * MIB, "DIRECT_RATIO": 2},
    "through a small buffer": {"BUFFER_BYTES": MIB},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("tokenizer", "lower"), [("whitespace", False), ("ascii", True), ("lines", False)])
def test_the_counts_are_the_same_whichever_way_the_tokens_go(path, text, monkeypatch, way, tokenizer, lower):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(module, name, value)
    some = text + b"\n" + distinct(30_000).replace(b" ", b"\n") + b"\n" + text.upper()
    how = scheme(least_memory(3), 3, None, tokenizer, lower)
    check(*count(path, some, how, window=100_000), some)


@pytest.mark.parametrize("window", [1, 7, 4096])
def test_windows_shorter_than_a_token(path, text, window):
    some = text[:5000] + b" " + b"q" * 3000 + b" end" if window < 100 else text
    check(*count(path, some, scheme(4 * MIB), window=window), some)


# ---- spills ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("memory", "spills"), [(4, 3), (8, 1), (16, 0)])
def test_so_many_spills_has_this_text_in_this_memory(path, memory, spills):
    text = distinct(300_000)
    combiner, parts = count(path, text, scheme(memory * MIB))
    check(combiner, parts, text)
    assert combiner.spills == spills


def test_each_spill_adds_runs_to_each_partition(path):
    """At least one; a bucket of more records than are sorted at once makes more."""
    how = scheme(4 * MIB, 3)
    combiner = Combiner(how)
    text = distinct(300_000)
    with RunWriter(path, 3, sync=False) as run:
        combiner.begin(run)
        feed(combiner, text)
        combiner.finish()
    assert combiner.spills > 0
    with RunReader(path) as reader:
        for partition in range(3):
            assert len(reader.segments(partition)) >= combiner.spills + 1


def test_few_distinct_tokens_are_never_spilled(path):
    text = frequent(400_000)
    combiner, parts = count(path, text, scheme(4 * MIB))
    check(combiner, parts, text)
    assert combiner.spills == 0


@pytest.mark.parametrize("first", ["distinct", "frequent", "long"])
def test_a_combiner_is_used_again_and_is_clean(path, first):
    combiner, parts = count(path, TEXTS[first], scheme(4 * MIB))
    check(combiner, parts, TEXTS[first])
    for text in (b"a b a", b"", TEXTS["distinct, then frequent"]):
        check(*count(path, text, combiner.scheme, combiner), text)


def test_a_spill_that_the_disk_budget_refuses(path):
    budget = DiskBudget.create(path + b"-counter", MIB)
    combiner = Combiner(scheme(4 * MIB))
    with pytest.raises(BudgetError, match="--tmp-limit"), RunWriter(path, 1, disk=budget, sync=False) as run:
        combiner.begin(run)
        feed(combiner, distinct(300_000))
    assert budget.held == 0
    assert not os.path.exists(path)


# ---- past the table --------------------------------------------------------------------------------------


class Way:
    """Where text went: 'T' for a table's share, 'B' for what went straight to the buffer, in order."""

    def __init__(self, monkeypatch):
        self.fed = []
        way = self

        class Buffer(SortBuffer):
            def feed(self, data, start, stop, final):
                after = super().feed(data, start, stop, final)
                way.fed.append(("B", start, after))
                return after

        monkeypatch.setattr(module, "SortBuffer", Buffer)

    def bytes(self, start, stop):
        """How many bytes of text[start:stop] went past the table."""
        return sum(max(0, min(stop, b) - max(start, a)) for _, a, b in self.fed)


@pytest.fixture
def way(monkeypatch):
    return Way(monkeypatch)


def test_distinct_text_soon_goes_past_the_table(path, way):
    text = distinct(300_000)
    check(*count(path, text, scheme(64 * MIB)), text)
    first = way.fed[0][1]
    assert module.FIRST_TOKENS <= len(text[:first].split()) < 2 * module.FIRST_TOKENS  # a look at these first
    assert way.bytes(0, len(text)) == len(text) - first


def test_frequent_text_never_goes_past_the_table(path, way):
    text = frequent(500_000)
    check(*count(path, text, scheme(4 * MIB)), text)
    assert way.fed == []


def test_text_that_is_distinct_only_later_goes_past_the_table_when_the_table_is_full(path, way):
    first, then = frequent(300_000), distinct(300_000)
    text = first + b" " + then
    check(*count(path, text, scheme(4 * MIB)), text)
    assert way.bytes(0, len(first)) == 0
    assert way.bytes(len(first), len(text)) > len(then) // 2


def test_text_that_is_frequent_only_later_goes_through_the_table_again_after_a_spill(path, way):
    """The spill shows it: few records came of many tokens."""
    first, then = distinct(200_000), frequent(1_000_000)
    text = first + b" " + then
    check(*count(path, text, scheme(4 * MIB)), text)
    assert way.bytes(0, len(first)) > len(first) // 2
    assert way.bytes(len(first) + 3 * MIB, len(text)) == 0


def test_each_time_that_it_was_right_twice_as_much_goes_past_the_table(path, way, monkeypatch):
    monkeypatch.setattr(module, "DIRECT_BYTES", 100_000)
    monkeypatch.setattr(module, "DIRECT_BYTES_MAX", 400_000)
    monkeypatch.setattr(module, "TABLE_BYTES", 2 * MIB)
    text = distinct(300_000)
    check(*count(path, text, scheme(8 * MIB), window=10_000), text)
    stretches = []
    for _, start, stop in way.fed:
        if stretches and stretches[-1][1] == start:
            stretches[-1][1] = stop
        else:
            stretches.append([start, stop])
    assert [round((stop - start) / 100_000) for start, stop in stretches[:-1]][:4] == [1, 2, 4, 4]


# ---- giant tokens ----------------------------------------------------------------------------------------

GIANTS = [2048, 2049, 65_534, 65_535, 65_536, 300_000, 700_000]
AROUND = {"alone": (b"", b""), "among few": (b"a b ", b" c"), "among many": (distinct(30_000) + b" ", b" a b")}


@pytest.mark.parametrize("where", AROUND)
@pytest.mark.parametrize("size", GIANTS)
def test_a_giant_token_is_counted(path, size, where):
    before, after = AROUND[where]
    for text in (before + b"X" * size + after, before + b"X" * size + b" " + b"X" * size + after + b" " + b"Y" * size):
        for how in (scheme(4 * MIB), scheme(4 * MIB, 3, None, "whitespace", True)):
            check(*count(path, text, how), text)
            check(*count(path, text, how, window=1 << 16), text)


@pytest.mark.parametrize("memory", [4 * MIB, 5 * MIB, 7 * MIB, 11 * MIB, 20 * MIB, 33 * MIB])
@pytest.mark.parametrize("where", AROUND)
def test_a_token_may_have_a_fifth_of_the_memory(path, memory, where):
    """And more only where the table has the room by chance, which it never has for two fifths."""
    before, after = AROUND[where]
    size = memory // GIANT_SHARE
    text = before + b"X" * size + after
    check(*count(path, text, scheme(memory)), text)
    for size in (memory // GIANT_SHARE + 1, memory * 2 // 5 + 1):
        text = before + b"X" * size + after
        try:
            check(*count(path, text, scheme(memory)), text)
        except TokenTooLong as error:
            assert error.at == len(before)
            assert memory // GIANT_SHARE < error.size <= size  # as much of it as was looked at
        else:
            assert size <= memory * 2 // 5


def test_a_token_that_is_too_long_is_known_before_its_end_is(path):
    text = b"  " + b"X" * (3 * MIB)
    with RunWriter(path, 1, sync=False) as run:
        combiner = Combiner(scheme(4 * MIB))
        combiner.begin(run)
        assert combiner.feed(text, 0, 500_000, False) == 2
        with pytest.raises(TokenTooLong) as error:
            combiner.feed(text, 2, 2 * MIB, False)
        assert (error.value.at, error.value.size) == (2, 2 * MIB - 2)


@pytest.mark.parametrize("size", [3000, 500_000])
@pytest.mark.parametrize("tokenizer", ["whitespace", "lines"])
def test_giant_tokens_past_the_table(path, size, tokenizer, monkeypatch):
    """They are the table's to count, and those that fit in neither have a run of their own."""
    for name, value in WAYS["past the table at once"].items():
        monkeypatch.setattr(module, name, value)
    text = distinct(70_000) + b" a " + b" ".join(b"%d" % i + b"G" * size for i in range(8)) + b" b"
    text = text.replace(b" ", b"\n")
    for end in (b"", b"\n", b"\n\n"):
        check(*count(path, text + end, scheme(4 * MIB, tokenizer=tokenizer)), text + end)


def test_the_table_is_as_quick_after_a_giant_token_as_before(path):
    """It does not keep the room of the giant: then it would have none to grow."""
    combiner, _ = count(path, b"X" * (64 * MIB // GIANT_SHARE), scheme(64 * MIB))
    assert combiner.memory_bytes < 16 * MIB
    text = frequent(200_000, vocabulary=50_000)
    again, parts = count(path, text, combiner.scheme, combiner)
    check(again, parts, text)
    assert again.spills == 0
