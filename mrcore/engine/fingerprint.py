"""Fingerprints of users' functions: equal while what they do is the same, whichever process asks.

A pickle will not do: it holds sets in the order of the process's hash seed, line numbers, file names, and
names that were drawn at random. So a walk (:mod:`mrcore.engine.canonical`) goes over everything that
the functions reach:

- functions: bytecode, constants, names, defaults, closure, attributes, and the globals that the code names, in
  nested code too. Of a module of the user's that it names, what the code may take from it, since the names of
  attributes are in the code as well. Not file names, line numbers and annotations.
- classes: name, bases, and what stands in them, by name; annotations too, as dataclasses go by them.
- what belongs to an installed library: module, name and version (:mod:`mrcore.engine.installed`).
- other objects: what a pickle would hold of them. What cannot be pickled, such as a lock, counts by its type.

Not seen: a module of the user's that is first imported when the function runs, and what is reached by names that
are made up at run time. A program's own order of a set, put into a list or a dict, shows, as it may in its
results.
"""

from __future__ import annotations

import copyreg
import functools
import opcode
import sys
import types
from typing import Any, NamedTuple

from mrcore.engine.canonical import SetTooLargeError, Walk
from mrcore.engine.installed import Installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrcore.engine.program import Program

OBJECTS_MAX = 20_000_000  # that are looked into: one that makes ever new ones when it is pickled has an end

_MODULE_NAMES = {  # where a module lies and what it is called
    "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__",
    "__spec__",
}  # fmt: skip
_CLASS_NAMES = {  # of lines and modules, and what classes keep of earlier calls
    "__annotations_cache__", "__dict__", "__doc__", "__firstlineno__", "__module__", "__msgspec_cache__",
    "__slotnames__", "__static_attributes__", "__weakref__", "_hashable_values_", "_unhashable_values_",
    "_unhashable_values_map_", "_value2member_map_",
}  # fmt: skip
_CACHES = {"cache_token", "dispatch_cache"}  # of functools.singledispatch
_BY_ADDRESS = ("_weakrefset", "weakref")  # modules of containers whose order and content are the process's own


def fingerprint(program: Program) -> str:
    """XXH3-128 of all that the functions of a stage are, as 32 hexadecimal digits.

    ``verify`` does not count: it changes nothing that is written. An ordinary job takes a few milliseconds;
    arrays and long byte strings that the functions hold are hashed at the speed of memory.
    """
    return fingerprint_of(program._replace(verify=False))


def fingerprint_of(value: object) -> str:
    """XXH3-128 of a value, as 32 hexadecimal digits. Never raises but for want of memory."""
    try:
        return _ObjectWalk().walk(value)
    except SetTooLargeError:
        return _ObjectWalk(members_by_type=True).walk(value)


class _ModuleUse(NamedTuple):
    """A module of the user's, and the names that some code may take from it."""

    module: types.ModuleType
    names: tuple[str, ...]


