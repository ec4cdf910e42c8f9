"""Jobs of which every process was killed, and --resume: the same bytes, and nothing done twice that was done."""

import os
import shutil
import signal
import sys
import time

import pytest
from marked_jobs import ARGS, FILES, REDUCERS, MarkedJob, wait_for

LARGE = bool(os.environ.get("MRCORE_TEST_LARGE"))
MAPS = tuple((0, task) for task in range(FILES))
EACH_ONCE = dict.fromkeys(range(FILES), 1)


@pytest.fixture
def job(shell):
    return MarkedJob(shell)


def resumed_well(job, expected, was_committed, redone=()):
    """The bytes are the same; what was committed ran once, and what was lost again once more."""
    assert job.output() == expected
    for stage, phase, tasks in ((0, "map", FILES), (1, "reduce", REDUCERS)):
        marks = job.marks(phase)
        assert sorted(marks) == list(range(tasks))
        for task in range(tasks):
            if (stage, task) in redone:
                assert marks[task] == 2, (phase, task, marks)
            elif (stage, task) in was_committed:
                assert marks[task] == 1, (phase, task, marks)


@pytest.mark.parametrize("count", range(0, FILES, 3))
def test_killed_after_some_map_tasks(job, count):
    expected = job.undisturbed()
    job.hold(*(f"map.{task}" for task in range(count, FILES)))
    job.kill_once(lambda: len(job.committed()) >= count and len(job.marks()) > count)
    committed = job.committed()
    assert committed == {(0, task) for task in range(count)}
    job.let_go()
    job.resume()
    resumed_well(job, expected, committed)


@pytest.mark.parametrize("task", range(REDUCERS))
def test_killed_in_reduce(job, task):
    expected = job.undisturbed()
    others = [(1, other) for other in range(REDUCERS) if other != task]
    job.hold(f"reduce.{task}")
    job.kill_once(lambda: job.has_committed(*MAPS, *others))
    committed = job.committed()
    assert committed == {*MAPS, *others}
    job.let_go()
    job.resume()
    resumed_well(job, expected, committed)
    assert job.marks() == EACH_ONCE


def test_killed_again_and_again(job):
    """Each time it comes one task further. No task that was committed runs again."""
    expected = job.undisturbed()
    tasks = [*MAPS, *((1, task) for task in range(REDUCERS - 1))]
    job.hold(*(f"{('map', 'reduce')[stage]}.{task}" for stage, task in (*tasks, (1, REDUCERS - 1))))
    for stage, task in tasks:
        (job.folder / "hold" / f"{('map', 'reduce')[stage]}.{task}").unlink()
        more = ("--resume",) if (stage, task) != (0, 0) else ()
        job.kill_once(lambda found=(stage, task): job.has_committed(found), *more)
        if (stage, task) in ((0, 3), (1, 0)):
            job.forget_marks()
    job.let_go()
    job.resume()
    assert job.output() == expected
    assert not {0, 1, 2, 3} & set(job.marks()), "they were committed when the marks were forgotten"
    assert job.marks("reduce")[0] == 0


INJECT = """
import os, sys
calls = 0
def count(event, args):
    global calls
    if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir") or (event == "open" and args[2] & 3):
        if not isinstance(args[0], int) and "out" in os.fsdecode(args[0]):
            calls += 1
            if calls == int(os.environ["DIE_AT"]):
                os.kill(0, 9)
def sync(fd, real=os.fsync):
    count("os.remove", ["out"])
    real(fd)
os.fsync = sync
sys.addaudithook(count)
from mrcore.cli.main import main
status = main()
open("calls", "w").write(str(calls))
sys.exit(status)
"""


