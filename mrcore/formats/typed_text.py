"""Reading the lines of a Python job back: what :mod:`mrcore.kernels.output` wrote, with its types."""

from __future__ import annotations

import ast
import base64
import importlib
import pickle
import re
from typing import Any

from mrcore.errors import CorruptionError, MrcoreError, SerializationError, shown
from mrcore.storage.files import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NAMES = {b"t": b"\t", b"n": b"\n"}


def read_typed(path: bytes, types: tuple[str | None, ...]) -> Iterator[Any]:
    """The elements of a part file: ``(key, value)`` pairs, or of one column its values.

    Args:
        types: of the columns, as the manifest lists them.

    Raises:
        CorruptionError: a line that was not written so.
        InputError: the file cannot be read.
    """
    at = 0
    with reading(path), open(path, "rb") as file:
        for line in file:
            try:
                yield parse_line(line, types)
            except SerializationError as error:
                raise SerializationError(f"{error}: {shown(path)}, byte {at}") from error
            except (ValueError, SyntaxError, KeyError) as error:
                raise CorruptionError(
                    f"not a line of a job's output: {shown(path)}, byte {at}: {error}: is the manifest the file's own?"
                ) from error
            at += len(line)


def parse_line(line: bytes, types: tuple[str | None, ...]) -> Any:
    """The element of one line, with or without its LF.

    Raises:
        ValueError, SyntaxError, KeyError: it is none.
        SerializationError: an object in it does not load here.
    """
    columns = line.removesuffix(b"\n").split(b"\t")
    if len(columns) != len(types):
        raise ValueError(f"{len(columns)} columns, not {len(types)}")
    values = tuple(_parse(text, kind) for text, kind in zip(columns, types, strict=True))
    return values[0] if len(values) == 1 else values


def _parse(text: bytes, kind: str | None) -> Any:
    if text.startswith(rb"\!"):
        return _load(base64.b64decode(text[2:], validate=True))
    if text.startswith(rb"\:"):
        return ast.literal_eval(_unescape(text[2:]).decode())
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    plain = _unescape(text)
    if kind == "bytes":
        return plain
    return plain.decode() if kind == "str" else ast.literal_eval(plain.decode())


def _load(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"a pickle that does not load: {error}") from error
    except MrcoreError:
        raise
    except Exception as error:  # what an object does when it is loaded is its class's
        what = f"{type(error).__name__}: {shown(str(error))}"
        raise SerializationError(f"an object does not load here: {what}") from error


def find_named(module: str, name: str) -> Any:
    """A class or function of the user's, for a pickle in an output file that has it by name.

    Raises:
        SerializationError: it is not here.
    """
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SerializationError(
            f"an object does not load here: there is no {name} in a module {module}: import the job's file first"
        ) from error
    return found


def _unescape(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPED.sub(lambda match: _NAMES.get(match[1], match[1]), text)
