from collections.abc import Callable, Iterable, Iterator
from typing import Any

STEPS: tuple[str, ...]

class YieldError(TypeError):
    place: tuple[str, int, str] | None
    key: bytes | None

class Taker: ...

class Chain:
    def __init__(
        self, steps: Iterable[tuple[str, Callable[..., Any]]], taker: Taker, ctx: object = None
    ) -> None: ...
    def push(self, element: Any) -> None: ...
    def push_all(self, made: Any, name: str) -> None: ...
    def push_arrays(
        self, made: Any, name: str, array: type, expand: Callable[[Any, Any], Iterator[Any]]
    ) -> None: ...
