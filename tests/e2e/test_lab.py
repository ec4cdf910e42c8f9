"""What a MapReduce has to do to pass a course: the seven checks of MIT 6.5840's first lab, put to the command.

Eight inputs with ``--split file`` are eight map tasks. The checks: word count, an inverted index, mappers that run at
the same time, reducers that run at the same time, each map task run once, no output that still changes when
the command has ended, and workers that die or dawdle at random.
"""

import os
import re
import time
from collections import Counter

import pytest

LARGE = bool(os.environ.get("MRCORE_TEST_LARGE"))
FILES = 8
JOBS = '''
import glob, os, time
import mrcore as mr

def meet(kind, wanted, seconds=20):
    """How many tasks of a kind are at work; waits for as many as are wanted, but not for ever."""
    mine = f"at-work/{kind}.{os.getpid()}"
    open(mine, "w").close()
    end = time.monotonic() + seconds
    most = 0
    while most < wanted and time.monotonic() < end:
        most = max(most, len(glob.glob(f"at-work/{kind}.*")))
        time.sleep(0.005)
    time.sleep(0.05)  # let the others see it too
    os.unlink(mine)
    return most

def misbehave():
    drawn = int.from_bytes(os.urandom(2)) / 65536
    if drawn < 1 / 3:
        os._exit(1)
    if drawn < 2 / 3:
        time.sleep(int.from_bytes(os.urandom(2)) / 65536 * float(os.environ["DAWDLE_S"]))

class Count(mr.MapReduce):
    combine = mr.Sum()
    def map(self, record, ctx):
        for word in record.split():
            yield word, 1

class Index(mr.MapReduce):
    def map(self, record, ctx):
        for word in record.split():
            yield word, ctx.input.file
    def reduce(self, key, values, ctx):
        files = sorted(set(values))
        yield key, f"{len(files)} {','.join(map(str, files))}"

class MapsAtOnce(mr.MapReduce):
    def setup(self, ctx):
        self.met = meet("map", 2) if ctx.phase == "map" else 0
    def map(self, record, ctx):
        return ()
    def teardown(self, ctx):
        if ctx.phase == "map":
            yield "at once", self.met
    def reduce(self, key, values, ctx):
        yield key, max(values)

class ReducesAtOnce(mr.MapReduce):
    def map(self, record, ctx):
        for number in range(8):
            yield number, 1
    def partition(self, key, reducers):
        return key
    def reduce(self, key, values, ctx):
        yield key, meet("reduce", 2) if ctx.task < 2 else 2

class Counted(mr.MapReduce):
    def setup(self, ctx):
        if ctx.phase == "map":
            open(f"ran/{ctx.task}.{os.getpid()}.{time.monotonic_ns()}", "w").close()
            time.sleep(0.1)
    def map(self, record, ctx):
        yield "lines", 1
    def reduce(self, key, values, ctx):
        yield key, sum(values)

class Late(mr.MapReduce):
    def map(self, record, ctx):
        for word in record.split():
            yield word, 1
    def reduce(self, key, values, ctx):
        yield key, sum(values)
    def teardown(self, ctx):
        time.sleep(0.6 if ctx.phase == "reduce" and ctx.task == 1 else 0)
        return ()

class Sound(mr.MapReduce):
    def map(self, record, ctx):
        for word in record.split():
            yield word, (ctx.input.file, ctx.input.offset)
    def reduce(self, key, values, ctx):
        places = sorted(values)
        yield key, f"{len(places)} {places[0]} {places[-1]}"

class Crashing(Sound):
    def setup(self, ctx):
        if ctx.phase == "reduce":
            misbehave()
    def teardown(self, ctx):
        if ctx.phase == "map":  # all is read, and perhaps written
            misbehave()
        return ()
'''


