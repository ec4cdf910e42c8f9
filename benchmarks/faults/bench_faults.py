#!/usr/bin/env python3
"""What faults cost: kills, stragglers, resumption, interrupts, each beside an undisturbed run in the same minute.

    benchmarks/faults/bench_faults.py [NAME...] --corpus FILE [--mrcore COMMAND] [--pairs N]

``FILE`` is a text of which a Python word count takes 30 s or more, such as ``zipf-4g.txt`` of ``benchmarks/corpora``.
Outputs are compared by digest with the undisturbed run's.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import time

from subject import Run, Subject, subject, workers_of


def one_kill(bench: Subject, whole_s: float) -> tuple[Run, str]:
    """One worker of two killed at 50 %."""
    begun = time.monotonic()
    process = bench.count()
    time.sleep(whole_s / 2)
    os.kill(random.choice(workers_of(process.pid)), signal.SIGKILL)
    run = bench.wait(process, begun)
    attempts = bench.attempts()
    return run, f"{sum(attempts)} attempts of {len(attempts)} map tasks; a task is {whole_s * 2 / len(attempts):.2f} s"


def many_kills(bench: Subject, whole_s: float) -> tuple[Run, str]:
    """A random worker killed each second, the coordinator once, and resumed."""
    begun = time.monotonic()
    process, kills, is_resumed = bench.count("--max-attempts", "50"), 0, False
    while process.poll() is None:
        time.sleep(1)
        if not is_resumed and time.monotonic() - begun > whole_s / 2:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process, is_resumed = bench.count("--max-attempts", "50", "--resume"), True
        elif workers := workers_of(process.pid):
            os.kill(random.choice(workers), signal.SIGKILL)
            kills += 1
    run = bench.wait(process, begun)
    attempts = bench.attempts()
    return run, f"{kills} kills, {sum(attempts)} attempts of {len(attempts)} map tasks"


def resume(bench: Subject, whole_s: float) -> tuple[Run, str]:
    """kill -9 of everything at 60 %; the run that resumes it."""
    process = bench.count()
    time.sleep(0.6 * whole_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    begun = time.monotonic()
    run = bench.wait(bench.count("--resume"), begun)
    attempts = bench.attempts()
    return run, f"{sum(attempts) - len(attempts)} map tasks begun twice"


COMPARED = {"one-kill": one_kill, "many-kills": many_kills, "resume": resume}


def compare(bench: Subject, name: str, pairs: int) -> None:
    """A disturbed run beside an undisturbed one, some times."""
    ratios = []
    for _ in range(pairs):
        base = bench.undisturbed()
        bench.clear()
        run, note = COMPARED[name](bench, base.seconds)
        ratios.append(run.seconds / base.seconds)
        same = "same bytes" if run.digest == base.digest and run.status == 0 else "ANOTHER RESULT"
        print(f"{name}: {run.seconds:.2f} s, undisturbed {base.seconds:.2f} s; {same}; {note}", flush=True)
    print(f"{name}: {statistics.median(ratios):.3f} of undisturbed, median of {pairs}", flush=True)


def stopped(bench: Subject, pairs: int, *, cancelled: bool) -> None:
    """How long until all is gone, from Ctrl-C or the start of ``mrcore jobs cancel``."""
    name = "cancel" if cancelled else "interrupt"
    times = []
    for number in range(pairs):
        bench.clear()
        process = bench.count()
        time.sleep(2 + number / pairs)
        workers = workers_of(process.pid)
        begun = time.monotonic()
        if cancelled:
            asked = bench.begin("jobs", "cancel", "last")
            asked.communicate()
        else:
            os.killpg(process.pid, signal.SIGINT)
        run = bench.wait(process, begun)
        left = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
        assert workers and not left, (workers, left)
        assert run.status == (6 if cancelled else 130), run
        times.append(run.seconds)
    middle, most = (1000 * value for value in (statistics.median(times), max(times)))
    print(f"{name}: all gone after {middle:.0f} ms, median of {pairs}, at most {most:.0f} ms", flush=True)


def straggler(bench: Subject, pairs: int, slowness: str) -> None:
    """40 tasks of a second, one of two workers slower: speculation on and off."""
    inputs = []
    for number in range(40):
        path = bench.folder / f"task{number:02d}"
        path.write_text(f"{number}\n")
        inputs.append(str(path))
    ratios = []
    for pair in range(pairs):
        runs = {}
        for mode in ("auto", "off") if pair % 2 else ("off", "auto"):
            bench.clear()
            mark = bench.folder / "slow"
            mark.unlink(missing_ok=True)
            begun = time.monotonic()
            process = bench.start(
                "Straggler", inputs, "--split", "file", "--speculation", mode, SLOW_MARK=str(mark), SLOWNESS=slowness
            )
            runs[mode] = bench.wait(process, begun)
        off, on = runs["off"], runs["auto"]
        assert (off.status, on.status) == (0, 0) and off.digest == on.digest, runs
        ratios.append(off.seconds / on.seconds)
        print(f"straggler {slowness}x: off {off.seconds:.2f} s, on {on.seconds:.2f} s; same bytes", flush=True)
    print(f"straggler {slowness}x: speculation is {statistics.median(ratios):.2f} times as fast, median of {pairs}")


def main() -> None:
    """Runs the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*COMPARED, "interrupt", "cancel", "straggler")
    parser.add_argument("names", nargs="*", choices=[*known, []], default=[], metavar="NAME")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--mrcore", default="mrcore")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--slowness", default="10")
    arguments = parser.parse_args()
    with subject(arguments.mrcore, arguments.corpus) as bench:
        for name in arguments.names or known:
            if name in COMPARED:
                compare(bench, name, arguments.pairs)
            elif name == "straggler":
                straggler(bench, arguments.pairs, arguments.slowness)
            else:
                stopped(bench, arguments.pairs, cancelled=name == "cancel")


if __name__ == "__main__":
    main()
