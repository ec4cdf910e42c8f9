"""Where users' functions are called: what they raise becomes one error, with their traceback and the record.

This is the one place that catches what is not ours. An error that mrcore raised on purpose below
the user's function, such as a full disk, passes as it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import types
from typing import Any

from mrcore.engine.interruption import Interrupted
from mrcore.errors import BudgetError, MrcoreError, UserCodeError, plain_text, shown
from mrcore.kernels.chain import YieldError
from mrcore.kernels.drain import RecordTooLarge
from mrcore.kernels.groups import ValuesReadError
from mrcore.storage.files import directory_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from mrcore.engine.context import Context
    from mrcore.engine.record_page import Record

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
TEXT_MAX = 500  # letters of an exception's text
TRACEBACK_MAX = 20_000  # letters, of which the last ones are the exception's text


class Enough(Exception):
    """The task has made as many elements as are wanted."""


def no_record() -> Record | None:
    """What a function is called for that is called for no record."""
    return None


@contextlib.contextmanager
def user_code(
    where: Callable[[], str], memory: int = 0, record: Callable[[], Record | None] = no_record
) -> Iterator[None]:
    """Runs users' functions in the body: their errors are :func:`user_errors`, and what they change is ours again.

    The current directory is as it was before. A process that one of them forked, and that comes
    back out of it, ends here: the task is its parent's.
    """
    own = os.getpid()
    with directory_kept(), user_errors(where, memory, record):
        try:
            yield
        finally:
            leave_if_forked(own)


@contextlib.contextmanager
def user_errors(
    where: Callable[[], str], memory: int = 0, record: Callable[[], Record | None] = no_record
) -> Iterator[None]:
    """Turns what users' functions raise in the body into a UserCodeError that says ``where()``, and has ``record()``.

    Raises:
        UserCodeError: a function raised, called ``sys.exit``, or made what cannot be taken.
        BudgetError: a record that it made does not fit into ``memory``.
    """
    try:
        yield
    except (MrcoreError, Enough, Interrupted):
        raise
    except KeyboardInterrupt as error:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise  # Ctrl-C; to a worker, which ignores it, none comes, and the function itself raised this
        raise _wrapped(error, f"KeyboardInterrupt: {_text(error)}", where, record) from error
    except YieldError as error:
        place = "" if error.place is None else " at {} line {}, in {}".format(*error.place)
        unfit = UserCodeError(f"{shown(str(error))}{place}: {where()}")
        unfit.record = record()
        raise unfit from None
    except ValuesReadError as error:
        raise _wrapped(error, str(error), where, record) from error
    except RecordTooLarge as error:
        raise BudgetError(
            f"a record of {error.size:,} bytes: {where()}: a task has {memory:,} bytes of memory: "
            "raise --memory, lower -j, or yield smaller values"
        ) from None
    except MemoryError as error:
        text = "out of memory in the job's own code"
        raise _wrapped(error, text, where, record, "lower -j, or hold less at a time") from error
    except SystemExit as error:
        what = f"the job's own code called exit({shown_value(error.code)})"
        raise _wrapped(error, what, where, record) from error
    except BaseException as error:
        raise _wrapped(error, f"{type(error).__name__}: {_text(error)}", where, record) from error


def set_up(setup: Callable[[Any], Any] | None, ctx: Context) -> None:
    """Calls a user's ``setup(ctx)``, if there is one.

    Raises:
        YieldError: it yields or awaits, so that calling it ran nothing of it.
    """
    made = None if setup is None else setup(ctx)
    if isinstance(made, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
        raise YieldError("setup() yields or awaits, which nothing here does for it: yield in map() or teardown()")


def leave_if_forked(own: int) -> None:
    """Ends this process if it is not ``own``, with the status that an exception on its way asks for."""
    if os.getpid() == own:
        return
    error = sys.exception()
    status = 0 if error is None else 1
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None and not isinstance(error, Enough):
        sys.stderr.write(user_traceback(error) + "\n")
    sys.stderr.flush()
    os._exit(status & 0xFF)


def shown_value(value: object) -> str:
    """A value's repr, as one line that is not too long, whatever its type makes of it."""
    try:
        text = repr(value[:TEXT_MAX] if isinstance(value, str | bytes) else value)
    except Exception:
        text = f"(a {type(value).__name__} without a repr)"
    return shown(text[:TEXT_MAX])


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "(it has no text)"
    return shown(text[:TEXT_MAX])


def _wrapped(
    error: BaseException, what: str, where: Callable[[], str], record: Callable[[], Record | None],
    remedy: str = "see its traceback",
) -> UserCodeError:  # fmt: skip
    wrapped = UserCodeError(f"{what}: {where()}: {remedy}")
    wrapped.record = record()
    wrapped.user_traceback = user_traceback(error)
    wrapped.add_note(wrapped.user_traceback)
    return wrapped


def user_traceback(error: BaseException) -> str:
    """An exception as Python prints it, without the frames of mrcore that stand above the user's."""
    first: TracebackType | None = error.__traceback__
    while first is not None and first.tb_next is not None and _is_ours(first):
        first = first.tb_next
    if first is not None and _is_ours(first):
        first = None
    try:
        lines = traceback.format_exception(type(error), error, first)
    except Exception:  # an exception whose own methods fail
        lines = [*traceback.format_tb(first), type(error).__name__, "\n"]
    text = plain_text("".join(lines).rstrip("\n"))
    half = TRACEBACK_MAX // 2
    return text if len(text) <= TRACEBACK_MAX else f"{text[:half]}\n...\n{text[-half:]}"


def raised_by_us(error: BaseException) -> bool:
    """Did mrcore's own code raise it, and no function of the user's that it had called?"""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _is_ours(last)


def _is_ours(frame: TracebackType) -> bool:
    name = frame.tb_frame.f_code.co_filename
    return name.startswith((OURS, "mrcore/")) or name.endswith(".pyx")
