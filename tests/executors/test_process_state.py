"""Each thing that a user's function may leave in a process makes its state another one."""

import json
import os
import subprocess
import sys

import pytest

LEFT = {
    "a variable": "os.environ['LEFT'] = '1'",
    "umask": "os.umask(0o123)",
    "a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
    "a hard limit of data": "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))",
    "a handler": "signal.signal(signal.SIGUSR1, lambda number, frame: None)",
    "no handler": "signal.signal(signal.SIGINT, signal.SIG_DFL)",
    "a blocked signal": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])",
    "an alarm": "signal.alarm(100)",
    "priority": "os.nice(1)",
    "processors": "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
}
SCRIPT = """
import json, os, resource, signal, sys
from mrcore.executors.process_state import process_state
before = process_state()
exec(sys.argv[1])
after = process_state()
print(json.dumps([name for name, was, now in zip(before._fields, before, after) if was != now]))
"""


def changed(statement):
    done = subprocess.run([sys.executable, "-P", "-c", SCRIPT, statement], capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("left", LEFT)
def test_what_is_left_shows(left):
    nothing_to_change = left == "processors" and len(os.sched_getaffinity(0)) == 1
    assert len(changed(LEFT[left])) == (not nothing_to_change)


def test_nothing_left_and_the_soft_limit_of_data_do_not_show():
    assert changed("pass") == []
    hard = "resource.getrlimit(resource.RLIMIT_DATA)[1]"
    assert changed(f"resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, {hard}))") == []
    assert changed("open(os.devnull).close()") == []
