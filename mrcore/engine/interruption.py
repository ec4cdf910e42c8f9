"""How a task is stopped from outside: an exception that no function of a user's takes for an error."""

from __future__ import annotations


class Interrupted(BaseException):
    """The attempt is not wanted any more. Raised in the thread that runs it, wherever that is."""
