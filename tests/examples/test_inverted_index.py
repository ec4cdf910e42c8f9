"""docs/examples/inverted_index.py against a dict of sets."""

import ast


def expected(corpus):
    """Sorted files of each word."""
    index = {}
    for name, text in corpus.items():
        for word in text.split():
            index.setdefault(word, set()).add(name)
    return {word: sorted(files) for word, files in index.items()}


def test_each_word_has_its_files_once_and_sorted(examples, corpus):
    result = examples.same_in_all_ways(examples.load("inverted_index").InvertedIndex(), ["books"])
    found = dict(result.read())
    assert found == expected(corpus)
    assert {len(files) for files in found.values()} >= {1, 2, 3}


def test_the_aggregate_keeps_what_it_promises(examples, corpus, shell):
    import mrcore as mr

    result = mr.run(examples.load("inverted_index").InvertedIndex, "books", verify=True)
    assert dict(result.read()) == expected(corpus)


def test_the_command_prints_words_and_lists(examples, corpus):
    lines = examples.command("inverted_index.py", ["books"]).splitlines(keepends=True)
    index = expected(corpus)
    found = [line.removesuffix(b"\n").split(b"\t") for line in b"".join(lines).split(b"\n")[:-1]]
    assert [word.replace(b"\\\\", b"\\") for word, _ in found] == sorted(index)
    assert [ast.literal_eval(files.decode()) for _, files in found] == [index[word] for word in sorted(index)]


def test_standard_input_is_called_by_its_dash(examples, corpus):
    assert examples.piped("inverted_index.py", b"one two\r\none") == b"one\t['-']\ntwo\t['-']\n"
