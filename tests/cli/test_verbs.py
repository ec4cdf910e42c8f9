"""ngrams, distinct, top and index at their border: what they print of a little, and what they refuse."""

import json
import os

import pytest


@pytest.fixture
def text(shell):
    return shell.write("x", b"To be, or not\nto be\n\nbe to\n")


@pytest.mark.parametrize(("args", "lines"), [
    ((), b"To be,\t1\nbe to\t1\nbe, or\t1\nor not\t1\nto be\t1\n"),
    (("-n", "1", "--lower", "--tokenizer", "ascii"), b"be\t3\nnot\t1\nor\t1\nto\t3\n"),
    (("-n", "3"), b"To be, or\t1\nbe, or not\t1\n"),
    (("-n", "3-3", "--cross-lines", "--top", "2"), b"To be, or\t1\nbe be to\t1\n"),
    (("-n", "2", "--cross-lines", "--lower", "--tokenizer", "unicode", "--min-count", "2"), b"to be\t2\n"),
    (("-n", "64"), b""),
])  # fmt: skip
def test_ngrams(shell, text, args, lines):
    done = shell.run("ngrams", *args, text)
    assert (done.status, done.out, done.err) == (0, lines, b"")


@pytest.mark.parametrize(("n", "said"), [
    ("0", "n-grams out of range: 0 to 0: write 1 to 64"), ("65", "65 to 65"), ("3-2", "3 to 2"), ("1-65", "1 to 65"),
    ("", "not a number of words: ''"), ("2-", "'2-'"), ("two", "'two'"), ("1-2-3", "'1-2-3'"),
    ("1.5", "'1.5'"), ("²", "not a number of words"), ("9" * 50, "n-grams out of range"), ("1 ", "'1 '"),
    ("+1", "'+1'"),
])  # fmt: skip
def test_numbers_of_words_that_make_no_sense(shell, text, n, said):
    assert shell.run("ngrams", "-n", n, text).failed(2, said)


def test_a_number_of_words_may_hang_on_its_letter(shell, text):
    assert shell.run("ngrams", "-n1-2", text).out == shell.run("ngrams", "-n", "1-2", text).out != b""


@pytest.mark.parametrize(("args", "number"), [
    ((), 6), (("--lower",), 5), (("--of", "lines"), 4), (("--of", "lines", "--lower"), 4),
    (("--tokenizer", "ascii"), 5),
    (("--approx",), 6), (("--approx", "--of", "lines"), 4), (("--tokenizer", "regex:[bt]"), 2),
])  # fmt: skip
def test_distinct(shell, text, args, number):
    done = shell.run("distinct", *args, text)
    assert (done.status, done.out, done.err) == (0, b"%d\n" % number, b"")
    assert json.loads(shell.run("distinct", *args, "--json", text).out)["result"] == number


def test_distinct_into_a_file(shell, text):
    assert shell.run("distinct", text, "-o", "n").out == b""
    assert (shell.folder / "n").read_bytes() == b"6\n"
    assert shell.run("distinct", text, "-o", "n").failed(4, "output exists: n")
    assert shell.run("distinct", "--of", "lines", text, "-o", "n", "--overwrite").status == 0
    assert (shell.folder / "n").read_bytes() == b"4\n"
    assert sorted(os.listdir(shell.folder)) == ["n", "x"]


@pytest.mark.parametrize("args", [("2",), ("2", "-j", "2"), ("-R", "3", "2"), ("--lower", "1")], ids=" ".join)
def test_top(shell, text, args):
    expected = b"be\t2\nto\t2\n" if "--lower" not in args else b"to\t3\n"
    assert shell.run("top", *args, text).out == expected


@pytest.mark.parametrize(("args", "said"), [
    (("top",), "required: K"), (("top", "0", "x"), "top out of range: 0"), (("top", "x"), "invalid int value: 'x'"),
    (("top", "9" * 30, "x"), "top out of range"), (("top", "1", "--min-count", "2", "x"), "--min-count"),
    (("top", "1", "--single", "x"), "--single"), (("distinct", "--top", "1", "x"), "--top"),
    (("distinct", "--of", "words", "x"), "invalid choice: 'words'"), (("index", "--top", "1", "x"), "--top"),
    (("distinct", "--of", "lines", "--tokenizer", "ascii", "x"), "--of lines has no words: leave --tokenizer away"),
    (("index", "--approx", "x"), "--approx"), (("index", "--json", "x"), "--json without a place for the result"),
    (("ngrams", "--json", "x"), "--json without a place"),
    (("ngrams", "--tokenizer", "regex:(", "x"), "not a regular expression: '('"),
    (("index", "--single", "x"), "without -o"),
])  # fmt: skip
def test_what_a_verb_does_not_know(shell, text, args, said):
    assert shell.run(*args).failed(2, said)
    assert os.listdir(shell.folder) == ["x"]


