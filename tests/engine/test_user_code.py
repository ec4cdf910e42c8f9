"""Where users' functions fail: one error that says what and where, with their own traceback alone."""

import signal

import pytest

from mrcore.engine.user_code import Enough, shown_value, user_code, user_traceback
from mrcore.errors import BudgetError, UserCodeError
from mrcore.kernels.chain import Chain, Taker, YieldError
from mrcore.kernels.drain import RecordTooLarge
from mrcore.kernels.groups import ValuesReadError


def place():
    return "in, byte 5, map task 0"


def failing(x):
    return [1 // x for x in (1, x)]


def failed(function, *arguments, memory=0):
    """The UserCodeError of a function that fails below mrcore's own frames."""
    with pytest.raises(UserCodeError) as caught, user_code(place, memory):
        Chain([("map", function)], Taker()).push(*arguments)
    return caught.value


def test_the_error_says_what_and_where_and_its_traceback_begins_at_the_users_frame():
    error = failed(failing, 0)
    start = "ZeroDivisionError: integer division or modulo by zero: in, byte 5, map task 0: see its traceback"
    assert str(error) == start
    assert error.user_traceback.startswith("Traceback (most recent call last):")
    assert error.__notes__ == [error.user_traceback]
    assert isinstance(error.__cause__, ZeroDivisionError)


def below_ours(function, *arguments):
    """What a function raises, with no frame above it but mrcore's."""
    with pytest.raises(Exception) as caught:
        Chain([("map", function)], Taker()).push(*arguments)
    return caught.value.with_traceback(caught.value.__traceback__.tb_next)


def test_mrcores_frames_above_the_users_are_left_out():
    lines = user_traceback(below_ours(failing, 0)).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in failing") and "test_user_code.py" in lines[1]
    assert "/mrcore/" not in "".join(lines) and ".pyx" not in "".join(lines)
    assert lines[-1] == "ZeroDivisionError: integer division or modulo by zero"


def test_causes_are_shown_too():
    def function(x):
        try:
            failing(x)
        except ZeroDivisionError as error:
            raise KeyError("k\n") from error

    error = failed(function, 0)
    assert str(error).startswith(r"KeyError: 'k\n': in, byte 5")
    assert error.user_traceback.count("Traceback") == 2 and "direct cause" in error.user_traceback


def test_an_exception_without_any_frame_of_the_users():
    error = failed(int, "x")
    assert str(error).startswith("ValueError: invalid literal for int() with base 10: 'x': in, byte 5")
    assert user_traceback(below_ours(int, "x")) == "ValueError: invalid literal for int() with base 10: 'x'"


@pytest.mark.parametrize(("raised", "said"), [
    (SystemExit(3), "the job's own code called exit(3)"), (SystemExit("text"), "called exit('text')"),
    (BaseException("b"), "BaseException: b"), (MemoryError(), "out of memory in the job's own code"),
    (StopIteration(1), "StopIteration: 1"), (GeneratorExit(2), "GeneratorExit: 2: in"),
    (ValueError("x" * 5000), "ValueError: " + "x" * 500 + ": in"),
    (ValueError("a\nb\0\udc80"), r"ValueError: a\nb\x00\udc80: in"),
], ids=["exit", "exit with text", "base", "memory", "stop", "generator", "long", "odd text"])  # fmt: skip
def test_whatever_is_raised_is_one_line(raised, said):
    with pytest.raises(UserCodeError) as caught, user_code(place):
        raise raised
    assert said.replace("'text'", "text") in str(caught.value).replace("'text'", "text")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raised", [KeyboardInterrupt(), Enough(), BudgetError("ours"), UserCodeError("u")]
)
def test_what_is_not_the_users_passes_as_it_is(raised):
    with pytest.raises(type(raised)) as caught, user_code(place):
        raise raised
    assert caught.value is raised


def test_a_record_that_is_too_large_and_a_pair_that_is_none():
    said = "a record of 5,000 bytes: in, byte 5, map task 0: a task has 4,000 bytes"
    with pytest.raises(BudgetError, match=said), user_code(place, 4000):
        raise RecordTooLarge(5000)
    error = YieldError("not a pair")
    error.place = ("job.py", 7, "map")
    with (
        pytest.raises(UserCodeError, match=r"^not a pair at job.py line 7, in map: in, byte 5, map task 0$"),
        user_code(place),
    ):
        raise error


def test_values_are_shown_whatever_their_repr_does():
    class Odd:
        def __repr__(self):
            raise ValueError

    assert shown_value(Odd()) == "(a Odd without a repr)"
    assert shown_value("a\n") == r"'a\n'"
    assert len(shown_value(b"x" * 10_000_000)) <= 510


def test_an_exception_that_cannot_be_formatted_still_has_its_place():
    class Odd(Exception):
        def __str__(self):
            raise ValueError("no")

    def function(x):
        raise Odd

    error = failed(function, 1)
    assert str(error).startswith("Odd: (it has no text): in, byte 5")
    assert "in function" in user_traceback(error.__cause__)


@pytest.mark.parametrize("raised", [
    ZeroDivisionError(), MemoryError(), SystemExit(1), KeyboardInterrupt(), YieldError("no pair"),
    ValuesReadError("twice"),
], ids=repr)  # fmt: skip
def test_the_error_names_the_record_where_there_is_one(raised, monkeypatch):
    monkeypatch.setattr("signal.getsignal", lambda number: signal.SIG_IGN)  # as a worker has it
    with pytest.raises(UserCodeError) as caught, user_code(place, 0, lambda: (b"in", 5)):
        raise raised
    assert caught.value.record == (b"in", 5)
    with pytest.raises(UserCodeError) as caught, user_code(place):
        raise raised
    assert caught.value.record is None


def test_an_error_of_ours_on_its_way_keeps_its_own_record():
    ours = UserCodeError("of combine()")
    with pytest.raises(UserCodeError) as caught, user_code(place, 0, lambda: (b"in", 5)):
        raise ours
    assert caught.value is ours
    assert ours.record is None
