"""Full disks, missing rights, files that change: the right status, one line, nothing left."""

import os
import random
import shutil
import time

import pytest


@pytest.fixture
def unprivileged():
    """What to start a command with, so that permissions bind it even when we are root."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv to give up root's rights")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.fixture
def large(shell):
    """About 4 MB of words that do not repeat: more than the small disk takes."""
    rng = random.Random(5)
    return shell.write("large", b" ".join(b"%x" % rng.getrandbits(60) for _ in range(250_000)))


@pytest.mark.parametrize("workers", ["0", "2"])
class TestFullDisk:
    @pytest.mark.parametrize("split", ["300K", "64M"])
    def test_temporary_files(self, shell, large, small_disk, workers, split):
        done = shell.run("wordcount", large, "-j", workers, "--split", split, "--tmp", str(small_disk))
        assert done.failed(5, "no space left", "--tmp or -o")
        assert os.listdir(small_disk) == []

    @pytest.mark.parametrize("args", [("-R", "3"), ("--single",), ("--split", "200K")], ids=str)
    def test_output(self, shell, large, small_disk, workers, args):
        out = f"{small_disk}/out" if "--single" in args else f"{small_disk}/a/b"
        done = shell.run("wordcount", large, "-j", workers, "-o", out, *args)
        assert done.failed(5, "no space left", "--tmp or -o")
        assert os.listdir(small_disk) == []
        assert os.listdir(shell.tmp) == []

    def test_standard_output_to_a_file(self, shell, large, small_disk, workers):
        for how in (">", ">>"):
            done = shell.sh(f"mrcore wordcount -j {workers} {large} {how} {small_disk}/out")
            assert done.failed(5, "no space left: standard output")
            os.unlink(small_disk / "out")

    def test_an_older_result_survives(self, shell, large, small_disk, workers):
        shell.write("x", b"a")
        assert shell.run("wordcount", "x", "-o", f"{small_disk}/out").status == 0
        assert shell.run("wordcount", "x", "-o", f"{small_disk}/one", "--single").status == 0
        for args in (("-o", f"{small_disk}/out"), ("-o", f"{small_disk}/one", "--single")):
            assert shell.run("wordcount", large, "-j", workers, "--overwrite", *args).failed(5)
        assert (small_disk / "out" / "part-00000").read_bytes() == (small_disk / "one").read_bytes() == b"a\t1\n"
        assert sorted(os.listdir(small_disk / "out")) == ["_SUCCESS", "_manifest.json", "part-00000"]


class TestPermissions:
    def test_input(self, shell, unprivileged):
        (shell.folder / "locked" / "in").mkdir(parents=True)
        shell.write("locked/in/x", b"a")
        shell.write("secret", b"a b")
        os.chmod(shell.folder / "secret", 0)
        for mode in (0o000, 0o444):
            os.chmod(shell.folder / "locked" / "in", mode)
            done = shell.run("wordcount", "locked", prefix=unprivileged)
            assert done.failed(3, "cannot read: locked/in", "permission denied")
        assert shell.run("wordcount", "secret", prefix=unprivileged).failed(3, "secret: permission denied")
        assert shell.run("wordcount", "secret", "-o", "out", prefix=unprivileged).failed(3)
        assert not (shell.folder / "out").exists()
        os.chmod(shell.folder / "locked" / "in", 0o755)

    def test_standard_input_that_was_opened_with_more_rights(self, shell, unprivileged):
        shell.write("secret", b"a b a")
        with open(shell.folder / "secret", "rb") as file:
            os.chmod(shell.folder / "secret", 0)
            for workers in ("0", "2"):
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                done = shell.run("wordcount", "-j", workers, prefix=unprivileged, stdin=file)
                assert done.out == b"a\t2\nb\t1\n"

    @pytest.mark.parametrize("args", [("-o", "ro"), ("-o", "ro/a"), ("-o", "ro/a/b"), ("--single", "-o", "ro/a"),
                                      ("--tmp", "ro")], ids=str)  # fmt: skip
    def test_output(self, shell, unprivileged, args):
        shell.write("x", b"a")
        (shell.folder / "ro").mkdir(mode=0o555)
        done = shell.run("wordcount", "x", *args, prefix=unprivileged)
        assert done.failed(4, "cannot write: ro", "permission denied")
        assert os.listdir(shell.folder / "ro") == []


def test_a_file_that_shrinks_before_its_task_begins(shell, text):
    shell.write("x", text * 10)
    os.mkfifo(shell.folder / "fifo")
    with shell.start("wordcount", "-j", "0", "fifo", "x", "-o", "out") as process:
        with open(shell.folder / "fifo", "wb") as fifo:  # opens when the first task does
            os.truncate(shell.folder / "x", 1000)
            fifo.write(b"a")
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (3, b"")
    assert err == b"mrcore: input changed while it was read: x: run the job again when nothing writes to it\n"
    assert sorted(os.listdir(shell.folder)) == ["fifo", "x"]


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("size", [0, 4096, 1 << 20])
def test_a_file_that_shrinks_while_it_is_mapped_is_an_error_and_no_bus_error(shell, workers, size):
    with open(shell.folder / "x", "wb") as file:
        file.truncate(1 << 30)  # of holes: takes no space, and a good part of a second to read
    with shell.start("wordcount", "-j", workers, "--tokenizer", "ascii", "x") as process:
        while process.poll() is None and not any(maps(pid) for pid in shell.processes()):
            time.sleep(0.001)
        os.truncate(shell.folder / "x", size)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (3, b"")
    assert err == b"mrcore: input changed while it was read: x: run the job again when nothing writes to it\n"


def maps(pid):
    """Whether the process has mapped our file."""
    try:
        with open(f"/proc/{pid}/maps") as file:
            return "/here/x\n" in file.read()
    except OSError:
        return False


@pytest.mark.parametrize("memory", [96 << 20, 128 << 20])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_memory_is_a_budget_error(shell, large, workers, memory):
    """A limit on addresses: one word of 64 MiB does not fit, nor its copy."""
    with open(shell.folder / "word", "wb") as file:
        file.truncate(64 << 20)
    done = shell.run("wordcount", "-j", workers, "word", prefix=["prlimit", f"--as={memory}"])
    assert done.failed(5, "out of memory")
