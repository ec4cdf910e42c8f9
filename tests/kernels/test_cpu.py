"""Choosing a CPU path: what the machine has, forcing, and the environment variable."""
import os
import platform
import subprocess
import sys

import pytest

from mrcore.kernels import cpu


def active_in_a_new_process(level: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", "-c", "from mrcore.kernels import cpu; print(cpu.active())"],
                          env=os.environ | {"MRCORE_CPU": level}, capture_output=True, text=True, check=False)


def test_scalar_is_always_available_and_comes_first() -> None:
    assert cpu.available()[0] == "scalar"
    assert cpu.active() in cpu.available()


def test_neon_belongs_to_arm64_and_avx_to_x86_64() -> None:
    levels = {"x86_64": {"scalar", "avx2", "avx512"}, "aarch64": {"scalar", "neon"}}
    assert set(cpu.available()) <= levels.get(platform.machine(), {"scalar"})


@pytest.mark.parametrize("level", cpu.available())
def test_forced_level_is_active_inside_the_with_only(level: str) -> None:
    before = cpu.active()
    with cpu.forced(level):
        assert cpu.active() == level
    assert cpu.active() == before


def test_forced_nests_and_ends_with_an_exception() -> None:
    before = cpu.active()
    with pytest.raises(KeyError), cpu.forced("scalar"), cpu.forced(before):
        assert cpu.active() == before
        raise KeyError
    assert cpu.active() == before


def test_level_that_the_machine_lacks_is_refused_by_name() -> None:
    before = cpu.active()
    with pytest.raises(ValueError, match="'avx1024' is not one of this machine's: scalar"), cpu.forced("avx1024"):
        pytest.fail("the body of a refused level ran")
    assert cpu.active() == before


@pytest.mark.parametrize("level", cpu.available())
def test_environment_variable_chooses_the_level(level: str) -> None:
    assert active_in_a_new_process(level).stdout == f"{level}\n"


def test_empty_environment_variable_leaves_the_best_level() -> None:
    assert active_in_a_new_process("").stdout == f"{cpu.available()[-1]}\n"


def test_environment_variable_with_an_unknown_level_fails_the_import() -> None:
    process = active_in_a_new_process("avx1024")
    assert process.returncode == 1
    assert "ValueError: CPU level 'avx1024' is not one of this machine's" in process.stderr
