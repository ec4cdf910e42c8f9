"""Functions of users that fail, misbehave or harm: one clear error with the record's place, and nothing is left."""

import json
import os
import signal
import threading
import time

import pytest

import mrcore as mr

RECORDS = 20_000
BAD = 12_345  # the record that the functions stumble over
TEXT = b"".join(b"%d\n" % number for number in range(RECORDS))
AT = f"in, byte {TEXT.index(b'%d' % BAD)}"
PLACE = f"{AT}, map task 0"
JOB = """
import os, signal, subprocess, sys, time
import mrcore as mr

class Odd(Exception):
    def __str__(self): raise ValueError("no text")
    __repr__ = __str__

def deep(n):
    return (deep(n - 1),) if n else ()

def recurse(x):
    return recurse(x)

def exact():
    raise StopIteration

class Job(mr.MapReduce):
    def map(self, record, ctx):
        if record == b"12345":
            {bad}
        yield int(record), 1
"""


def write_job(shell, bad):
    shell.write("in", TEXT)
    shell.write("job.py", JOB.replace("{bad}", bad).encode())


def blamed(done, status, *said):
    """One line of mrcore's at the end, nothing on standard output; what stands before the line."""
    before, _, line = done.err.decode().rstrip("\n").rpartition("\n")
    assert (done.status, done.out) == (status, b""), done
    assert line.startswith("mrcore: ")
    for words in said:
        assert words in line
    return before


RAISING = {  # what the function does: words of the error, and of its traceback
    "raise ValueError('mine')": ("ValueError: mine", "ValueError: mine"),
    "raise ValueError('a\\nb\\udc80')": ("ValueError: a\\nb\\udc80", "b\\udc80"),
    "raise ValueError('x' * 10_000_000)": ("ValueError: xxx", "xxx"),
    "raise Odd": ("Odd: (it has no text)", "Odd"),
    "exact()": ("RuntimeError: generator raised StopIteration", "in exact"),
    "recurse(1)": ("RecursionError: maximum recursion depth exceeded", "in recurse"),
    "sys.exit('enough')": ("the job's own code called exit('enough')", "SystemExit: enough"),
    "sys.exit(Odd())": ("the job's own code called exit((a Odd without a repr))", "in map"),
    "raise BaseException('base')": ("BaseException: base", "in map"),
    "raise MemoryError": ("out of memory in the job's own code", "in map"),
    "raise mr.MrcoreError('theirs')": ("theirs", ""),
    "import nowhere": ("ModuleNotFoundError: No module named 'nowhere'", "in map"),
}


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("bad", RAISING)
def test_a_mapper_that_raises_on_one_record(shell, bad, workers):
    write_job(shell, bad)
    words, traced = RAISING[bad]
    done = shell.run("run", "job.py", "in", "-j", workers, "-o", "out")
    trace = blamed(done, 1, words, *([PLACE + ": "] if traced else []))
    assert traced in trace and len(done.err) < 30_000
    assert 'job.py", line ' in trace or not traced
    assert "/mrcore/" not in trace, "the frames that stand above the user's are ours"
    assert sorted(os.listdir(shell.folder)) == ["in", "job.py"]


YIELDING = {  # what is yielded: words of the error
    "None": "not a (key, value) pair: None",
    "1, 2, 3": "not a (key, value) pair: a tuple of 3: (1, 2, 3)",
    "[1, 2]": "not a (key, value) pair: list: [1, 2]",
    "[1], 2": "a key of type list: keys are bytes, str, int, float, or tuples of these; write tuple(key)"[:40],
    "'1', 2": "a key of type str, where those before were of type int: the keys of a job are of one type",
    "(1,), 2": "a key of type tuple[int], where those before were of type int",
    "True, 2": "a key of type bool",
    "None, 2": "a key of type NoneType",
    "1 << 63, 2": "a key outside of int64: an int of 64 bits; write str(key)",
}


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("made", YIELDING)
def test_a_mapper_that_yields_what_is_no_pair_or_no_key(shell, made, workers):
    write_job(shell, f"yield {made}")
    done = shell.run("run", "job.py", "in", "-j", workers, "-o", "out")
    assert blamed(done, 1, YIELDING[made], "job.py line 21, in map", PLACE) == ""
    assert sorted(os.listdir(shell.folder)) == ["in", "job.py"]


