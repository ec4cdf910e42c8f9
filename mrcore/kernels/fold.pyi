from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from typing_extensions import Buffer

from mrcore.kernels.codec import ValueCodec

KINDS: tuple[str, ...]

class _Counter(Protocol):
    records: int

class Total: ...

class Folder:
    @property
    def kind(self) -> str: ...
    def __init__(self, kind: str, codec: ValueCodec) -> None: ...

def fold_blocks(
    blocks: Iterable[Buffer],
    block_bytes: int,
    fold: Folder | Callable[[bytes, Iterable[Any]], Iterable[Any]],
    codec: ValueCodec,
    counter: _Counter,
) -> Iterator[bytes]: ...
def fold_values(
    kind: str,
    values: Sequence[Any],
    dumps: Callable[[Any], bytes] | None,
    loads: Callable[[bytes], Any] | None,
    cut: int = 0,
) -> Any: ...
