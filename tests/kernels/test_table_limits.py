"""The combiner table inside a limit of memory: full, emptied and cleared, it forgets no token."""
import functools
from collections import Counter

import pytest

from mrcore.kernels.table import CountTable
from mrcore.testing.words import random_words


def feed_emptying(table: CountTable, data: bytes, window: int) -> tuple[Counter[bytes], int]:
    """Feeds as a map task whose table is emptied when it is full: all counts, and how often that was."""
    total, times, at, size = Counter[bytes](), 0, 0, window
    while at < len(data):
        stop = min(at + size, len(data))
        fed = table.feed(data, at, stop, stop == len(data))
        if table.full:
            assert table.distinct, f"{table.token_bytes_wanted} bytes would never fit"
            total.update(dict(table.items()))
            table.clear()
            assert not table.full
            times += 1
        size = 2 * size if fed == at and not table.full else window
        at = fed
    total.update(dict(table.items()))
    return total, times


@functools.cache
def counted_words(lengths: tuple[int, ...]) -> tuple[bytes, Counter[bytes]]:
    data = b" ".join(random_words(150_000, list(lengths), seed=9))
    return data, Counter(data.split())


@pytest.mark.parametrize("bytes_max", [3 << 19, 2 << 20, 3 << 20, 5 << 20])
@pytest.mark.parametrize("lengths", [[4, 5, 6, 7], [8, 12, 15], [16, 40], [1, 7, 8, 15, 16, 100, 700]], ids=str)
def test_a_full_table_holds_no_more_than_its_limit_and_loses_nothing(lengths: list[int], bytes_max: int) -> None:
    table = CountTable(bytes_max=bytes_max)
    data, expected = counted_words(tuple(lengths))
    total, times = feed_emptying(table, data, 1 << 16)
    assert total == expected
    assert times > 0
    assert table.memory_bytes <= bytes_max


def test_a_table_that_short_keys_made_large_still_takes_long_ones() -> None:
    table = CountTable(bytes_max=2 << 20)
    long = random_words(20_000, [16, 30, 100]) + random_words(20_000, [9, 15])
    data = b" ".join([b"%x" % i for i in range(100_000)] + long)
    assert feed_emptying(table, data, 1 << 16)[0] == Counter(data.split())


def test_a_token_that_never_fits_is_said_so_of_an_empty_table() -> None:
    table = CountTable(bytes_max=2 << 20)
    giant = b"g" * (3 << 20)
    data = b"a b " + giant + b" c"
    assert (table.feed(data, 0, len(data), True), table.full, table.distinct) == (4, True, 2)
    table.clear()
    assert (table.feed(data, 4, len(data), True), table.full, table.distinct) == (4, True, 0)
    assert table.token_bytes_wanted > (1 << 20)
    table.bytes_max = 64 << 20
    assert (table.feed(data, 4, len(data), True), table.full) == (len(data), False)
    assert sorted(table.items()) == [(b"c", 1), (giant, 1)]


def test_clear_gives_back_what_a_giant_token_took_and_keeps_the_rest() -> None:
    table = CountTable()
    data = b"a " + b"x" * (66 << 20)
    assert table.feed(data, 0, len(data), True) == len(data)
    table.clear()
    assert table.memory_bytes < 66 << 20
    assert table.feed(b"a " + b"y" * 20, 0, 22, True) == 22
    assert sorted(table.items()) == [(b"a", 1), (b"y" * 20, 1)]


@pytest.mark.parametrize("mistake", ["words", ""])
def test_an_unknown_tokenizer_is_refused(mistake: str) -> None:
    with pytest.raises(ValueError, match=r"unknown tokenizer .*: one of whitespace, ascii"):
        CountTable(mistake)


def test_text_that_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError):
        CountTable().feed("text", 0, 1, True)  # type: ignore[arg-type]


# ---- small texts, and samples ------------------------------------------------------------


def test_a_table_for_small_texts_is_small_again_after_a_large_one() -> None:
    table = CountTable(small=True)
    small = table.memory_bytes
    assert small < CountTable().memory_bytes
    for count in (3, 5000, 3, 200, 150_000, 7, 40_000, 150_000, 1):  # slots of some sizes are kept for the next
        data = b" ".join(random_words(count, [1, 7, 8, 15, 16, 40], seed=count))
        assert table.feed(data, 0, len(data), True) == len(data)
        assert table.tokens == count
        assert sorted(table.items()) == sorted(Counter(data.split()).items())
        table.clear()
        assert (table.tokens, table.items()) == (0, [])
        assert table.memory_bytes < small + (32 << 20)


def test_a_table_for_small_texts_counts_a_block_of_ever_new_keys() -> None:
    """A block has more of them than the first slots hold."""
    table = CountTable("lines", small=True)
    for data in (b"".join(b"%c\n" % byte for byte in range(33, 127)) * 30, b"".join(b"%x\n" % i for i in range(3000))):
        table.feed(data, 0, len(data), True)
        assert sorted(table.items()) == sorted(Counter(data.split()).items())
        table.clear()


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000, 8192, 1 << 17])
def test_a_sample_is_of_keys_by_their_first_seven_bytes_and_fair_to_every_length(n: int) -> None:
    table = CountTable()
    keys = {head + b"%d" % i for i in range(1500) for head in (b"", b"middle--", b"a-long-key-of-many-bytes-")}
    keys |= {b"\0" * length for length in range(20)} - {b""}
    data = b" ".join(sorted(keys))
    table.feed(data, 0, len(data), True)
    found = table.sample(n)
    assert min(n, len(keys)) - 3 <= len(found) <= min(n, len(keys))  # each part's share is rounded down
    assert set(found) <= {key[:7] for key in keys}
    if n >= len(keys):
        assert sorted(found) == sorted(key[:7] for key in keys)
    if n == 1000:
        assert 300 < sum(key == b"middle-" for key in found) < 370
    assert CountTable().sample(n) == []
