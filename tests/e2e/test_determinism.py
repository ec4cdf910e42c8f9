"""Output depends on input, job and reducers only: the same bytes whatever runs it, and however."""

import hashlib

import pytest

WAYS = [
    ("-j", "0"), ("-j", "1"), ("-j", "2"), ("-j", "0", "--split", "1KiB"), ("-j", "2", "--split", "1KiB"),
    ("-j", "2", "--split", "70000"), ("-j", "0", "--split", "file"), ("-j", "2", "--split", "file"),
]  # fmt: skip


@pytest.fixture
def source(shell, text):
    (shell.folder / "in").mkdir()
    for index in range(8):
        shell.write(f"in/{index}", text[index * 7_000 : (index + 1) * 7_000])
    shell.write("in/8", text[60_000:200_000])
    return "in"


def digests(folder):
    """Digest of every file of an output folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "options", [("-R", "1"), ("-R", "5"), ("--top", "50", "-R", "5"), ("--min-count", "2", "--lower")], ids=str
)
def test_part_files_and_manifest_are_the_same_bytes_for_any_workers_splits_and_hash_seed(shell, source, options):
    seen = []
    for seed, way in enumerate(WAYS):
        shell.env["PYTHONHASHSEED"] = str(seed)
        assert shell.run("wordcount", source, *options, *way, "-o", f"out-{seed}").status == 0
        seen.append(digests(shell.folder / f"out-{seed}"))
    assert seen == [seen[0]] * len(WAYS)
    assert {"_SUCCESS", "_manifest.json", "part-00000"} <= set(seen[0])


def test_one_sorted_file_and_standard_output_are_the_same_bytes(shell, source, count_lines):
    whole = b"\n".join(path.read_bytes() for path in sorted((shell.folder / source).iterdir()))
    for seed, way in enumerate(WAYS):
        shell.env["PYTHONHASHSEED"] = str(seed)
        assert shell.run("wordcount", source, *way).out == count_lines(whole)
        assert shell.run("wordcount", source, *way, "--single", "--overwrite", "-o", "one").status == 0
        assert (shell.folder / "one").read_bytes() == count_lines(whole)


def test_a_pipe_gives_the_same_parts_as_its_file(shell, text):
    shell.write("x", text)
    shell.run("wordcount", "x", "-R", "3", "-o", "from-file")
    assert shell.sh("cat x | mrcore wordcount -j 2 -R 3 -o from-pipe").status == 0
    assert digests(shell.folder / "from-file") == digests(shell.folder / "from-pipe")


def test_gnu_tools_agree(shell, source):
    split = "LC_ALL=C tr -s ' \\t\\n\\r\\v\\f' '\\n' | LC_ALL=C grep -av '^$'"
    lines = shell.sh(f"for f in in/*; do cat $f; echo; done | {split} | LC_ALL=C sort | LC_ALL=C uniq -c").out
    words = [line.lstrip().partition(b" ") for line in lines.split(b"\n")[:-1]]
    assert shell.run("wordcount", source).out == b"".join(b"%s\t%s\n" % (word, count) for count, _, word in words)
