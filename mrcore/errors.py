"""The error tree: whose fault it is, what, where, and what to do.

Every error that mrcore raises on purpose is an :class:`MrcoreError`. Its text is one line,
``what: where: what to do``; ``exit_code`` is the command's exit status for it.
"""

from __future__ import annotations


class MrcoreError(Exception):
    """Base of all errors of mrcore."""

    exit_code = 1


class UsageError(MrcoreError, ValueError):
    """An option or argument that makes no sense."""

    exit_code = 2


class InputError(MrcoreError, OSError):
    """Input that is missing, unreadable, or changed while it was read."""

    exit_code = 3


class OutputExistsError(MrcoreError, OSError):
    """Output that is there already, or a place that cannot be written."""

    exit_code = 4


class BudgetError(MrcoreError, MemoryError):
    """The job does not fit in its memory or disk budget."""

    exit_code = 5


class DiskFullError(BudgetError, OSError):
    """No space left where the job writes."""


class JobError(MrcoreError):
    """The job failed, by the data's or the system's fault."""


class CorruptionError(JobError):
    """Bytes that mrcore wrote did not read back as written."""


class WorkerLostError(JobError):
    """A worker process died and the job could not go on without it."""


class ProtocolError(JobError):
    """A message between processes that does not follow the protocol."""


class JobCancelledError(MrcoreError):
    """The job was cancelled."""

    exit_code = 6
