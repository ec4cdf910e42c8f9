"""Where users' functions print: one file a worker and job, of which each attempt has a range.

The descriptors 1 and 2 lead there, so that whatever a function starts prints there too. A file that grows beyond
:data:`LOG_BYTES_MAX` takes no more: users' noise must not fill the disk.
"""

from __future__ import annotations

import contextlib
import os
import sys

LOG_BYTES_MAX = 64 << 20
_CUT = b"\n[mrcore: this log is full; what was printed from here on is left out]\n"


class TaskLog:
    """The standard output and error of this process."""

    def __init__(self) -> None:
        self._own = os.dup(2)
        self._is_file = self._is_full = False
        self._full_bytes = 0  # of the file, once it is full

    def direct(self, path: bytes) -> None:
        """From now on what is printed goes to a file, or, without one, where this process was started."""
        self._flush()
        self._is_full = False
        self._is_file = bool(path)
        if path:
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError:  # a log is a service, and no reason to fail
                self._is_file = False
                self._to(self._own)
                return
            self._to(fd)
            os.close(fd)
        else:
            self._to(self._own)

    def position(self) -> int:
        """Bytes in the file."""
        self._flush()
        if self._is_full:
            return self._full_bytes
        return self._size() if self._is_file else 0

    def _size(self) -> int:
        try:
            return os.fstat(1).st_size
        except OSError:  # a function has closed it
            return 0

    def check_size(self) -> None:
        """Lets a file that is too large grow no more; to be called now and then, in any thread."""
        if self._is_file and not self._is_full and self._size() > LOG_BYTES_MAX:
            with contextlib.suppress(OSError):  # the disk may be full
                os.write(1, _CUT)
            self._full_bytes = self._size()
            self._is_full = True
            nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            self._to(nothing)
            os.close(nothing)

    def _to(self, fd: int) -> None:
        os.dup2(fd, 1)
        os.dup2(fd, 2)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # a function may have closed or replaced it
                stream.flush()
