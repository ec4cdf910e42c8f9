"""Words and lines far larger than any buffer, from files and pipes."""

import os

import pytest

MIB = 1 << 20
only_if_asked = pytest.mark.skipif(
    not os.environ.get("MRCORE_TEST_LARGE"), reason="takes a minute and 4 GiB of memory: set MRCORE_TEST_LARGE=1"
)
SIZES = [20 * MIB, pytest.param(1024 * MIB, marks=only_if_asked)]
WAYS = ["mrcore wordcount x", "mrcore wordcount -j 2 --split 3M x", "cat x | mrcore wordcount"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", [*WAYS, "mrcore wordcount -j 2 --single -o one x; cat one"])
def test_one_word(shell, size, how):
    with open(shell.folder / "x", "wb") as file:
        file.truncate(size)  # NULs are a word
    done = shell.sh(f"({how}) | tail -c +{size - 5}", timeout=200)
    assert (done.status, done.out, done.err) == (0, b"\0" * 6 + b"\t1\n", b"")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", WAYS)
def test_one_line(shell, size, how):
    words = b"to be or not to be, that is the question: " * 25_000
    count = size // len(words)
    with open(shell.folder / "x", "wb") as file:
        for _ in range(count):
            file.write(words)
    done = shell.sh(how, timeout=200)
    assert b"to\t%d\n" % (2 * 25_000 * count) in done.out
    assert b"be\t%d\n" % (25_000 * count) in done.out
    assert (done.status, done.out.count(b"\n")) == (0, 9)
