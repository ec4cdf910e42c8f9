"""The contract of an executor, kept by each of them; and how errors come back."""

import functools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcore import errors
from mrcore.errors import MrcoreError
from mrcore.executors.base import error_of
from mrcore.executors.inline import Inline
from mrcore.runtime.local_executor import LocalExecutor, Place
from mrcore.runtime.local_timeline import Timeline
from mrcore.runtime.plan import Faults
from mrcore.testing.executor_contract import ExecutorContract


def local(workers, folder):
    return LocalExecutor(workers, Place(folder, os.path.dirname(folder)), Faults(), Timeline(None))


class TestInline(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return Inline


class TestOneWorker(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return functools.partial(local, 1)


class TestThreeWorkers(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return functools.partial(local, 3)


NAMES = [name for name in dir(errors) if name.endswith("Error")]


@given(name=st.sampled_from(NAMES), text=st.text(max_size=20))
@settings(max_examples=30)
def test_an_error_comes_back_as_the_kind_it_was(name, text):
    error = error_of(name, text, "where it was raised")
    assert type(error) is getattr(errors, name)
    assert str(error) == text
    assert error.__notes__ == ["where it was raised"]


@pytest.mark.parametrize("name", ["", "shown", "TYPE_CHECKING", "NoSuchError", "annotations"])
def test_a_defect_is_called_one(name):
    error = error_of(name, "IndexError: 3", "trace")
    assert type(error) is MrcoreError
    assert "defect of mrcore: IndexError: 3" in str(error)
