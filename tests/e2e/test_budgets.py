"""Budgets: what does not fit is refused with what would do, what is refused leaves nothing, and estimates hold."""

import json
import os
import random
import re
import shutil

import pytest

MIB = 1 << 20
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}
VERBS = {
    "wordcount": (), "ngrams": ("-n", "2"), "index": ("--counts",), "distinct": (), "top": ("3",),
    "wordcount --tokenizer unicode": (), "distinct --of lines": (), "distinct --approx": (),
}  # fmt: skip


def command(verb, *options):
    """A verb with its own arguments, options before them."""
    return *verb.split(), *options, *VERBS[verb]


def sizes(text):
    """Sizes in a text, in bytes."""
    return [int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(GiB|MiB|KiB|B)\b", text)]


@pytest.fixture(scope="module")
def new_words():
    """About 2.4 MB of words that do not repeat, in lines of 50."""
    rng = random.Random(5)
    words = [b"%x" % rng.getrandbits(60) for _ in range(150_000)]
    return b"\n".join(b" ".join(words[i : i + 50]) for i in range(0, len(words), 50))


@pytest.fixture
def large(shell, new_words):
    """A file of them."""
    return shell.write("large", new_words)


@pytest.fixture
def unprivileged():
    """What to start a command with, so that permissions bind it even when we are root."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv to give up root's rights")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


class TestMemory:
    @pytest.mark.parametrize(("workers", "reducers"), [("0", "1"), ("2", "1"), ("2", "100")])
    @pytest.mark.parametrize("verb", VERBS)
    def test_too_little_is_refused_with_the_least_and_the_least_does(self, shell, large, verb, workers, reducers):
        args = command(verb, "-j", workers, "-R", reducers, "-o", "out", "--split", "500K")
        refused = shell.run(*args, large, "--memory", "1MiB")
        assert refused.failed(5, "not enough memory for this job: 1MiB: give it ", " or more")
        least = sizes(refused.err.decode())[1]
        if workers == "2":
            assert re.search(r"or -j 1 and (\d+)", refused.err.decode())
        less = least - (2 * MIB if b"MiB or more" in refused.err else 2048)  # a size is rounded up when it is shown
        assert shell.run(*args, large, "--memory", str(less)).failed(5, "not enough memory")
        assert os.listdir(shell.folder) == ["large"], "nothing was made"
        assert shell.run(*args, large).status == 0
        expected = answer(shell.folder / "out")
        shutil.move(shell.folder / "out", shell.folder / "easy")
        done = shell.run(*args, large, "--memory", str(least))
        assert (done.status, done.err) == (0, b"")
        assert answer(shell.folder / "out") == expected

    @pytest.mark.parametrize("memory", ["0", "1", "4095KiB"])
    def test_nothing_at_all_is_refused_the_same_way(self, shell, memory):
        shell.write("x", b"a")
        assert shell.run("wordcount", "x", "--memory", memory).failed(5, "not enough memory", "4097KiB or more")
        assert shell.run("wordcount", "x", "--memory", memory, "--dry-run").failed(5, "not enough memory")

    @pytest.mark.parametrize("memory", ["", "-1", "much", "1Q", "1e99"])
    def test_what_is_no_size(self, shell, memory):
        shell.write("x", b"a")
        assert shell.run("wordcount", "x", f"--memory={memory}").failed(2, "size")
        assert shell.run("wordcount", "x", f"--tmp-limit={memory}").failed(2, "size")

    def test_a_job_whose_workers_are_left_open_takes_fewer(self, shell, large):
        fifo = shell.folder / "fifo"
        os.mkfifo(fifo)
        done = shell.run("wordcount", "--dry-run", "--memory", "5MiB", large, "fifo")
        assert re.search(rb"^workers    1$", done.out, re.MULTILINE)

    @pytest.mark.parametrize("size", [900_000, 1_700_000, 3_000_000, 9_000_000])
    @pytest.mark.parametrize("memory", ["6MiB", "15MiB", "17MiB", "40MiB"])
    def test_a_token_is_counted_or_named_with_file_and_byte(self, shell, request, size, memory):
        shell.write("x", b"a\nb c\n" + b"g" * size + b" \nd\n")
        for verb, options in (("wordcount", ()), ("index", ()), ("distinct", ("--of", "lines")),
                              ("wordcount", ("--tokenizer", "unicode"))):  # fmt: skip
            for piped in (False, True):
                paths = {"stdin_bytes": (shell.folder / "x").read_bytes()} if piped else {}
                done = shell.run(verb, *options, "-j", "0", "--memory", memory, "-" if piped else "x", **paths)
                if done.status:
                    name = "-" if piped else "x"
                    assert done.failed(5, "a token of ", f" bytes or more: {name}, byte 6: ", "raise --memory")
                    assert size * (12 if verb == "index" else 5) >= int(memory[:-3]) * MIB - 2 * MIB
                elif verb == "distinct":
                    assert done.out == b"4\n"
                else:
                    assert sorted(len(line.split(b"\t")[0]) for line in done.out.splitlines()) == [1, 1, 1, 1, size]

    def test_json_says_what_was_given_and_what_was_taken(self, shell, large):
        for verb in VERBS:
            args = command(verb, "--memory", "24MiB", "-j", "2", "--tmp-limit", "100MB", "--json", "-o", f"out {verb}")
            about = json.loads(shell.run(*args, large).out)
            memory, tmp = about["memory"], about["tmp"]
            assert memory["budget"] == 24 * MIB
            assert 11 * MIB < memory["task_share"] <= 12 * MIB
            assert 0 < memory["task_peak"] <= memory["task_share"]
            assert tmp["limit"] == 100_000_000
            assert 0 <= tmp["peak"] <= 100_000_000
        assert json.loads(shell.run("distinct", "--json", large).out)["tmp"]["limit"] is None


def answer(path):
    """Content of a file, or of the part files of a folder."""
    files = sorted(path.glob("part-*")) if path.is_dir() else [path]
    return [file.read_bytes() for file in files]


class TestTmp:
    @pytest.mark.parametrize(("place", "said"), [
        ("nowhere", "cannot write: nowhere: no such file"), ("large", "cannot write: large: not a directory"),
        ("/dev/full", "not a directory"), ("/proc", "cannot write: /proc"),
    ])  # fmt: skip
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_place_that_cannot_be_used(self, shell, large, verb, place, said):
        for more in ((), ("-o", "one") if verb.startswith(("distinct", "top")) else ("-o", "one", "--single")):
            assert shell.run(*command(verb, "--tmp", place, *more), large).failed(4, said)
        assert os.listdir(shell.folder) == ["large"]

    def test_one_that_is_read_only(self, shell, large, unprivileged):
        (shell.folder / "ro").mkdir(mode=0o555)
        done = shell.run("index", "--tmp", "ro", large, prefix=unprivileged)
        assert done.failed(4, "cannot write: ro", "permission denied")
        shell.env["TMPDIR"] = "ro"
        assert shell.run("index", large, prefix=unprivileged).failed(4, "cannot write: ro", "permission denied")

    @pytest.mark.parametrize("workers", ["0", "2"])
    @pytest.mark.parametrize("verb", ["ngrams", "index", "distinct", "top"])
    def test_one_that_is_full(self, shell, large, small_disk, verb, workers):
        done = shell.run(*command(verb, "-j", workers, "--split", "300K", "--tmp", str(small_disk)), large)
        assert done.failed(5, "no space left", "--tmp or -o")
        assert os.listdir(small_disk) == []
        assert shell.gone()

    @pytest.mark.parametrize("limit", ["0", "2MB"])
    @pytest.mark.parametrize("workers", ["0", "2"])
    @pytest.mark.parametrize("verb", ["wordcount", "ngrams", "index", "distinct", "top"])
    def test_a_limit_that_is_reached_in_the_middle(self, shell, large, verb, workers, limit):
        for more in ((), ("-o", "out")):
            args = command(verb, "-j", workers, "--split", "300K", "--memory", "20MiB", "--tmp-limit", limit, *more)
            done = shell.run(*args, large)
            assert done.failed(5, "temporary files would take more than", "raise --tmp-limit")
            assert shell.gone()
            assert os.listdir(shell.folder) == ["large"]
            assert os.listdir(shell.tmp) == []

    def test_a_limit_that_is_not_reached(self, shell, watch, large):
        for verb in ("wordcount", "ngrams", "index", "distinct", "top"):
            args = command(verb, "-j", "2", "--split", "300K", "--tmp-limit", "30MB")
            watched = watch(*args, large, folder=shell.tmp)
            assert (watched.status, watched.err) == (0, b"")
            assert 0 < watched.disk <= 30_000_000

    def test_what_dead_jobs_left_is_swept_and_nothing_else(self, shell):
        shell.write("x", b"a")
        mine = {"mrcore-1-0123abcd": 0, "mrcore-1-0123abce": 0}
        theirs = {"mrcore-1-0123abcf": 65534} if os.geteuid() == 0 else {}
        others = {"mrcore-1-0123abc": 0, "mrcore-x-0123abcd": 0, "mrcore-1-0123ABCD": 0, "amrcore-1-0123abcd": 0}
        for name, owner in (mine | theirs | others).items():
            (shell.tmp / name).mkdir()
            (shell.tmp / name / "lock").touch()
            (shell.tmp / name / "map-00000.run").write_bytes(b"old")
            if owner:
                os.chown(shell.tmp / name / "lock", owner, owner)
                os.chown(shell.tmp / name, owner, owner)
            os.utime(shell.tmp / name / "lock", (0, 0))
        os.symlink(shell.tmp / "mrcore-1-0123abc", shell.tmp / "mrcore-1-0123abd0")
        for verb in ("wordcount", "distinct", "index"):
            assert shell.run(verb, "x").status == 0
        left = set(os.listdir(shell.tmp))
        for name in left:
            (shutil.rmtree if not (shell.tmp / name).is_symlink() else os.unlink)(shell.tmp / name)
        assert left == {*theirs, *others, "mrcore-1-0123abd0"}


ESTIMATED = ["wordcount", "ngrams", "index", "distinct", "top", "wordcount --tokenizer unicode", "distinct --of lines"]


class TestEstimates:
    """What --dry-run says, against the sizes of the files while the job runs."""

    def check(self, shell, watch, verb, path, *options):
        planned = shell.run(*command(verb, *options, "--dry-run"), path)
        lines = {line.split()[0]: line for line in planned.out.decode().splitlines()}
        memory, _, least = sizes(lines["memory"])
        (tmp, *_) = sizes(lines["tmp"])
        assert least <= memory
        watched = watch(*command(verb, *options), path, folder=shell.tmp)
        assert (watched.status, watched.err) == (0, b"")
        assert watched.disk <= tmp
        about = json.loads(shell.run(*command(verb, *options, "--json", "-o", "out"), path).out)
        assert about["memory"]["budget"] <= memory
        return watched.disk, tmp, about

    @pytest.mark.parametrize("verb", ESTIMATED)
    def test_of_words_that_do_not_repeat(self, shell, watch, request, large, verb):
        _, _, about = self.check(shell, watch, verb, large, "--memory", "64MiB")
        assert about["tmp"]["peak"] > 1_000_000
        assert about["counters"]["spills"] == 0

    @pytest.mark.parametrize("verb", ESTIMATED)
    def test_of_words_that_do(self, shell, watch, text, verb):
        shell.write("x", text * 10)
        self.check(shell, watch, verb, "x", "--memory", "64MiB")

    @pytest.mark.parametrize("verb", ESTIMATED)
    def test_of_next_to_nothing(self, shell, watch, verb):
        shell.write("x", b"a b\nc d\n" * 2000)
        shell.write("y", b"a")
        self.check(shell, watch, verb, "x", "--memory", "64MiB")
        self.check(shell, watch, verb, "y", "--overwrite", "--memory", "64MiB")

    @pytest.mark.parametrize("verb", ["wordcount", "index", "distinct", "top"])
    def test_when_the_merge_takes_several_passes(self, shell, watch, distinct_words, verb):
        self.check(shell, watch, verb, distinct_words, "--memory", "6MiB", "-j", "0", "--split", "512K")

    def test_what_json_says_was_used_is_not_above_the_estimate(self, shell, watch, large):
        _, estimate, about = self.check(shell, watch, "distinct", large, "--memory", "64MiB")
        assert about["tmp"]["peak"] <= estimate
        shell.write("x", b"a b\n" * 10_000)
        _, estimate, about = self.check(shell, watch, "distinct", "x", "--overwrite", "--memory", "64MiB")
        assert about["tmp"]["peak"] <= estimate


class TestDescriptors:
    @pytest.mark.parametrize(("workers", "files"), [("0", 12), ("0", 40), ("2", 24), ("2", 40)])
    def test_few_of_them_many_partitions_and_many_runs(self, shell, large, workers, files):
        args = ("wordcount", "-R", "60", "--split", "50K", "-j", workers, "--memory", "20MiB", large)
        done = shell.run(*args, "--json", "-o", "few", prefix=["prlimit", f"--nofile={files}"])
        assert (done.status, done.err) == (0, b"")
        counters = json.loads(done.out)["counters"]
        assert (counters["map_tasks"], counters["reduce_tasks"]) == (47, 60)
        assert counters["merge_passes"] > 1
        assert shell.run(*args, "-o", "many").status == 0
        assert answer(shell.folder / "few") == answer(shell.folder / "many")

    def test_too_few_for_workers_is_said(self, shell, large):
        done = shell.run("wordcount", "-j", "2", large, "-o", "out", prefix=["prlimit", "--nofile=12"])
        assert done.failed(1, "too many open files: ", "lower -j")
        assert shell.gone()
        assert os.listdir(shell.folder) == ["large"]

    def test_an_index_of_many_runs(self, shell, large):
        args = ("index", "--split", "50K", "-j", "0", "--memory", "8MiB", large)
        few = shell.run(*args, prefix=["prlimit", "--nofile=12"])
        assert (few.status, few.err) == (0, b"")
        assert few.out == shell.run(*args).out


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.skipif(
    not os.environ.get("MRCORE_TEST_LARGE"), reason="takes a minute: set MRCORE_TEST_LARGE=1"))])  # fmt: skip
def test_many_small_files(shell, count):
    (shell.folder / "many").mkdir()
    for index in range(count):
        shell.write(f"many/{index:06d}", b"all w%d\nw%d" % (index % 7, index % 11))
    names = [b"many/%06d" % index for index in range(count)]
    some = [name for index, name in enumerate(names) if index % 7 == 3 or index % 11 == 3]
    for way in (("-j", "0"), ("-j", "2", "--memory", "150MiB", "--split", "16K")):
        lines = dict(line.split(b"\t") for line in shell.run("index", "many", *way, timeout=200).out.splitlines())
        assert lines[b"all"].split(b",") == names
        assert lines[b"w3"].split(b",") == some
        assert len(lines) == 12
        assert shell.run("distinct", "--of", "lines", "many", *way, timeout=200).out == b"%d\n" % (7 + 11)
        assert shell.run("top", *way, "1", "many", timeout=200).out == b"all\t%d\n" % count


def test_files_of_which_their_list_alone_is_too_much(shell):
    (shell.folder / "many").mkdir()
    for index in range(3000):
        shell.write(f"many/{index}", b"")
    done = shell.run("wordcount", "-j", "0", "--memory", "5MiB", "many")
    assert done.failed(5, "not enough memory for this job: 5MiB: give it ", "or more")
    least = sizes(done.err.decode())[1]
    assert least >= 4 * MIB + 3000 * 512
    assert shell.run("wordcount", "-j", "0", "--memory", str(least), "many").status == 0
