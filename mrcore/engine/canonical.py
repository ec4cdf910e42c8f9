"""One walk over Python values that hashes equal values equally, whichever process walks: atoms and containers.

:mod:`mrcore.engine.fingerprint` adds functions, classes and objects to it. Three kinds of value:

- What can be changed in place, or can lead back to itself, is numbered as it is met, and stands by its
  number when it is met again. So cycles end, and what is shared is walked once.
- What is constant all the way down counts by its value alone, since two equal constants are one object or
  two as the compiler and the cache of compiled modules will have it. Its digest is kept for the next meeting.
- Members of a set have no order. Each is walked by itself, with numbers of its own, and the sorted digests
  stand for the set. A member that leads back to the set finds it by how many sets are around it.

Members that share what they reach would walk it again each. What all objects of a class share, the class, and functions
are therefore walked *apart*: in a member's walk their own digest stands for them, as if they were the
root, and it is kept. Sets that a definition walked apart holds have no such help, or their digests would depend
on which was walked first. Where members still take too much, the whole walk begins anew, and of members
that are not constant only the types count.

The stack is a list: depth costs memory only. Everything that is written says its own length, so different
values are different bytes: atoms are marshal's, all else begins with a byte that marshal never begins with.
"""

from __future__ import annotations

from itertools import chain
from marshal import dumps
from typing import Any, NamedTuple

from xxhash import xxh3_128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

SET_STEPS_MAX = 100_000  # inside of sets; some seconds
BULK_ITEMS = 1024  # that are encoded at once
BYTES_LARGE = 4096  # that are hashed where they lie

_ATOMS = {int, float, complex, str, bytes, bool, type(None), type(...)}
_HEAD, _DIGEST = b"\1", b"\2"
_BY_VALUE = 2  # the version of marshal's format that has no references: equal atoms, equal bytes


class SetTooLargeError(Exception):
    """The members of sets reach too much."""


