"""The command's border: usage, closed or full standard descriptors, one line an error."""

import pytest

import mrcore


@pytest.mark.parametrize(("args", "said"), [
    ((), "required"), (("count",), "invalid choice: 'count'"), (("wordcount", "--bogus"), "--bogus"),
    (("wordcount", "--to"), "--to"), (("wordcount", "-j", "two"), "invalid int value: 'two'"),
    (("wordcount", "--top"), "expected one argument"), (("wordcount", "--new\nline"), "--new\\nline"),
    (("wordcount", "-R", "0", "x"), "reducers out of range: 0"), (("wordcount", "-R", "-1", "x"), "reducers"),
    (("wordcount", "-j", "-1", "x"), "workers out of range: -1"),
    (("wordcount", "--tokenizer", "", "x"), "unknown tokenizer"), (("wordcount", "--top", "0", "x"), "top out of"),
    (("wordcount", "--min-count", "0", "x"), "minimum count"), (("wordcount", "--min-count", "9" * 30, "x"), "minimum"),
    (("wordcount", "--tokenizer", "a\nb", "x"), "unknown tokenizer: a\\nb: choose one of whitespace, ascii"),
    (("wordcount", "--split", "0", "x"), "split size out of range: 0"), (("wordcount", "--split", "1Q", "x"), "'1Q'"),
    (("wordcount", "--single", "x"), "--single without -o"), (("wordcount", "--json", "x"), "add -o PATH, or --top K"),
    (("wordcount", "-o", "", "x"), "empty output path"),
])  # fmt: skip
def test_nonsense_is_one_line_and_status_2(shell, args, said):
    shell.write("x", b"x")
    assert shell.run(*args).failed(2, said)


def test_help_and_version_go_to_standard_output(shell):
    done = shell.run("--version")
    assert (done.status, done.out, done.err) == (0, f"mrcore {mrcore.__version__}\n".encode(), b"")
    for args in (("--help",), ("wordcount", "--help"), ("doctor", "-h")):
        done = shell.run(*args)
        assert (done.status, done.err) == (0, b"")
        assert done.out.startswith(b"usage: mrcore")


@pytest.mark.parametrize("command", ["--help", "wordcount --help", "doctor", "wordcount x", "wordcount --dry-run x",
                                     "wordcount --json --top 2 x"])  # fmt: skip
def test_a_reader_that_has_enough_is_no_error(shell, command):
    shell.write("x", b"a b c " * 50_000)
    done = shell.sh(f"set -o pipefail; mrcore {command} | true")
    assert (done.status, done.err) == (0, b"")


@pytest.mark.parametrize("command", ["wordcount x", "wordcount --dry-run x", "wordcount --json --top 1 x", "doctor",
                                     "wordcount --json -o out x"])  # fmt: skip
def test_a_full_standard_output_is_an_error(shell, command):
    shell.write("x", b"a")
    assert shell.sh(f"mrcore {command} >/dev/full").failed(5, "no space left: standard output")


@pytest.mark.parametrize("command", ["wordcount x", "wordcount --dry-run x", "wordcount --json -o out x", "doctor"])
def test_a_closed_standard_output_is_an_error_before_anything_is_done(shell, command):
    shell.write("x", b"a")
    assert shell.sh(f"mrcore {command} >&-").failed(4, "standard output: it is closed")
    assert [path.name for path in shell.folder.iterdir()] == ["x"]


@pytest.mark.parametrize("workers", [0, 2])
def test_standard_descriptors_that_the_job_does_not_need_may_be_closed(shell, workers):
    shell.write("x", b"a b a")
    assert shell.sh(f"mrcore wordcount -j {workers} x -o out <&- >&- 2>&-").status == 0
    assert (shell.folder / "out" / "part-00000").read_bytes() == b"a\t2\nb\t1\n"


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_said_still_has_its_status(shell, where):
    done = shell.sh(f"mrcore wordcount missing {where}")
    assert (done.status, done.out, done.err) == (3, b"", b"")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2> >(true)"])
@pytest.mark.parametrize("option", ["--progress on", "-v"])
def test_notes_that_cannot_be_written_do_not_stop_the_job(shell, where, option):
    shell.write("x", b"a b a")
    done = shell.sh(f"mrcore wordcount {option} x {where}")
    assert (done.status, done.out, done.err) == (0, b"a\t2\nb\t1\n", b"")


def test_a_traceback_of_ours_shows_only_when_asked_for(shell):
    assert shell.run("wordcount", "missing").failed(3)
    done = shell.run("wordcount", "-v", "missing")
    assert done.status == 3
    assert done.err.startswith(b"Traceback")
    assert done.err.endswith(b"\nmrcore: cannot read: missing: no such file or directory\n")


def test_a_defect_is_called_one_and_points_to_v(shell, monkeypatch):
    script = (
        "import mrcore.cli.options as o, mrcore.cli.main as m, sys\n"
        "def broken(*a): raise IndexError('lost')\n"
        "o._check = broken\n"
        "sys.exit(m.main(['wordcount', 'x']))"
    )
    shell.command = [shell.command[0], "-P", "-c", script]
    assert shell.run().failed(1, "defect: IndexError: lost: run again with -v and report it")


def test_doctor_finds_nothing_wrong_here(shell):
    done = shell.run("doctor")
    assert done.status == 0
    assert b"FAIL" not in done.out
    assert done.out.count(b"\nok ") == 7


def test_doctor_says_what_is_wrong(shell):
    shell.env["TMPDIR"] = "/nowhere"
    done = shell.run("doctor")
    assert done.status == 1
    assert b"FAIL  temporary files: OutputExistsError: cannot write: /nowhere: no such file or directory" in done.out
