"""docs/examples/wordcount.py against collections.Counter."""

from collections import Counter


def test_each_word_is_counted(examples, corpus):
    counts = Counter(word for text in corpus.values() for word in text.split())
    result = examples.same_in_all_ways(examples.load("wordcount").WordCount(), ["books"])
    assert sorted(result.read()) == sorted(counts.items())
    assert result.counters["records_out"] == len(counts) > 400


def test_the_command_prints_words_and_counts(examples, corpus):
    counts = Counter(word for text in corpus.values() for word in text.split())
    escaped = sorted((word, word.replace(b"\\", b"\\\\"), count) for word, count in counts.items())
    lines = b"".join(b"%s\t%d\n" % (word, count) for _, word, count in escaped)
    assert examples.command("wordcount.py", ["books"]) == lines
    assert examples.piped("wordcount.py", b"\n".join(corpus.values())) == lines
