"""One word, five places: C, wrapper, test, benchmark and reference of a kernel bear its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from source_tree import Breach, Tree, breaches, read_tree

PLACES = (
    "csrc/mr_{}.c",
    "mrcore/kernels/{}.pyx",
    "mrcore/kernels/{}.pyi",
    "tests/kernels/test_{}.py",
    "benchmarks/kernels/bench_{}.py",
)
REFERENCE = "mrcore/testing/reference.py"
REFERENCE_NAMES = {  # kernels whose reference has a word of its own, or is somebody else's
    "hash": "partition",  # XXH3 itself is compared with the xxhash package
}

MISSING = {  # kernel::place, and why there is nothing
    "chain::csrc/mr_chain.c": "calls Python functions, and csrc knows no Python objects",
    "chain::reference": "it is the loop that calls them: a list comprehension in its test says the same",
    "codec::csrc/mr_codec.c": "Python objects to bytes and back; LEB128 and zigzag are mr_record.h's",
    "cpu::benchmarks/kernels/bench_cpu.py": "chooses a path; the paths are measured in the kernels that take them",
    "cpu::reference": "says what the machine has: there is nothing to compute",
    "drain::csrc/mr_drain.c": "takes Python objects; what it adds them to are mr_table_add.c and mr_radix.c",
    "drain::reference": "what comes out is reference.groups of what was taken",
    "fault::benchmarks/kernels/bench_fault.py": "two stores a call: what it costs is in the kernels that it guards",
    "fault::reference": "guards memory, computes nothing",
    "fold::csrc/mr_fold.c": "values of any size and type; its sums are mr_accumulate.c's",
    "groups::csrc/mr_groups.c": "makes Python objects; records are parsed by mr_record.h",
    "memory::csrc/mr_memory.c": "three system calls, made by the wrapper",
    "memory::tests/kernels/test_memory.py": "has no Python interface but its size; the kernels that live in it test it",
    "memory::benchmarks/kernels/bench_memory.py": "what it costs is the benchmark of the table",
    "memory::reference": "holds bytes, computes nothing",
    "output::csrc/mr_output.c": "the text of Python objects",
    "process::csrc/mr_process.c": "single system calls, made by the wrapper",
    "process::benchmarks/kernels/bench_process.py": "system calls: the time is the kernel's",
    "process::reference": "asks the kernel for something, computes nothing",
    "reduce::csrc/mr_reduce.c": "calls Python functions",
    "reduce::reference": "groups, fold and output, one after the other, which have theirs",
}


def kernels_have_five_places(tree: Tree) -> Iterator[Breach]:
    defined = {node.name for node in ast.walk(ast.parse(tree.get(REFERENCE, ""))) if isinstance(node, ast.FunctionDef)}
    for path in tree:
        if not (path.startswith("mrcore/kernels/") and path.endswith(".pyx")):
            continue
        kernel = path.removeprefix("mrcore/kernels/").removesuffix(".pyx")
        for place in PLACES:
            if place.format(kernel) not in tree:
                yield Breach(f"{kernel}::{place.format(kernel)}", "is missing")
        if REFERENCE_NAMES.get(kernel, kernel) not in defined:
            yield Breach(f"{kernel}::reference", f"{REFERENCE} has no function of that name")


def test_every_kernel_has_its_five_places() -> None:
    assert breaches(kernels_have_five_places, read_tree(), MISSING) == []


def test_a_missing_place_is_seen() -> None:
    whole = {place.format("fold"): "" for place in PLACES} | {REFERENCE: "def fold(): pass"}
    assert breaches(kernels_have_five_places, whole) == []
    for path in set(whole) - {"mrcore/kernels/fold.pyx"}:
        assert len(breaches(kernels_have_five_places, {p: t for p, t in whole.items() if p != path})) == 1
