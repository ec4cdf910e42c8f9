"""What belongs to an installed library, and can be called by its name, and what is the user's own.

Installed is what comes with Python, mrcore itself, and what lies in a ``site-packages`` or
``dist-packages`` folder. A name and the library's version stand for all that is in it. Everything else
is the user's own: the job's file, what lies beside it, a project installed in place; it changes
between two runs under the same name.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

_LIBRARY_FOLDERS = {"site-packages", "dist-packages"}
_PYTHON_FOLDER = os.path.dirname(os.__file__) + os.sep
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made at run time, as by a class statement


class Installed:
    """Looks modules up once."""

    def __init__(self) -> None:
        self._versions: dict[str, str | None] = {}

    def version(self, module: object) -> str | None:
        """The version of the library that a module of this name belongs to, perhaps empty; None: it is the user's."""
        if not isinstance(module, str):
            return None
        if module not in self._versions:
            self._versions[module] = _version(module)
        return self._versions[module]

    def place(self, value: Any) -> tuple[str, str, str] | None:
        """Module, name and version of a function or class that is found in a library under its own name.

        None: the user's, or one that a library made on the way, such as a decorator's inner function.
        """
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(value, type) and not value.__flags__ & _HEAP_TYPE:  # written in C, and not found perhaps
            return str(module), str(name), self.version(module) or ""
        version = self.version(module)
        if version is None or not isinstance(module, str) or not isinstance(name, str):
            return None
        if isinstance(value, types.FunctionType) and self.version(value.__globals__.get("__name__")) is None:
            return None  # the user's, with the name of what it wraps or replaces
        return (module, name, version) if _found(module, name) is value else None


def _version(module: str) -> str | None:
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(module), "__file__", None)
    if isinstance(file, str):
        is_installed = file.startswith(_PYTHON_FOLDER) or not _LIBRARY_FOLDERS.isdisjoint(file.split(os.sep))
    else:
        is_installed = top in sys.stdlib_module_names
    if not is_installed and top != "mrcore":
        return None
    version = getattr(sys.modules.get(top), "__version__", "")
    return version if isinstance(version, str) else ""


def _found(module: str, name: str) -> object:
    """What stands in a module under a qualified name, or None."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        try:
            found = getattr(found, part, None)
        except Exception:  # a property of a class's class may do anything
            return None
    return found.__func__ if type(found) is types.MethodType else found
