"""The types that keys of Python jobs have, as letters, and what an error says about another one.

The codec (``mrcore/kernels/codec.pyx``) asks once a job, and where something is wrong.
"""

from __future__ import annotations

DEPTH_MAX = 100  # tuples inside tuples
NAMES = {"b": "bytes", "s": "str", "i": "int", "f": "float"}
_LETTERS = {bytes: "b", str: "s", int: "i", float: "f"}


class KeyTypeError(TypeError):
    """Not a key: of a type that has no order here, or of another type than the keys before."""


def kinds_of(key: object, depth: int = 0) -> str:
    """The letters of a key's type: of :data:`NAMES`, and of a tuple those of its elements in parentheses.

    Raises:
        KeyTypeError: it is of no type that a key may have.
    """
    if type(key) in _LETTERS:
        return _LETTERS[type(key)]
    if type(key) is tuple:
        if depth >= DEPTH_MAX:
            raise KeyTypeError(f"a key of tuples inside tuples, more than {DEPTH_MAX} deep")
        return "(" + "".join(kinds_of(element, depth + 1) for element in key) + ")"
    raise KeyTypeError(
        f"a key of type {_type_name(key)}: keys are bytes, str, int, float, or tuples of these{_advice(key)}"
    )


def show_kinds(kinds: str) -> str:
    """Letters of a type as Python writes it: ``"(si)"`` is ``tuple[str, int]``."""
    shown: list[str] = []
    for letter in kinds:
        if letter == ")":
            shown[-1:] = [shown[-1].removesuffix(", ") or "()"]
            shown.append("], ")
        else:
            shown.append("tuple[" if letter == "(" else NAMES[letter] + ", ")
    return "".join(shown).removesuffix(", ")


def _type_name(key: object) -> str:
    kind = type(key)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _advice(key: object) -> str:
    if type(key) is bool:
        return "; write int(key)"
    for kind in (int, float, str, bytes, tuple):
        if isinstance(key, kind):
            return f"; write {kind.__name__}(key)"
    if isinstance(key, list):
        return "; write tuple(key)"
    if type(key).__module__ == "numpy":
        return f"; write {'int' if 'int' in type(key).__name__ else 'float'}(key)"
    return ""
