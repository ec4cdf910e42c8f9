"""Sizes and counts: what users may write and what the defaults follow from."""

from __future__ import annotations

from mrcore.errors import UsageError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_UNITS = {
    "": 1, "B": 1,
    "K": KIB, "KIB": KIB, "KB": 10**3,
    "M": MIB, "MIB": MIB, "MB": 10**6,
    "G": GIB, "GIB": GIB, "GB": 10**9,
    "T": 1 << 40, "TIB": 1 << 40, "TB": 10**12,
}  # fmt: skip

SPLIT_MIN, SPLIT_MAX, SPLITS_AIM = 64 * MIB, 512 * MIB, 8
BYTES_A_REDUCER, REDUCERS_MAX = 256 * MIB, 256
PARTITIONS_LIMIT = 4096  # what -R may ask for

SMALL_INPUT = 32 * MIB
"""Native jobs up to this many bytes run in-process by default: a worker's start costs as much as reading them."""


def parse_size(text: str) -> int:
    """Bytes of ``"64MiB"``, ``"64M"`` (powers of 1024), ``"64MB"`` (powers of 1000) or ``"67108864"``.

    Raises:
        UsageError: not a size.
    """
    number = text.rstrip("BKMGTibkmgt ").strip()
    unit = text.strip()[len(number) :].strip().upper()
    try:
        size = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise UsageError(f"not a size: {text!r}: write a number and a unit, such as 64MiB") from None
    if not 0 <= size < float(1 << 63):
        raise UsageError(f"size out of range: {text!r}: write one from 0 to 8388607TiB")
    return int(size)


def split_size(input_bytes: int) -> int:
    """Default bytes of a split: an eighth of the input, from 64 MiB to 512 MiB."""
    return min(SPLIT_MAX, max(SPLIT_MIN, -(-input_bytes // SPLITS_AIM)))


def reducers(input_bytes: int) -> int:
    """Default number of part files: from input bytes alone, so that the parts are the same anywhere."""
    return min(REDUCERS_MAX, max(1, -(-input_bytes // BYTES_A_REDUCER)))


def show_size(size: int) -> str:
    """A size as a user may write it, rounded up to a whole unit: ``"64MiB"``."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= 10 * unit or (size >= unit and size % unit == 0):
            return f"{-(-size // unit)}{name}"
    return f"{-(-size // KIB)}KiB" if size >= KIB else f"{size}B"
