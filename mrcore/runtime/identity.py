"""What a job is, for going on with it after its process died: the same question, code and inputs, or it is another job.

What a job is stands in a sealed file of its work directory (``docs/formats/identity.md``). Who wants
to go on makes the identity anew, from what is there now, and asks for the :func:`difference`. Inputs are
known by path, size, time of their last change and inode: their bytes are not read.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from mrcore import __version__
from mrcore.errors import CorruptionError, plain_text, shown
from mrcore.formats.inputs import shown_name
from mrcore.storage.files import reading
from mrcore.storage.mapped import STDIN, sample
from mrcore.storage.sealed import HEAD_SIZE, read_sealed, write_sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STREAM = -1
VALUE_CHARS = 60  # of an option's value in a message
_SIZE_UNSURE = 4096  # a larger file is as large as it says


class InputState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One input as it was found."""

    path: bytes  # as results show it: a redirected standard input is ``-``
    size: int  # bytes; STREAM: what was read of it is gone
    mtime_ns: int  # since the epoch; 0 of a stream
    inode: int  # 0 of a stream


class Identity(msgspec.Struct, frozen=True):
    """What a job is."""

    version: str  # of mrcore
    python: str  # major.minor
    job: dict[str, Any]  # what describe() says, and the options that change the answer or cut the tasks
    code: tuple[str, ...]  # a fingerprint for each stage; empty of a native job
    job_file: str  # XXH3-128 of JOB.py's bytes, 32 hexadecimal digits; empty: there is none
    inputs: tuple[InputState, ...]  # in their order


class _Stamp(msgspec.Struct):
    """What every version of mrcore writes and reads of an identity."""

    version: str


def identity_of(
    describe: Mapping[str, object],
    options: Mapping[str, object],
    inputs: Sequence[bytes],
    code: Sequence[str] = (),
    job_file: str = "",
) -> Identity:
    """What a job is, here and now.

    Args:
        describe: what the job's ``describe()`` says: texts, numbers, None, and lists of them.
        options: by their names as in ``reducers``; none that is in ``describe`` too. None: not given.
        inputs: paths, as :func:`mrcore.formats.inputs.find_inputs` found them.
        code: of each stage (:func:`mrcore.engine.fingerprint.fingerprint`).
        job_file: see :func:`check_of_job_file`.

    Raises:
        InputError: an input is not there any more.
    """
    assert not describe.keys() & options.keys()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    job = {**_plain(describe), **_plain(options)}
    return Identity(__version__, python, job, tuple(code), job_file, input_states(inputs))


def input_states(paths: Sequence[bytes]) -> tuple[InputState, ...]:
    """Looks at each input: one call of the system, about 3 µs; 15 µs for one without blocks, such as an empty file.

    Raises:
        InputError: it is not there.
    """
    states = []
    for path in paths:
        if path == STDIN:
            states.append(InputState(path, STREAM, 0, 0))
            continue
        try:
            found = os.stat(path)
        except OSError:
            with reading(path):  # which says it in our words
                found = os.stat(path)
        size = found.st_size
        is_unsure = not found.st_blocks and size <= _SIZE_UNSURE
        if not stat.S_ISREG(found.st_mode) or (is_unsure and _is_made_up(path, size)):
            states.append(InputState(shown_name(path), STREAM, 0, 0))
        else:
            states.append(InputState(shown_name(path), size, found.st_mtime_ns, found.st_ino))
    return tuple(states)


def _is_made_up(path: bytes, size: int) -> bool:
    """Whether the system makes the file up as it is read, as under /proc: its size and times say nothing."""
    return len(sample(path, 0, size + 1)) != size


def check_of_job_file(path: bytes) -> str:
    """XXH3-128 of the bytes of JOB.py.

    Raises:
        InputError: it cannot be read.
    """
    with reading(path):
        size = os.stat(path).st_size
    return xxh3_128_hexdigest(sample(path, 0, size))


