"""The jobs that run.py knows by name."""

from alone import GIB, MIB, Stream, play_batches, play_ceiling, play_memory, play_scaling, play_startup
from bench import Job
from race import Race
from subjects import (
    BIGRAMS,
    DISTINCT,
    INDEX,
    PYTHON_GROUPS,
    PYTHON_INDEX,
    PYTHON_WORD_COUNT,
    TOP,
    WORD_COUNT,
    to_directory,
    to_stdout,
)

COUNT = Race(WORD_COUNT, (to_directory(WORD_COUNT), to_stdout(WORD_COUNT))).play
COUNT_ONE_WORKER = Race(WORD_COUNT, (to_directory(WORD_COUNT, 1), to_stdout(WORD_COUNT, 1)), workers=1).play
COUNT_IN_128_MIB = Race(WORD_COUNT, (to_directory(WORD_COUNT, 2, "--memory", "128MiB"),), against=("chdb",)).play
COUNT_DISTINCT = Race(DISTINCT, (to_stdout(DISTINCT),)).play
FIND_TOP = Race(TOP, (to_stdout(TOP),)).play
COUNT_BIGRAMS = Race(BIGRAMS, (to_directory(BIGRAMS),)).play
BUILD_INDEX = Race(INDEX, (to_directory(INDEX),)).play
PYTHON_COUNT = Race(PYTHON_WORD_COUNT, (to_directory(PYTHON_WORD_COUNT),)).play
PYTHON_BUILD_INDEX = Race(PYTHON_INDEX, (to_directory(PYTHON_INDEX),)).play
PYTHON_GROUP = Race(PYTHON_GROUPS, (to_directory(PYTHON_GROUPS),)).play

JOBS = {
    "zipf-128m": Job("word count of 128 MiB of Zipf text, a rehearsal", ("zipf-128m",), COUNT),
    "zipf-1g": Job("word count of 1 GiB of Zipf text, 300,000 words", ("zipf-1g",), COUNT),
    "zipf-4g": Job("word count of 4 GiB of Zipf text, 300,000 words", ("zipf-4g",), COUNT),
    "linux-1g": Job("word count of 1 GiB of kernel source", ("linux-1g",), COUNT),
    "distinct-64m": Job("word count of 64 MiB of random tokens, a rehearsal", ("distinct-64m",), COUNT),
    "distinct-512m": Job("word count of 512 MiB of random tokens, nearly all distinct", ("distinct-512m",), COUNT),
    "distinct-64m-128m": Job("the one below with 64 MiB, a rehearsal", ("distinct-64m",), COUNT_IN_128_MIB),
    "distinct-512m-128m": Job(
        "distinct-512m in 128 MiB of memory, against chdb without a limit", ("distinct-512m",), COUNT_IN_128_MIB
    ),
    "index-25k": Job("inverted index of 25,000 files of kernel source, 320 MB", ("tree-25k",), BUILD_INDEX),
    "distinct-zipf-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), COUNT_DISTINCT),
    "distinct-zipf-1g": Job("number of distinct tokens of 1 GiB of Zipf text", ("zipf-1g",), COUNT_DISTINCT),
    "top-zipf-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), FIND_TOP),
    "top-zipf-1g": Job("the 100 most frequent tokens of 1 GiB of Zipf text", ("zipf-1g",), FIND_TOP),
    "bigrams-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), COUNT_BIGRAMS),
    "bigrams-256m": Job("bigrams of 256 MiB of Zipf text", ("zipf-256m",), COUNT_BIGRAMS),
    "python-wordcount-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), PYTHON_COUNT),
    "python-wordcount": Job("word count of 256 MiB by a Python generator of pairs", ("zipf-256m",), PYTHON_COUNT),
    "python-index": Job("index-25k by a Python generator of postings", ("tree-25k",), PYTHON_BUILD_INDEX),
    "python-groupby-16m": Job("the one below with 16 MiB, a rehearsal", ("pairs-16m",), PYTHON_GROUP),
    "python-groupby": Job("20 million pairs of a number and a fraction, grouped", ("pairs-282m",), PYTHON_GROUP),
    "python-batches-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), play_batches),
    "python-batches": Job("word lengths by NumPy (A), a native word count (B), 1 GiB", ("zipf-1g",), play_batches),
    "python-ceiling": Job("a Python generator of pairs that nobody reads, one core", ("zipf-256m",), play_ceiling),
    "one-worker": Job("zipf-1g with one worker or thread each", ("zipf-1g",), COUNT_ONE_WORKER),
    "scaling": Job("zipf-1g with two workers (A) and with one (B)", ("zipf-1g",), play_scaling),
    "startup": Job("the time before the work begins", (), play_startup),
    "memory-16m": Job("the one below with 16 MiB, a rehearsal", ("zipf-16m",), play_memory),
    "memory": Job("peak memory of a word count in 128 MiB", ("distinct-512m", "zipf-4g"), play_memory),
    "stream-256m": Job("the one below with 256 MiB, a rehearsal", (), Stream(256 * MIB).play),
    "stream-20g": Job("word count of 20 GiB of random tokens from a pipe in 512 MiB", (), Stream(20 * GIB).play),
}
