"""What a job costs beside time: modules loaded, memory held."""

import re
import time

import pytest

HEAVY = {
    "numpy", "asyncio", "cloudpickle", "rich", "multiprocessing", "concurrent", "subprocess", "ssl", "http", "email",
    "logging", "pathlib", "unittest", "ctypes",
}  # fmt: skip


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_native_job_loads_nothing_heavy_in_any_of_its_processes(shell, text, workers):
    shell.write("x", text)
    shell.env["PYTHONPROFILEIMPORTTIME"] = "1"
    done = shell.run("wordcount", "-j", workers, "--split", "50K", "x", "-o", "out")
    assert done.status == 0
    loaded = re.findall(r"^import time: .*\| +(\S+)$", done.err.decode(), re.MULTILINE)
    processes = loaded.count("mrcore.engine.map_task")
    assert processes == 1 if workers == "0" else 2 <= processes <= 3, "the first worker may have done it all"
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert "mrcore.runtime.pipeline" not in loaded, "it has no functions of a user's"


def test_importing_mrcore_loads_nothing_of_it(shell):
    script = "import sys, mrcore; print([name for name in sys.modules if name.startswith('mrcore.')])"
    shell.command = [shell.command[0], "-P", "-c", script]
    assert shell.run().out == b"[]\n"


def held(pid):
    """RssAnon + RssShmem of a process, in bytes."""
    try:
        with open(f"/proc/{pid}/status") as file:
            status = file.read()
    except OSError:
        return 0
    return sum(1024 * int(size) for size in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", status, re.MULTILINE))


def test_memory_of_all_processes_does_not_grow_with_the_input(shell, text):
    peaks = []
    for repeats in (100, 600):  # 30 and 180 MB, the same words
        with open(shell.folder / "x", "wb") as file:
            for _ in range(repeats):
                file.write(text)
        peak = 0
        with shell.start("wordcount", "-j", "2", "--split", "8M", "x", "-o", f"out-{repeats}") as process:
            while process.poll() is None:
                peak = max(peak, sum(held(pid) for pid in shell.processes()))
                time.sleep(0.01)
        assert process.returncode == 0
        peaks.append(peak)
    assert min(peaks) > 16 << 20, "what two interpreters hold, or nothing was measured"
    assert max(peaks) < 160 << 20
    assert peaks[1] < peaks[0] + (16 << 20)
