"""Sizes, names, text hygiene, docstrings, and where C may be declared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from source_tree import Breach, Rule, Tree, breaches, functions, read_tree

FILE_LINES_MAX = 400
LONG_FILES: dict[str, str] = {
}
FUNCTION_LINES_MAX = 50
LONG_FUNCTIONS = {
    "csrc/mr_table.c::feed_tokens": "the inner loop of word count: three passes over queues that stay in the L1 cache",
}
CODE = (".py", ".pyx", ".pxd", ".c", ".h")

BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}
NAMES_MATTER_IN = ("mrcore/", "csrc/", "tests/", "benchmarks/")

# Where somebody's machine shows; the first letters stand apart lest this line names one itself.
MACHINE_PATH = re.compile(r"(?<![\w.<>/*$}\])-])/(?:w[o]rk|h[o]me|r[o]ot|U[s]ers|tmp/w)/")
TABS_ALLOWED = ("Makefile",)

NO_PYTHON_IN_C = re.compile(r'#\s*include\s*[<"](?:Python|structmember|frameobject)\.h')
CALLER_OWNS = re.compile(r"\b(?:malloc|calloc|realloc|free|printf|fprintf|puts|abort|exit)\s*\(")
C_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
EXTERN = re.compile(r"^\s*cdef\s+extern\b", re.MULTILINE)

EXTENSION_DEF = re.compile(r"^(?:def|cpdef[^=\n]*?|cdef class|class) ?(\w+)\b", re.MULTILINE)


def files_are_short(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if path.endswith(CODE) and (lines := text.count("\n")) > FILE_LINES_MAX:
            yield Breach(path, f"{lines} lines: what second question does it answer?")


def functions_are_short(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if path.endswith(CODE):
            for function in functions(path, text):
                if function.length > FUNCTION_LINES_MAX:
                    yield Breach(f"{path}::{function.name}", f"line {function.line}: {function.length} lines")


def names_say_something(tree: Tree) -> Iterator[Breach]:
    for path in tree:
        words = {word for part in PurePosixPath(path).parts for word in re.split(r"[_.]", part)}
        if path.startswith(NAMES_MATTER_IN) and (banned := sorted(words & BANNED_NAMES)):
            yield Breach(path, f"{banned[0]} names nothing: say what is inside")


def text_is_clean(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if (text and not text.endswith("\n")) or text.endswith("\n\n"):
            yield Breach(path, "does not end with one newline")
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line and not path.endswith(TABS_ALLOWED):
                yield Breach(path, f"line {number}: a TAB: write \\t or spaces")
            if line != line.rstrip():
                yield Breach(path, f"line {number}: trailing white space")


def no_machine_shows(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        for number, line in enumerate(text.split("\n"), 1):
            if found := MACHINE_PATH.search(line):
                yield Breach(path, f"line {number}: {found[0]} is a place on somebody's machine")


def modules_explain_themselves(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        code = re.sub(r"\A(?:#[^\n]*\n|\s)*", "", text)
        if path.endswith(".py"):
            if ast.get_docstring(ast.parse(text)) is None:
                yield Breach(path, "no module docstring")
        elif path.endswith(".pyx") and not code.startswith('"""'):
            yield Breach(path, "no module docstring")
        elif path.startswith("csrc/") and path.endswith(".h") and not text.startswith("/*"):
            yield Breach(path, "a header begins with a comment that says what it is")


def extern_stands_in_one_file(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if path.endswith((".pyx", ".pxd")) and path != "mrcore/kernels/_c.pxd" and EXTERN.search(text):
            yield Breach(path, "cdef extern: declare it in mrcore/kernels/_c.pxd")


def csrc_is_plain_c(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if path.startswith("csrc/"):
            if NO_PYTHON_IN_C.search(text):
                yield Breach(path, "includes a header of Python's")
            if found := CALLER_OWNS.search(C_COMMENT.sub("", text)):
                yield Breach(path, f"calls {found[0]}...): the caller owns memory, messages and the process")


def compiled_modules_are_typed(tree: Tree) -> Iterator[Breach]:
    for path, text in tree.items():
        if path.endswith(".pyx"):
            stub = tree.get(path[:-1] + "i")
            if stub is None:
                yield Breach(path, "no .pyi beside it")
                continue
            declared = set(EXTENSION_DEF.findall(stub))
            for name in EXTENSION_DEF.findall(text):
                if not name.startswith("_") and name not in declared:
                    yield Breach(path, f"{name} is not in its .pyi")


RULES: dict[Rule, dict[str, str]] = {
    files_are_short: {"mrcore/a.py": "x = 1\n" * 401},
    functions_are_short: {
        "mrcore/a.py": "class A:\n    def f():\n" + "        x = 1\n" * 50,
        "mrcore/b.pyx": "cdef int f(int a) except -1:\n" + "    x = 1\n" * 50 + "\n\ny = 2\n",
        "csrc/c.c": "/* why */\nstatic int f(int a,\n             int b)\n{\n" + "    a++;\n" * 47 + "}\n",
    },
    names_say_something: {"mrcore/engine/io_utils.py": "", "tests/helpers/a.py": "", "csrc/mr_common.h": ""},
    text_is_clean: {"a.py": "x = 1", "b.md": "x \n", "c.c": "\tx;\n", "d.toml": "x = 1\n\n"},
    no_machine_shows: {"README.md": "see /" + "work/main\n", "a.py": "p = '/" + "home/me/x'\n"},
    modules_explain_themselves: {
        "mrcore/a.py": "x = 1\n",
        "mrcore/b.pyx": "# cython: language_level=3\nimport os\n",
        "csrc/c.h": "#pragma once\n",
    },
    extern_stands_in_one_file: {"mrcore/kernels/a.pyx": 'cdef extern from "a.h":\n    int f()\n'},
    csrc_is_plain_c: {"csrc/a.h": "# include <Python.h>\n", "csrc/b.c": "int *p = malloc(4);\n"},
    compiled_modules_are_typed: {"mrcore/a.pyx": "def f(): pass\n"},
}
EXCEPTIONS: dict[Rule, dict[str, str]] = {files_are_short: LONG_FILES, functions_are_short: LONG_FUNCTIONS}

SOUND = {
    "Makefile": "all:\n\tmake\n",
    "mrcore/a.py": '"""What it is."""\nclass A:\n    def f():\n' + "        x = 1\n" * 49,
    "mrcore/b.pyx": '# cython: language_level=3\n"""What it is."""\ndef f(a):\n    """Says\n    why.\n    """\n'
    + "    x = 1\n" * 49 + "cdef int g():\n    return 1\ncdef class C:\n    pass\n",
    "mrcore/b.pyi": "def f(a: int) -> None: ...\nclass C: ...\n",
    "mrcore/kernels/_c.pxd": 'cdef extern from "a.h":\n    int f()\n',
    "csrc/c.c": "/* malloc(3) is the caller's */\nint f(void)\n{\n" + "    a++;\n" * 47 + "}\n",
    "docs/a.md": "OUT/_work/ and ../work/ and https://example.org/home/\n",
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_this_repository_keeps(rule: Rule) -> None:
    assert breaches(rule, read_tree(), EXCEPTIONS.get(rule)) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_is_seen_of(rule: Rule) -> None:
    for path, text in RULES[rule].items():
        assert breaches(rule, {path: text}), f"{path}: {text[:80]!r}"
    assert breaches(rule, SOUND) == []