class _ObjectWalk(Walk):
    def __init__(self, *, members_by_type: bool = False) -> None:
        super().__init__(members_by_type=members_by_type)
        self._installed = Installed()

    def other(self, value: Any) -> None:
        kind = type(value)
        if issubclass(kind, type):
            self._class(value)
        elif issubclass(kind, types.ModuleType):
            name = vars(value).get("__name__")
            self.head("module", str(name), self._installed.version(name) or "")
        elif kind is getattr(sys.modules.get("numpy"), "ndarray", None):
            self._array(value)
        elif issubclass(kind, property | staticmethod | classmethod):
            self._descriptor(value)
        elif not self.is_met(value):
            self._object(value)

    def _is_library(self, value: Any) -> bool:
        """Writes what stands in a library by its name."""
        if self.is_written(value):
            return True
        place = self._installed.place(value)
        if place is not None:
            self.keep_head(value, "library", *place)
        return place is not None

    # ---- functions -----------------------------------------------------------------------------

    def _function(self, function: types.FunctionType) -> None:
        if self._is_library(function) or self.is_apart(function) or self.is_met(function):
            return
        code, known = function.__code__, function.__globals__
        names = _names(code)
        is_dispatch = known.get("__name__") == "functools"
        cells = {
            name: cell
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
            if not (is_dispatch and name in _CACHES)
        }
        found = {name: known[name] for name in names if name in known and name not in _MODULE_NAMES}
        found |= {name: sys.modules[name] for name in names if name not in known and self._is_own_module(name)}
        attributes = _by_name(vars(function))
        self.head("function", function.__qualname__, len(cells), len(found), len(attributes))
        self.push([
            code, function.__defaults__, function.__kwdefaults__,
            *(self._used(_content(cell), names) for cell in cells.values()),
            *_flattened({name: self._used(value, names) for name, value in found.items()}),
            *_flattened(attributes),
        ])  # fmt: skip

    def _is_own_module(self, name: str) -> bool:
        """Whether a module that the code imports by itself is the user's, and was imported before."""
        return name in sys.modules and self._installed.version(name) is None

    def _used(self, value: Any, names: tuple[str, ...]) -> Any:
        is_own = type(value) is types.ModuleType and self._installed.version(vars(value).get("__name__")) is None
        return _ModuleUse(value, names) if is_own else value

    def _module_use(self, use: _ModuleUse) -> None:
        known = vars(use.module)
        if self.is_met(use, (known.get("__name__"), use.names)):
            return
        found = {name: self._used(known[name], use.names) for name in use.names if name in known}
        found = {name: value for name, value in found.items() if name not in _MODULE_NAMES}
        self.head("module of the user's", len(found))
        self.push(_flattened(found))

    def _code(self, code: types.CodeType) -> None:
        if self.is_written(code):
            return
        steps, constants = _without_lines(code)
        self.begin(code)
        self.head(
            "code", code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
            steps, code.co_exceptiontable, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        )  # fmt: skip
        self.push([constants])

    def _method(self, method: types.MethodType) -> None:
        self.head("method")
        self.push([method.__func__, method.__self__])

    def _descriptor(self, descriptor: Any) -> None:
        self.head(type(descriptor).__name__)
        names = ("fget", "fset", "fdel") if isinstance(descriptor, property) else ("__func__",)
        self.push([getattr(descriptor, name) for name in names])

    def _cell(self, cell: types.CellType) -> None:
        if not self.is_met(cell):
            self.head("cell")
            self.push([_content(cell)])

    def _cached(self, wrapper: Any) -> None:
        if not self.is_met(wrapper):
            parts = {name: getattr(wrapper, name, None) for name in ("__wrapped__", "cache_parameters")}
            self.head("cached")
            self.push([parts["__wrapped__"], parts["cache_parameters"] and sorted(parts["cache_parameters"]().items())])

    # ---- classes and objects ---------------------------------------------------------------------

    def _class(self, kind: Any) -> None:
        if self._is_library(kind) or self.is_apart(kind) or self.is_met(kind):
            return
        inside = {
            name: value
            for name, value in _by_name(vars(kind)).items()
            if name not in _CLASS_NAMES and (name != "__annotations__" or value)  # an empty one comes of asking for it
        }
        self.head("class", kind.__qualname__, len(inside))
        self.push([type(kind), kind.__bases__, *_flattened(inside)])

    def _object(self, value: Any) -> None:
        """What a pickle would hold; or the type, and the attributes, if there are any."""
        kind = type(value)
        is_open = self.met < OBJECTS_MAX and kind.__module__ not in _BY_ADDRESS
        made = _reduced(value) if is_open else None
        if isinstance(made, str):
            self.head("named", str(getattr(value, "__module__", "")), made)
            self.push([kind])
        elif made is None:
            attributes = _attributes(value) if is_open else {}
            self.head("object", len(attributes))
            self.push([kind, *_flattened(attributes)])
        else:
            function, arguments, state, items, pairs, setter = made
            if issubclass(kind, set | frozenset):  # its list would have their order
                arguments = (frozenset(value),)
                function = kind
            self.head("made", len(arguments), len(items), len(pairs))
            self.push([function, *arguments, _State(state), *items, *pairs, setter])

    def _state(self, state: _State) -> None:
        """Attributes by name, whichever was set first; of an object with slots there are two dicts."""
        parts = state.value if isinstance(state.value, tuple) and len(state.value) == 2 else (state.value,)
        if all(_is_attributes(part) for part in parts):
            self.head("attributes", *(len(part or ()) for part in parts))
            self.push([one for part in parts for one in _flattened(_by_name(part or {}))])
        else:
            self.head("state")
            self.push([state.value])

    def _mapping(self, mapping: Any) -> None:
        if not self.is_met(mapping):
            self.head("mapping")
            self.push([dict(mapping)])

    def _view(self, view: Any) -> None:
        if not self.is_met(view):
            self.head(type(view).__name__)
            self.push([list(view)])

    def _bytes(self, value: bytearray | memoryview) -> None:
        if not self.is_met(value):
            data = bytes(value) if isinstance(value, memoryview) else value
            self.head(type(value).__name__, len(data))
            self.raw(data)

    def _array(self, array: Any) -> None:
        if self.is_met(array):
            return
        dtype = array.dtype
        if dtype.hasobject:
            self.head("objects", array.shape)
            self.push([dtype.str, array.ravel().tolist()])
        elif dtype.names:  # field by field: what lies between them is nobody's
            self.head("fields", array.shape, dtype.names)
            self.push([array[name] for name in dtype.names])
        else:
            import numpy

            self.head("array", dtype.str, array.shape)
            if array.nbytes:
                self.raw(numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8))


