"""The error tree: one base, an exit status each, one printable line whatever a path's bytes are."""

import errno

import pytest

import mrcore
from mrcore import errors

STATUSES = {
    "MrcoreError": 1, "UsageError": 2, "InputError": 3, "BadRecordError": 3, "OutputExistsError": 4, "BudgetError": 5,
    "DiskFullError": 5, "UserCodeError": 1, "SerializationError": 1, "CorruptionError": 1, "WorkerLostError": 1,
    "JobCancelledError": 6, "ProtocolError": 1, "AuthenticationError": 7,
}  # fmt: skip


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_every_error_is_public_and_has_its_exit_status(name, status):
    kind = getattr(mrcore, name)
    assert kind is getattr(errors, name)
    assert issubclass(kind, errors.MrcoreError)
    assert kind.exit_code == status


def test_the_tree_holds_nothing_else():
    found = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert found == set(STATUSES)


def test_callers_may_catch_a_usage_error_as_a_value_error():
    assert issubclass(errors.UsageError, ValueError)


@pytest.mark.parametrize(("path", "text"), [
    (b"plain", "plain"), (b"a b", "a b"), ("été".encode(), "été"),
    (b"a\nb\tc", "a\\nb\\tc"), (b"\xff\xfe", "\\xff\\xfe"),
    ("\udcff", "\\udcff"), ("line\u2028end", "line\\u2028end"), (b"\x1b[31m", "\\x1b[31m"), ("\x00", "\\x00"),
])  # fmt: skip
def test_a_path_is_shown_as_one_printable_line(path, text):
    assert errors.shown(path) == text
    assert text.isprintable()


def test_the_reason_is_the_systems_without_pythons_decoration():
    assert errors.reason(PermissionError(errno.EACCES, "Permission denied", "name")) == "permission denied"
    assert errors.reason(OSError("odd")) == "odd"
