"""Who may import whom: the layers of the architecture, and what each package never touches."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from source_tree import Breach, Rule, Tree, breaches, imports, module_name, read_tree

LAYERS = {
    "errors": 0, "ids": 0, "config": 0, "resources": 0,
    "kernels": 1, "scheduler": 1, "cluster": 1, "wire": 1, "windowing": 1,
    "storage": 3,
    "formats": 4,
    "engine": 5, "streaming": 5,
    "executors": 6,
    "runtime": 7,
    "dataflow": 8, "testing": 8,
    "cli": 9, "service": 9,
    "__main__": 10,
}  # fmt: skip

NEVER_TOGETHER = {"scheduler": {"engine", "streaming", "storage", "kernels"}}

SANS_IO = ("scheduler", "cluster", "wire", "windowing")
IMPURE = {
    "_thread", "asyncio", "concurrent", "datetime", "io", "mmap", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading",
    "time", "uuid",
}  # fmt: skip
WIRE_KNOWS = {"errors", "ids"}  # of mrcore; so that a worker's first message costs next to nothing to decode

CORE = {"numpy", "xxhash", "lz4", "cloudpickle", "msgspec"}
THIRD_PARTY = {  # packages that name what they use; all others may use all of CORE
    **dict.fromkeys(("errors", "ids", "config", "resources", "kernels", "cluster", "windowing"), frozenset()),
    "scheduler": frozenset({"msgspec"}),  # its journal records
    "wire": frozenset({"msgspec"}),
}
HOMES = {  # an optional dependency -> the only place that may import it
    "pyarrow": "mrcore.formats",
    "fsspec": "mrcore.formats.filesystems",
    "s3fs": "mrcore.formats.filesystems",
    "dask": "mrcore.executors.dask",
    "distributed": "mrcore.executors.dask",
    "ray": "mrcore.executors.ray",
    "starlette": "mrcore.service",
    "fastapi": "mrcore.service",
    "uvicorn": "mrcore.service",
    "http": "mrcore.service",
    "opentelemetry": "mrcore.runtime.trace",
    "rich": "mrcore.cli",
    "typing_extensions": "",  # type checkers only
}


def package_of(module: str) -> str:
    """``mrcore.engine.task`` belongs to ``engine``, ``mrcore`` itself to nothing."""
    return [*module.split("."), ""][1]


def all_imports(tree: Tree) -> Iterator[tuple[str, str, str, str, bool]]:
    """Path, importing package, imported module and its package or top name, and whether for types only."""
    for path, text in tree.items():
        if path.startswith("mrcore/") and path.endswith((".py", ".pyx", ".pxd", ".pyi")):
            for found in imports(path, text):
                top, package = found.module.split(".")[0], package_of(found.module)
                yield path, package_of(module_name(path)), found.module, package if top == "mrcore" else top, (
                    found.typing_only or path.endswith(".pyi")
                )


def imports_go_downward(tree: Tree) -> Iterator[Breach]:
    for path, package, module, target, _ in all_imports(tree):
        if not module.startswith("mrcore.") or target in (package, "__version__"):
            continue
        if (package and package not in LAYERS) or target not in LAYERS:
            yield Breach(path, f"{module}: no layer is known for {package or 'mrcore'} or {target}")
        elif package and LAYERS[target] >= max(1, LAYERS[package]):  # layer 0 is one package in four files
            yield Breach(path, f"imports {module}, layer {LAYERS[target]}, from layer {LAYERS[package]}")


def relative_imports(tree: Tree) -> Iterator[Breach]:
    for path, _, module, _, _ in all_imports(tree):
        if module.startswith("."):
            yield Breach(path, f"relative import of {module}: write it from mrcore on")


def scheduler_stands_alone(tree: Tree) -> Iterator[Breach]:
    for path, package, module, target, _ in all_imports(tree):
        for one, others in NEVER_TOGETHER.items():
            if (package == one and target in others) or (package in others and target == one):
                yield Breach(path, f"imports {module}: {one} and {package} or {target} know nothing of each other")


def sans_io_is_pure(tree: Tree) -> Iterator[Breach]:
    for path, package, module, target, typing_only in all_imports(tree):
        named = package in SANS_IO and target in IMPURE and not module.startswith("mrcore.")
        if named and not (typing_only and target == "random"):  # random.Random is injected, and annotated
            yield Breach(path, f"imports {module}: {package} takes time and randomness as arguments and does no I/O")


def wire_knows_errors_only(tree: Tree) -> Iterator[Breach]:
    for path, package, module, target, _ in all_imports(tree):
        if package == "wire" and module.startswith("mrcore.") and target not in WIRE_KNOWS | {"wire"}:
            yield Breach(path, f"imports {module}: a payload is opaque bytes to wire")


def dependencies_stay_home(tree: Tree) -> Iterator[Breach]:
    for path, package, module, target, typing_only in all_imports(tree):
        importer = module_name(path)
        if module.startswith(("mrcore", ".")) or target in ("libc", "cpython", "cython"):
            continue
        if target in HOMES:
            home = HOMES[target]
            if not (home and f"{importer}.".startswith(f"{home}.")) and not (not home and typing_only):
                yield Breach(path, f"imports {module}, whose home is {home or 'a stub file'}")
        elif target not in sys.stdlib_module_names and target not in THIRD_PARTY.get(package, CORE):
            yield Breach(path, f"imports {module}, which {package or 'mrcore'} may not depend on")


def root_imports_nothing(tree: Tree) -> Iterator[Breach]:
    for found in imports("mrcore/__init__.py", tree.get("mrcore/__init__.py", "")):
        if not found.typing_only and found.module.split(".")[0] not in ("__future__", "importlib"):
            yield Breach("mrcore/__init__.py", f"imports {found.module} when it is imported")


RULES: dict[Rule, dict[str, str]] = {  # each rule with sources that break it
    imports_go_downward: {
        "mrcore/storage/runfile.py": "from mrcore.engine import spec",
        "mrcore/engine/window.py": "def f():\n    from mrcore.streaming.state import State",
        "mrcore/kernels/table.pyx": "from mrcore.storage.files cimport reading",
        "mrcore/cluster/ring.py": "if TYPE_CHECKING:\n    from mrcore.wire.frames import FrameDecoder",
        "mrcore/errors.py": "import mrcore.kernels.cpu",
        "mrcore/novelty/idea.py": "import mrcore.errors",
        "mrcore/engine/task.py": "from mrcore import read_text",
    },
    relative_imports: {"mrcore/engine/task.py": "from . import spec"},
    scheduler_stands_alone: {
        "mrcore/scheduler/job.py": "from mrcore.engine.spec import TaskSpec",
        "mrcore/engine/task.py": "import mrcore.scheduler.job",
    },
    sans_io_is_pure: {
        "mrcore/wire/frames.py": "import socket",
        "mrcore/cluster/raft.py": "from random import Random",
        "mrcore/scheduler/job.py": "def f():\n    import os.path",
        "mrcore/windowing/trigger.py": "if TYPE_CHECKING:\n    import time",
    },
    wire_knows_errors_only: {"mrcore/wire/payloads.py": "from mrcore import config"},
    dependencies_stay_home: {
        "mrcore/engine/arrow.py": "import pyarrow.parquet",
        "mrcore/formats/text.py": "import fsspec",
        "mrcore/kernels/fast.pyx": "cimport numpy as np",
        "mrcore/wire/frames.py": "import lz4.block",
        "mrcore/runtime/job.py": "import pandas",
        "mrcore/executors/ray_pool.py": "import ray",
        "mrcore/engine/task.py": "from typing_extensions import Buffer",
    },
    root_imports_nothing: {"mrcore/__init__.py": "from mrcore.dataflow.dataset import read_text"},
}

SOUND = {  # what the rules must leave alone
    "mrcore/__init__.py": "if TYPE_CHECKING:\n    from mrcore.dataflow.dataset import read_text",
    "mrcore/config.py": "from mrcore.errors import UsageError",
    "mrcore/wire/frames.py": "import msgspec\nfrom mrcore.errors import ProtocolError\nfrom mrcore.wire import x",
    "mrcore/scheduler/job.py": "if TYPE_CHECKING:\n    from random import Random",
    "mrcore/formats/parquet.py": "import pyarrow\nimport numpy",
    "mrcore/cli/main.py": "import mrcore\nfrom mrcore.runtime import job\nfrom mrcore import __version__",
    "mrcore/kernels/hash.pyi": "from typing_extensions import Buffer",
    "mrcore/kernels/hash.pyx": "from libc.stdint cimport uint8_t\nfrom mrcore.kernels cimport _c\nimport os",
}


@pytest.mark.parametrize("rule", RULES)
def test_this_repository_keeps(rule: Rule) -> None:
    assert breaches(rule, read_tree()) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_is_seen_of(rule: Rule) -> None:
    for path, text in RULES[rule].items():
        assert breaches(rule, {path: text}), f"{path}: {text!r}"
    assert breaches(rule, SOUND) == []
