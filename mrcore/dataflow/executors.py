"""Where and with what a dataset is run: executors as users name them, and their budgets."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from mrcore import config
from mrcore.errors import UsageError
from mrcore.runtime.plan import Faults, Needs, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


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
        max_attempts: of a task, before the job fails.
        skip_bad: records of the job that may be left out once a function of the job failed on them twice.
        speculation: ``"auto"``, second attempts of tasks that are much slower than others; or ``"off"``.
        timeout: seconds without a byte read after which a task's attempt is ended and counts as failed; None: never.
        resources: what each task takes: ``{"memory": "2GiB", "cpu": 1}``. Only as many run at a time as fit.
    """

    workers: int | None = None
    memory: int | str | None = None
    tmp: str | bytes | None = None
    tmp_limit: int | str | None = None
    max_attempts: int = 4
    skip_bad: int = 0
    speculation: str = "auto"
    timeout: float | None = None
    resources: Mapping[str, Any] | None = None


Executor = Inline | Local


def options_of(executor: Executor | None, reducers: int | None = None, split: int | None = None) -> Options:
    """What an executor means for a job."""
    local = Local() if executor is None else Local(0, *executor) if isinstance(executor, Inline) else executor
    if local.speculation not in ("auto", "off"):
        raise UsageError(f"speculation is 'auto' or 'off', not {local.speculation!r}")
    return Options(
        local.workers,
        reducers,
        split,
        None if local.tmp is None else os.fsencode(local.tmp),
        parse_bytes(local.memory),
        parse_bytes(local.tmp_limit),
        Faults(local.max_attempts, local.skip_bad, local.speculation == "auto", local.timeout or 0.0),
        parse_needs(local.resources),
    )


def parse_needs(resources: Mapping[str, Any] | None) -> Needs:
    """What a task takes, from ``{"memory": "2GiB", "cpu": 1}``.

    Raises:
        UsageError: another name, or a value that is none.
    """
    if not resources:
        return Needs()
    unknown = sorted(set(resources) - {"memory", "cpu"})
    cpu = resources.get("cpu", 1)
    if unknown or isinstance(cpu, bool) or not isinstance(cpu, int | float):
        raise UsageError(f"resources {dict(resources)!r}: write {{'memory': '2GiB', 'cpu': 1}}, or one of the two")
    return Needs(parse_bytes(resources.get("memory")), float(cpu))


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
