#!/usr/bin/env python3
"""Kills processes of a job at random, again and again, and compares its bytes with those of an undisturbed run.

    benchmarks/faults/kill_loop.py --seconds 600

A job of some seconds is run over and over. Each second a worker of it, drawn at random, is killed; now and then
its coordinator, or all of its processes at once, and then it goes on with ``--resume``. Each run must end with the
bytes of the undisturbed one, leave no work folder, and run no map task again that was committed when the coordinator
died. Prints a line of counts, and exits with status 1 after a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mrcore import resources
from mrcore.scheduler.ledger import NO_ATTEMPT, Ledger, decode_ledger
from mrcore.scheduler.records import decode_record
from mrcore.storage.disk import RealFile
from mrcore.storage.journal_file import Replay

MAPS = 40
JOB = '''
import os, time
import mrcore as mr

class Job(mr.MapReduce):
    def setup(self, ctx):
        open(f"ran/{ctx.phase}.{ctx.task}.{os.getpid()}.{time.monotonic_ns()}", "w").close()
        self.pause = float(os.environ["PAUSE_S"])
    def map(self, record, ctx):
        for word in record.split():
            yield word, 1
    def combine(self, key, values, ctx):
        yield key, sum(values)
    def reduce(self, key, values, ctx):
        yield key, sum(values)
    def teardown(self, ctx):
        time.sleep(self.pause)
        return ()
'''


class Loop:
    """One job in a folder, and what was done to it.

    Args:
        folder: empty.
        seed: of what is killed and when.
        pause_s: that each task sleeps.
    """

    def __init__(self, folder: Path, seed: int, pause_s: float) -> None:
        self.folder, self.draw, self.counts = folder, random.Random(seed), Counter[str]()
        (folder / "job.py").write_text(JOB)
        (folder / "in").mkdir()
        for number in range(MAPS):
            words = (b"%x" % (self.draw.getrandbits(8) ** 2) for _ in range(20_000))
            (folder / "in" / f"{number:03d}").write_bytes(b"\n".join(words))
        self.env = {**os.environ, "PAUSE_S": str(pause_s), "XDG_STATE_HOME": os.fspath(folder / "state")}
        self.sound = self.run(kills=False)

    def run(self, *, kills: bool) -> str:
        """Runs the job to its end; the digest of its output."""
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        shutil.rmtree(self.folder / "ran", ignore_errors=True)
        (self.folder / "ran").mkdir()
        args = [sys.executable, "-P", "-m", "mrcore", "run", "job.py", "in", "-o", "out", "--resume", "-j", "2"]
        args += ["--split", "file", "-R", "4", "--max-attempts", "100", "--speculation", "off"]
        done: dict[int, int] = {}
        while True:
            how = {"cwd": self.folder, "env": self.env, "start_new_session": True}
            with subprocess.Popen(args, stderr=subprocess.PIPE, **how) as job:
                was_killed = kills and self._disturb(job)
                _, said = job.communicate()
            if job.returncode == 0:
                break
            if b"output is complete" in said:  # it had been killed behind its last word
                break
            if not was_killed:
                raise SystemExit(f"a job failed: {said.decode()}")
            self.counts["resumed"] += 1
            marks = self._marks()
            done = {task: done.get(task, marks[task]) for task in self._committed()}
        marks = self._marks()
        if twice := [task for task, count in done.items() if marks[task] != count]:
            raise SystemExit(f"map tasks ran again that were committed: {twice}")
        self.counts["runs"] += 1
        self._check_clean()
        return self._digest()

    def _marks(self) -> Counter[int]:
        """How often each map task was begun."""
        names = (name.split(".") for name in os.listdir(self.folder / "ran"))
        return Counter(int(name[1]) for name in names if name[0] == "map")

    def _committed(self) -> list[int]:
        """Map tasks that the journal of a dead coordinator has for done."""
        path = os.fsencode(self.folder / "out" / "_work" / "journal-p0" / "journal")
        try:
            with open(path, "rb") as file:
                known = Replay(RealFile(file.fileno()), path)
        except FileNotFoundError:
            return []
        ledger = decode_ledger(known.snapshot) if known.snapshot is not None else Ledger()
        for record in known.records:
            ledger.apply(decode_record(record))
        attempts = ledger.jobs["p0"].stages[0].attempts if "p0" in ledger.jobs else ()
        return [task for task, attempt in enumerate(attempts) if attempt != NO_ATTEMPT]

    def _disturb(self, job: subprocess.Popen[bytes]) -> bool:
        """Kills workers until the job ends, or its coordinator is killed too; whether it was."""
        while True:
            try:
                job.wait(self.draw.uniform(0.5, 1.5))
                return False
            except subprocess.TimeoutExpired:
                drawn = self.draw.random()
            if drawn < 0.1:
                self.counts["coordinators killed"] += 1
                job.kill()
                return True
            if drawn < 0.2:
                self.counts["all killed"] += 1
                os.killpg(job.pid, signal.SIGKILL)
                return True
            workers = resources.children(job.pid)
            if workers:
                self.counts["workers killed"] += 1
                try:
                    os.kill(self.draw.choice(workers), signal.SIGKILL)
                except ProcessLookupError:
                    self.counts["workers killed"] -= 1

    def _check_clean(self) -> None:
        left = sorted(os.listdir(self.folder / "out"))
        expected = ["_SUCCESS", "_manifest.json", *(f"part-{part:05d}" for part in range(4))]
        if left != expected:
            raise SystemExit(f"the output is not what it should be: {left}")

    def _digest(self) -> str:
        found = hashlib.sha256()
        for path in sorted((self.folder / "out").iterdir()):
            found.update(path.name.encode() + b"\0" + path.read_bytes())
        return found.hexdigest()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--pause", type=float, default=0.4, help="seconds that a task sleeps")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder), arguments.seed, arguments.pause)
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            digest = loop.run(kills=True)
            if digest != loop.sound:
                shutil.copytree(folder, kept := tempfile.mkdtemp(), dirs_exist_ok=True, symlinks=True)
                raise SystemExit(f"another digest: {digest}, was {loop.sound}: see {kept}")
            print(", ".join(f"{count} {what}" for what, count in sorted(loop.counts.items())), flush=True)
    print(f"no difference: {loop.sound[:16]}")


if __name__ == "__main__":
    main()
