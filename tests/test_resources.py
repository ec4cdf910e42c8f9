"""What a process may use, under control groups of both versions, nested, unlimited, or full of nonsense."""

import os
import resource

import pytest

from mrcore import resources

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 8 processors and 64 GiB; writes files of its control groups."""

    def write(files, own=None):
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
        if own is not None:
            (tmp_path / "own").write_text(own)

    write({}, "")
    (tmp_path / "meminfo").write_text(f"MemTotal: {99 << 20} kB\nMemFree: 5 kB\nMemAvailable:   {64 << 20} kB\n")
    monkeypatch.setattr(resources, "CGROUP_ROOT", str(tmp_path / "cgroup"))
    monkeypatch.setattr(resources, "MEMINFO", str(tmp_path / "meminfo"))
    monkeypatch.setattr(resources, "OWN_GROUPS", str(tmp_path / "own"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    return write


def test_without_groups_it_is_what_the_machine_has(machine):
    assert (resources.cores(), resources.available_memory()) == (8, 64 * GIB)


def test_affinity_counts(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert resources.cores() == 3


class TestVersion2:
    OWN = "0::/system.slice/a b.service/inner\n"

    @pytest.mark.parametrize(
        "level", ["system.slice/a b.service/inner", "system.slice/a b.service", "system.slice", "."]
    )
    def test_a_limit_at_any_level_binds(self, machine, level):
        machine({f"{level}/memory.max": 3 * GIB, f"{level}/memory.current": GIB, f"{level}/cpu.max": "250000 100000"},
                self.OWN)  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (3, 2 * GIB)

    def test_the_tightest_level_binds(self, machine):
        for level, (size, used) in {"system.slice": (9, 1), "system.slice/a b.service": (5, 4),
                                    "system.slice/a b.service/inner": (4, 1)}.items():  # fmt: skip
            machine({f"{level}/memory.max": size * GIB, f"{level}/memory.current": used * GIB}, self.OWN)
        assert resources.available_memory() == GIB, "what others in the service took is gone"

    def test_page_cache_that_can_be_dropped_is_available(self, machine):
        stat = f"anon 7\nfile 99\ninactive_file {GIB // 2}\nactive_file 12"
        machine({"system.slice/memory.max": 2 * GIB, "system.slice/memory.current": 2 * GIB,
                 "system.slice/memory.stat": stat}, self.OWN)  # fmt: skip
        assert resources.available_memory() == GIB // 2

    def test_a_group_above_its_limit_has_nothing(self, machine):
        machine({"system.slice/memory.max": GIB, "system.slice/memory.current": 2 * GIB}, self.OWN)
        assert resources.available_memory() == 0

    def test_max_is_no_limit(self, machine):
        machine({"system.slice/memory.max": "max", "system.slice/memory.current": GIB, "system.slice/cpu.max":
                 "max 100000"}, self.OWN)  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (8, 64 * GIB)

    @pytest.mark.parametrize(("quota", "cores"), [
        ("100000 100000", 1), ("100001 100000", 2), ("1000 100000", 1), ("0 100000", 1), ("800000 100000", 8),
        ("9900000 100000", 8), ("150000 50000", 3), ("100000 0", 8), ("100000", 8), ("", 8), ("-1 100000", 8),
        ("many few", 8),
    ])  # fmt: skip
    def test_quotas(self, machine, quota, cores):
        machine({"system.slice/cpu.max": quota}, self.OWN)
        assert resources.cores() == cores

    @pytest.mark.parametrize("own", ["0::/\n", "0::/../../elsewhere\n", "0::\n", "0::/a:b/c\n", "0::relative\n"])
    def test_odd_places_of_ones_own_group(self, machine, own):
        machine({"memory.max": GIB, "memory.current": 0, "cpu.max": "200000 100000"}, own)
        assert (resources.cores(), resources.available_memory()) == (2, GIB)


class TestVersion1:
    OWN = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n3:cpuset:/\n1:name=systemd:/docker/abc\n"

    def test_limits_of_the_own_group(self, machine):
        machine({"memory/docker/abc/memory.limit_in_bytes": 3 * GIB, "memory/docker/abc/memory.usage_in_bytes": GIB,
                 "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": 300_000,
                 "cpu,cpuacct/docker/abc/cpu.cfs_period_us": 100_000}, self.OWN)  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (3, 2 * GIB)

    def test_inside_a_container_the_group_is_the_mounts_root(self, machine):
        machine({"memory/memory.limit_in_bytes": GIB, "memory/memory.usage_in_bytes": GIB,
                 "memory/memory.stat": f"cache 5\ntotal_inactive_file {GIB // 4}",
                 "cpu,cpuacct/cpu.cfs_quota_us": 50_000, "cpu,cpuacct/cpu.cfs_period_us": 100_000},
                 self.OWN)  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (1, GIB // 4)

    def test_no_limit_is_minus_one_or_a_huge_number(self, machine):
        machine({"memory/docker/abc/memory.limit_in_bytes": (1 << 63) - 4096,
                 "memory/docker/abc/memory.usage_in_bytes": GIB, "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": -1,
                 "cpu,cpuacct/docker/abc/cpu.cfs_period_us": 100_000}, self.OWN)  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (8, 64 * GIB)

    def test_both_versions_at_once(self, machine):
        machine({"memory/docker/abc/memory.limit_in_bytes": 3 * GIB, "memory/docker/abc/memory.usage_in_bytes": 0,
                 "docker/abc/cpu.max": "200000 100000"}, self.OWN + "0::/docker/abc\n")  # fmt: skip
        assert (resources.cores(), resources.available_memory()) == (2, 3 * GIB)


@pytest.mark.parametrize("nonsense", [
    b"", b"\n\n", b"\xff\xfe", b"12 34 56", b"0x10", b"-5", b"1e9", b"lots", b"\0" * 9,
], ids=ascii)  # fmt: skip
def test_what_cannot_be_read_limits_nothing(machine, nonsense):
    names = ("cpu.max", "memory.max", "memory.current", "memory.limit_in_bytes", "memory.usage_in_bytes",
             "cpu.cfs_quota_us", "cpu.cfs_period_us")  # fmt: skip
    machine({f"a/{name}": nonsense for name in names}, "0::/a\n")
    assert (resources.cores(), resources.available_memory()) == (8, 64 * GIB)
    machine({"a/memory.max": 2 * GIB, "a/memory.current": GIB, "a/memory.stat": b"inactive_file " + nonsense})
    assert GIB <= resources.available_memory() <= 64 * GIB


@pytest.mark.parametrize("own", ["", "nonsense", "::::", "0", "\n\n", ":\n:\n", "x" * 10_000])
def test_groups_that_do_not_parse_limit_nothing(machine, own):
    machine({}, own)
    assert (resources.cores(), resources.available_memory()) == (8, 64 * GIB)


def test_files_that_are_not_there_limit_nothing(monkeypatch):
    for name in ("CGROUP_ROOT", "MEMINFO", "OWN_GROUPS"):
        monkeypatch.setattr(resources, name, "/nowhere")
    assert resources.cores() >= 1
    assert resources.available_memory() == 1 << 62


def test_of_this_machine():
    assert 1 <= resources.cores() <= len(os.sched_getaffinity(0))
    assert 16 << 20 < resources.available_memory() < 1 << 50


@pytest.mark.parametrize(("soft", "count"), [(40, 40), (1024, 1024), (resource.RLIM_INFINITY, 1 << 20)])
def test_descriptors(monkeypatch, soft, count):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, resource.RLIM_INFINITY))
    assert resources.descriptors() == count
