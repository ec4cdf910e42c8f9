from collections.abc import Iterable, Iterator

from typing_extensions import Buffer

EMITS: tuple[str, ...]
KINDS: tuple[str, ...]

class Merge:
    value_min: int
    def __init__(
        self,
        runs: Iterable[Iterable[Buffer]],
        emit: str = "lines",
        value_min: int | None = None,
        names: Iterable[str] | None = None,
        room: int = 1 << 20,
        *,
        kind: str = "sum",
    ) -> None: ...
    @property
    def records_in(self) -> int: ...
    @property
    def records_out(self) -> int: ...
    def __iter__(self) -> Iterator[memoryview]: ...

def decode(block: Buffer) -> list[tuple[bytes, int]]: ...
def encode_record(key: bytes, value: int) -> bytes: ...
def encode_bytes_record(key: bytes, value: bytes) -> bytes: ...
