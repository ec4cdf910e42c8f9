"""The error tree: whose fault it is, what, where, and what to do.

Every error that mrcore raises on purpose is an :class:`MrcoreError`. Its text is one line,
``what: where: what to do``; ``exit_code`` is the command's exit status for it.
"""

from __future__ import annotations


class MrcoreError(Exception):
    """Base of all errors of mrcore. By itself: the job failed."""

    exit_code = 1


class UsageError(MrcoreError, ValueError):
    """An option or argument that makes no sense."""

    exit_code = 2


class InputError(MrcoreError):
    """Input that is missing, unreadable, or changed while it was read."""

    exit_code = 3


class BadRecordError(InputError):
    """A record that does not follow its format."""

    record: tuple[bytes, int] | None = None
    """The record's name, as of :mod:`mrcore.engine.record_page`, where a task can pass over it."""


class OutputExistsError(MrcoreError):
    """Output that is there already, or a place that cannot be written."""

    exit_code = 4


class BudgetError(MrcoreError):
    """The job does not fit in its memory or disk budget."""

    exit_code = 5


class DiskFullError(BudgetError):
    """No space is left where the job writes."""


class UserCodeError(MrcoreError):
    """The user's own function failed, or made what cannot be taken."""

    user_traceback = ""
    """The function's own traceback as text, if it raised."""

    record: tuple[bytes, int] | None = None
    """The name of the record at work, as of :mod:`mrcore.engine.record_page`, where a task can pass over it."""


class SerializationError(MrcoreError):
    """Something of the user's cannot travel to a worker."""


class CorruptionError(MrcoreError):
    """Bytes that mrcore wrote did not read back as written."""


class WorkerLostError(MrcoreError):
    """A worker process died and the job could not go on without it."""


class JobCancelledError(MrcoreError):
    """The job was cancelled."""

    exit_code = 6


class ProtocolError(MrcoreError):
    """A message between processes does not follow the protocol."""


class AuthenticationError(MrcoreError):
    """A peer could not say who it is."""

    exit_code = 7


def shown(path: bytes | str) -> str:
    """A path as one printable line, whatever its bytes are: controls and bad UTF-8 are escaped."""
    text = path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else path
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def plain_text(text: str) -> str:
    """A text that UTF-8 can write, and so a message: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def reason(error: OSError) -> str:
    """What the system says of an error, without Python's decoration."""
    return (error.strerror or str(error)).lower() if error.errno else str(error)