@pytest.mark.parametrize("verb", ["wordcount", "index", "distinct", "top 1"])
def test_lines_are_no_tokenizer(shell, text, verb):
    assert shell.run(*verb.split(), "--tokenizer", "lines", text).failed(2, "unknown tokenizer: lines")


def test_index(shell, text):
    for name in (b"a,b", b"new\nline", b"tab\tcr\r", b"back\\slash", b"\xff", b"c:1"):
        shell.write(name, b"be " * len(name))
    paths = ["./x", b"a,b", b"new\nline", b"tab\tcr\r", b"back\\slash", b"\xff", b"c:1", "x", "x"]
    assert b"be\t./x,a\\,b,back\\\\slash,c:1,new\\nline,tab\\tcr\\r,x,\xff\n" in shell.run("index", *paths).out
    counted = b"be\t./x:2,a\\,b:3,back\\\\slash:10,c:1:3,new\\nline:8,tab\\tcr\\r:7,x:2,\xff:1\n"
    assert counted in shell.run("index", "--counts", "-j", "2", "--split", "1", *paths).out


def test_an_index_calls_standard_input_by_its_name(shell, text):
    assert shell.sh("mrcore index - < x").out == shell.sh("cat x | mrcore index -").out


@pytest.mark.parametrize("verb", ["wordcount", "ngrams -n 1", "index", "distinct", "top 9"])
def test_options_and_paths_in_any_order(shell, text, verb):
    shell.write("y", b"y z")
    first, *own = verb.split()
    expected = shell.run(first, "--lower", "-j", "0", *own, text, "y").out
    assert expected
    for args in ((*own, text, "--lower", "y"), (*own, "--lower", text, "-j", "0", "y"), (*own, text, "y", "--lower")):
        done = shell.run(first, *args)
        assert (done.status, done.out, done.err) == (0, expected, b"")
    assert shell.run(first, "--lower", *own, "--", text, "y").out == expected


@pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index", "distinct", "top"])
def test_help_names_every_option_and_an_example(shell, verb):
    done = shell.run(verb, "--help")
    for words in ("--memory SIZE", "--tmp DIR", "--tmp-limit SIZE", "--dry-run", "--tokenizer", "examples:",
                  f"mrcore {verb}", "regex:PATTERN"):  # fmt: skip
        assert words in done.out.decode()
    assert max(map(len, done.out.decode().splitlines())) <= 120


@pytest.mark.parametrize("verb", ["ngrams", "index", "distinct", "top 3"])
def test_verbose_and_progress_go_to_standard_error(shell, text, verb):
    done = shell.run(*verb.split(), "-v", "--progress", "on", text)
    assert done.status == 0
    assert done.out == shell.run(*verb.split(), text).out
    assert b"mrcore: map 0 % (0/1)" in done.err
    assert b"spills" in done.err.splitlines()[-1]


def test_verbose_about_an_estimate_knows_how_many_words_there_were(shell, text):
    assert b"mrcore: 8 words" in shell.run("distinct", "--approx", "-v", text).err


def test_a_hint_names_options_that_the_verb_has(shell, text):
    assert b"--top" not in shell.run("index", "--json", text).err


def test_a_pattern_that_python_warns_about_is_taken_quietly(shell, text):
    assert shell.run("wordcount", "--tokenizer", "regex:[[a]", text).err == b""


@pytest.mark.parametrize("verb", ["ngrams", "index", "distinct", "top 3"])
def test_readers_that_leave_full_and_closed_standard_output(shell, verb):
    shell.write("many", b"".join(b"%d %d\n" % (i, i * 7) for i in range(60_000)))
    done = shell.sh(f"set -o pipefail; mrcore {verb} many | head -c 1 >/dev/null")
    assert (done.status, done.err) == (0, b"")
    assert shell.sh(f"mrcore {verb} many >/dev/full").failed(5, "no space left: standard output")
    assert shell.sh(f"mrcore {verb} many >&-").failed(4, "standard output: it is closed")
    assert shell.sh(f"mrcore {verb} <&-").failed(3, "standard input: it is closed")
