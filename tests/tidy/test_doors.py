"""Who opens files, sockets and processes, and what may not decide an order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from source_tree import Breach, Rule, Tree, breaches, imports, python_files, read_tree

OPENERS = {"open", "os.open", "os.fdopen", "io.open", "io.FileIO", "mmap.mmap", "os.mkfifo", "shutil.copyfile"}
OPENING_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}

MAY_OPEN = {  # path::function, and why the file is not opened in storage/
    "mrcore/cli/doctor.py::_count": "writes the little text that it then counts, as a user would",
    "mrcore/cli/doctor.py::_memory": "reads a setting of the kernel in /sys: no data file",
    "mrcore/cli/doctor.py::_temporary": "the check is whether a file can be written there at all",
    "mrcore/executors/task_log.py::TaskLog.direct": "what users' functions print: it becomes descriptors 1 and 2",
    "mrcore/executors/unix_socket.py::_address": "a directory as such, so that a socket in it has a short name",
    "mrcore/executors/worker.py::main": "a page of memory shared with the parent: no file",
    "mrcore/executors/worker_process.py::WorkerProcess.__init__": "the same page, at the parent's",
    "mrcore/formats/typed_text.py::read_typed": "reads published output for the user, after the job",
    "mrcore/resources.py::_read": "small files of the kernel in /proc and /sys; layer 0 has no storage below it",
    "mrcore/runtime/job.py::JobResult.read": "reads published output for the user, after the job",
    "mrcore/runtime/job.py::_Run._top": "at most K lines of each partition, and K lines of result",
    "mrcore/runtime/sinks.py::DirectorySink._lock_dead": "the lock of another job's work directory: no data",
    "mrcore/runtime/sinks.py::DirectorySink._write": "manifest and marker; data arrive by rename",
    "mrcore/runtime/sinks.py::FileSink.open": "the target itself: made by the sink, so that it can take it back",
    "mrcore/runtime/sinks.py::MemorySink.take": "a part file on its way into memory",
    "mrcore/runtime/sinks.py::copy_file": "a part file on its way to a descriptor",
    "mrcore/testing/executor_contract.py::Work.endless_spec": "a pipe that nobody writes to, for a test",
    "mrcore/testing/executor_contract.py::read": "a test looks at what was written",
    "mrcore/testing/executor_contract.py::write": "a test's input",
}

MAY_ASK_ADDRESSES = {
    "mrcore/engine/canonical.py::_address": "finds in a table what was met before; nothing is written or sorted by it",
}

MAY_CONNECT = ("mrcore/executors/", "mrcore/runtime/")
CONNECTING = {"asyncio", "multiprocessing", "pty", "socket", "socketserver", "ssl", "subprocess"}
SPAWNING = ("os.posix_spawn", "os.fork", "os.exec", "os.spawn", "os.system", "os.popen")

TAKES_IN_ORDER = {"list", "tuple", "iter", "next", "enumerate", "map", "zip", "join", "dict", "fromkeys", "reversed"}


def calls(tree: Tree, under: str = "mrcore/") -> Iterator[tuple[str, str, ast.Call]]:
    """path::function of the innermost function, dotted name of what is called, and the call."""

    def visit(node: ast.AST, where: str) -> Iterator[tuple[str, str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield where, ast.unparse(child.func), child
            inner = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner += child.name if where.endswith("::") else f".{child.name}"
            yield from visit(child, inner)

    for path, text in python_files(tree, under):
        yield from visit(ast.parse(text), f"{path}::")


def only_storage_opens_files(tree: Tree) -> Iterator[Breach]:
    for where, name, call in calls(tree):
        given = ast.unparse(call.args[0]) if call.args else ""
        if where.startswith("mrcore/storage/") or given == "os.devnull" or given.isdigit():
            continue
        if name in OPENERS or name.rpartition(".")[2] in OPENING_METHODS:
            yield Breach(where, f"calls {name}: files are opened in mrcore/storage/")


def few_packages_start_and_connect(tree: Tree) -> Iterator[Breach]:
    for path, text in python_files(tree):
        if not path.startswith((*MAY_CONNECT, "mrcore/service/")):
            for found in imports(path, text):
                if found.module.split(".")[0] in CONNECTING and not found.typing_only:
                    yield Breach(path, f"imports {found.module}: sockets and processes are opened in {MAY_CONNECT}")
    for where, name, _ in calls(tree):
        if name.startswith(SPAWNING) and not where.startswith(MAY_CONNECT):
            yield Breach(where, f"calls {name}: processes are started in {MAY_CONNECT}")


def new_interpreters_look_past_the_current_folder(tree: Tree) -> Iterator[Breach]:
    """In a clone it holds an mrcore without its kernels; anywhere, some file that poses as a module."""
    for path, text in tree.items():
        for node in ast.walk(ast.parse(text)) if path.endswith(".py") else ():
            if isinstance(node, ast.List | ast.Tuple):
                words = [ast.unparse(element) for element in node.elts]
                first = words.index("sys.executable") if "sys.executable" in words else len(words)
                options = words[first + 1 : first + 2]
                if options and options[0] in ("'-c'", "'-m'"):
                    yield Breach(path, f"line {node.lineno}: starts Python with {options[0]}: put '-P' before it")


def no_order_by_address_or_hash(tree: Tree) -> Iterator[Breach]:
    for where, name, _ in calls(tree):
        if name in ("hash", "id"):
            yield Breach(where, f"calls {name}(), which differs from process to process")


def no_set_decides_an_order(tree: Tree) -> Iterator[Breach]:
    """Sees sets that are displayed, called for, annotated, or bound to a name in the same file."""
    for path, text in python_files(tree):
        module = ast.parse(text)
        names = _set_names(module)
        for node in ast.walk(module):
            if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter, names):
                yield Breach(path, f"iterates over the set {ast.unparse(node.iter)}: sort it")
            elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in TAKES_IN_ORDER:
                for argument in node.args:
                    if _is_set(argument, names):
                        yield Breach(path, f"takes the set {ast.unparse(argument)} in its order: sort it")


_SET_TYPE = re.compile(r"(?:frozen)?set\b")


def _set_names(module: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and _is_set(node.value, set()):
            names |= {ast.unparse(target) for target in node.targets}
        elif isinstance(node, ast.AnnAssign) and _SET_TYPE.match(ast.unparse(node.annotation)):
            names.add(ast.unparse(node.target))
        elif isinstance(node, ast.arg) and node.annotation and _SET_TYPE.match(ast.unparse(node.annotation)):
            names.add(node.arg)
    return names


def _is_set(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_set(node.body, names) or _is_set(node.orelse, names)
    if isinstance(node, ast.BinOp):
        return _is_set(node.left, names) or _is_set(node.right, names)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp) or ast.unparse(node) in names


def folders_of_tests_mirror_packages(tree: Tree) -> Iterator[Breach]:
    packages = {PurePosixPath(path).parts[1] for path in tree if path.startswith("mrcore/")}
    more = {"tidy", "sanitize", "simulation", "fuzz", "e2e", "golden", "benchmarks", "examples"}
    for path in tree:
        parts = PurePosixPath(path).parts
        if parts[0] == "tests" and len(parts) > 2 and parts[1] not in packages | more:
            yield Breach(path, f"tests/{parts[1]} mirrors nothing: name it for a package of mrcore")


RULES: dict[Rule, dict[str, str]] = {
    only_storage_opens_files: {
        "mrcore/engine/a.py": "def f():\n    with open('x') as file:\n        pass",
        "mrcore/cli/b.py": "fd = os.open(path, 0)",
        "mrcore/runtime/c.py": "class A:\n    def f(self, path):\n        return path.read_bytes()",
    },
    few_packages_start_and_connect: {
        "mrcore/engine/a.py": "def f():\n    import subprocess",
        "mrcore/storage/b.py": "os.posix_spawnp('ls', [], {})",
        "mrcore/cli/c.py": "import asyncio.subprocess",
    },
    new_interpreters_look_past_the_current_folder: {
        "tests/a.py": "subprocess.run([sys.executable, '-c', 'import mrcore'])",
        "mrcore/executors/b.py": "os.posix_spawn(sys.executable, [sys.executable, '-m', 'mrcore.worker'], {})",
    },
    no_order_by_address_or_hash: {"mrcore/engine/a.py": "key = lambda x: hash(x)", "mrcore/cli/b.py": "id(3)"},
    no_set_decides_an_order: {
        "mrcore/engine/a.py": "for x in {1, 2}:\n    pass",
        "mrcore/engine/b.py": "def f(seen: set[int]) -> list[int]:\n    return [x + 1 for x in seen]",
        "mrcore/engine/c.py": "ready = set()\nout = tuple(ready)",
        "mrcore/engine/d.py": "self.live: set[str] = set()\nb','.join(self.live | other)",
    },
    folders_of_tests_mirror_packages: {"tests/nothing/test_a.py": ""},
}
EXCEPTIONS: dict[Rule, dict[str, str]] = {
    only_storage_opens_files: MAY_OPEN,
    no_order_by_address_or_hash: MAY_ASK_ADDRESSES,
}

SOUND = {
    "mrcore/storage/files.py": "with open(path, 'rb') as file:\n    os.open(path, 0)",
    "mrcore/executors/worker_process.py": "import socket\nos.posix_spawn(a, [sys.executable, '-P', '-m', 'b'], c)",
    "mrcore/cli/main.py": "os.dup2(os.open(os.devnull, os.O_RDWR), 1)\nopen(2, 'w')",
    "mrcore/engine/a.py": "s = {1}\nfor x in sorted(s):\n    s.add(x)\nlen(s), 1 in s, sorted(x for x in [1])",
    "tests/engine/test_a.py": "",
}


@pytest.mark.parametrize("rule", RULES)
def test_this_repository_keeps(rule: Rule) -> None:
    assert breaches(rule, read_tree(), EXCEPTIONS.get(rule)) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_is_seen_of(rule: Rule) -> None:
    for path, text in RULES[rule].items():
        assert breaches(rule, {path: text}), f"{path}: {text!r}"
    assert breaches(rule, SOUND) == []


def test_an_exception_that_nothing_needs_is_a_breach() -> None:
    assert breaches(no_order_by_address_or_hash, SOUND, {"mrcore/a.py::f": "no longer true"}) == [
        "mrcore/a.py::f: listed as an exception that is no longer needed"
    ]
