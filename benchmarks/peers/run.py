#!/usr/bin/env python3
"""Times mrcore against its peers by one protocol, and prints a markdown table a job.

    run.py JOB... [--corpora DIR] [--mrcore PATH] [--peer-python PATH] [--json FILE]      run.py --list

A ratio says how many times as long as ours the peer took. The exit status is 1 when answers differed or a program
failed; a peer that is not installed is skipped with a line saying so. The protocol is in measure.py, the programs are
in subjects.py, the jobs in jobs.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import machine
from bench import Bench, Corpus, Job
from jobs import JOBS
from measure import SubjectError, laboratory
from race import IDLE_PAIRS
from subjects import PEERS

ROOT = Path(__file__).resolve().parents[2]
MAKE_CORPUS = ROOT / "benchmarks" / "corpora" / "make.py"
SMALL_TEXT_BYTES = 1024
AVAILABLE_SHARE = 0.8  # of the available memory: more is never touched


def main() -> int:
    options = parse_options()
    if options.list:
        for name, job in JOBS.items():
            print(f"{name:20} {job.about}")
        return 0
    here = machine.describe()
    touch_mib = min(int(options.touch * 1024), int(here.memory_available_bytes * AVAILABLE_SHARE) >> 20)
    settings = {
        "pairs": options.pairs,
        "touch_mib": touch_mib,
        "idle_s": options.idle,
        "idle_pairs": IDLE_PAIRS if options.idle else 0,
        "pair_below": options.pair_below,
        "timeout_s": options.timeout,
    }
    print(f"- machine: {here}")
    print(f"- settings: {', '.join(f'{key} {value:g}' for key, value in settings.items())}; A B B A, input in the page")
    print("  cache, whole process, two workers or threads unless said otherwise, no fsync asked of anyone")
    with laboratory(options.work, touch_mib, options.timeout) as room:
        bench = Bench(options, room, find_versions(options))
        for name in options.jobs:
            play(bench, name, JOBS[name])
    if options.json:
        report = {"machine": asdict(here), "versions": bench.versions, "settings": settings, "jobs": bench.results}
        options.json.write_text(json.dumps(report, indent=1, default=str) + "\n")
    return int(bench.failed)


def parse_options() -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description="Time mrcore against what its users would pick instead.")
    add = parser.add_argument
    add("jobs", nargs="*", metavar="JOB", help="what to time, see --list")
    add("--list", action="store_true", help="say what jobs there are, and stop")
    add("--corpora", type=Path, metavar="DIR", default=ROOT / "corpora", help="made here when missing (%(default)s)")
    add("--work", type=Path, metavar="DIR", help="where outputs and temporary files go (the system's place for them)")
    add("--mrcore", metavar="PATH", default=default_mrcore(), help="the program (%(default)s)")
    add("--peer-python", metavar="PATH", default=sys.executable, help="the Python that has the peers (%(default)s)")
    add("--peers", metavar="LIST", default=",".join(names), help="comma-separated (%(default)s)")
    add("--pairs", type=int, metavar="N", default=5, help="timed pairs a comparison (%(default)s)")
    add("--touch", type=float, metavar="GIB", default=10, help="memory touched before every run (%(default)s)")
    add("--idle", type=float, metavar="S", default=0, help="also time the best peer after idling so long (off)")
    add("--pair-below", type=float, metavar="X", default=3, help="pair peers within X times the best (%(default)s)")
    add("--timeout", type=float, metavar="S", default=600, help="seconds that a run may take (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="also write every run to this file")
    options = parser.parse_args()
    if options.list:
        return options
    options.peers = options.peers.split(",")
    if unknown := sorted({*options.jobs} - {*JOBS} | {*options.peers} - {*names}):
        parser.error(f"no job or peer is called {', '.join(unknown)}")
    if not options.jobs:
        parser.error("name at least one JOB (or --list)")
    if options.pairs < 1:
        parser.error("--pairs must be 1 or more")
    for program in ("mrcore", "peer_python"):
        if (found := shutil.which(getattr(options, program))) is None:
            parser.error(f"{getattr(options, program)} is not a program: --{program.replace('_', '-')} PATH names it")
        setattr(options, program, os.path.abspath(found))  # runs have a working directory of their own
    return options


def default_mrcore() -> str:
    beside = Path(sys.executable).with_name("mrcore")
    return str(beside) if beside.exists() else "mrcore"


def find_versions(options: argparse.Namespace) -> dict[str, str]:
    """Of mrcore and of every wanted peer that can be run; asking also leaves their libraries in the page cache."""
    done = subprocess.run([options.mrcore, "--version"], capture_output=True, text=True)
    versions = {"mrcore": done.stdout.strip() or "mrcore, unknown version"}
    for peer in PEERS:
        if peer.name not in options.peers:
            continue
        if version := peer.version(options.peer_python):
            versions[peer.name] = version
        else:
            print(f"- skipped: {peer.name} is not installed for {options.peer_python}")
    print(f"- versions: {'; '.join(versions.values())}")
    return versions


def play(bench: Bench, name: str, job: Job) -> None:
    print(f"\n### {name}: {job.about}\n", flush=True)
    for wanted in job.corpora or [None]:
        try:
            corpus = find_corpus(bench.options.corpora, wanted) if wanted else small_text(bench.laboratory.work)
            found: dict[str, Any] = {"job": name, "corpus": asdict(corpus)}
            if wanted:
                found["line_count_bytes_per_s"] = describe(corpus)
            bench.results.append({**found, **job.play(bench, corpus)})
        except (SubjectError, subprocess.CalledProcessError) as error:
            bench.failed = True
            print(f"\n**{error}**", flush=True)
        print()


def describe(corpus: Corpus) -> float | None:
    """Prints a line about the corpus; bytes a second of ``wc -l`` if it is one file."""
    print(f"Corpus {corpus.name}, {corpus.size_bytes:,} bytes, XXH3 {corpus.digest}", end="")
    if corpus.path.is_dir():
        print(".\n", flush=True)
        return None
    speed = machine.line_count_bytes_per_s(corpus.path)
    print(f", which `wc -l` reads at {speed / 1e9:.2f} GB/s.\n", flush=True)
    return speed


def find_corpus(folder: Path, wanted: str) -> Corpus:
    command = [sys.executable, str(MAKE_CORPUS), wanted, "--into", str(folder)]
    line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    name, digest, size_bytes, path = line.rstrip("\n").split("\t")
    return Corpus(name, digest, int(size_bytes), Path(path).resolve())


def small_text(work: Path) -> Corpus:
    path = work / "small.txt"
    path.write_bytes((b"the quick brown fox jumps over the lazy dog\n" * SMALL_TEXT_BYTES)[:SMALL_TEXT_BYTES])
    return Corpus("small text", "not pinned", SMALL_TEXT_BYTES, path)


if __name__ == "__main__":
    sys.exit(main())
