"""What this process may use of the machine: processors, memory, descriptors.

Limits of control groups count: in a container of 2 GiB on a machine of 256 the memory is
2 GiB. Version 2 hierarchies are read from the process's own group up to the root, and version
1 where it is mounted; what cannot be read limits nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUP_ROOT = "/sys/fs/cgroup"
MEMINFO = "/proc/meminfo"
OWN_GROUPS = "/proc/self/cgroup"


def cores() -> int:
    """Processors this process may use: its affinity, and the quota of its control groups, at least 1."""
    count = len(os.sched_getaffinity(0))
    for group in _groups("cpu"):
        quota, _, period = _read(f"{group}/cpu.max").partition(" ")
        if not quota:
            quota, period = _read(f"{group}/cpu.cfs_quota_us"), _read(f"{group}/cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def available_memory() -> int:
    """Bytes of memory that could be had now without swapping, by the machine and by every control group."""
    available = 1 << 62
    for line in _read(MEMINFO).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            available = int(value.split()[0]) << 10
    for group in _groups("memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = _read(f"{group}/{limit}"), _read(f"{group}/{used}")
            if most.isdigit() and now.isdigit():
                # Page cache counts as used, and goes when memory is wanted.
                available = min(available, max(0, int(most) - int(now) + _file_pages(group)))
    return available


def descriptors() -> int:
    """File descriptors this process may have open."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def children(pid: int) -> list[int]:
    """Child processes of a process, as far as the system says."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def process_state(pid: int) -> str:
    """The letter that the system has for what a process is at, such as R, S, T or Z; empty if there is none."""
    _, _, rest = _read(f"/proc/{pid}/stat").rpartition(")")  # the name in front may hold anything
    return rest.split()[0] if rest.split() else ""


def processes_with(entry: str) -> list[int]:
    """Living processes of this user whose environment has an entry, whoever their parents are now.

    Cost: a few files a process of the machine, some 20 microseconds each.
    """
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdecimal() and entry in _read(f"/proc/{name}/environ").split("\0")
    ]


def open_files() -> dict[int, str]:
    """This process's descriptors, and what each leads to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # that of the listing itself
            continue
    return found


def _file_pages(group: str) -> int:
    """Bytes of page cache that a control group is charged with and that can be dropped at once."""
    for line in _read(f"{group}/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value) if value.isdecimal() else 0
    return 0


def _groups(controller: str) -> Iterator[str]:
    """Folders of the control groups that limit this process, its own first."""
    for line in _read(OWN_GROUPS).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        root = f"{CGROUP_ROOT}/{controllers}" if controllers else CGROUP_ROOT
        if controllers and controller not in controllers.split(","):
            continue
        while True:
            yield root + path.rstrip("/")
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _read(path: str) -> str:
    """A small file of the system's, or nothing."""
    try:
        with open(path, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