def test_one_record_of_a_million(shell):
    write_job(shell, "return")
    shell.write("in", b"7\n" * 700_000 + b"bad\n" + b"7\n" * 299_999)
    done = shell.run("run", "job.py", "in", "-j", "2", "--split", "2M")
    assert "invalid literal" in blamed(done, 1, "ValueError", "in, byte 1400000, map task 0")


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("key", ["float('nan')", "(1, float('nan'))", "'\\udc80'", "deep(101)"])
def test_keys_without_a_place_in_an_order(shell, key, workers):
    write_job(shell, "pass")
    shell.write("job.py", JOB.replace("{bad}", "pass").replace("int(record), 1", f"{key}, 1").encode())
    blamed(shell.run("run", "job.py", "in", "-j", workers), 1, "a key ", "in, byte 0, map task 0")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_keys_of_two_types_in_two_tasks(shell, workers):
    write_job(shell, "pass")
    shell.write("job.py", JOB.replace("{bad}", "pass").replace("int(record)", "record if ctx.task else 1").encode())
    done = shell.run("run", "job.py", "in", "-j", workers, "--split", "50K")
    assert done.failed(1, "keys of two types: int in map task 0, bytes in map task 1")


LOST = {
    "os._exit(0)": "exit status 0",
    "os._exit(3)": "exit status 3",
    "os.kill(os.getpid(), signal.SIGKILL)": "killed by SIGKILL",
    "os.abort()": "killed by SIGABRT",
    "os.kill(os.getpid(), signal.SIGRTMIN + 5)": "killed by signal 39",
}


@pytest.mark.parametrize("bad", LOST)
def test_a_mapper_that_ends_its_process(shell, bad):
    write_job(shell, bad)
    done = shell.run("run", "job.py", "in", "-j", "2", "-o", "out", "--max-attempts", "2")
    assert done.failed(1, "2 attempts failed", "a worker process ended", LOST[bad], f"while it ran map task 0 ({AT})")
    assert sorted(os.listdir(shell.folder)) == ["in", "job.py"]


def test_a_workers_own_keyboard_interrupt_is_an_error_of_its_code(shell):
    write_job(shell, "raise KeyboardInterrupt")
    assert "in map" in blamed(shell.run("run", "job.py", "in", "-j", "2"), 1, "KeyboardInterrupt", PLACE)


def test_a_worker_that_takes_memory_without_end(shell):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29)); held = []"
    write_job(shell, limit + "\n            while True: held.append(bytearray(1 << 24))")
    blamed(shell.run("run", "job.py", "in", "-j", "1"), 1, "out of memory in the job's own code", PLACE)


ENDLESS = {
    "sleep": "time.sleep(99)",
    "busy": "while True: pass",
    "catches all": "while True:\n                try: time.sleep(99)\n                except: pass",
    "subprocess": "subprocess.run(['sh', '-c', 'sleep 98 & sleep 99'])",
    "session of its own": "subprocess.run(['setsid', 'sh', '-c', 'setsid sleep 98 & sleep 99'])",
    "multiprocessing": "import multiprocessing as m; p = m.Process(target=time.sleep, args=[99]); p.start(); p.join()",
    "fork": "os.fork(); time.sleep(99)",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("workers", "bad"), [("2", bad) for bad in ENDLESS] + [("0", "sleep"), ("0", "busy")])
def test_a_mapper_that_never_ends_is_interrupted_with_all_its_processes(shell, workers, bad, number):
    write_job(shell, f"open('begun', 'w').close(); {ENDLESS[bad]}".replace("; while", "\n            while"))
    with shell.start("run", "job.py", "in", "-j", workers, "-o", "out") as process:
        end = time.monotonic() + 20
        while not (shell.folder / "begun").exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        start = time.monotonic()
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=10)
    assert time.monotonic() - start < 2
    word = b"interrupted" if number == signal.SIGINT else b"terminated"
    how = b"" if workers == "0" else b": out: go on with --resume"
    assert (process.returncode, out, err) == (128 + number, b"", b"mrcore: " + word + how + b"\n")
    assert shell.gone()
    assert sorted(os.listdir(shell.folder)) == ["begun", "in", "job.py", *(["out"] if how else [])]
    assert not how or os.listdir(shell.folder / "out") == ["_work"]


@pytest.mark.parametrize("limit", [(), ("prlimit", "--data=3000000000")], ids=["", "with a limit on data"])
@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_a_fork_that_comes_back_does_no_harm(shell, workers, limit):
    write_job(shell, "os.fork()")
    done = shell.run("run", "job.py", "in", "-j", workers, "-o", "out", "--split", "30K", prefix=limit)
    assert (done.status, done.out, done.err) == (0, b"", b"")
    assert json.loads((shell.folder / "out" / "_manifest.json").read_bytes())["parts"][0]["records"] == RECORDS
    assert shell.gone()


