"""A job whose tasks leave a mark each time they run, and can be held: for tests that kill it at a chosen point."""

import contextlib
import os
import signal
import time
from collections import Counter

from mrcore.errors import CorruptionError
from mrcore.scheduler.ledger import NO_ATTEMPT, Ledger, decode_ledger
from mrcore.scheduler.records import decode_record
from mrcore.storage.disk import RealFile
from mrcore.storage.journal_file import Replay

FILES, REDUCERS = 8, 3
PATIENCE_S = 30
JOB = '''
import os, time
import mrcore as mr

def mark(phase, task):
    open(f"ran/{phase}.{task}.{os.getpid()}.{time.monotonic_ns()}", "w").close()
    while os.path.exists(f"hold/{phase}.{task}"):
        time.sleep(0.005)

class Job(mr.MapReduce):
    def setup(self, ctx):
        mark(ctx.phase, ctx.task)
    def map(self, record, ctx):
        ctx.counter("lines").add()
        yield record, ctx.input.offset
    def reduce(self, key, values, ctx):
        yield key, sorted(values)

def count(line):
    return line[:2], 1

def swap(pair):
    mark("first", 0)
    return pair[1], pair[0]

def show(pair):
    mark("second", 0)
    return pair

def pipeline(inputs):
    return mr.read_text(inputs).map(count).reduce_by_key(mr.Sum()).map(swap).partition_by(2).map(show)
'''
ARGS = ("in", "--split", "file", "-R", str(REDUCERS), "-j", "2", "--speculation", "off")


_UNDISTURBED = {}


def wait_for(condition, what="what was waited for"):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.005)


class MarkedJob:
    """The job in a shell's folder."""

    def __init__(self, shell, job="job.py:Job"):
        self.shell, self.folder, self.job = shell, shell.folder, job
        shell.write("job.py", JOB.encode())
        for name in ("in", "ran", "hold"):
            os.mkdir(self.folder / name)
        for number in range(FILES):
            lines = (b"%d %d" % (line % 7, line) for line in range(number * 300, number * 300 + 600))
            shell.write(f"in/{number}", b"\n".join(lines))

    def hold(self, *tasks):
        """These stay where they are when they run, until they are let go."""
        for task in tasks:
            (self.folder / "hold" / task).touch()

    def let_go(self):
        for name in os.listdir(self.folder / "hold"):
            os.unlink(self.folder / "hold" / name)

    def marks(self, phase="map"):
        """How often each task of a phase was run."""
        names = (name.split(".") for name in os.listdir(self.folder / "ran"))
        return Counter(int(name[1]) for name in names if name[0] == phase)

    def forget_marks(self):
        for name in os.listdir(self.folder / "ran"):
            os.unlink(self.folder / "ran" / name)

    @contextlib.contextmanager
    def start(self, *args, out="out", **how):
        """The job as it runs; killed at last, if nothing else has ended it."""
        with self.shell.start("run", self.job, *ARGS, "-o", out, *args, **how) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *args, out="out", **how):
        return self.shell.run("run", self.job, *ARGS, "-o", out, *args, **how)

    def resume(self, *args, **how):
        """Goes on, and says so if it does not."""
        done = self.run("--resume", *args, **how)
        assert (done.status, done.out, done.err) == (0, b"", b""), done
        assert self.shell.gone()

    def undisturbed(self):
        """What the job makes of its input, which is the same for every test; its marks are forgotten."""
        if self.job not in _UNDISTURBED:
            _UNDISTURBED[self.job] = self._run_undisturbed()
        return _UNDISTURBED[self.job]

    def _run_undisturbed(self):
        held = os.listdir(self.folder / "hold")
        self.let_go()
        done = self.run(out="undisturbed")
        assert (done.status, done.err) == (0, b""), done
        self.hold(*held)
        self.forget_marks()
        return self.output("undisturbed")

    def output(self, out="out"):
        """All that stands in an output that is whole."""
        found = {name: (self.folder / out / name).read_bytes() for name in sorted(os.listdir(self.folder / out))}
        assert "_SUCCESS" in found and "_work" not in found
        return found

    def kill_once(self, condition, *args):
        """Starts it, and kills all its processes at once when something is true."""
        with self.start(*args) as process:
            wait_for(lambda: condition() or process.poll() is not None)
            assert process.poll() is None, process.stderr.read()
            os.killpg(process.pid, signal.SIGKILL)
        assert self.shell.gone()

    def committed(self, step="p0"):
        """Stage and task of each attempt that a journal says is committed."""
        path = os.fsencode(self.folder / "out" / "_work" / f"journal-{step}" / "journal")
        try:
            with open(path, "rb") as file:
                known = Replay(RealFile(file.fileno()), path)
        except (FileNotFoundError, CorruptionError):  # not made yet
            return set()
        ledger = decode_ledger(known.snapshot) if known.snapshot is not None else Ledger()
        for record in known.records:
            ledger.apply(decode_record(record))
        return {
            (stage, task)
            for job in ledger.jobs.values()
            for stage, found in enumerate(job.stages)
            for task, attempt in enumerate(found.attempts)
            if attempt != NO_ATTEMPT
        }

    def has_committed(self, *tasks, step="p0"):
        return self.committed(step) >= set(tasks)

    def work_file(self, stage, task):
        """Path of a committed task's output."""
        names = [name for name in os.listdir(self.folder / "out" / "_work") if name.startswith(f"p0.{stage}.{task}")]
        assert len(names) == 1, names
        return self.folder / "out" / "_work" / names[0]
