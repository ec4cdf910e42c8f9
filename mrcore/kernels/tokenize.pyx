# cython: language_level=3
"""Where the tokens of a buffer are.

The tokenizers and the block contract are described in ``csrc/mr_tokenize.h``; native
kernels call that interface themselves, block by block. This module is the whole-buffer
view of it, for tests, benchmarks and callers whose tokens end up in Python anyway.
A token never crosses the end of the buffer: the end closes it.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t

from mrcore.kernels cimport _c
from mrcore.kernels.cpu cimport dispatch

TOKENIZERS = ("whitespace", "ascii", "lines")  # in the order of the C enumeration
WORD_TOKENIZERS = ("whitespace", "ascii")  # those that find words

# Bytes counted between two looks for Ctrl-C: 10 ms on the plainest path.
cdef enum:
    COUNT_STEP = 1 << 24


cdef _c.mr_tokenizer tokenizer_of(str name) except *:
    if name not in TOKENIZERS:
        raise ValueError(f"tokenizer {name!r} is unknown; the known ones are {', '.join(TOKENIZERS)}")
    return <_c.mr_tokenizer><int>TOKENIZERS.index(name)


def is_token(str tokenizer not None, uint8_t byte):
    """Says whether ``byte`` is part of a token.

    Raises:
        ValueError: ``tokenizer`` is not one of :data:`TOKENIZERS`.
        OverflowError: ``byte`` is not in 0..255.
    """
    return bool(_c.mr_tokenize_is_token(tokenizer_of(tokenizer), byte))


def spans(const uint8_t[::1] data not None, str tokenizer not None="whitespace"):
    """Finds every token of ``data``.

    Holds the GIL: a block is scanned in under 3 us, and each span is a Python object.

    Args:
        data: contiguous buffer of bytes, only read, and only during the call.
        tokenizer: one of :data:`TOKENIZERS`.

    Returns:
        ``(start, stop)`` of each token in bytes, ascending: ``data[start:stop]`` is the token.

    Raises:
        ValueError: ``tokenizer`` is unknown, or the items of ``data`` are not unsigned bytes.
        BufferError: ``data`` is not contiguous.
    """
    cdef _c.mr_tokenize_fn tokenize = dispatch().tokenize[<int>tokenizer_of(tokenizer)]
    cdef _c.mr_token_block block
    cdef size_t at = 0, size = data.shape[0], start = 0, length
    cdef unsigned int begun, ended
    cdef bint inside = False
    cdef list found = []
    block.inside = 0
    while at < size:
        length = min(size - at, <size_t>_c.MR_TOKEN_BLOCK)
        tokenize(&data[at], length, &block)
        begun = 0
        for ended in range(block.ends):
            if not inside:
                start = at + block.start[begun]
                begun += 1
            found.append((start, at + block.end[ended]))
            inside = False
        if begun < block.starts:  # the token that reaches the block's last byte
            start = at + block.start[begun]
        inside = block.inside
        at += length
        PyErr_CheckSignals()
    if inside:
        found.append((start, size))
    return found


def fill_spans(const uint8_t[::1] data not None, size_t start, size_t stop, bint final, str tokenizer not None,
               int64_t[:, ::1] out not None):
    """Writes the spans of the tokens of ``data[start:stop]`` that end inside it, as many as ``out`` has rows for.

    Returns:
        ``(count, next)``: rows written, and the offset from which on to go on: with ``final``, and room, ``stop``.
    """
    cdef _c.mr_tokenize_fn tokenize = dispatch().tokenize[<int>tokenizer_of(tokenizer)]
    cdef _c.mr_token_block block
    cdef size_t at = start, length, rows = out.shape[0], count = 0, whole, i, first = 0
    cdef unsigned int begun, ended
    cdef bint open = False
    cdef int64_t *row
    if start > stop or stop > <size_t>data.shape[0] or out.shape[1] != 2:
        raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes into {out.shape[1]} columns")
    if not rows or start == stop:
        return 0, start
    row = &out[0, 0]
    block.inside = 0
    while at < stop:
        length = min(stop - at, <size_t>_c.MR_TOKEN_BLOCK)
        tokenize(&data[at], length, &block)
        begun = ended = 0
        if open and block.ends:
            if count == rows:
                return count, first
            row[2 * count], row[2 * count + 1] = first, at + block.end[0]
            count, ended, open = count + 1, 1, False
        whole = min(rows - count, <size_t>(block.ends - ended))  # tokens that begin and end in this block
        for i in range(whole):
            row[2 * (count + i)] = at + block.start[i]
            row[2 * (count + i) + 1] = at + block.end[ended + i]
        count += whole
        begun = <unsigned int>whole
        if begun < block.starts:
            first, open = at + block.start[begun], True
            if ended + begun < block.ends:  # and no row is left
                return count, first
        at += length
    if not open:
        return count, stop
    if not final or count == rows:
        return count, first
    row[2 * count], row[2 * count + 1] = first, stop
    return count + 1, stop


cdef size_t count_starts(_c.mr_tokenize_fn tokenize, const uint8_t *text, size_t size,
                         _c.mr_token_block *block) noexcept nogil:
    cdef size_t at = 0, starts = 0
    while at < size:
        tokenize(text + at, min(size - at, <size_t>_c.MR_TOKEN_BLOCK), block)
        starts += block.starts
        at += _c.MR_TOKEN_BLOCK
    return starts


def count(const uint8_t[::1] data not None, str tokenizer not None="whitespace"):
    """Counts the tokens of ``data``, without the GIL.

    Args:
        data: contiguous buffer of bytes, only read, and only during the call.
        tokenizer: one of :data:`TOKENIZERS`.

    Raises:
        ValueError: ``tokenizer`` is unknown, or the items of ``data`` are not unsigned bytes.
        BufferError: ``data`` is not contiguous.
    """
    cdef _c.mr_tokenize_fn tokenize = dispatch().tokenize[<int>tokenizer_of(tokenizer)]
    cdef _c.mr_token_block block
    cdef size_t at = 0, size = data.shape[0], step, tokens = 0
    block.inside = 0
    while at < size:
        step = min(size - at, <size_t>COUNT_STEP)
        with nogil:
            tokens += count_starts(tokenize, &data[at], step, &block)
        PyErr_CheckSignals()
        at += step
    return tokens
