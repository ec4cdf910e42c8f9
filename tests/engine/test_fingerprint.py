"""Fingerprints: equal in every process and wherever the file lies, another one when what the job does is another."""

import gc
import importlib.util
import os
import pickle
import re
import subprocess
import sys

import pytest

import mrcore as mr
from mrcore.dataflow.mapreduce import pipeline_of
from mrcore.engine.fingerprint import fingerprint, fingerprint_of
from mrcore.engine.program import Program, Shuffle

HELPERS = '''
import re

WORD = re.compile("[a-z]+", re.IGNORECASE)

def inner(word):
    return WORD.findall(word)

def outer(word):
    return inner(word)

class Foundation:
    def below(self):
        return "below"
'''

JOB = '''
import dataclasses, enum, functools, helpers_of_job, json, typing
import mrcore as mr
from helpers_of_job import Foundation

LIMIT = 10
STOP = {"a", "the", "of", "and", "to", "in", "is"}
TABLE = {"one": 1, "two": [2, 2]}

def twice_removed(word):
    return word.strip(".")

def removed(word):
    return twice_removed(word).lower()

def even(number):
    return number == 0 or odd(number - 1)

def odd(number):
    return number != 0 and even(number - 1)

def logged(tag):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return tag, function(*arguments)
        return wrapper
    return decorate

@dataclasses.dataclass(frozen=True)
class Settings:
    least: int = 3
    names: tuple = ("n", "m")
    found: list = dataclasses.field(default_factory=list, hash=False)

class Color(enum.Enum):
    RED = 1
    BLUE = "blue"

class Pair(typing.NamedTuple):
    left: int
    right: str = "r"

class Base(mr.MapReduce, Foundation):
    def clean(self, word):
        return word + "x"

    @property
    def half(self):
        return 2

    @staticmethod
    def fixed(value):
        return value + 3

class Job(Base):
    combine = mr.TopK(3)
    words = frozenset({"these", "are", "words", "in", "a", "set"})
    __slots__ = ()

    def __init__(self, least=5):
        self.least = least
        self.seen = {("pair", 1), ("pair", 2), "x", "y", "z"}
        self.settings = {Settings(4), Settings(5), Settings(6)}
        self.colors = {Color.RED, Color.BLUE, Pair(1, "p"), even, odd, twice_removed}

    def map(self, record, ctx, *, separator=" "):
        def stop(word):
            return word in {"x", "y", "z", "lambda"} or word in STOP
        for word in record.split(separator):
            if not stop(word) and word not in {b"q", b"r", b"s"}:
                yield removed(word), LIMIT + 1

    @logged("tag")
    def reduce(self, key, values, ctx):
        class Local:
            kept = {"k1", "k2"}
            def get(self):
                self.b, self.a, self.zz, self.y1 = 1, 2, 3, 4
                return [value for value in values if value]
        yield helpers_of_job.outer(key), Local().get(), even(self.least), TABLE, json.dumps

    def setup(self, ctx):
        self.functions = [lambda x: x + 7, lambda x: x * 2]
        self.table = {key: [ctx, key] for key in range(3)}
        self.here = __file__, __name__, __doc__

@functools.lru_cache(maxsize=64)
def cached(x):
    return x + 8

@functools.singledispatch
def shown(value):
    return "object"

@shown.register
def shown_int(value: int):
    return "integer"

def made(offset, options):
    return lambda x: (x + offset, [y for y in options], [lambda: offset, cached(x), shown(x)])

PROGRAM = mr.from_items(()).map(made(9, ("o", {"s", "t", "u"}))).stages[0]
'''

CHILD = """
import importlib.util, sys
from mrcore.dataflow.mapreduce import pipeline_of
from mrcore.engine.fingerprint import fingerprint, fingerprint_of
sys.path.insert(0, sys.argv[1])
import the_job as job
print(fingerprint(pipeline_of(job.Job(), ()).stages[0]), fingerprint(job.PROGRAM), fingerprint_of(vars(job)["Job"]))
"""


