"""Pickles of users' code and values, and which of their parts is to blame when there is none.

Functions travel by cloudpickle: by value where another process could not import them (lambdas,
closures, ``__main__``), by name where it can. Values are pickled as Python does it, and only where
that fails by cloudpickle, which is slower. cloudpickle is loaded when it is first needed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import sys
import types
from typing import Any

from mrcore.errors import SerializationError, shown
from mrcore.formats.typed_text import find_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS_MAX = 1000  # that are tried in search of the one to blame
DEPTH_MAX = 12
SETTLED_DEPTH = 20  # of containers in each other, whose sets are filled anew


def dump_program(program: object) -> bytes:
    """The pickle of a program.

    Raises:
        SerializationError: naming the attribute that cannot be pickled.
    """
    return _dump_by_value(program, "the job")


def load_program(data: bytes) -> Any:
    """A fresh copy of a program.

    Raises:
        SerializationError: a module of the user's is missing here, or fails when it is imported.
    """
    try:
        return pickle.loads(data)
    except ModuleNotFoundError as error:
        raise SerializationError(
            f"a module of the job is missing in the worker: {error.name}: put it beside the job's file, or install it"
        ) from error
    except Exception as error:
        raise SerializationError(
            f"the job does not load in the worker: {type(error).__name__}: {shown(str(error))}: "
            "do at call time what an import or __setstate__ of it does"
        ) from error


def dumps(value: object) -> bytes:
    """The pickle of a value that a user's function made.

    Raises:
        SerializationError: naming the part that cannot be pickled.
    """
    name = f"a value of type {type(value).__name__}"
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # a lambda, or in a worker a class of the user's __main__: by value
        return _dump_by_value(value, name)
    if any(module in data for module in _homeless()):  # perhaps only as text, which costs time and nothing else
        return _dump_by_value(value, name)
    return data


def _homeless() -> list[bytes]:
    """Names of modules that no other process finds under them."""
    known = sys.modules.get("cloudpickle")  # `mrcore run` registers the job's file there
    registered = known.list_registry_pickle_by_value() if known is not None else ()
    return [b"__main__", *(name.encode() for name in registered)]


def loads(data: bytes) -> Any:
    """The value of its pickle. Raises what its class raises, but StopIteration: it would end a group without a word."""
    try:
        return pickle.loads(data)
    except StopIteration as error:
        raise RuntimeError("a value raised StopIteration when it was loaded") from error


def dump_by_name(value: object) -> bytes:
    """The pickle of a value for an output file: the same bytes wherever it is made.

    Classes and functions stand in it by name. Where one has none, a lambda or what a function
    defined, it is :func:`dumps`, with all of its code and names drawn at random. Sets are filled
    anew, in lists, tuples and dicts too: the order inside a set comes of how it was put together,
    and that of how the input was split.

    Raises:
        SerializationError: as of :func:`dumps`.
    """
    out = io.BytesIO()
    try:
        _NamingPickler(out, 5).dump(_settled(value))
    except Exception:
        return dumps(value)
    return out.getvalue()


def _settled(value: Any, above: tuple[Any, ...] = ()) -> Any:
    """An equal value whose sets were filled in one order; itself, if there are none."""
    kind = type(value)
    if kind not in (set, frozenset, tuple, list, dict):
        return value
    if len(above) == SETTLED_DEPTH or any(value is one for one in above):  # what holds itself stays as it is
        return value
    above = (*above, value)
    if kind is dict:
        parts = {key: _settled(part, above) for key, part in value.items()}
        return parts if any(parts[key] is not part for key, part in value.items()) else value
    if kind in (set, frozenset):
        return kind(sorted((_settled(part, above) for part in value), key=dump_by_name))
    several = [_settled(part, above) for part in value]
    return kind(several) if any(new is not old for new, old in zip(several, value, strict=True)) else value


class _NamingPickler(pickle.Pickler):
    """Writes classes and functions as calls of find_named(), whether this process finds them or not."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, type | types.FunctionType) or value is find_named:
            return NotImplemented
        if value.__module__.partition(".")[0] in sys.stdlib_module_names:
            return NotImplemented
        if "<" in value.__qualname__:
            raise pickle.PicklingError("it has no name")
        return find_named, (value.__module__, value.__qualname__)


def _dump_by_value(value: object, name: str) -> bytes:
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(value, 5)
    except Exception as error:
        where, kind = _culprit(value)
        what = f"{name}{where}" if where else name
        raise SerializationError(
            f"cannot be pickled: {what}, of type {kind}: {type(error).__name__}: {shown(str(error))}: "
            "make it inside setup() or the function that uses it"
        ) from error
    return data


def _culprit(value: object) -> tuple[str, str]:
    """Path and type of the innermost part that cannot be pickled."""
    left = [PARTS_MAX]
    path, current = "", value
    for _ in range(DEPTH_MAX):
        for name, part in _found_parts(current):
            left[0] -= 1
            if left[0] < 0:
                break
            if not _can(part):
                path, current = path + name, part
                break
        else:
            break
    return path, f"{type(current).__module__}.{type(current).__qualname__}".removeprefix("builtins.")


def _can(value: object) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value, 5)
    except Exception:
        return False
    return True


def _found_parts(value: object) -> list[tuple[str, object]]:
    """The parts that can be looked at: what a user's class does when it is asked for them is its own."""
    found = []
    with contextlib.suppress(Exception):
        for part in _parts(value):
            found.append(part)  # those before one that fails count
            if len(found) == PARTS_MAX:
                break
    return found


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """What a value is made of, each with the text that leads to it."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", getattr(value, name)) for name in value._fields)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, functools.partial):
        yield from ((f"'s {name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
        yield "", value.__func__
    elif isinstance(value, types.FunctionType):
        yield from _held_by_function(value)
    elif not isinstance(value, type):
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names = (slots,) if isinstance(slots, str) else tuple(slots)
            yield from ((f".{name}", getattr(value, name)) for name in names if hasattr(value, name))


def _held_by_function(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            yield f" -> {function.__qualname__}'s {name}", cell.cell_contents
    known = function.__globals__
    yield from ((f" -> global {name}", known[name]) for name in code.co_names if name in known)
    yield from ((f" -> default {part!r}", part) for part in function.__defaults__ or ())
    yield from ((f" -> default of {name}", part) for name, part in (function.__kwdefaults__ or {}).items())
