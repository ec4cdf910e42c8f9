"""wordcount as a user sees it: every kind of input and output, every option."""

import json
import os
from collections import Counter

import pytest
import xxhash


@pytest.fixture
def source(shell, text):
    return shell.write("in.txt", text)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_prints_sorted_lines(shell, source, counted, workers):
    done = shell.run("wordcount", "-j", workers, source)
    assert (done.status, done.out, done.err) == (0, counted, b"")


@pytest.mark.parametrize("options", [
    {"tokenizer": "ascii"}, {"lower": True}, {"tokenizer": "ascii", "lower": True}, {"min_count": 3},
], ids=str)  # fmt: skip
def test_what_is_counted(shell, source, text, count_lines, options):
    args = []
    for name, value in options.items():
        args += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    assert shell.run("wordcount", *args, source).out == count_lines(text, **options)


@pytest.mark.parametrize("top", [1, 20, 10**9])
def test_the_top(shell, source, text, top):
    best = sorted((-count, word) for word, count in Counter(text.split()).items())[:top]
    done = shell.run("wordcount", "--top", str(top), "-j", "2", "-R", "3", source)
    assert done.out == b"".join(b"%s\t%d\n" % (word, -count) for count, word in best)


@pytest.mark.parametrize("content", [
    b"", b" ", b"\n\n", b"\0", b"\0\0 \0", b"a", b"a\r\nb\r\n", b"a\nb", b"\xff\xfe \x80", b"\xc3", b"a\x1cb\x85c\xa0d",
    b"caf\xc3\xa9 caf\xc3\xa9", b"\xef\xbb\xbfbom bom", b"x" * 100_000 + b" x",
], ids=lambda content: ascii(content[:12]))  # fmt: skip
def test_any_bytes_are_text(shell, content, count_lines):
    shell.write("x", content)
    done = shell.run("wordcount", "x")
    assert (done.status, done.out) == (0, count_lines(content))
    assert shell.run("wordcount", stdin_bytes=content).out == done.out


@pytest.mark.parametrize("name", [b"a b", b"new\nline", b"\xff\xfe", b"-dash", b"\xc3\xa9", b"[x]", b"'$(x)"],
                         ids=ascii)  # fmt: skip
def test_any_name_is_a_name(shell, name):
    shell.write(name, b"a b a")
    assert shell.run("wordcount", "-j", "2", "--", name).out == b"a\t2\nb\t1\n"
    assert shell.run("wordcount", "-j", "2", b"--output=out " + name, "--", name).status == 0
    assert shell.run("wordcount", b"--output=one " + name, "--single", "--", name).status == 0
    folder = os.fsencode(shell.folder)
    assert len(os.listdir(os.path.join(folder, b"out " + name))) == 3
    assert os.path.getsize(os.path.join(folder, b"one " + name)) == 8
    assert shell.run("wordcount", b"--output=out " + name, "--", name).failed(4, "output exists")


