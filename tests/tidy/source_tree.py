"""The source tree as the tidy rules see it: text by path, what it imports, where its functions are.

A rule is a function from a tree to breaches. So each is tried twice: on this repository, where
only listed exceptions may break it, and on a tree of a few lines that must break it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".ci", "benchmarks", "csrc", "docs", "mrcore", "tests")
SUFFIXES = (".py", ".pyx", ".pxd", ".pyi", ".c", ".h", ".toml", ".md", ".sh", ".yml")
NAMES = (".gitignore", "Makefile", "run")

Tree = Mapping[str, str]  # path, relative and with slashes -> text


class Breach(NamedTuple):
    """One place that breaks a rule."""

    key: str  # what an exception is listed under: a path, or path::function
    what: str


Rule = Callable[[Tree], Iterator[Breach]]


class Import(NamedTuple):
    """One imported name, such as ``os.path`` or ``mrcore.errors.InputError``."""

    module: str
    line: int
    typing_only: bool


class Function(NamedTuple):
    """A function and its lines, from the first of its signature to its last; a docstring does not count."""

    name: str
    line: int
    length: int


def read_tree() -> dict[str, str]:
    """The files that people write: no build products, no data."""
    folders = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted([*ROOT.iterdir(), *folders])
        if path.is_file() and (path.suffix in SUFFIXES or path.name in NAMES) and "__pycache__" not in path.parts
    }


def breaches(rule: Rule, tree: Tree, exceptions: Mapping[str, str] | None = None) -> list[str]:
    """Lines that say what breaks a rule, and which exceptions nothing needs any more."""
    exceptions = exceptions or {}
    found = list(rule(tree))
    unused = exceptions.keys() - {breach.key for breach in found}
    return [f"{breach.key}: {breach.what}" for breach in found if breach.key not in exceptions] + [
        f"{key}: listed as an exception that is no longer needed" for key in sorted(unused)
    ]


def python_files(tree: Tree, under: str = "mrcore/") -> Iterator[tuple[str, str]]:
    """Path and text of the .py files below a folder."""
    return ((path, text) for path, text in tree.items() if path.startswith(under) and path.endswith(".py"))


def module_name(path: str) -> str:
    """``mrcore/engine/task.py`` is ``mrcore.engine.task``."""
    return re.sub(r"(/__init__)?\.\w+$", "", path).replace("/", ".")


def imports(path: str, text: str) -> list[Import]:
    """Everything that a Python or Cython file imports, wherever in it."""
    return list(_python_imports(ast.parse(text)) if path.endswith((".py", ".pyi")) else _cython_imports(text))


def _python_imports(tree: ast.Module) -> Iterator[Import]:
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, id(node) in typing_only)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield Import(f"{module}.{alias.name}", node.lineno, id(node) in typing_only)


_CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?c?import\s+([\w., ]+)")


def _cython_imports(text: str) -> Iterator[Import]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := _CYTHON_IMPORT.match(line):
            for name in found[2].split(","):
                yield Import(f"{found[1]}.{name.split()[0]}" if found[1] else name.split()[0], number, False)


def functions(path: str, text: str) -> list[Function]:
    """The functions of a Python, Cython or C file."""
    if path.endswith(".py"):
        return list(_python_functions(ast.parse(text), ""))
    return list(_c_functions(text) if path.endswith((".c", ".h")) else _cython_functions(text))


def _python_functions(node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (child.end_lineno or child.lineno) - child.lineno + 1
            if ast.get_docstring(child) is not None:
                length -= (child.body[0].end_lineno or 0) - child.body[0].lineno + 1
            yield Function(prefix + child.name, child.lineno, length)
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _python_functions(child, f"{prefix}{child.name}.")
        else:
            yield from _python_functions(child, prefix)


def _c_functions(text: str) -> Iterator[Function]:
    """By our layout: the signature and both braces of the body start their lines."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line == "{":
            first = index
            while first and lines[first - 1].strip() and not lines[first - 1].endswith((";", "}", "*/")):
                first -= 1
            name = re.search(r"(\w+)\(", lines[first])
            yield Function(name[1] if name else lines[first], first + 1, lines.index("}", index) - first + 1)


_DEF = re.compile(r"^( *)c?p?def\s+(?!class\b|struct\b|enum\b|extern\b)[^=]*?(\w+)\(")


def _cython_functions(text: str) -> Iterator[Function]:
    """By indentation; a docstring ends with three quotes at a line's end."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if not (found := _DEF.match(line)):
            continue
        last = end = index
        docstring = False
        while (end := end + 1) < len(lines):
            body = lines[end]
            if body.strip() and not body.startswith(found[1] + " ") and not body.startswith(found[1] + ")"):
                break
            last = end if body.strip() else last
        inside = lines[index : last + 1]
        length = 0
        for body in inside:
            quotes = body.count('"""')
            length += not docstring and not quotes
            docstring ^= quotes == 1
        yield Function(found[2], index + 1, length)
