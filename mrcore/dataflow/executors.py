"""Where and with what a dataset is run: executors as users name them, and their budgets."""

from __future__ import annotations

import os
from typing import NamedTuple

from mrcore import config
from mrcore.errors import UsageError
from mrcore.runtime.plan import Options


class Inline(NamedTuple):
    """Run in this process, without workers.

    Args:
        memory: bytes that the job may hold (a number, or text such as ``"1GiB"``); by default
            half of what is available.
        tmp: where intermediate files go; by default ``$TMPDIR`` or ``/tmp``.
        tmp_limit: bytes that they may take at a time; by default there is no limit.
    """

    memory: int | str | None = None
    tmp: str | bytes | None = None
    tmp_limit: int | str | None = None


class Local(NamedTuple):
    """Run on this machine.

    Args:
        workers: worker processes; by default one a core, and none for small input.
        memory: bytes that all processes of the job may hold (a number, or text such as
            ``"4GiB"``); by default half of what is available.
        tmp: where intermediate files go; by default ``$TMPDIR`` or ``/tmp``.
        tmp_limit: bytes that they may take at a time; by default there is no limit.
    """

    workers: int | None = None
    memory: int | str | None = None
    tmp: str | bytes | None = None
    tmp_limit: int | str | None = None


Executor = Inline | Local


def options_of(executor: Executor | None, reducers: int | None = None, split: int | None = None) -> Options:
    """What an executor means for a job."""
    local = Local() if executor is None else executor
    return Options(
        0 if isinstance(local, Inline) else local.workers,
        reducers,
        split,
        None if local.tmp is None else os.fsencode(local.tmp),
        parse_bytes(local.memory),
        parse_bytes(local.tmp_limit),
    )


def parse_bytes(size: int | str | None) -> int | None:
    """A size that may be a number of bytes or text.

    Raises:
        UsageError: not a size.
    """
    return config.parse_size(size) if isinstance(size, str) else size


def parse_split(split: int | str | None) -> int | None:
    """Bytes of a split; 0 for ``"file"``.

    Raises:
        UsageError: not a size, or less than one byte.
    """
    if split is None or split == "file":
        return None if split is None else 0
    size = config.parse_size(split) if isinstance(split, str) else split
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UsageError(f"split size out of range: {split}: write a size from 1 byte, or 'file'")
    return size