@pytest.mark.parametrize("part", range(16) if LARGE else (3,))
def test_killed_at_each_call_that_changes_a_file(job, part):
    """What the coordinator does to files and folders of its output, and the point before each of them as the last."""
    expected = job.undisturbed()
    sound = job.shell.command
    job.shell.command = [sys.executable, "-P", "-c", INJECT]
    job.shell.env["DIE_AT"] = "-1"
    assert job.run(out="out").status == 0
    calls = int((job.folder / "calls").read_text())
    assert calls > 20
    for at in range(1 + part, calls + 1, 16 if LARGE else 32):
        shutil.rmtree(job.folder / "out")
        job.forget_marks()
        job.shell.command = [sys.executable, "-P", "-c", INJECT]
        job.shell.env["DIE_AT"] = str(at)
        done = job.run()
        assert done.status == -signal.SIGKILL, (at, done)
        assert job.shell.gone()
        job.shell.command = sound
        committed = job.committed()
        was_done = (job.folder / "out" / "_SUCCESS").exists()
        done = job.run("--resume")
        if was_done and done.status:
            assert done.failed(4, "out"), at
            continue
        assert (done.status, done.err) == (0, b""), (at, done)
        assert job.output() == expected, at
        assert all(job.marks(("map", "reduce")[stage])[task] == 1 for stage, task in committed), at


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(job, number):
    expected = job.undisturbed()
    job.hold("reduce.1")
    with job.start() as process:
        wait_for(lambda: job.has_committed(*MAPS, (1, 0), (1, 2)))
        os.kill(process.pid, number)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert err.endswith(b": out: go on with --resume\n") and err.count(b"\n") == 1
    committed = job.committed()
    job.let_go()
    assert job.run().failed(4, "an unfinished job's output: out", "--resume", "--overwrite")
    job.resume()
    resumed_well(job, expected, committed)
    assert job.marks() == EACH_ONCE


def test_nothing_to_resume_begins(job):
    expected = job.undisturbed()
    job.resume()
    assert job.output() == expected
    assert job.marks() == EACH_ONCE
    os.mkdir(job.folder / "empty")
    assert job.run("--resume", out="empty").status == 0


def test_an_output_that_is_whole_stays_as_it_is(job):
    expected = job.undisturbed()
    job.resume()
    assert job.run("--resume").failed(4, "output is complete: out")
    assert job.output() == expected


def test_two_coordinators_of_one_output(job):
    """The second is refused as long as the first one lives. Its lock goes with it, however it ends."""
    expected = job.undisturbed()
    job.hold("map.7")
    with job.start() as process:
        wait_for(lambda: job.has_committed(*MAPS[:7]))
        for more in ("--resume", "--overwrite"):
            assert job.run(more).failed(4, "another job writes there: out")
        assert process.poll() is None
        committed = job.committed()
        os.killpg(process.pid, signal.SIGKILL)
    job.let_go()
    job.resume()
    resumed_well(job, expected, committed)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


DAMAGE = {
    "a bit of it is another": flip,
    "its end is missing": lambda path: os.truncate(path, path.stat().st_size - 1),
    "it is empty": lambda path: os.truncate(path, 0),
    "there is more of it": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "it is gone": os.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("stage", "task"), [(0, 3), (1, 0)], ids=["of a map task", "of a reduce task"])
def test_outputs_that_are_damaged_are_made_again(job, stage, task, damage):
    expected = job.undisturbed()
    job.hold("reduce.2")
    job.kill_once(lambda: job.has_committed(*MAPS, (1, 0), (1, 1)))
    committed = job.committed()
    DAMAGE[damage](job.work_file(stage, task))
    job.let_go()
    job.resume()
    resumed_well(job, expected, committed, redone=[(stage, task)])


def test_outputs_that_were_damaged_when_all_was_done(job):
    """Killed as it committed, with a part moved already: what that needs is made again, from the start."""
    expected = job.undisturbed()
    job.shell.command, sound = [sys.executable, "-P", "-c", KILLED_IN_COMMIT], job.shell.command
    assert job.run().status == -signal.SIGKILL
    job.shell.command = sound
    part = job.folder / "out" / "part-00000"
    assert job.shell.gone() and part.exists() and not (job.folder / "out" / "_SUCCESS").exists()
    part.write_bytes(part.read_bytes()[:-1])
    job.resume()
    assert job.output() == expected


