from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer

from mrcore.kernels.chain import Taker
from mrcore.kernels.codec import ValueCodec

class Output(Taker):
    @property
    def records(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def types(self) -> tuple[str | None, ...]: ...
    def __init__(
        self,
        write: Callable[[memoryview], object],
        codec: ValueCodec | None = None,
        *,
        columns: int = 2,
        keyed: bool = False,
        literal: Callable[[Any, bool], bytes] | None = None,
        limit: int | None = None,
        enough: type[BaseException] | BaseException | None = None,
        types: tuple[str | None, ...] = (),
    ) -> None: ...
    def finish(self) -> None: ...

def escape(text: bytes) -> bytes: ...
def lines_of(block: Buffer) -> bytes: ...
def elements_of(block: Buffer, loads: Callable[[bytes], Any] | None) -> list[Any]: ...
