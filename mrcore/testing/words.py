"""Random words, the same ones for the same seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def random_words(count: int, lengths: Sequence[int], seed: int = 1, letters: bytes = b"abcXYZ019_") -> list[bytes]:
    """So many words, each as long as one of some lengths; letters are all but equally frequent."""
    draw = random.Random(seed)
    table = (letters * (256 // len(letters) + 1))[:256]
    return [draw.randbytes(length).translate(table) for length in draw.choices(lengths, k=count)]