class TestInput:
    def test_standard_input_is_the_default_and_dash(self, shell, text, counted):
        assert shell.run("wordcount", stdin_bytes=text).out == counted
        assert shell.run("wordcount", "-", "-j", "2", stdin_bytes=text).out == counted

    @pytest.mark.parametrize("workers", ["0", "2"])
    def test_a_redirected_file_from_where_it_was_read_to(self, shell, source, text, count_lines, workers):
        skip = "dd bs=1000 count=1 of=/dev/null 2>/dev/null"
        done = shell.sh(f"({skip}; mrcore wordcount -j {workers} --split 7K) < in.txt")
        assert done.out == count_lines(text[1000:])
        assert shell.sh(f"mrcore wordcount -j {workers} --split 7K < in.txt").out == count_lines(text)

    def test_standard_input_among_files(self, shell):
        shell.write("x", b"a")
        shell.write("y", b"b")
        for workers in ("0", "2"):
            done = shell.run("wordcount", "-j", workers, "x", "-", "y", "-", stdin_bytes=b"c a")
            assert done.out == b"a\t2\nb\t1\nc\t1\n"

    def test_a_deleted_file_as_standard_input(self, shell):
        shell.write("x", b"a b a")
        assert shell.sh("exec 0<x; rm x; mrcore wordcount -j 2").out == b"a\t2\nb\t1\n"

    @pytest.mark.parametrize("workers", ["0", "2"])
    def test_fifos_process_substitution_and_inherited_descriptors(self, shell, workers):
        shell.write("x", b"a b a")
        shell.sh("mkfifo fifo")
        assert shell.sh(f"cat x > fifo & mrcore wordcount -j {workers} fifo; wait").out == b"a\t2\nb\t1\n"
        assert shell.sh(f"mrcore wordcount -j {workers} <(cat x) <(cat x)").out == b"a\t4\nb\t2\n"
        for fd in range(3, 10):
            assert shell.sh(f"mrcore wordcount -j {workers} /dev/fd/{fd} {fd}<x").out == b"a\t2\nb\t1\n"

    @pytest.mark.parametrize("path", ["/dev/null", "/proc/version", "/proc/cpuinfo"])
    def test_devices_and_files_that_are_made_up_as_they_are_read(self, shell, path):
        done = shell.run("wordcount", path)
        assert done.status == 0
        assert (done.out == b"") == (path == "/dev/null")
        assert shell.sh(f"mrcore wordcount < {path} | wc -l").out == b"%d\n" % done.out.count(b"\n")

    def test_folders_globs_and_what_another_job_left(self, shell):
        for name in ("d/a.txt", "d/e/b.txt", "d/c.log"):
            (shell.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shell.write(name, name.encode())
        assert shell.run("wordcount", "d").out == b"d/a.txt\t1\nd/c.log\t1\nd/e/b.txt\t1\n"
        assert shell.run("wordcount", "d/**/*.txt").out == b"d/a.txt\t1\nd/e/b.txt\t1\n"
        assert shell.run("wordcount", "d", "-o", "d/out").status == 0, "output inside the input"
        assert shell.run("wordcount", "d").out == b"1\t3\nd/a.txt\t2\nd/c.log\t2\nd/e/b.txt\t2\n"

    def test_ten_thousand_small_files(self, shell):
        (shell.folder / "many").mkdir()
        for index in range(10_000):
            shell.write(f"many/{index}", b"w%d" % (index % 7))
        expected = b"".join(b"w%d\t%d\n" % (i, len(range(i, 10_000, 7))) for i in range(7))
        for args in ((), ("-j", "2", "--split", "4K")):
            done = shell.run("wordcount", "many", *args)
            assert (done.status, done.out) == (0, expected)

    @pytest.mark.parametrize(("path", "said"), [
        ("missing", "missing: no such file"), ("*.none", "no file matches"), ("x/y", "not a directory"), ("", ": : no"),
        ("new\nline", "new\\nline"), (b"\xff", "\\xff"),
    ])  # fmt: skip
    def test_what_is_not_there(self, shell, path, said):
        shell.write("x", b"")
        assert shell.run("wordcount", "x", path).failed(3, said)
        assert shell.run("wordcount", "x", path, "-o", "out").failed(3, said)
        assert not (shell.folder / "out").exists()

    def test_standard_input_that_is_closed_or_a_folder(self, shell):
        assert shell.sh("mrcore wordcount <&-").failed(3, "standard input: it is closed")
        # Python itself refuses to start with a folder: mrcore has to get it later.
        opened = "import os, sys; os.dup2(os.open('.', 0), 0); from mrcore.cli.main import main; sys.exit(main())"
        shell.command = [shell.command[0], "-P", "-c", opened]
        assert shell.run("wordcount", "-").failed(3, "standard input: is a directory")


class TestOutput:
    def parts(self, shell, name="out"):
        return sorted(path.name for path in (shell.folder / name).iterdir())

    def test_a_folder_of_parts(self, shell, source, text):
        done = shell.run("wordcount", source, "-o", "a/b/out/", "-R", "3", "-j", "2")
        assert (done.status, done.out, done.err) == (0, b"", b"")
        assert self.parts(shell, "a/b/out") == ["_SUCCESS", "_manifest.json", "part-00000", "part-00001", "part-00002"]
        manifest = json.loads((shell.folder / "a/b/out/_manifest.json").read_bytes())
        found = {}
        for part in manifest["parts"]:
            content = (shell.folder / "a/b/out" / part["file"]).read_bytes()
            lines = content.splitlines()
            assert lines == sorted(lines)
            assert part["bytes"] == len(content)
            assert part["records"] == content.count(b"\n")
            assert part["xxh3"] == xxhash.xxh3_64_hexdigest(content)
            found.update((line.split(b"\t")[0], int(line.split(b"\t")[1])) for line in content.split(b"\n")[:-1])
        assert found == Counter(text.split())

    def test_one_file(self, shell, source, counted):
        assert shell.run("wordcount", source, "-o", "one", "--single", "-j", "2").status == 0
        assert (shell.folder / "one").read_bytes() == counted
        assert shell.run("wordcount", source, "-o", "one", "--single").failed(4, "output exists: one", "--overwrite")
        assert shell.run("wordcount", "--top", "1", source, "-o", "one", "--single", "--overwrite").status == 0
        assert (shell.folder / "one").read_bytes().count(b"\n") == 1
        assert sorted(os.listdir(shell.folder)) == ["in.txt", "one"]

    def test_an_existing_folder(self, shell, source):
        (shell.folder / "out").mkdir()
        assert shell.run("wordcount", source, "-o", "out", "-R", "4").status == 0, "an empty one is taken"
        assert shell.run("wordcount", source, "-o", "out").failed(4, "output exists: out", "--overwrite")
        assert shell.run("wordcount", source, "-o", "out", "--overwrite").status == 0
        assert self.parts(shell) == ["_SUCCESS", "_manifest.json", "part-00000"]
        assert shell.run("wordcount", source, "-o", "out", "--single").failed(4, "is a directory")

    @pytest.mark.parametrize("out", ["in.txt", "in.txt/below", "/proc/out", "/dev/null"])
    def test_a_place_that_cannot_be_written(self, shell, source, out):
        assert shell.run("wordcount", source, "-o", out).failed(4)
        assert shell.run("wordcount", source, "-o", out, "--single").failed(4)
        assert os.listdir(shell.folder) == ["in.txt"]

    def test_a_temporary_folder_that_is_not_there(self, shell, source):
        assert shell.run("wordcount", source, "--tmp", "nowhere").failed(4, "nowhere: no such file")

    def test_temporary_files_go_where_they_are_told(self, shell, source, counted):
        (shell.folder / "mine").mkdir()
        shell.env["TMPDIR"] = "/nowhere"
        assert shell.run("wordcount", source, "--tmp", "mine", "-j", "2").out == counted
        assert os.listdir(shell.folder / "mine") == []

    def test_json_about_a_folder(self, shell, source, text):
        done = shell.run("wordcount", "--json", "-o", b"o\xff", "-j", "2", "-R", "2", source)
        about = json.loads(done.out)
        job = {"verb": "wordcount", "tokenizer": "whitespace", "lower": False, "min_count": 1, "top": None}
        assert about["job"] == job
        assert (about["counters"]["tokens"], about["counters"]["bytes_in"]) == (len(text.split()), len(text))
        assert [os.fsencode(path) for path in about["outputs"]] == [b"o\xff/part-00000", b"o\xff/part-00001"]
        assert about["workers"] == 2
        assert set(about["seconds"]) == {"plan", "map", "reduce", "commit", "total"}

    def test_json_with_the_result_inside(self, shell):
        shell.write("x", b"b a \xff b a\\")
        about = json.loads(shell.run("wordcount", "--json", "--top", "9", "x").out)
        assert about["result"] == [["b", 2], ["a", 1], ["a\\", 1], ["\\xff", 1]]
        assert about["outputs"] == []

    def test_verbose_says_what_was_done(self, shell):
        shell.write("x", b"a b a")
        assert shell.run("wordcount", "-v", "x").err.startswith(b"mrcore: 3 words, 2 lines; 5 bytes in ")

    def test_dry_run_shows_the_plan_and_does_nothing(self, shell, source):
        for index in range(8):
            shell.write(f"f{index}", b"a")
        done = shell.run("wordcount", "--dry-run", "--split", "file", "-o", "out", "-R", "5", "-j", "3", "f?")
        assert done.status == 0
        assert done.out.splitlines()[0] == b"input      8 files, 8 bytes"
        assert b"8 tasks, one a file" in done.out
        assert b"5 partitions by key hash" in done.out
        assert not (shell.folder / "out").exists()
        assert shell.run("wordcount", "--dry-run", "missing").failed(3)


@pytest.mark.parametrize("split", ["1", "7B", "1K", "4095", "file"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_token_across_any_number_of_splits_is_one_token(shell, split, workers):
    content = b"aa " + b"y" * (30 if split in ("1", "7B") else 20_000) + b" bb\n aa"
    shell.write("x", content)
    done = shell.run("wordcount", "--split", split, "-j", workers, "x")
    assert done.out == b"aa\t2\nbb\t1\n" + content.split()[1] + b"\t1\n"


def test_a_task_a_file_is_eight_map_tasks_for_eight_files(shell):
    for index in range(8):
        shell.write(f"f{index}", b"word " * index)
    done = shell.run("wordcount", "--split", "file", "-R", "10", "-j", "2", "--json", "-o", "out", "f?")
    counters = json.loads(done.out)["counters"]
    assert (counters["map_tasks"], counters["reduce_tasks"], counters["tokens"]) == (8, 10, 28)
