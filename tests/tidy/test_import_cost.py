"""Start-up is a figure: what ``import mrcore``, the command and a native job load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "numpy", "asyncio", "cloudpickle", "rich", "pyarrow", "fsspec", "dask", "distributed", "ray", "starlette",
    "fastapi", "uvicorn", "http", "opentelemetry", "multiprocessing", "concurrent", "ssl", "unittest",
}  # fmt: skip
VERBS = ("wordcount", "ngrams", "distinct", "top", "index", "inspect", "doctor", "jobs", "trace")
EVERY_DEPENDENCY = HEAVY | {"msgspec", "lz4", "xxhash", "socket", "subprocess"}


def loaded_by(code: str, tmp_path: Path) -> set[str]:
    """Names in ``sys.modules`` after ``code`` ran in a new process, from which exits are taken as ends."""
    report = tmp_path / "modules"
    write = f"import sys\nopen({str(report)!r}, 'w').write(' '.join(sys.modules))"
    script = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{write}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    subprocess.run([sys.executable, "-P", "-c", script], check=True, capture_output=True, env=environment, cwd=tmp_path)
    return set(report.read_text().split())


def tops(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


def test_import_mrcore_loads_nothing_of_it_and_no_dependency(tmp_path: Path) -> None:
    modules = loaded_by("import mrcore", tmp_path)
    assert {module for module in modules if module.startswith("mrcore")} == {"mrcore"}
    assert tops(modules) & EVERY_DEPENDENCY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)])
def test_help_loads_no_dependency_and_no_engine(arguments: list[str], tmp_path: Path) -> None:
    modules = loaded_by(f"from mrcore.cli.main import main; main({arguments!r})", tmp_path)
    assert tops(modules) & EVERY_DEPENDENCY == set()
    packages = {module.split(".")[1] for module in modules if module.startswith("mrcore.")}
    assert packages <= {"cli", "errors", "config"}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("job", ["wordcount", "ngrams", "distinct", "distinct --approx", "index", "top 3"])
def test_a_native_job_loads_nothing_heavy(job: str, workers: int, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"to be or not to be")
    arguments = [*job.split(), f"-j{workers}", "text"]
    modules = loaded_by(f"from mrcore.cli.main import main; main({arguments!r})", tmp_path)
    assert tops(modules) & HEAVY == set()
    assert "mrcore.engine.spec" in modules
    assert "mrcore.engine.regex" not in modules, "only who asks for it pays for it"
    assert ("mrcore.kernels.hyperloglog" in modules) == (job == "distinct --approx")


def test_a_worker_loads_nothing_heavy(tmp_path: Path) -> None:
    modules = loaded_by("import mrcore.executors.worker", tmp_path)
    assert tops(modules) & HEAVY == set()