@pytest.mark.parametrize("end", ["os._exit(1)", "raise ValueError('parent')", "pass"])
def test_a_child_that_sleeps_while_its_parent_ends(shell, end):
    write_job(shell, f"(os.fork() or time.sleep(99)); {end}")
    done = shell.run("run", "job.py", "in", "-j", "2")
    assert done.status == (0 if end == "pass" else 1)
    assert shell.gone()


def test_a_program_whose_worker_died_ends_too(shell):
    write_job(shell, "subprocess.Popen(['sleep', '99'], stderr=subprocess.DEVNULL); os._exit(1)")
    done = shell.run("run", "job.py", "in", "-j", "1")
    assert done.status == 1
    assert shell.gone()


def printed(shell):
    """What the last job's functions printed."""
    done = shell.run("jobs", "logs", "last")
    assert (done.status, done.err.count(b"\n")) == (0, 1), "a heading for the one task that printed"
    return done.out


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_a_program_of_the_users_prints_is_no_data(shell, workers):
    write_job(shell, "subprocess.run(['echo', 'noise'])")
    done = shell.run("run", "job.py", "in", "-j", workers)
    assert (done.status, done.err) == (0, b"noise\n" if workers == "0" else b"")
    assert b"noise" not in done.out
    assert workers == "0" or printed(shell) == b"noise\n"


class TestWhatCannotTravel:
    """A SerializationError names the part."""

    def refused(self, dataset, *said):
        with pytest.raises(mr.SerializationError) as caught:
            dataset.collect(mr.Local(workers=1))
        assert "\n" not in str(caught.value)
        for words in ("cannot be pickled: ", *said):
            assert words in str(caught.value)

    def test_attributes(self):
        class Job(mr.MapReduce):
            def __init__(self, part):
                self.fine, self.nested = 1, {"deep": [1, part]}

            def map(self, record, ctx):
                yield record, 1

        class Slots(Job):
            __slots__ = ("slot",)

            def __init__(self, part):
                self.slot = part

        for make, where in ((Job, ".nested['deep'][1]"), (Slots, ".slot")):
            with open(os.devnull, "wb") as file:
                for part in (threading.Lock(), (x for x in ()), file, threading.Thread(target=print)):
                    with pytest.raises(mr.SerializationError) as caught:
                        mr.run(make(part), os.devnull, executor=mr.Inline())
                    assert where in str(caught.value)

    def test_closures_defaults_and_partial_functions(self):
        import functools

        lock = threading.Lock()

        def closure(x):
            return lock, x, never

        if not lock:
            never = 1  # its cell is empty

        items = mr.from_items([1])
        self.refused(items.map(closure), "'s lock, of type _thread.lock")
        self.refused(items.map(lambda x, keep=lock: x), "-> default <")
        self.refused(items.map(functools.partial(lambda keep, x: x, lock)), "'s args[0], of type _thread.lock")
        made = {"lock": lock}
        exec("def function(x, *, keep=lock): return x", made)
        self.refused(items.map(made["function"]), "-> default of keep")

    def test_an_object_that_does_not_like_to_be_looked_at(self):
        class Shy:
            def __getattr__(self, name):
                raise ValueError("do not look")

            def __reduce_ex__(self, protocol):
                raise ValueError("do not touch")

        shy = Shy()
        self.refused(mr.from_items([1]).map(lambda x: shy), "'s shy, of type", "ValueError: do not touch")

    def test_items_and_values(self):
        self.refused(mr.from_items([threading.Lock()]), "a value of type lock")
        self.refused(mr.from_items([1]).map(lambda x: (1, [iter(x for x in ())])), "a value of type list[0]")
        grouped = mr.from_items([(1, 2), (1, 3)]).group_by_key()
        self.refused(grouped.map(lambda pair: [pair[1]]), "the values of a group cannot be kept")

    def test_a_value_of_a_combiner(self, shell):
        write_job(shell, "pass")
        more = "\n    def combine(self, key, values, ctx): yield key, (x for x in ())\n"
        more += "    def reduce(self, *a): return []\n"
        shell.write("job.py", JOB.replace("{bad}", "pass").encode() + more.encode())
        for workers in ("0", "2"):
            done = shell.run("run", "job.py", "in", "-j", workers)
            assert done.failed(1, "cannot be pickled: a value of type generator")

    def test_a_job_that_does_not_load(self):
        class Job(mr.MapReduce):
            def map(self, record, ctx):
                yield 1, 1

            def __getstate__(self):
                return 1

            def __setstate__(self, state):
                raise RuntimeError("not here")

        for executor in (mr.Inline(), mr.Local(workers=1)):
            with pytest.raises(mr.SerializationError, match="does not load in the worker: RuntimeError: not here"):
                mr.run(Job, os.devnull, executor=executor)