@pytest.fixture
def lab(shell, text):
    """The jobs and eight inputs of different sizes, one of them empty."""
    shell.write("lab.py", JOBS.encode())
    for folder in ("in", "at-work", "ran"):
        os.mkdir(shell.folder / folder)
    edges = [0, 3000, 3001, 9000, 20_000, 20_500, 31_000, 40_000, 40_000]
    for number in range(FILES):
        shell.write(f"in/{number}", text[edges[number] : edges[number + 1]])
    return shell


def run(lab, job, *args, status=0, **how):
    done = lab.run("run", f"lab.py:{job}", "in", "--split", "file", "-j", "2", *args, **how)
    assert (done.status, done.out) == (status, b""), done
    return done


def output(lab, folder="out"):
    """All that stands in an output directory."""
    found = {name: (lab.folder / folder / name).read_bytes() for name in sorted(os.listdir(lab.folder / folder))}
    assert "_SUCCESS" in found and "_work" not in found
    return found


def lines(found):
    return sorted(line for name, data in found.items() if name.startswith("part-") for line in data.splitlines())


def words(lab):
    return {
        os.fsencode(name): re.findall(rb"[^ \t\n\r\x0b\x0c]+", (lab.folder / name).read_bytes())
        for name in (f"in/{number}" for number in range(FILES))
    }


def test_word_count(lab):
    run(lab, "Count", "-o", "out", "-R", "3")
    found = Counter(word for file in words(lab).values() for word in file)
    assert lines(output(lab)) == sorted(b"%s\t%d" % pair for pair in found.items())


def test_an_index(lab):
    run(lab, "Index", "-o", "out", "-R", "3")
    files = {}
    for name, found in words(lab).items():
        for word in found:
            files.setdefault(word, set()).add(os.fsdecode(name))
    assert lines(output(lab)) == sorted(
        b"%s\t%d %s" % (word, len(names), ",".join(sorted(names)).encode()) for word, names in files.items()
    )


def test_mappers_run_at_the_same_time(lab):
    run(lab, "MapsAtOnce", "-o", "out")
    assert lines(output(lab)) == [b"at once\t2"]


def test_reducers_run_at_the_same_time(lab):
    run(lab, "ReducesAtOnce", "-o", "out", "-R", "8")
    assert lines(output(lab)) == [b"%d\t2" % number for number in range(8)]


def test_each_map_task_runs_once(lab):
    run(lab, "Counted", "-o", "out", "-R", "2", "--speculation", "off")  # a slow task would have a second attempt
    ran = sorted(name.partition(".")[0] for name in os.listdir(lab.folder / "ran"))
    assert ran == [str(task) for task in range(FILES)]


def test_outputs_are_final_when_the_command_ends(lab):
    """One reducer is late. Nothing is there before it, and nothing changes after it."""
    with lab.start("run", "lab.py:Late", "in", "--split", "file", "-j", "2", "-R", "3", "-o", "out") as process:
        while process.poll() is None:
            present = os.listdir(lab.folder / "out") if os.path.exists(lab.folder / "out") else []
            assert "_SUCCESS" not in present or len([name for name in present if name.startswith("part-")]) == 3
            time.sleep(0.002)
    assert process.returncode == 0
    at_the_end = output(lab)
    assert lab.gone(2)
    time.sleep(0.5)
    assert output(lab) == at_the_end
    found = Counter(word for file in words(lab).values() for word in file)
    assert lines(at_the_end) == sorted(b"%s\t%d" % pair for pair in found.items())


def test_workers_that_crash_and_dawdle(lab):
    lab.env["DAWDLE_S"] = "10" if LARGE else "0.3"
    run(lab, "Sound", "-o", "sound", "-R", "4")
    run(lab, "Crashing", "-o", "out", "-R", "4", "--max-attempts", "50", timeout=900)
    sound, crashed = output(lab, "sound"), output(lab)
    sound.pop("_manifest.json"), crashed.pop("_manifest.json")  # which name the classes
    assert crashed == sound
    assert len(lines(sound)) > 1000
