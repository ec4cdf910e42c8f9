from typing_extensions import Buffer

NGRAMS_MAX: int

class NgramExpander:
    def __init__(
        self, tokenizer: str, n_min: int, n_max: int, lower: bool = False, newlines_break: int = 1
    ) -> None: ...
    @property
    def want(self) -> int: ...
    def expand(self, data: Buffer, start: int, stop: int, final: bool, out: Buffer) -> tuple[int, int]: ...
