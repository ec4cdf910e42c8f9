"""Which modules of users' a process has loaded, and whether their files are what they were.

A process that is kept for the next job must not run yesterday's code. Modules of the standard library and of
installed packages are left out: nobody edits these between two jobs of one program.
"""

from __future__ import annotations

import os
import sys

_LIBRARY = os.path.dirname(os.__file__) + os.sep
"""The standard library's. All below sys.prefix would be too much: that of a system's Python is /usr."""


class UserModules:
    """The modules that were loaded so far."""

    def __init__(self) -> None:
        self._seen = 0  # modules of any kind, when they were looked at last
        self._written: dict[str, int] = {}  # files, and when they were written

    def note(self) -> None:
        """Looks at modules that were loaded since the last call; to be called before a task's end is told.

        Cost: nothing where there are none.
        """
        if len(sys.modules) == self._seen:
            return
        self._seen = len(sys.modules)
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path not in self._written and not _is_installed(path):
                self._written[path] = _when_written(path)

    def are_edited(self) -> bool:
        """Whether one of their files is another than it was."""
        return any(_when_written(path) != when for path, when in self._written.items())


def _is_installed(path: str) -> bool:
    return path.startswith(_LIBRARY) or "/site-packages/" in path or "/dist-packages/" in path


def _when_written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