def write(folder, job=JOB, helpers=HELPERS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "the_job.py").write_text(job)
    (folder / "helpers_of_job.py").write_text(helpers)
    return folder


def in_another_process(folder, seed="0"):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, os.fspath(folder)],
        env=environment | {"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return run.stdout.split()


def loaded(folder, job=JOB, helpers=HELPERS):
    """The fingerprints of a job loaded here, as a module of some name."""
    write(folder, job, helpers)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("helpers_of_job", "the_job"):
            spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
        return fingerprint(pipeline_of(module.Job(), ()).stages[0]), fingerprint(module.PROGRAM)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The fingerprints of the job as it stands above."""
    return loaded(tmp_path_factory.mktemp("known"))


# ---- the same job --------------------------------------------------------------------


def test_it_is_the_same_under_every_hash_seed_and_with_or_without_a_cache(tmp_path):
    folder = write(tmp_path / "job")
    found = {tuple(in_another_process(folder, seed)) for seed in ("0", "1", "12345", "random", "random")}
    assert len(found) == 1
    assert list(folder.glob("__pycache__/*")), "the later ones loaded compiled modules"
    assert all(len(digits) == 32 and int(digits, 16) for digits in found.pop())


def test_it_is_the_same_in_another_folder_and_on_other_lines(tmp_path):
    first = in_another_process(write(tmp_path / "job"))
    moved = re.sub("^( *)(def|class) ", r"\1# a comment\n\n\1\2 ", JOB, flags=re.MULTILINE)
    assert in_another_process(write(tmp_path / "far" / "away", "\n" * 300 + moved, "# one\n" * 5 + HELPERS)) == first


class Mine:
    """Of a module that is not installed."""

    def __init__(self, held):
        self.held = held

    def method(self):
        return self.held


def test_it_is_the_same_when_asked_again_and_when_objects_were_pickled_before(known, tmp_path):
    assert loaded(tmp_path) == known
    job = Mine(1)
    first = fingerprint_of(job.method)
    pickle.dumps(job)
    Mine.__annotations__  # noqa: B018 - it comes into the class with this
    gc.collect()
    assert fingerprint_of(job.method) == first


def test_looking_for_what_breaks_promises_does_not_count():
    program = Program((("map", len),))
    assert fingerprint(program._replace(verify=True)) == fingerprint(program)
    assert fingerprint(program._replace(encoding="utf-8")) != fingerprint(program)


# ---- another job ------------------------------------------------------------------------


CHANGES = {
    "a constant": ("LIMIT + 1", "LIMIT + 2"),
    "an operator": ("LIMIT + 1", "LIMIT - 1"),
    "a member of a set of constants": ('{b"q", b"r", b"s"}', '{b"q", b"r", b"t"}'),
    "a constant in a function inside": ('"lambda"}', '"lambdas"}'),
    "a default": ('separator=" "', 'separator=","'),
    "a global": ("LIMIT = 10", "LIMIT = 11"),
    "a set that a function inside names": ('"in", "is"}', '"in", "as"}'),
    "a value in a table": ('"two": [2, 2]', '"two": [2, 3]'),
    "the order of a table": ('{"one": 1, "two": [2, 2]}', '{"two": [2, 2], "one": 1}'),
    "a function two calls away": ('word.strip(".")', 'word.strip(",")'),
    "one of two that call each other": ("number != 0 and", "number != 1 and"),
    "a method of a base class": ('word + "x"', 'word + "y"'),
    "a property of a base class": ("return 2\n", "return 3\n"),
    "a static method of a base class": ("value + 3", "value + 4"),
    "the order of base classes": ("(mr.MapReduce, Foundation)", "(Foundation, mr.MapReduce)"),
    "an attribute of the job": ("least=5", "least=6"),
    "an aggregate's parameter": ("mr.TopK(3)", "mr.TopK(4)"),
    "an aggregate": ("mr.TopK(3)", "mr.Sum()"),
    "a member of a class's set": ('"words", "in"', '"word", "in"'),
    "a tuple in an object's set": ('("pair", 2)', '("pair", 3)'),
    "an object in an object's set": ("Settings(6)", "Settings(7)"),
    "a default of a dataclass": ("least: int = 3", "least: int = 4"),
    "the type of a field": ("least: int = 3", "least: float = 3"),
    "a factory of a dataclass": ("default_factory=list", "default_factory=dict"),
    "a member of an enum": ('BLUE = "blue"', 'BLUE = "navy"'),
    "a default of a named tuple": ('right: str = "r"', 'right: str = "s"'),
    "a parameter of a decorator": ('@logged("tag")', '@logged("other")'),
    "what a decorator does": ("return tag, function", "return function, tag"),
    "a class inside a function": ('{"k1", "k2"}', '{"k1", "k3"}'),
    "a lambda in a list": ("x * 2", "x * 3"),
    "a comprehension": ("[ctx, key] for key", "[key, ctx] for key"),
    "a comprehension's condition": ("if value]", "if not value]"),
}
CHANGES_OF_PROGRAM = {
    "a closure's value": ("made(9,", "made(8,"),
    "a set in a closure": ('{"s", "t", "u"}', '{"s", "t", "v"}'),
    "the inside of a lambda": ("x + offset", "x - offset"),
    "a function with a cache": ("x + 8", "x + 9"),
    "the size of a cache": ("maxsize=64", "maxsize=65"),
    "an overload": ('"integer"', '"int"'),
}
CHANGES_OF_HELPERS = {
    "a function two calls away in a module": ("WORD.findall", "WORD.search"),
    "what a function in a module calls": ("return inner(word)", "return inner(word)[0]"),
    "a pattern": ("[a-z]+", "[a-z]*"),
    "a flag of a pattern": ("re.IGNORECASE", "re.ASCII"),
    "a base class in a module": ('"below"', '"beneath"'),
}


@pytest.mark.parametrize("change", CHANGES | CHANGES_OF_PROGRAM)
def test_it_is_another_after_a_change_of(change, known, tmp_path):
    old, new = (CHANGES | CHANGES_OF_PROGRAM)[change]
    assert JOB.count(old) == 1
    differs = [one != other for one, other in zip(loaded(tmp_path, JOB.replace(old, new)), known, strict=True)]
    assert differs == [change in CHANGES, change in CHANGES_OF_PROGRAM]


@pytest.mark.parametrize("change", CHANGES_OF_HELPERS)
def test_it_is_another_after_a_change_beside_the_file_of(change, known, tmp_path):
    old, new = CHANGES_OF_HELPERS[change]
    assert HELPERS.count(old) == 1
    assert loaded(tmp_path, helpers=HELPERS.replace(old, new))[0] != known[0]


@pytest.mark.parametrize(("old", "new"), [
    ("LIMIT = 10", "LIMIT = 5 + 5"), ("def twice_removed", "UNUSED = 5\ndef twice_removed"),
    ("shown_int(value: int):", "shown_int(value: 'int'):"), ("class Base(", "class Unused: pass\nclass Base("),
])  # fmt: skip
def test_what_no_function_reaches_does_not_count(old, new, known, tmp_path):
    assert loaded(tmp_path, JOB.replace(old, new)) == known


def test_each_part_of_a_program_counts():
    def one(*arguments):
        return arguments

    programs = [
        Program(), Program((("map", one),)), Program((("filter", one),)), Program((("map", len),)),
        Program((("map", one), ("map", len))), Program((("map", len), ("map", one))), Program(batches=one),
        Program(after=(("map", one),)), Program(setup=one), Program(teardown=one), Program(encoding="utf-8"),
        Program(columns=1), Program(shuffle=Shuffle()), Program(shuffle=Shuffle(each=True)),
        *(Program(shuffle=Shuffle(**{name: one})) for name in ("combine", "reduce", "place")),
        *(Program(shuffle=Shuffle(one)) for one in (mr.Sum(), mr.Min(), mr.TopK(1), mr.TopK(2), mr.TopK(1, len))),
    ]  # fmt: skip
    assert len({fingerprint(program) for program in programs}) == len(programs)
