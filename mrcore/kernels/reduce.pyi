from collections.abc import Callable, Iterable, Set
from typing import Any

from typing_extensions import Buffer

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec
from mrcore.kernels.fold import Folder
from mrcore.kernels.output import Output

NAME_BYTES_MAX: int

class Reducer:
    def __init__(
        self,
        blocks: Iterable[Buffer],
        keys: KeyCodec,
        values: ValueCodec,
        chain: Chain,
        output: Output,
        *,
        prefix: int = 0,
        fold: Folder | Callable[[Any], Any] | None = None,
        reduce: Callable[..., Any] | None = None,
        ctx: object = None,
        each: bool = False,
        skip: Set[bytes] | None = None,
        page: Buffer | None = None,
    ) -> None: ...
    @property
    def key(self) -> Any: ...
    @property
    def records(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    def run(self, groups_max: int) -> bool: ...

def group_name(key: bytes) -> bytes: ...
