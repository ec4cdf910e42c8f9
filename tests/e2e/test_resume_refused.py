"""--resume of what is another job by now, or of a work folder that is damaged: refused in clear words, or sound."""

import os
import shutil
import signal
import sys

import pytest
from marked_jobs import ARGS, FILES, MarkedJob, wait_for

LARGE = bool(os.environ.get("MRCORE_TEST_LARGE"))
MAPS = tuple((0, task) for task in range(FILES))


@pytest.fixture
def job(shell):
    """A job that was killed when all but one of its reduce tasks were done, and that one had begun."""
    made = MarkedJob(shell)
    made.expected = made.undisturbed()
    made.hold("reduce.2")
    made.kill_once(lambda: made.has_committed(*MAPS, (1, 0), (1, 1)) and made.marks("reduce")[2])
    made.let_go()
    return made


def test_what_has_changed_is_named_and_undoing_it_is_enough(job):
    file, code = job.folder / "in" / "3", job.folder / "job.py"
    was, text = os.stat(file), file.read_bytes()

    def refused(*said, args=ARGS, job_name="job.py:Job"):
        done = job.shell.run("run", job_name, *args, "-o", "out", "--resume")
        assert done.failed(4, "cannot resume: out", "--overwrite", *said)

    def undo():
        file.write_bytes(text)
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))

    file.write_bytes(text + b"x")
    refused(f"in/3: its size is {len(text) + 1}, was {len(text)}")
    undo()
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
    refused("in/3: it was written to")
    undo()
    os.rename(file, job.folder / "aside")
    shutil.copy2(job.folder / "aside", file)
    refused("in/3: another file is in its place")
    os.rename(job.folder / "aside", file)
    (job.folder / "in" / "30").touch()
    refused("input is new: in/30")
    (job.folder / "in" / "30").unlink()
    os.rename(file, job.folder / "aside")
    refused("input is gone: in/3")
    os.rename(job.folder / "aside", file)
    sound = code.read_bytes()
    code.write_bytes(sound + b"# a remark\n")
    refused("JOB.py changed")
    code.write_bytes(sound)
    refused("--reducers is 2, was 3", args=["2" if word == "3" else word for word in ARGS])
    refused("--split is", "was file", args=["1M" if word == "file" else word for word in ARGS])
    refused("--skip-bad is 1, was 0", args=[*ARGS, "--skip-bad", "1"])
    refused("", job_name="job.py:pipeline")
    assert job.marks("reduce")[2] == 1, "nothing ran"
    job.resume()
    assert job.output() == job.expected
    assert set(job.marks().values()) == {1}


PROGRAM = """
import os, sys, time
import mrcore as mr

def make(step):
    class Steps(mr.MapReduce):
        def map(self, record, ctx):
            open(f"ran/map.{ctx.task}.{os.getpid()}.{time.monotonic_ns()}", "w").close()
            while os.path.exists(f"hold/map.{ctx.task}"):
                time.sleep(0.005)
            yield int(record.split()[1]) // step, 1
        def reduce(self, key, values, ctx):
            yield key, sum(values)
    return Steps

if __name__ == "__main__":
    try:
        mr.run(make(int(sys.argv[1])), "in", "out", split="file", resume=True, executor=mr.Local(2), speculation="off")
    except mr.OutputExistsError as error:
        sys.exit(f"refused: {error}")
"""


def test_a_program_of_pythons_and_the_values_its_functions_hold(shell):
    job = MarkedJob(shell)
    for number in range(FILES):
        shell.write(f"in/{number}", b"0 %d" % number)
    shell.write("program.py", PROGRAM.encode())
    shell.command = [sys.executable, "program.py"]
    job.hold("map.7")
    with shell.start("3") as process:
        wait_for(lambda: job.has_committed(*MAPS[:7]) and job.marks()[7])
        os.killpg(process.pid, signal.SIGKILL)
    job.let_go()
    assert shell.run("4").err.startswith(b"refused: cannot resume: out: the code of the job changed")
    shell.env["PYTHONHASHSEED"] = "77"
    done = shell.run("3")
    assert (done.status, done.err) == (0, b"")
    assert sorted((job.folder / "out" / "part-00000").read_bytes().splitlines()) == [b"0\t3", b"1\t3", b"2\t2"]
    assert [job.marks()[task] for task in range(FILES)] == [1] * 7 + [2]
    assert shell.run("3").err.startswith(b"refused: output is complete: out")


def tried(job, where):
    """What --resume does: it ends well with the same bytes, or with one clear line; which of the two."""
    done = job.run("--resume")
    assert b"Traceback" not in done.err and b"defect" not in done.err, (where, done)
    if done.status == 0:
        assert job.output() == job.expected, where
        return True
    assert done.out == b"" and done.err.startswith(b"mrcore: ") and done.err.count(b"\n") == 1, (where, done)
    assert not (job.folder / "out" / "_SUCCESS").exists()
    return False


@pytest.mark.parametrize("name", ["journal", "identity", "disk", "program-0"])
def test_files_of_the_work_folder_that_are_cut(job, name):
    """At some bytes, of a journal at each one where there is time: a whole result, or a clear line."""
    path = job.folder / "out" / "_work" / ("journal-p0/journal" if name == "journal" else name)
    size = path.stat().st_size
    shutil.copytree(job.folder / "out", job.folder / "kept", symlinks=True, ignore=lambda *_: ["socket"])
    whole = set()
    for at in range(size) if LARGE and name == "journal" else sorted({0, 33, size - 1}):
        shutil.rmtree(job.folder / "out")
        shutil.copytree(job.folder / "kept", job.folder / "out", symlinks=True)
        os.truncate(path, at)
        if tried(job, f"{name} cut at byte {at}"):
            whole.add(at)
    if name == "journal":
        assert size - 1 in whole, "a torn tail is dropped"
    assert job.run("--overwrite").status == 0
    assert job.output() == job.expected


@pytest.mark.parametrize("name", ["journal", "identity", "disk", "program-0"])
def test_files_of_the_work_folder_with_another_bit(job, name):
    path = job.folder / "out" / "_work" / ("journal-p0/journal" if name == "journal" else name)
    data = path.read_bytes()
    shutil.copytree(job.folder / "out", job.folder / "kept", symlinks=True, ignore=lambda *_: ["socket"])
    for at in range(0, len(data), max(1, len(data) // (200 if LARGE else 2))):
        shutil.rmtree(job.folder / "out")
        shutil.copytree(job.folder / "kept", job.folder / "out", symlinks=True)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        tried(job, f"{name}: another bit at byte {at}")


@pytest.mark.parametrize("name", ["journal-p0", "identity", "disk", "program-0", "lock"])
def test_files_of_the_work_folder_that_are_gone(job, name):
    path = job.folder / "out" / "_work" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert tried(job, name)
