"""Output depends on input, job and reducers only: the same bytes whatever runs it, and however."""

import hashlib
import os
import subprocess

import pytest

WAYS = [
    ("-j", "0"), ("-j", "1"), ("-j", "2"), ("-j", "3", "--memory", "64MiB"), ("-j", "0", "--split", "3KiB"),
    ("-j", "2", "--split", "3KiB"), ("-j", "2", "--split", "70000", "--memory", "LEAST"),
    ("-j", "0", "--split", "file", "--memory", "LEAST"), ("-j", "2", "--split", "file"),
    ("-j", "0", "--memory", "LEAST"),
]  # fmt: skip
JOBS = [
    ("wordcount", "-R", "1"), ("wordcount", "-R", "5"), ("wordcount", "--top", "50", "-R", "5"),
    ("wordcount", "--min-count", "2", "--lower", "--tokenizer", "unicode"), ("ngrams", "-n", "1-2", "-R", "3"),
    ("ngrams", "--cross-lines", "--tokenizer", "regex:[a-f]+"), ("index", "-R", "4"), ("index", "--counts", "--lower"),
    ("distinct",), ("distinct", "--of", "lines", "-R", "3"), ("distinct", "--approx"),
]  # fmt: skip
PATHS = {  # constants of engine/combiner.py that decide which way a token takes
    "as it comes": {}, "table": {"FIRST_RATIO": 2, "DIRECT_RATIO": 2},
    "direct": {"FIRST_TOKENS": 1, "FIRST_RATIO": -1, "DIRECT_RATIO": -1},
    "a small table": {"TABLE_BYTES": 64 << 10},
    "a small buffer": {"BUFFER_BYTES": 1 << 20, "FIRST_TOKENS": 1, "FIRST_RATIO": -1},
}  # fmt: skip


@pytest.fixture
def source(shell, text):
    (shell.folder / "in").mkdir()
    for index in range(8):
        shell.write(f"in/{index}", text[index * 7_000 : (index + 1) * 7_000])
    shell.write("in/8", text[60_000:200_000])
    return "in"


def digests(path):
    """Digest of a file, or of every file of an output folder."""
    files = [path] if path.is_file() else list(path.iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def least(shell, *args):
    """What the plan names as the least memory."""
    said = shell.run(*args, "--memory", "1").err.decode()
    return said.partition("give it ")[2].partition(" or more")[0]


def run_ways(shell, source, job):
    """Runs a job in the first way and half of the others, the next job in the other half; digests of each output."""
    for seed, way in enumerate(WAYS):
        if seed and seed % 2 != JOBS.index(job) % 2:
            continue
        shell.env["PYTHONHASHSEED"] = str(seed)
        options = [least(shell, *job, *way[:-1], "1", source, "-o", "out") if x == "LEAST" else x for x in way]
        assert shell.run(*job, *options, source, "-o", "out").status == 0, (job, options)
        yield digests(shell.folder / "out")
        subprocess.run(["rm", "-r", shell.folder / "out"], check=True)


@pytest.mark.parametrize("job", JOBS, ids=" ".join)
def test_part_files_and_manifest_are_the_same_bytes_for_any_workers_splits_memory_and_hash_seed(shell, source, job):
    seen = list(run_ways(shell, source, job))
    assert seen == [seen[0]] * len(seen)
    assert len(seen) > len(WAYS) // 2 - 1
    assert set(seen[0]) >= ({"out"} if job[0] == "distinct" else {"_SUCCESS", "_manifest.json", "part-00000"})


@pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index"])
def test_one_sorted_file_and_standard_output_are_the_same_bytes(shell, source, verb):
    seen = set()
    for seed, way in enumerate(WAYS):
        shell.env["PYTHONHASHSEED"] = str(seed)
        options = [least(shell, verb, *way[:-1], "1", source) if x == "LEAST" else x for x in way]
        if way == WAYS[0] or seed % 2:
            seen.add(shell.run(verb, source, *options).out)
        if way == WAYS[0] or not seed % 2:
            assert shell.run(verb, source, *options, "--single", "--overwrite", "-o", "one").status == 0
            seen.add((shell.folder / "one").read_bytes())
    assert len(seen) == 1
    assert len(seen.pop()) > 50_000


@pytest.mark.parametrize("job", [("wordcount",), ("ngrams", "-n", "2"), ("distinct", "--of", "lines")], ids=" ".join)
def test_both_paths_through_the_combiner_give_the_same_bytes(shell, source, text, job):
    """A sitecustomize of our own sets the constants, in every process of the job."""
    (shell.folder / "site").mkdir()
    shell.env["PYTHONPATH"] += f"{os.pathsep}{shell.folder / 'site'}"
    shell.write("long", b"\n".join(b"%d" % i * 700 + b" " for i in range(200)))  # longer than the sort buffer takes
    seen = []
    for constants in PATHS.values():
        body = "".join(f"    module.{name} = {value}\n" for name, value in constants.items())
        shell.write("site/sitecustomize.py", PATCH.replace("    pass\n", body or "    pass\n").encode())
        for way in (("-j", "0"), ("-j", "2", "--split", "30000")):
            done = shell.run(*job, source, "long", *way, "-o", "out")
            assert (done.status, done.err) == (0, b"")
            seen.append(digests(shell.folder / "out"))
            subprocess.run(["rm", "-r", shell.folder / "out"], check=True)
    assert seen == [seen[0]] * len(seen)


PATCH = """
import importlib.abc, importlib.machinery, sys

def patch(module):
    pass

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "mrcore.engine.combiner":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (run(module), patch(module))
        return spec

sys.meta_path.insert(0, Finder())
"""


def test_a_pipe_gives_the_same_parts_as_its_file(shell, text):
    shell.write("x", text)
    for verb in ("wordcount", "ngrams"):
        shell.run(verb, "x", "-R", "3", "-o", f"{verb}-from-file")
        assert shell.sh(f"cat x | mrcore {verb} -j 2 -R 3 -o {verb}-from-pipe").status == 0
        assert digests(shell.folder / f"{verb}-from-file") == digests(shell.folder / f"{verb}-from-pipe")


def test_gnu_tools_agree(shell, source):
    split = "LC_ALL=C tr -s ' \\t\\n\\r\\v\\f' '\\n' | LC_ALL=C grep -av '^$'"
    lines = shell.sh(f"for f in in/*; do cat $f; echo; done | {split} | LC_ALL=C sort | LC_ALL=C uniq -c").out
    words = [line.lstrip().partition(b" ") for line in lines.split(b"\n")[:-1]]
    assert shell.run("wordcount", source).out == b"".join(b"%s\t%s\n" % (word, count) for count, _, word in words)
    assert shell.run("distinct", source).out == b"%d\n" % len(words)
    lines = shell.sh("for f in in/*; do sed -e '$a\\' $f; done | LC_ALL=C sort -u | wc -l").out
    assert shell.run("distinct", "--of", "lines", source).out == lines
