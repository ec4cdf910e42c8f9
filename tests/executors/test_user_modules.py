"""Modules that were edited since they were loaded."""

import importlib
import os
import sys

import pytest

from mrcore.executors.user_modules import UserModules


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "module_of_mine.py"
    path.write_text("ANSWER = 1\n")
    yield path
    sys.modules.pop("module_of_mine", None)


def test_an_edit_shows_from_the_last_look_on(module):
    modules = UserModules()
    modules.note()
    assert not modules.are_edited()
    importlib.import_module("module_of_mine")
    modules.note()
    assert not modules.are_edited()
    os.utime(module, ns=(1, 1))
    assert modules.are_edited()
    modules.note()  # what is loaded is still the old one
    assert modules.are_edited()


def test_one_that_is_removed_was_edited(module):
    importlib.import_module("module_of_mine")
    modules = UserModules()
    modules.note()
    module.unlink()
    assert modules.are_edited()


def test_one_below_the_folder_that_python_was_installed_in_is_not_installed(module, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(module.parent))
    monkeypatch.setattr(sys, "base_prefix", str(module.parent))
    importlib.import_module("module_of_mine")
    modules = UserModules()
    modules.note()
    module.unlink()
    assert modules.are_edited()


def test_installed_modules_are_left_out(module):
    modules = UserModules()
    modules.note()
    assert not {os.__file__, pytest.__file__} & set(modules._written)
