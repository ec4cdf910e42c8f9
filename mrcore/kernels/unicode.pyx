# cython: language_level=3
"""The Unicode tokenizer: text in UTF-8 becomes its tokens, one a line.

What a token is, how it folds, and what happens to bytes that are not UTF-8 is described in
``csrc/mr_unicode.h``. A map task expands its text with this in front of the whitespace tokenizer.
"""
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t, uint32_t
from mrcore.kernels.fault cimport guard_call, guard_install

from mrcore.kernels.fault import TruncatedError

cdef uint32_t POINT_MAX = 0x10FFFF

cdef struct expand_call:
    const uint8_t *text
    size_t size
    int final
    int fold
    int mark_lines
    uint8_t *out
    size_t room
    size_t consumed
    size_t written
    size_t want


cdef _c.mr_status run_expand(void *context) noexcept nogil:
    cdef expand_call *call = <expand_call *>context
    return _c.mr_unicode_expand(call.text, call.size, call.final, call.fold, call.mark_lines, call.out, call.room,
                                &call.consumed, &call.written, &call.want)


cdef uint32_t checked(uint32_t code_point) except? 0:
    if code_point > POINT_MAX:
        raise ValueError(f"{code_point:#x} is past U+10FFFF, the last code point")
    return code_point


def is_token(uint32_t code_point):
    """Says whether a code point is part of a token: a letter, mark or number of Unicode 16.0.

    Raises:
        ValueError: ``code_point`` is past U+10FFFF.
        OverflowError: it does not fit 32 bits.
    """
    return bool(_c.mr_unicode_is_token(checked(code_point)))


def fold(uint32_t code_point):
    """The simple case folding of a code point, itself if it has none.

    Raises:
        ValueError: ``code_point`` is past U+10FFFF.
        OverflowError: it does not fit 32 bits.
    """
    return _c.mr_unicode_fold(checked(code_point))


cdef class UnicodeExpander:
    """Writes the tokens of text, each followed by LF.

    Args:
        fold: replace each code point of a token by its simple case folding.
        mark_lines: write each LF of the text too, after the tokens before it, so that an empty
            line of the output is an end of line of the text.

    Attributes:
        want: bytes of ``out`` that the next token needs, when :meth:`expand` could write nothing
            for want of room; otherwise 0.

    Cost: 2-4 ns a byte of text on one core. It holds no text and no output between calls.
    """

    cdef bint fold
    cdef bint mark_lines
    cdef readonly size_t want

    def __init__(self, bint fold=False, bint mark_lines=False):
        guard_install()
        self.fold = fold
        self.mark_lines = mark_lines

    def expand(self, const uint8_t[::1] data not None, size_t start, size_t stop, bint final, uint8_t[::1] out not None):
        """Expands the tokens of ``data[start:stop]`` that end inside it, as far as they fit into ``out``.

        With ``final``, a token that reaches ``stop`` counts too. One call, without the GIL and
        without a look for signals: give at most a few MiB.

        Args:
            data: contiguous bytes, only read, and only during the call.
            out: where the output goes; what lies after it is undefined.

        Returns:
            ``(next, written)``: the offset of the first byte to be given again, and the bytes in
            ``out``. ``next`` is ``stop`` when all is done. If it is not, and ``written`` is not 0, empty
            ``out`` and go on from ``next``; if ``written`` is 0, enlarge ``out`` to :attr:`want`, or, where
            that is 0, move ``stop`` on: what begins at ``next`` does not end before it.

        Raises:
            IndexError: ``[start, stop)`` is not inside ``data``.
            TruncatedError: ``data`` is a mapping whose file became shorter.
            ValueError, BufferError: a buffer is not of contiguous unsigned bytes, or ``out`` is read-only.
        """
        cdef expand_call call
        cdef _c.mr_status status
        self.want = 0
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        if start == stop:
            return start, 0
        call.text = &data[start]
        call.size = stop - start
        call.final = final
        call.fold = self.fold
        call.mark_lines = self.mark_lines
        call.room = out.shape[0]
        call.out = &out[0] if call.room else NULL
        with nogil:
            status = guard_call(run_expand, &call, call.text, call.size)
        if status == _c.MR_FAULT:
            raise TruncatedError
        self.want = call.want
        return start + call.consumed, call.written