FILES = {
    "1/0": (1, "ZeroDivisionError", "while job.py was loaded"),
    "import nowhere": (1, "ModuleNotFoundError: No module named 'nowhere'", "while job.py was loaded"),
    "import beside": (1, "ZeroDivisionError", "while job.py was loaded"),
    "def x(:": (1, "SyntaxError", "while job.py was loaded"),
    "import sys; sys.exit(9)": (1, "called exit(9)", "while job.py was loaded"),
    "": (2, "which job: job.py has none"),
    "import mrcore\nclass A(mrcore.MapReduce): pass": (2, "a job without map: A"),
    "import mrcore\nclass A(mrcore.MapReduce): map = 5": (2, "map is no method: A: 5"),
    "import mrcore\nclass A(mrcore.MapReduce):\n    def map(self, r, c): pass\n    reduce = mrcore.Sum()":
        (2, "reduce is no method: A: mr.Sum(): an aggregate goes into combine"),
    "import mrcore\nclass A(mrcore.MapReduce):\n    def map(self, r, c): pass\n    combine = mrcore.Sum":
        (2, "not an aggregate but its class: Sum: write mr.Sum()"),
    "import mrcore\nclass A(mrcore.MapReduce):\n    def map(self, r, c): pass\n    encoding = 'klingon'":
        (2, "not an encoding of text: 'klingon'"),
    "import mrcore\nclass A(mrcore.MapReduce):\n    def __init__(self, x): pass": (2, "does not take these arguments"),
}  # fmt: skip


@pytest.mark.parametrize("text", FILES)
def test_files_without_a_job(shell, text):
    shell.write("beside.py", b"1/0")
    shell.write("job.py", text.encode())
    blamed(shell.run("run", "job.py", "beside.py", "-o", "out"), *FILES[text])
    assert not (shell.folder / "out").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_mapper_that_goes_to_another_directory_finds_its_next_input(shell, workers):
    write_job(shell, "os.chdir('/')")
    shell.write("in2", b"1\n12345\n")
    done = shell.run("run", "job.py", "in", "in2", "-j", workers, "-o", "out")
    assert (done.status, done.err) == (0, b"")
    assert sorted(os.listdir(shell.folder)) == ["in", "in2", "job.py", "out"]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_value_that_memory_cannot_hold_is_a_matter_of_the_budget(shell, workers):
    write_job(shell, "yield 1, b'x' * 100_000_000")
    done = shell.run("run", "job.py", "in", "-j", workers, "-o", "out", "--memory", "64MiB")
    assert done.failed(5, "a record of 100,000,", PLACE, "raise --memory, lower -j, or yield smaller values")
    assert sorted(os.listdir(shell.folder)) == ["in", "job.py"]


def test_a_value_of_100_megabytes_comes_out_where_there_is_room(shell):
    write_job(shell, "yield 1, b'x' * 100_000_000")
    done = shell.run("run", "job.py", "in", "-j", "1", "-o", "out", "--memory", "1GiB")
    assert (done.status, done.err) == (0, b"")
    assert (shell.folder / "out" / "part-00000").stat().st_size > 100_000_000


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_mapper_that_prints_a_lot(shell, workers):
    write_job(shell, "print('noise' * 2_000_000)")
    done = shell.run("run", "job.py", "in", "-j", workers)
    assert done.status == 0
    assert (done.out.count(b"\n"), done.out.count(b"noise")) == (RECORDS, 0)
    noise = b"noise" * 2_000_000 + b"\n"
    assert done.err == (noise if workers == "0" else b"")
    assert workers == "0" or printed(shell) == noise


def test_a_module_that_the_worker_does_not_find(shell):
    shell.write("in", TEXT)
    shell.write("beside.py", b"def number(record): return int(record)\n")
    lost = "from beside import number; import os; os.remove('beside.py')\n"
    shell.write("job.py", (lost + JOB.replace("{bad}", "pass").replace("int(record)", "number(record)")).encode())
    shell.env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = shell.run("run", "job.py", "in", "-j", "1", "-o", "out")
    assert done.failed(1, "a module of the job is missing in the worker: beside: put it beside the job's file")
    assert sorted(os.listdir(shell.folder)) == ["in", "job.py"]
