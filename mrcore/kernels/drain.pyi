from collections.abc import Callable, Set
from typing import Any, Protocol

from typing_extensions import Buffer

from mrcore.kernels.chain import Chain, Taker
from mrcore.kernels.codec import KeyCodec, ValueCodec
from mrcore.kernels.radix import SortBuffer
from mrcore.kernels.table import CountTable

PREFIX_BYTES: int

class RecordTooLarge(Exception):
    size: int
    def __init__(self, size: int) -> None: ...

class _Owner(Protocol):
    def relieve(self) -> None: ...
    def spill(self) -> None: ...
    def sampled(self) -> None: ...

class Drain(Taker):
    direct: int
    @property
    def keys(self) -> KeyCodec: ...
    @property
    def pairs(self) -> int: ...
    @property
    def added(self) -> int: ...
    def __init__(
        self,
        owner: _Owner,
        keys: KeyCodec,
        values: ValueCodec,
        buffer: SortBuffer,
        table: CountTable | None = None,
        *,
        ones: bool = False,
        place: Callable[[Any, int], int] | None = None,
        partitions: int = 1,
    ) -> None: ...
    def replace(self, table: CountTable | None, buffer: SortBuffer) -> None: ...
    def sample(self, table: CountTable, pairs: int) -> None: ...
    def finish(self) -> None: ...

class RecordFeed:
    base: int
    skip: Set[int] | None
    @property
    def undecoded(self) -> bytes | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    def __init__(
        self,
        chain: Chain,
        tokenizer: str = "lines",
        lower: bool = False,
        encoding: str | None = None,
        *,
        cell: Buffer | None = None,
    ) -> None: ...
    def feed(self, data: Buffer, start: int, stop: int, final: bool) -> int: ...

class ElementFeed:
    skip: Set[int] | None
    @property
    def offset(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    def __init__(self, chain: Chain, *, cell: Buffer | None = None) -> None: ...
    def feed(self, elements: list[Any]) -> None: ...
