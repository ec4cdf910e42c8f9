"""What is a library's, and so known by its name, and what is the user's own."""

import collections
import functools
import json
import os
import pathlib
import sys
import types

import msgspec
import numpy
import pytest

import mrcore
from mrcore.engine.aggregates import TopK
from mrcore.engine.installed import Installed


class Mine:
    def method(self):
        return self


@functools.wraps(json.dumps)
def poses_as_dumps(value):
    return value


@pytest.mark.parametrize(("module", "version"), [
    ("json", json.__version__), ("json.decoder", json.__version__), ("builtins", ""), ("sys", ""), ("os.path", ""),
    ("numpy", numpy.__version__), ("numpy.linalg", numpy.__version__), ("msgspec.json", msgspec.__version__),
    ("mrcore.engine.installed", mrcore.__version__), (__name__, None), ("__main__", None), ("not.there", None),
    (None, None), (5, None),
])  # fmt: skip
def test_versions_of_modules(module, version, monkeypatch):
    if module == "__main__":  # pytest's own is a library's
        monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    assert Installed().version(module) == version


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_a_folder_for_packages_makes_a_library_and_any_other_does_not(folder, tmp_path, monkeypatch):
    module = types.ModuleType("some_thing")
    monkeypatch.setitem(sys.modules, "some_thing", module)
    module.__file__ = os.fspath(tmp_path / "lib" / folder / "some_thing.py")
    assert Installed().version("some_thing") == ""
    module.__version__ = "1.2"
    assert Installed().version("some_thing") == "1.2"
    module.__version__ = (1, 2)
    assert Installed().version("some_thing") == ""
    module.__file__ = os.fspath(tmp_path / "lib" / "some_thing.py")
    assert Installed().version("some_thing") is None


def test_a_file_of_the_users_with_the_name_of_a_library_is_the_users(tmp_path, monkeypatch):
    module = types.ModuleType("queue")
    module.__file__ = os.fspath(tmp_path / "queue.py")
    monkeypatch.setitem(sys.modules, "queue", module)
    assert Installed().version("queue") is None


@pytest.mark.parametrize(("value", "name"), [
    (json.dumps, "dumps"), (json.JSONDecoder.decode, "JSONDecoder.decode"), (int, "int"), (TopK, "TopK"),
    (pathlib.Path.cwd.__func__, "Path.cwd"),
    (collections.OrderedDict, "OrderedDict"), (numpy.ndarray, "ndarray"), (type(iter([])), "list_iterator"),
])  # fmt: skip
def test_what_is_found_in_a_library_has_a_place_there(value, name):
    place = Installed().place(value)
    assert place is not None and place[:2] == (value.__module__, name)


def inner_function_of_a_library():
    return collections.namedtuple("made", "a").__repr__


@pytest.mark.parametrize("value", [
    Mine, Mine.method, test_versions_of_modules, lambda: 0, poses_as_dumps, 5, None,
    collections.namedtuple("Made", "a"), inner_function_of_a_library(),
])  # fmt: skip
def test_what_is_the_users_has_none(value):
    assert Installed().place(value) is None


def test_a_function_of_the_users_that_replaces_a_librarys_is_the_users(monkeypatch):
    monkeypatch.setattr(json, "dumps", poses_as_dumps)
    assert Installed().place(json.dumps) is None


def test_a_class_whose_attributes_raise_when_asked_for_is_not_found():
    class Meta(type):
        @property
        def method(cls):
            raise ZeroDivisionError

    class Strange(metaclass=Meta):
        pass

    Strange.__module__, Strange.__qualname__ = "json", "Strange"

    def method():
        return 0

    method.__module__, method.__qualname__ = "json", "Strange.method"
    json.Strange = Strange
    try:
        method = types.FunctionType(method.__code__, vars(json), "method")
        method.__module__, method.__qualname__ = "json", "Strange.method"
        assert Installed().place(method) is None
    finally:
        del json.Strange
