"""Writes mr_unicode_tables.c and .h, the facts of Unicode that csrc/mr_unicode.c works with.

    python csrc/generate_unicode_tables.py UnicodeData.txt CaseFolding.txt

reads the two files of Unicode 16.0.0, published at https://www.unicode.org/Public/16.0.0/ucd/, and
writes beside itself. Their SHA-256 is checked, so the same bytes come out wherever it runs. Another
version of Unicode takes its number and digests in :data:`VERSION` and :data:`DIGESTS`, and the
digests in tests/kernels/test_unicode.py.

Both facts are two-stage tables: code points are cut into blocks, equal blocks are kept once, and an
index of one byte a block says which it is.
"""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

VERSION = "16.0.0"
DIGESTS = {
    "UnicodeData.txt": "ff58e5823bd095166564a006e47d111130813dcf8bf234ef79fa51a870edb48f",
    "CaseFolding.txt": "6f1f9c588eb4a5c718d9e8f93b782685e5c7fec872cf05e8e6878053599e09bb",
}
POINTS = 0x110000
TOKEN_BLOCK = 256  # code points; 32 bytes of bits
FOLD_BLOCK = 64  # code points; as many bytes
WIDTH = 116  # of a line of numbers

HEADER = """\
/* Which code points are letters, marks or numbers, and how they fold: Unicode {version}.
 *
 * Written by csrc/generate_unicode_tables.py, which says from what: change that, not this.
 * A code point's block is its upper bits; an index names the contents of each block, for
 * equal ones are kept once. Code points from an _END on are in no token, or fold to themselves.
 */
#ifndef MR_UNICODE_TABLES_H
#define MR_UNICODE_TABLES_H

#include <stdint.h>

#define MR_UNICODE_TOKEN_END {token_end:#x}
#define MR_UNICODE_FOLD_END {fold_end:#x}

/* At c, and folded at 128 + c: the byte of ASCII c in a token, or LF when c is in none. */
extern const uint8_t mr_unicode_ascii[256];

/* Bit `point % 64` of bits[index[point / 256] * 4 + point / 64 % 4]: is it L*, M* or N*? */
extern const uint8_t mr_unicode_token_index[];
extern const uint64_t mr_unicode_token_bits[];

/* What to add to a code point, of the steps: step[kind[index[point / 64] * 64 + point % 64]]. */
extern const uint8_t mr_unicode_fold_index[];
extern const uint8_t mr_unicode_fold_kind[];
extern const int32_t mr_unicode_fold_step[];

#endif
"""


def read_checked(path: Path, name: str) -> list[str]:
    """The lines of a file of the Unicode Character Database, if it is the one of :data:`VERSION`."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise SystemExit(f"{path} is not {name} of Unicode {VERSION}")
    return content.decode().splitlines()


def tokens_of(unicode_data: Iterable[str]) -> bytearray:
    """One byte a code point: 1 for the categories L*, M* and N*."""
    token = bytearray(POINTS)
    first = 0
    for line in unicode_data:
        point, name, category = line.split(";")[:3]
        last = int(point, 16)
        if not name.endswith(", Last>"):  # two lines stand for a range, the others for themselves
            first = last
        if category[0] in "LMN":
            token[first:last + 1] = b"\1" * (last + 1 - first)
    return token


def folds_of(case_folding: Iterable[str]) -> list[int]:
    """What simple case folding adds to each code point: statuses C and S."""
    step = [0] * POINTS
    for line in case_folding:
        fields = [field.strip() for field in line.partition("#")[0].split(";")]
        if len(fields) > 2 and fields[1] in ("C", "S"):
            step[int(fields[0], 16)] = int(fields[2], 16) - int(fields[0], 16)
    return step


def two_stage(values: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    """An index of blocks of ``size`` values, cut off after the last that is not all zero, and the blocks."""
    blocks: dict[tuple[int, ...], int] = {(0,) * size: 0}
    index = [blocks.setdefault(tuple(values[at:at + size]), len(blocks)) for at in range(0, len(values), size)]
    while index[-1] == 0:
        index.pop()
    if len(blocks) > 256:
        raise SystemExit(f"{len(blocks)} blocks are more than a byte can name")
    return index, [value for block in blocks for value in block]


def wrapped(numbers: Iterable[str]) -> Iterator[str]:
    """Numbers in lines of at most :data:`WIDTH` characters."""
    line = ""
    for number in numbers:
        if len(line) + len(number) + 1 > WIDTH:
            yield "    " + line
            line = ""
        line += number + ","
    yield "    " + line


def array(declaration: str, numbers: Sequence[int], form: str = "{}") -> list[str]:
    """A constant array in C."""
    return ["", f"const {declaration} = {{", *wrapped(form.format(number) for number in numbers), "};"]


def write(unicode_data: list[str], case_folding: list[str], folder: Path) -> None:
    """Writes both files."""
    token, step = tokens_of(unicode_data), folds_of(case_folding)
    words = [int(token[at:at + 64][::-1].translate(bytes.maketrans(b"\0\1", b"01")), 2) for at in range(0, POINTS, 64)]
    steps = sorted(set(step), key=lambda size: (abs(size), size))
    kind_of = {size: kind for kind, size in enumerate(steps)}
    token_index, token_bits = two_stage(words, TOKEN_BLOCK // 64)
    fold_index, fold_kind = two_stage([kind_of[size] for size in step], FOLD_BLOCK)
    ascii_bytes = [c + fold * step[c] if token[c] else 0x0A for fold in (0, 1) for c in range(128)]
    lines = [
        f"/* Unicode {VERSION}, written by csrc/generate_unicode_tables.py; mr_unicode_tables.h says what is what. */",
        '#include "mr_unicode_tables.h"',
        *array("uint8_t mr_unicode_ascii[256]", ascii_bytes),
        *array("uint8_t mr_unicode_token_index[]", token_index),
        *array("uint64_t mr_unicode_token_bits[]", token_bits, "{:#x}"),
        *array("uint8_t mr_unicode_fold_index[]", fold_index),
        *array("uint8_t mr_unicode_fold_kind[]", fold_kind),
        *array("int32_t mr_unicode_fold_step[]", steps),
    ]
    header = HEADER.format(version=VERSION, token_end=len(token_index) * TOKEN_BLOCK,
                           fold_end=len(fold_index) * FOLD_BLOCK)
    (folder / "mr_unicode_tables.c").write_text("\n".join(lines) + "\n", encoding="ascii")
    (folder / "mr_unicode_tables.h").write_text(header, encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    write(read_checked(Path(sys.argv[1]), "UnicodeData.txt"), read_checked(Path(sys.argv[2]), "CaseFolding.txt"),
          Path(__file__).parent)
