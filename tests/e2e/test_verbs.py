"""Every verb over inputs as odd as they may be, against plain Python."""

import json

import pytest

WAYS = {"here": ("-j", "0"), "little memory": ("-j", "0", "--memory", "6MiB", "--split", "999"),
        "workers": ("-j", "2", "--split", "1K")}  # fmt: skip
TOKENIZERS = [
    "whitespace",
    "ascii",
    "unicode",
    "regex:[a-z]+|[0-9]",
    r"regex:(?i)\b(o)n?e\b|^.|.$",
    "regex:é+|[^a-z ]*",
]


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def keys(oracle):
    return oracle[0]


@pytest.fixture
def lines_of(oracle):
    return oracle[1]


def printed(shell, corpus, *args):
    """Standard output of a verb over the corpus, which it must end well with."""
    done = shell.run(*args, *corpus.arguments, stdin_bytes=corpus.stdin)
    assert (done.status, done.err) == (0, b"")
    return done.out


@pytest.mark.parametrize("lower", [False, True], ids=["", "lower"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_wordcount(shell, corpus, way, keys, lines_of, tokenizer, lower):
    wanted = keys(tokenizer, lower)
    assert printed(shell, corpus, "wordcount", *wanted.arguments(), *way) == lines_of(corpus.count(wanted))


@pytest.mark.parametrize(("options", "how"), [
    (("--top", "7"), {"top": 7}), (("--min-count", "3"), {"min_count": 3}),
    (("--top", "9", "--min-count", "2"), {"top": 9, "min_count": 2}), (("--top", "5000"), {"top": 5000}),
    (("--min-count", "1000000"), {"min_count": 1_000_000}), (("--top", "5", "--min-count", "1000000"), {"top": 0}),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("verb", ["wordcount", "ngrams"])
def test_the_top_and_the_minimum(shell, corpus, way, keys, lines_of, verb, options, how):
    wanted = keys(n=(1, 2)) if verb == "ngrams" else keys("unicode", True)
    expected = lines_of(corpus.count(wanted), **how)
    assert printed(shell, corpus, verb, *wanted.arguments(), *options, *way) == expected


@pytest.mark.parametrize("top", [1, 20])
def test_top(shell, corpus, way, keys, lines_of, top):
    wanted = keys("ascii", True)
    expected = lines_of(corpus.count(wanted), top=top)
    assert printed(shell, corpus, "top", *wanted.arguments(), *way, str(top)) == expected


@pytest.mark.parametrize("cross_lines", [False, True], ids=["", "cross"])
@pytest.mark.parametrize("n", [(1, 1), (1, 3), (3, 8), (64, 64)], ids=str)
@pytest.mark.parametrize("tokenizer", ["whitespace", "ascii", "unicode", "regex:[a-z]+|[0-9]"])
def test_ngrams(shell, corpus, keys, lines_of, tokenizer, n, cross_lines):
    wanted = keys(tokenizer, tokenizer == "ascii", n, cross_lines)
    expected = lines_of(corpus.count(wanted))
    way = list(WAYS.values())[(n[0] + n[1] + len(tokenizer) + cross_lines) % len(WAYS)]
    assert printed(shell, corpus, "ngrams", *wanted.arguments(), *way) == expected


@pytest.mark.parametrize("lower", [False, True], ids=["", "lower"])
@pytest.mark.parametrize("tokenizer", [*TOKENIZERS, "lines"])
def test_distinct(shell, corpus, way, keys, tokenizer, lower):
    wanted = keys(tokenizer, lower, of_lines=tokenizer == "lines")
    count = len(corpus.count(wanted))
    assert printed(shell, corpus, "distinct", *wanted.arguments(), *way) == b"%d\n" % count
    if way == WAYS["workers"]:
        about = int(printed(shell, corpus, "distinct", "--approx", *wanted.arguments(), *way))
        assert abs(about - count) <= 3 * 0.0081 * count


@pytest.mark.parametrize("counts", [False, True], ids=["", "counts"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_index(shell, corpus, way, keys, tokenizer, counts):
    wanted = keys(tokenizer, tokenizer in ("ascii", "unicode"))
    options = [*wanted.arguments(), *["--counts"] * counts]
    assert printed(shell, corpus, "index", *options, *way) == corpus.index_lines(wanted, counts)


@pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index"])
@pytest.mark.parametrize("reducers", [1, 7])
def test_part_files_hold_every_line_once(shell, corpus, way, keys, lines_of, verb, reducers):
    wanted = keys("ascii", n=(2, 2) if verb == "ngrams" else None)
    expected = corpus.index_lines(wanted, False) if verb == "index" else lines_of(corpus.count(wanted))
    assert printed(shell, corpus, verb, *wanted.arguments(), *way, "-R", str(reducers), "-o", "out") == b""
    parts = [(shell.folder / "out" / f"part-{p:05d}").read_bytes() for p in range(reducers)]
    for part in parts:
        assert part.splitlines() == sorted(part.splitlines(), key=lambda line: line.split(b"\t")[0])
    assert b"".join(sorted(b"".join(parts).splitlines(keepends=True))) == b"".join(sorted(expected.splitlines(True)))
    assert len(list((shell.folder / "out").iterdir())) == reducers + 2


@pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index", "distinct"])
def test_one_file_and_standard_output_are_the_same(shell, corpus, way, verb):
    single = () if verb == "distinct" else ("--single",)
    assert printed(shell, corpus, verb, *way, *single, "-o", "one") == b""
    assert (shell.folder / "one").read_bytes() == printed(shell, corpus, verb, *way)


@pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index", "distinct", "top"])
def test_no_input_bytes_at_all(shell, way, verb):
    args = ("top", *way, "3") if verb == "top" else (verb, *way)
    shell.write("empty", b"")
    nothing = b"0\n" if verb == "distinct" else b""
    for paths in (("empty",), ("empty", "/dev/null"), ("-",)):
        done = shell.run(*args, *paths, stdin_bytes=b"")
        assert (done.status, done.out, done.err) == (0, nothing, b"")


def test_json_has_the_result_of_the_verbs_whose_result_is_short(shell, corpus, way, keys):
    words = corpus.count(keys())
    about = json.loads(printed(shell, corpus, "distinct", "--json", *way))
    assert (about["result"], about["counters"]["tokens"]) == (len(words), words.total())
    assert about["job"] == {"verb": "distinct", "tokenizer": "whitespace", "lower": False, "approx": False}
    pairs = corpus.count(keys(n=(2, 3), cross_lines=True))
    about = json.loads(printed(shell, corpus, "ngrams", "-n", "2-3", "--cross-lines", "--top", "4", "--json", *way))
    best = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:4]
    assert about["result"] == [[key.decode("utf-8", "backslashreplace"), count] for key, count in best]
    assert (about["job"]["verb"], about["job"]["n"], about["job"]["cross_lines"]) == ("ngrams", [2, 3], True)


@pytest.mark.parametrize("verb", ["wordcount", "index", "distinct"])
def test_json_about_an_output(shell, corpus, verb):
    about = json.loads(printed(shell, corpus, verb, "--json", "-j", "0", "-o", "out"))
    assert about["outputs"] == (["out"] if verb == "distinct" else ["out/part-00000"])
    assert about["job"]["verb"] == verb
    assert about["counters"]["bytes_in"] == sum(len(text) for _, text in (
        sorted(dict(corpus.texts).items()) if verb == "index" else corpus.texts
    ))  # fmt: skip