class _State(NamedTuple):
    """What a pickle holds beside the arguments."""

    value: Any


_ObjectWalk.handlers = {
    **Walk.handlers,
    types.FunctionType: _ObjectWalk._function, types.CodeType: _ObjectWalk._code,
    types.MethodType: _ObjectWalk._method, types.CellType: _ObjectWalk._cell, _ModuleUse: _ObjectWalk._module_use,
    functools._lru_cache_wrapper: _ObjectWalk._cached, type: _ObjectWalk._class, _State: _ObjectWalk._state,
    types.MappingProxyType: _ObjectWalk._mapping, type({}.keys()): _ObjectWalk._view,
    type({}.values()): _ObjectWalk._view, type({}.items()): _ObjectWalk._view, bytearray: _ObjectWalk._bytes,
    memoryview: _ObjectWalk._bytes,
}  # fmt: skip


def _flattened(parts: dict[str, Any]) -> list[Any]:
    return [one for pair in parts.items() for one in pair]


def _by_name(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parts[name] for name in sorted(name for name in parts if type(name) is str)}


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _Empty


class _Empty:
    """The content of a cell that is not filled yet."""


def _names(code: types.CodeType) -> tuple[str, ...]:
    """The names of globals, attributes and modules in some code and the code in it, sorted."""
    names, left = set(code.co_names), [code]
    while left:
        inner = [constant for constant in left.pop().co_consts if isinstance(constant, types.CodeType)]
        names.update(*(one.co_names for one in inner))
        left += inner
    return tuple(sorted(names))


def _without_lines(code: types.CodeType) -> tuple[bytes, tuple[Any, ...]]:
    """Bytecode and constants. Since Python 3.13 a class's body sets its line, and a tuple in the order of a set."""
    steps, constants = bytearray(code.co_code), list(code.co_consts)
    if "__firstlineno__" in code.co_names:
        store, load = opcode.opmap["STORE_NAME"], opcode.opmap["LOAD_CONST"]
        for at in range(2, len(steps), 2):
            name = code.co_names[steps[at + 1]] if steps[at] == store else ""
            if name in ("__firstlineno__", "__static_attributes__"):
                if steps[at - 2] == load:
                    constants[steps[at - 1]] = None
                else:  # a small number, which stands in the instruction
                    steps[at - 1] = 0
    return bytes(steps), tuple(constants)


def _reduced(value: Any) -> Any:
    """How it is pickled: a name, or function, arguments, state, items, keys and values, setter; None: not at all."""
    kind: Any = type(value)
    try:
        reducer = copyreg.dispatch_table.get(kind)
        made: Any = reducer(value) if reducer is not None else kind.__reduce_ex__(value, 4)
        if isinstance(made, str):
            return made
        function, arguments, state, items, pairs, setter = (*made, None, None, None, None)[:6]
        flattened = [one for key, part in pairs or () for one in (key, part)]
        return function, tuple(arguments), state, list(items or ()), flattened, setter
    except Exception:  # the user's own, or it cannot be pickled, which is said elsewhere
        return None


def _attributes(value: Any) -> dict[str, Any]:
    """Attributes by name, of an object that cannot be pickled."""
    try:
        found = object.__getattribute__(value, "__dict__")  # a proxy would hand on what another object has
    except Exception:  # it has none, or a property of the user's in its place
        return {}
    return _by_name(found) if _is_attributes(found) else {}


def _is_attributes(state: Any) -> bool:
    return state is None or (type(state) is dict and all(type(name) is str for name in state))