def difference(old: Identity, new: Identity) -> str | None:
    """The first thing that is another than it was, as one line without a full stop; None: it is the same job.

    In this order: mrcore and Python, the job and its options, its file, its code, its inputs. A stream
    among the inputs is a difference too: what was read of it cannot be read again.
    """
    if old.version != new.version:
        return f"mrcore is {shown(new.version)}, was {shown(old.version)}"
    if old.python != new.python:
        return f"Python is {shown(new.python)}, was {shown(old.python)}"
    return _changed_job(old.job, new.job) or _changed_code(old, new) or _changed_inputs(old.inputs, new.inputs)


def _changed_job(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    for name in ("verb", "name", *new, *old):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        what = {"verb": "the job", "name": "the job", "stages": "the number of stages", "n": "-n"}.get(
            name, f"--{name.replace('_', '-')}"
        )
        before, now = _value(name, before), _value(name, now)
        return f"{what} changed" if before == now else f"{what} is {now}, was {before}"
    return None


def _value(name: str, value: Any) -> str:
    """An option's value as the user may have written it, shortened."""
    if value is None or value is False:
        return "not given"
    if value is True:
        return "given"
    if name == "split" and value == 0:
        return "file"
    if name == "n" and isinstance(value, list):
        return "-".join(str(number) for number in dict.fromkeys(value))
    text = shown(repr(value))
    return text if len(text) <= VALUE_CHARS else f"{text[: VALUE_CHARS - 1]}…"


def _changed_code(old: Identity, new: Identity) -> str | None:
    if old.job_file != new.job_file:
        if old.job_file and new.job_file:
            return "JOB.py changed"
        before, now = ("file" if identity.job_file else "program" for identity in (old, new))
        return f"the job is of a {now}, was of a {before}"
    if old.code == new.code:
        return None
    if len(old.code) == len(new.code) > 1:
        stage = next(index for index, codes in enumerate(zip(old.code, new.code, strict=True)) if codes[0] != codes[1])
        return f"the code of the job changed, in stage {stage + 1} of {len(new.code)}"
    return "the code of the job changed"


def _changed_inputs(old: tuple[InputState, ...], new: tuple[InputState, ...]) -> str | None:
    for state in (*new, *old):
        if state.size == STREAM:
            return f"input cannot be read again: {shown(state.path)}: it is a stream"
    if old == new:
        return None
    before, now = {state.path for state in old}, {state.path for state in new}
    for was, found in zip(old, new, strict=False):
        if was.path == found.path:
            if was != found:
                return f"input changed: {shown(found.path)}: {_change(was, found)}"
        elif found.path not in before:
            return f"input is new: {shown(found.path)}"
        elif was.path not in now:
            return f"input is gone: {shown(was.path)}"
        else:
            return f"inputs are in another order: {shown(found.path)} is where {shown(was.path)} was"
    if len(new) > len(old):
        return f"input is new: {shown(new[len(old)].path)}"
    return f"input is gone: {shown(old[len(new)].path)}"


def _change(old: InputState, new: InputState) -> str:
    if old.size != new.size:
        return f"its size is {new.size}, was {old.size}"
    return "it was written to" if old.mtime_ns != new.mtime_ns else "another file is in its place"


def _plain(value: object) -> Any:
    """The same as it will be when it was written and read."""
    if isinstance(value, Mapping):
        return {plain_text(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return plain_text(value) if isinstance(value, str) else value


def write_identity(path: bytes, identity: Identity) -> None:
    """Writes what a job is, in place of what stood there; when this returns it is durable.

    Raises:
        OutputExistsError, DiskFullError: see :func:`mrcore.storage.sealed.write_sealed`.
    """
    write_sealed(path, msgspec.msgpack.encode(identity))


def read_identity(path: bytes) -> Identity | None:
    """What was written; None: there is nothing. Of another version of mrcore perhaps the version alone.

    Raises:
        CorruptionError: it is not as it was written; names the file and the byte.
        InputError: it cannot be read.
    """
    data = read_sealed(path)
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError):
        version = _version_in(data)
    if version in (None, __version__):
        raise CorruptionError(f"corrupt file: {shown(path)}, byte {HEAD_SIZE}: what is sealed in it is no identity")
    return Identity(str(version), "", {}, (), "", ())


def _version_in(data: bytes) -> str | None:
    try:
        return msgspec.msgpack.decode(data, type=_Stamp).version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
