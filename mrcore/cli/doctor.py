"""``mrcore doctor``: says what this installation is and what is wrong with it."""

from __future__ import annotations

import argparse
import os
import sys

from mrcore.cli.output import write_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = b"to be or not to be"
ANSWER = b"be\t2\nnot\t1\nor\t1\nto\t2\n"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "doctor",
        help="check this installation",
        description="Checks this installation; exit status 1 when a check fails.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Prints one line a check; 1 if any failed."""
    import platform

    import mrcore

    write_out(f"mrcore {mrcore.__version__}, Python {platform.python_version()}, {platform.platform()}")
    failed = 0
    checks: dict[str, Callable[[], str]] = {
        "kernels": _kernels,
        "hash": _hash,
        "cores": _cores,
        "memory": _memory,
        "temporary files": _temporary,
        "in-process count": lambda: _count(0),
        "worker count": lambda: _count(1),
    }
    for name, check in checks.items():
        try:
            line = f"ok    {name}: {check()}"
        except Exception as error:  # whatever is wrong is the answer here
            failed += 1
            line = f"FAIL  {name}: {type(error).__name__}: {error}"
        write_out(line)
    return 1 if failed else 0


def _kernels() -> str:
    from mrcore.kernels import cpu, merge, sort, table, tokenize  # noqa: F401 - importing is the check

    return f"CPU path {cpu.active()} of {', '.join(cpu.available())}"


def _hash() -> str:
    import xxhash

    from mrcore.kernels.hash import xxh3_64

    for length in (0, 3, 8, 16, 100, 200, 1000):
        data = bytes(i & 0xFF for i in range(length))
        if xxh3_64(data) != xxhash.xxh3_64_intdigest(data):
            raise ValueError(f"XXH3 of {length} bytes differs from the xxhash package's")
    return "equal to the xxhash package's"


def _cores() -> str:
    from mrcore.resources import cores

    return f"{cores()} usable of {os.cpu_count()}"


def _memory() -> str:
    pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
            huge = file.read().strip()
    except OSError:
        huge = "unknown"
    return f"{pages * size / (1 << 30):.1f} GiB free; transparent huge pages: {huge}"


def _temporary() -> str:
    from mrcore.errors import shown
    from mrcore.storage.workdir import default_tmp, temporary

    with temporary(default_tmp()) as work:
        with open(work.file("probe"), "wb") as file:
            file.write(CORPUS)
            os.fsync(file.fileno())
        space = os.statvfs(work.path)
    return f"{shown(default_tmp())} is writable, {space.f_bavail * space.f_frsize / (1 << 30):.1f} GiB free"


def _count(workers: int) -> str:
    import time

    from mrcore.runtime.job import run_job
    from mrcore.runtime.jobs import CountJob
    from mrcore.runtime.plan import Options
    from mrcore.runtime.sinks import MemorySink
    from mrcore.storage.workdir import default_tmp, temporary

    start = time.monotonic()
    with temporary(default_tmp()) as work:
        path = work.file("corpus")
        with open(path, "wb") as file:
            file.write(CORPUS)
        sink = MemorySink()
        run_job(CountJob((path,)), Options(workers=workers), sink)
    if b"".join(sink.parts) != ANSWER:
        raise ValueError(f"wrong answer: {b''.join(sink.parts)!r}")
    where = f"a worker started by {sys.executable}" if workers else "this process"
    return f"right, {1000 * (time.monotonic() - start):.0f} ms in {where}"