KILLED_IN_COMMIT = """
import os, sys
def look(event, args):
    if event == "os.rename" and os.fsdecode(args[1]).endswith("out/part-00001"):
        os.kill(0, 9)
sys.addaudithook(look)
from mrcore.cli.main import main
sys.exit(main())
"""


def test_killed_in_the_second_of_two_shuffles(shell):
    job = MarkedJob(shell, "job.py:pipeline")
    expected = job.undisturbed()
    job.hold("second.0")
    job.kill_once(lambda: job.marks("second") and job.has_committed((0, 0), step="p1"))
    job.forget_marks()
    job.let_go()
    job.resume()
    assert job.output() == expected
    assert job.marks("first") == {}, "the first shuffle was done"


def test_a_work_folder_that_is_deleted_under_a_job(job):
    job.hold("map.7")
    with job.start() as process:
        wait_for(lambda: job.has_committed(*MAPS[:7]))
        while (job.folder / "out" / "_work").exists():  # the job may be writing there
            shutil.rmtree(job.folder / "out" / "_work", ignore_errors=True)
        job.let_go()
        out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 3, 4, 5) and out == b""
    assert err.startswith(b"mrcore: ") and b"_work" in err and b"Traceback" not in err and b"defect" not in err
    assert job.shell.gone()


def test_nothing_of_a_resumed_job_depends_on_how_it_is_run(job):
    """Other workers and other memory are no other job."""
    expected = job.undisturbed()
    job.hold("reduce.2")
    job.kill_once(lambda: job.has_committed(*MAPS, (1, 0), (1, 1)))
    committed = job.committed()
    job.let_go()
    args = [*ARGS[: ARGS.index("-j")], "-j", "3", "--memory", "300M"]
    start = time.monotonic()
    done = job.shell.run("run", "job.py:Job", *args, "-o", "out", "--resume")
    assert (done.status, done.err) == (0, b""), done
    assert time.monotonic() - start < 60
    resumed_well(job, expected, committed)


def test_what_is_gone_on_with_stays_where_the_new_run_does_not_begin(job):
    """A signal or an error before the new run has begun costs nothing of what the old one did."""
    expected = job.undisturbed()
    job.hold("reduce.2")
    job.kill_once(lambda: job.has_committed(*MAPS))
    job.let_go()
    committed = job.committed()
    sound = job.shell.command
    for error, status in (("KeyboardInterrupt", 130), ("DiskFullError('no space left: here: free some')", 5)):
        job.shell.command = [sys.executable, "-P", "-c", STOPPED.replace("ERROR", error)]
        assert job.run("--resume").status == status
    job.shell.command = sound
    assert job.committed() == committed
    job.resume()
    resumed_well(job, expected, committed)


def test_the_best_lines_were_written_before_a_crash(shell):
    shell.write("in", b"a a b\nc\n" * 1000)
    sound = shell.command
    args = ("wordcount", "in", "-j", "2", "--top", "2", "-o", "out")
    shell.command = [sys.executable, "-P", "-c", KILLED]
    assert shell.run(*args).status == -signal.SIGKILL
    shell.command = sound
    done = shell.run(*args, "--resume")
    assert (done.status, done.err) == (0, b"")
    assert (shell.folder / "out" / "part-00000").read_bytes() == b"a\t2000\nb\t1000\n"


STOPPED = """
import sys
from mrcore.cli.main import main
from mrcore.errors import DiskFullError
from mrcore.storage.workdir import WorkDir
def size(self):
    raise ERROR
WorkDir.size = size
sys.exit(main())
"""

KILLED = """
import os, signal
from mrcore.cli.main import main
from mrcore.runtime.sinks import DirectorySink
DirectorySink.commit = lambda self, job: os.kill(os.getpid(), signal.SIGKILL)
main()
"""
