"""The promise about memory: RssAnon + RssShmem of all processes stay within 1.1 budgets and 32 MiB a process."""

import os
import subprocess

import pytest

MIB = 1 << 20
BUDGET = 16 * MIB
JOBS = {
    "wordcount": ("wordcount",), "wordcount in parts": ("wordcount", "-R", "8", "-o", "out"),
    "unicode": ("wordcount", "--tokenizer", "unicode", "--lower"),
    "regex": ("wordcount", "--tokenizer", "regex:[0-9a-f]+"),
    "ngrams": ("ngrams", "-n", "2"), "ngrams of three sizes": ("ngrams", "-n", "1-3", "--min-count", "2"),
    "index": ("index",), "distinct": ("distinct",), "distinct lines": ("distinct", "--of", "lines"),
    "top": ("wordcount", "--top", "100"), "estimate": ("distinct", "--approx"),
}  # fmt: skip


def check(watched, budget=BUDGET):
    """The promise, for a job that ended well."""
    assert (watched.status, watched.err) == (0, b"")
    assert watched.memory > 8 * MIB, "what an interpreter holds, or nothing was measured"
    assert watched.memory <= 1.1 * budget + 32 * MIB * watched.processes, f"{watched.memory / MIB:.0f} MiB"


@pytest.mark.parametrize("text_kind", ["distinct_words", "repeated_words"])
@pytest.mark.parametrize("job", JOBS)
def test_every_verb_keeps_it(shell, watch, request, job, text_kind):
    path = request.getfixturevalue(text_kind)
    watched = watch(*JOBS[job], "--memory", "16MiB", "-j", "2", "--split", "8MiB", path)
    check(watched)
    assert watched.processes == 3


@pytest.mark.parametrize("verb", ["wordcount", "index", "ngrams"])
def test_it_is_kept_with_few_descriptors(shell, watch, distinct_words, verb):
    watched = watch(verb, "--memory", "16MiB", "-j", "2", "--split", "1MiB", distinct_words,
                    prefix=["prlimit", "--nofile=40"])  # fmt: skip
    check(watched)
    assert os.path.getsize(shell.folder / "stdout") > 60_000_000


@pytest.fixture
def pipe(distinct_words):
    """A pipe that brings 60 MB."""
    with subprocess.Popen(["cat", distinct_words], stdout=subprocess.PIPE) as process:
        yield process.stdout
        process.kill()


@pytest.mark.parametrize("verb", ["wordcount", "index", "ngrams"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_it_is_kept_for_a_pipe(watch, pipe, verb, workers):
    check(watch(verb, "--memory", "16MiB", "-j", workers, stdin=pipe))


def test_a_long_top_of_a_pipe_is_refused_since_all_of_it_might_have_to_be_held(watch, pipe):
    watched = watch("wordcount", "--top", "1000000000", "--memory", "16MiB", "-j", "0", stdin=pipe)
    assert (watched.status, watched.err) == (
        5, b"mrcore: not enough memory for this job: 16MiB: give it 477GiB or more\n"
    )
    check(watch("wordcount", "--top", "10000", "--memory", "16MiB", "-j", "0", stdin=pipe))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_is_kept_for_a_long_top_of_a_file(watch, distinct_words, workers):
    args = ("wordcount", "--top", "40000", "--memory", "50MiB", "-j", workers, "-R", "5", "--split", "8MiB")
    check(watch(*args, distinct_words), 50 * MIB)


def test_it_is_kept_with_thousands_of_files(shell, watch, text):
    (shell.folder / "many").mkdir()
    for index in range(3000):
        shell.write(f"many/{index}", text[index * 90 : index * 90 + 5000])
    for verb in ("wordcount", "index"):
        check(watch(verb, "--memory", "16MiB", "-j", "2", "--split", "1MiB", "many"))


@pytest.mark.parametrize("least", [("wordcount", "4097KiB"), ("index", "4097KiB"), ("ngrams", "5121KiB")], ids=" ".join)
def test_the_least_memory_is_enough_for_60_mb(watch, distinct_words, least):
    check(watch(least[0], "--memory", least[1], "-j", "0", distinct_words), 5 * MIB)
