"""Runs one attempt and puts what came of it into words that a coordinator understands."""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from mrcore.engine.spec import PythonMapSpec, PythonReduceSpec, TaskSpec, decode_spec, placed
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import (
    BadRecordError,
    BudgetError,
    CorruptionError,
    DiskFullError,
    InputError,
    MrcoreError,
    SerializationError,
    UsageError,
    UserCodeError,
    plain_text,
)
from mrcore.executors.attach import decode_task
from mrcore.storage.partfile import file_check
from mrcore.wire.cluster_fields import (
    PATH_BYTES_MAX,
    TEXT_MAX,
    TRACEBACK_MAX,
    FailureClass,
    InputFile,
    LossReason,
    RecordPosition,
    clipped,
)
from mrcore.wire.output_names import output_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrcore.engine.record_page import RecordPage
    from mrcore.executors.user_modules import UserModules
    from mrcore.wire.cluster_messages import StartAttempt

_FINAL = (InputError, BudgetError, SerializationError, UsageError)
"""Errors that another attempt would meet again."""


class Outcome(NamedTuple):
    """How an attempt ended: with an output, or with a failure."""

    output: str = ""
    output_bytes: int = 0
    output_check: bytes = bytes(8)
    counters: Mapping[str, int] = MappingProxyType({})
    result: bytes = b""
    failure: FailureClass | None = None
    error: str = ""  # name of a class in mrcore.errors; empty: a defect
    text: str = ""
    user_traceback: str = ""
    traceback: str = ""
    record: RecordPosition | None = None
    lost_inputs: tuple[tuple[str, LossReason], ...] = ()


class Runner:
    """Runs attempts in this process, one at a time.

    Args:
        page: where the record at work is noted for whoever finds this process dead.
        disk_slot: of the job's disk budget.
        modules: told when users' functions have run.
    """

    def __init__(self, page: RecordPage | None, disk_slot: int, modules: UserModules | None = None) -> None:
        self._env = TaskEnv(page=page)
        self._env.slot = disk_slot
        self._modules, self._has_user_code = modules, False

    def run(self, start: StartAttempt, progress: Callable[[int], None], note: Callable[[str, str], None]) -> Outcome:
        """Runs an attempt to its end. Only what is to stop it passes as an exception."""
        env = self._env
        env.progress, env.note = progress, note
        env.skip = tuple([(position.path, position.offset) for position in start.skip])
        try:
            folder, spec = _unpack(start.spec)
            if lost := _missing(folder, start.inputs):
                text = f"{len(lost)} outputs of earlier tasks are gone, {lost[0][0]} among them"
                return Outcome(failure=FailureClass.CORRUPT_INPUT, error="CorruptionError", text=text, lost_inputs=lost)
            if isinstance(spec, PythonMapSpec | PythonReduceSpec):
                self._has_user_code = True
                _contain(spec.code.ceiling)
            name = output_name(start.attempt)
            runs = tuple([os.path.join(folder, one.name.encode()) for one in sorted(start.inputs, key=_place)])
            result = run_task(placed(spec, os.path.join(folder, name.encode()), runs), env)
        except MrcoreError as error:
            return self._failed(start, error)
        except Exception as error:  # a defect of ours: reported, not hidden
            text = clipped(plain_text(f"{type(error).__name__}: {error}"), TEXT_MAX)
            return Outcome(failure=FailureClass.DEFECT, text=text, traceback=_traceback())
        finally:
            env.skip = ()
            if self._modules is not None and self._has_user_code:
                self._modules.note()
        counters = dict(result.counters)
        told = msgspec.msgpack.encode(msgspec.structs.replace(result, counters=(), output=b""))
        return Outcome(name, result.bytes_out, bytes.fromhex(result.check or "0" * 16), counters, told)

    def stopped(self, start: StartAttempt) -> Outcome:
        """What is to be said of an attempt that was interrupted: its files are removed."""
        with contextlib.suppress(MrcoreError):
            folder, _ = _unpack(start.spec)
            remove_output(os.path.join(folder, output_name(start.attempt).encode()))
        return Outcome(failure=FailureClass.CANCELLED, text="it was told to stop")

    def forget(self) -> None:
        """Lets the memory go that was kept for a next attempt."""
        self._env.drop()

    def _failed(self, start: StartAttempt, error: MrcoreError) -> Outcome:
        lost: tuple[tuple[str, LossReason], ...] = ()
        if isinstance(error, CorruptionError):
            folder, _ = _unpack(start.spec)
            lost = _missing(folder, start.inputs) or _damaged(folder, start.inputs)
        record = getattr(error, "record", None)
        return Outcome(
            failure=FailureClass.CORRUPT_INPUT if lost else class_of(error),
            error=type(error).__name__,
            text=clipped(plain_text(str(error)), TEXT_MAX),
            user_traceback=clipped(plain_text(getattr(error, "user_traceback", "")), TRACEBACK_MAX),
            traceback=_traceback(),
            record=None if record is None else RecordPosition(record[0][:PATH_BYTES_MAX], record[1]),
            lost_inputs=lost,
        )


def class_of(error: MrcoreError) -> FailureClass:
    """What the scheduler makes of an error: whether another attempt may do better."""
    if isinstance(error, UserCodeError) or (isinstance(error, BadRecordError) and error.record is not None):
        return FailureClass.USER_CODE
    if isinstance(error, DiskFullError):
        return FailureClass.DISK_FULL
    if isinstance(error, BudgetError) and isinstance(error.__cause__, MemoryError):
        return FailureClass.OUT_OF_MEMORY
    if isinstance(error, _FINAL):
        return FailureClass.BAD_INPUT
    return FailureClass.DEFECT


def remove_output(path: bytes) -> int:
    """Removes an attempt's file and what else it left beside it; bytes that they had."""
    folder, name = os.path.split(path)
    freed = 0
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.name == name or entry.name.startswith(name + b".merge-"):
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a folder is none of ours
                    freed += entry.stat(follow_symlinks=False).st_size
                    os.unlink(entry.path)
    return freed


def _unpack(data: bytes) -> tuple[bytes, TaskSpec]:
    folder, spec = decode_task(data)
    return folder, decode_spec(spec)


def _place(one: InputFile) -> tuple[int, int]:
    _, stage, task, _ = one.name.rsplit(".", 3)
    return int(stage), int(task)


def _missing(folder: bytes, inputs: tuple[InputFile, ...]) -> tuple[tuple[str, LossReason], ...]:
    """Inputs that are not there, or not as long as they were."""
    found = []
    for one in inputs:
        try:
            size = os.stat(os.path.join(folder, one.name.encode())).st_size
        except OSError:
            found.append((one.name, LossReason.MISSING))
        else:
            if size != one.size_bytes:
                found.append((one.name, LossReason.CORRUPT))
    return tuple(found)


def _damaged(folder: bytes, inputs: tuple[InputFile, ...]) -> tuple[tuple[str, LossReason], ...]:
    """Inputs that do not read back as written. Cost: all of them are read."""
    found = []
    for one in inputs:
        try:
            _, check = file_check(os.path.join(folder, one.name.encode()))
        except InputError:
            check = ""
        if check != one.check.hex():
            found.append((one.name, LossReason.CORRUPT))
    return tuple(found)


def _contain(ceiling: int) -> None:
    """Keeps users' functions from taking all of the machine's memory."""
    import resource

    if ceiling:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _traceback() -> str:
    import traceback  # seldom needed, and a tenth of a worker's start

    return clipped(plain_text(traceback.format_exc()), TRACEBACK_MAX)
