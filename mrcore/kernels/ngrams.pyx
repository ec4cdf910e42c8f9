"""N-grams of text: every n tokens that follow one another in a line, as lines of text.

What an n-gram is, and where lines end, is described in ``csrc/mr_ngrams.h``. The lines that
come out are counted by a :class:`mrcore.kernels.table.CountTable` of tokenizer ``lines``.
"""
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.fault cimport guard_call, guard_install
from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS

NGRAMS_MAX = _c.MR_NGRAMS_MAX  # tokens of one n-gram

cdef struct expand_call:
    _c.mr_tokenize_fn tokenize
    const uint8_t *text
    size_t size
    int final
    int lower
    const _c.mr_ngrams_rule *rule
    uint8_t *out
    size_t room
    size_t consumed
    size_t written
    size_t want


cdef _c.mr_status run_expand(void *context) noexcept nogil:
    cdef expand_call *call = <expand_call *>context
    return _c.mr_ngrams_expand(call.tokenize, call.text, call.size, call.final, call.lower, call.rule, call.out,
                               call.room, &call.consumed, &call.written, &call.want)


cdef class NgramExpander:
    """Writes the n-grams of text, window after window; it keeps nothing of a window.

    Args:
        tokenizer: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`. Empty lines are not tokens.
        n_min, n_max: tokens of an n-gram, 1 to :data:`NGRAMS_MAX`.
        lower: fold ``A-Z`` to ``a-z``.
        newlines_break: LF bytes between two tokens that end the line: 1 for text, 2 for
            tokens with an LF behind each and an empty line at a line's end, 0 for never.

    Raises:
        ValueError: ``tokenizer`` is unknown, or a number out of range.
        OverflowError: a number is negative or does not fit 32 bits.

    Cost: about 1 ns a byte of bigrams on one core.
    """

    cdef _c.mr_ngrams_rule rule
    cdef int tokenizer
    cdef bint lower
    cdef readonly size_t want  # bytes that the next n-grams need; 0 after a call that was not short of room

    def __init__(self, str tokenizer not None, unsigned int n_min, unsigned int n_max, bint lower=False,
                 unsigned int newlines_break=1):
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"unknown tokenizer {tokenizer!r}: one of {', '.join(TOKENIZERS)}")
        if not 1 <= n_min <= n_max <= <unsigned int>_c.MR_NGRAMS_MAX:
            raise ValueError(f"n-grams of {n_min} to {n_max} tokens: 1 <= n_min <= n_max <= {NGRAMS_MAX}")
        guard_install()
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.rule.n_min = n_min
        self.rule.n_max = n_max
        self.rule.newlines_break = newlines_break
        self.lower = lower
        self.want = 0

    def expand(self, const uint8_t[::1] data not None, size_t start, size_t stop, bint final,
               uint8_t[::1] out not None):
        """Writes the n-grams of ``data[start:stop]`` into ``out``, each with an LF behind it.

        N-grams come by their first token, in its order, those of one token shortest first, and
        are written when no more text could add to them: ``n_max`` tokens have ended or
        the line has. With ``final``, ``stop`` ends the token and the line that reach it.
        Releases the GIL and does not look at signals: give a few MiB a call.

        Args:
            data: contiguous bytes, only read, and only during the call.
            start, stop: the window, in bytes; no token may be open before ``start``.
            final: nothing comes after ``stop``.
            out: where to write; all of it may be overwritten, what counts is its front.

        Returns:
            ``(next, written)``: where the next window must begin, and the bytes written. When
            ``out`` was too small, :attr:`want` is what the next token's n-grams need, and
            ``next`` where it begins. When it was not and ``next`` is before ``stop``, the
            tokens from there on wait for more text: a window that ends further on.

        Raises:
            IndexError: the window is not inside ``data``.
            TruncatedError: ``data`` is a mapping whose file became shorter.
        """
        cdef expand_call call
        cdef _c.mr_status status
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        self.want = 0
        if start == stop:
            return start, 0
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.text = &data[start]
        call.size = stop - start
        call.final = final
        call.lower = self.lower
        call.rule = &self.rule
        call.room = <size_t>out.shape[0]
        call.out = &out[0] if call.room else NULL
        with nogil:
            status = guard_call(run_expand, &call, call.text, call.size)
        if status == _c.MR_FAULT:
            raise TruncatedError
        self.want = call.want
        return start + call.consumed, call.written