class Walk:
    """One walk over a value; a subclass knows more types than this one.

    Args:
        members_by_type: of members of sets that are not constant, only types and names count.
    """

    def __init__(self, *, members_by_type: bool = False) -> None:
        self._members_by_type = members_by_type
        self._out = xxh3_128()
        self._stack: list[Any] = []
        self._mixed = False  # what was begun last is not constant
        # By address, which no other object can have as long as this one is held.
        self._numbers: dict[Any, tuple[int, object]] = {}
        self._constants: dict[int, tuple[bytes, object]] = {}  # what was written for them
        self._open_sets: dict[int, int] = {}  # how many sets are around each
        self._apart: dict[int, tuple[bytes, object]] = {}  # digests of definitions
        self._is_apart = False
        self._steps = 0

    def walk(self, value: object) -> str:
        """The digest of a value, as 32 hexadecimal digits."""
        stack, handlers = self._stack, self.handlers
        stack.append(value)
        while stack:
            value = stack.pop()
            kind = type(value)
            if kind in _ATOMS:
                self._atom(value)
            elif (handler := handlers.get(kind)) is not None:
                handler(self, value)
            else:
                self.other(value)
        return self._out.hexdigest()

    def other(self, value: Any) -> None:
        """Writes a value of a type that is not in ``handlers``."""
        raise TypeError(f"no canonical form: {type(value)}")

    # ---- for handlers ------------------------------------------------------------------------

    def head(self, *atoms: Any) -> None:
        """Begins what is written for a value; what follows must be known in kind and number from it."""
        self._out.update(_HEAD + dumps(atoms, _BY_VALUE))

    def push(self, parts: Sequence[object]) -> None:
        """These values come next."""
        self._stack.extend(reversed(parts))

    def raw(self, data: Any) -> None:
        """Bytes as they are; the head says how many."""
        self._out.update(data)

    def is_met(self, value: object, key: object = None) -> bool:
        """Numbers what is not constant; True: all that there is to say of it was written."""
        self._mixed = True
        key = _address(value) if key is None else key
        if (known := self._numbers.get(key)) is not None:
            self.head("met", known[0])
            return True
        if self._open_sets:
            if self._members_by_type:
                self.head("member", type(value).__qualname__)
                return True
            self._step(1)
        self._numbers[key] = len(self._numbers), value
        return False

    def is_apart(self, value: object) -> bool:
        """Whether a definition, met in a member of a set, was or will be walked as if it were the root."""
        if not self._open_sets or self._is_apart:
            return False
        self._mixed = True  # what holds it has another form outside of sets
        if (known := self._apart.get(_address(value))) is not None:
            self._out.update(known[0])
        else:
            self._stack += (_Apart(value, self._out, self._numbers, self._open_sets), value)
            self._out, self._numbers, self._open_sets, self._is_apart = xxh3_128(), {}, {}, True
        return True

    def _end_apart(self, apart: _Apart) -> None:
        token = _DIGEST + self._out.digest()
        self._apart[_address(apart.value)] = token, apart.value
        self._out, self._numbers, self._open_sets = apart.out, apart.numbers, apart.open_sets
        self._is_apart = False
        self._out.update(token)

    @property
    def met(self) -> int:
        """How many have numbers."""
        return len(self._numbers)

    def is_written(self, value: object) -> bool:
        """Whether what can be constant was met before; if so, it is written again."""
        key = _address(value)
        if (token := self._constants.get(key)) is not None:
            self._out.update(token[0])
            return True
        if (known := self._numbers.get(key)) is not None:
            self._mixed = True
            self.head("met", known[0])
            return True
        return False

    def begin(self, value: object) -> None:
        """What is pushed next, and written before it is popped, is the whole of something that may be constant."""
        self._stack.append(_End(value, self._out, self._mixed))
        self._out, self._mixed = xxh3_128(), False

    def keep(self, value: object, token: bytes) -> None:
        """Writes something constant, now and when it is met again."""
        self._out.update(token)
        self._constants[_address(value)] = token, value

    def keep_head(self, value: object, *atoms: Any) -> None:
        """Writes something constant that has nothing behind its head."""
        self.keep(value, _HEAD + dumps(atoms, _BY_VALUE))

    def _end(self, end: _End) -> None:
        token, is_mixed = _DIGEST + self._out.digest(), self._mixed
        self._out, self._mixed = end.out, end.mixed
        self._settle(end.value, token, is_mixed)

    def _settle(self, value: object, token: bytes, is_mixed: bool) -> None:
        if not is_mixed:
            self.keep(value, token)
            return
        self._mixed = True
        self._out.update(token)
        self._numbers.setdefault(_address(value), (len(self._numbers), value))

    def _step(self, count: int) -> None:
        if self._open_sets and not self._members_by_type:
            self._steps += count
            if self._steps > SET_STEPS_MAX:
                raise SetTooLargeError

    # ---- atoms, alone and many at once ---------------------------------------------------------

    def _atom(self, value: Any) -> None:
        if type(value) in (str, bytes) and len(value) > BYTES_LARGE:
            data = value.encode("utf-8", "surrogatepass") if type(value) is str else value
            self.head("large", type(value).__name__, len(data))
            self._out.update(data)
        else:
            self._out.update(dumps(value, _BY_VALUE))

    def _bulk(self, values: list[Any] | tuple[Any, ...]) -> None:
        """Writes values that are flat."""
        self._step(len(values) // 64)
        for first in range(0, len(values), BULK_ITEMS):
            chunk = values[first : first + BULK_ITEMS]
            try:
                self._out.update(dumps(chunk, _BY_VALUE))
            except ValueError:  # one of 2 GiB is among them
                self.head("apart")
                for value in chunk:
                    for atom in value if type(value) is tuple else (value,):
                        self._atom(atom)

    # ---- containers ------------------------------------------------------------------------------

    def _tuple(self, value: tuple[Any, ...]) -> None:
        if _is_flat(value):
            self.head("tuple", len(value), True)
            self._bulk(value)
        elif not self.is_written(value):
            self.begin(value)
            self.head("tuple", len(value), False)
            self.push(value)

    def _list(self, value: list[Any]) -> None:
        if not self.is_met(value):
            is_flat = _is_flat(value)
            self.head("list", len(value), is_flat)
            (self._bulk if is_flat else self.push)(value)

    def _dict(self, value: dict[Any, Any]) -> None:
        if self.is_met(value):
            return
        columns = list(value), list(value.values())
        are_flat = [_is_flat(column) for column in columns]
        self.head("dict", len(value), *are_flat)
        for column, is_flat in zip(columns, are_flat, strict=True):
            if is_flat:
                self._bulk(column)
        self.push([part for column, is_flat in zip(columns, are_flat, strict=True) if not is_flat for part in column])

    def _set(self, value: Collection[Any]) -> None:
        if (level := self._open_sets.get(_address(value))) is not None:
            self._mixed = True
            self.head("around", level)
            return
        if self.is_met(value) if type(value) is set else self.is_written(value):
            return
        end = _SetEnd(value)
        if _is_flat(value):
            self._step(len(value) // 64)
            end.digests = [dumps(member, _BY_VALUE) for member in value]
            self._set_end(end)
        else:
            self._open_sets[_address(value)] = len(self._open_sets)
            self._stack.append(end)
            self._stack.extend(_Member(member, end) for member in value)

    def _member(self, member: _Member) -> None:
        """Begins a member of a set; when it comes up again, it was walked."""
        if member.kept is None:
            member.kept = self._out, self._numbers, self._mixed
            self._out, self._numbers, self._mixed = xxh3_128(), {}, False
            self._stack += (member, member.value)
        else:
            member.end.digests.append(self._out.digest())
            member.end.mixed |= self._mixed
            self._out, self._numbers, self._mixed = member.kept

    def _set_end(self, end: _SetEnd) -> None:
        self._open_sets.pop(_address(end.value), None)
        out = xxh3_128(dumps((type(end.value).__name__, len(end.digests)), _BY_VALUE))
        for digest in sorted(end.digests):
            out.update(digest)
        token = _DIGEST + out.digest()
        if type(end.value) is set:
            self._out.update(token)
        else:
            self._settle(end.value, token, end.mixed)

    handlers: dict[type, Callable[[Any, Any], None]]


class _End(NamedTuple):
    """Stands on the stack below the parts of what may be constant."""

    value: object
    out: xxh3_128
    mixed: bool


class _Apart(NamedTuple):
    """Stands on the stack below a definition that is walked apart."""

    value: object
    out: xxh3_128
    numbers: dict[Any, tuple[int, object]]
    open_sets: dict[int, int]


class _SetEnd:
    """Stands on the stack below the members of a set."""

    __slots__ = ("digests", "mixed", "value")

    def __init__(self, value: Collection[Any]) -> None:
        self.value, self.mixed = value, False
        self.digests: list[bytes] = []


class _Member:
    """A member of a set, on the stack."""

    __slots__ = ("end", "kept", "value")

    def __init__(self, value: object, end: _SetEnd) -> None:
        self.value, self.end = value, end
        self.kept: Any = None


Walk.handlers = {
    tuple: Walk._tuple, list: Walk._list, dict: Walk._dict, set: Walk._set, frozenset: Walk._set,
    _Apart: Walk._end_apart, _End: Walk._end, _Member: Walk._member, _SetEnd: Walk._set_end,
}  # fmt: skip


def _address(value: object) -> int:
    """A key for what was met, and nothing else: it is neither written nor sorted."""
    return id(value)


def _is_flat(values: Collection[Any]) -> bool:
    """Whether all are atoms, or tuples of atoms: then marshal writes them by value."""
    kinds = set(map(type, values))
    if kinds <= _ATOMS:
        return True
    if kinds - _ATOMS != {tuple}:
        return False
    inner = values if len(kinds) == 1 else [value for value in values if type(value) is tuple]
    return set(map(type, chain.from_iterable(inner))) <= _ATOMS
