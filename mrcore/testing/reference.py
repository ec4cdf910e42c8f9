"""Plain-Python references of the kernels: slow, obvious, and what the kernels are tested against."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer


def partition(key: Buffer, reducers: int) -> int:
    """Index of the partition of an encoded key; ``ValueError`` when ``reducers`` is below 1."""
    if reducers < 1:
        raise ValueError(f"reducers must be at least 1, not {reducers}")
    return xxhash.xxh3_64_intdigest(key) % reducers


def tokenize(data: bytes, tokenizer: str, lower: bool = False) -> list[bytes]:
    """The tokens of ``data`` in order, ASCII letters in lower case if asked; ``KeyError`` for an unknown tokenizer."""
    split: dict[str, Callable[[bytes], list[bytes]]] = {
        "whitespace": bytes.split, "ascii": re.compile(rb"[A-Za-z0-9_]+").findall}
    return split[tokenizer](data.lower() if lower else data)
