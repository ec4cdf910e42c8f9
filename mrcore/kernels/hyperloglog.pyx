"""The distinct-count sketch: about how many distinct tokens a text has, in 2**precision bytes.

Each task feeds a sketch of its own; sketches are merged by their registers, in any order
and grouping, with the same result as one sketch that was fed everything. The algorithm and
its sources are in ``csrc/mr_hyperloglog.h``. A sketch is for one thread at a time.
"""
import math

from cpython.exc cimport PyErr_CheckSignals

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t, uint32_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.fault cimport guard_call, guard_install
from mrcore.kernels.memory cimport Pages
from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS

cdef double ALPHA = 0.7213475204444817  # 1 / (2 ln 2), as a number: a logarithm may differ from machine to machine

# Bytes fed between two looks for Ctrl-C: 21 ms of one-letter words on the plainest path. A
# token that is longer takes a longer step.
cdef enum:
    FEED_STEP = 8 << 20

cdef struct feed_call:
    _c.mr_hyperloglog *sketch
    _c.mr_tokenize_fn tokenize
    const uint8_t *text
    size_t size
    int final
    int lower
    size_t consumed


cdef _c.mr_status run_feed(void *context) noexcept nogil:
    cdef feed_call *call = <feed_call *>context
    return _c.mr_hyperloglog_feed(call.sketch, call.tokenize, call.text, call.size, call.final, call.lower,
                                  &call.consumed)


cdef class HyperLogLog:
    """Estimates the number of distinct tokens.

    Args:
        precision: from 4 to 18; the sketch has ``2**precision`` registers of one byte.
        tokenizer: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`.
        lower: fold ``A-Z`` to ``a-z`` in fed text.

    Raises:
        ValueError: ``precision`` is out of range, or ``tokenizer`` unknown.
        OSError: the handler of SIGBUS cannot be installed.
    """

    cdef _c.mr_hyperloglog sketch
    cdef int tokenizer
    cdef bint lower
    cdef Pages pages  # the registers
    cdef Pages room   # a token longer than a block, folded

    def __cinit__(self, int precision=14, str tokenizer="whitespace", bint lower=False):
        if not _c.MR_HYPERLOGLOG_PRECISION_MIN <= precision <= _c.MR_HYPERLOGLOG_PRECISION_MAX:
            raise ValueError(f"precision must be from {_c.MR_HYPERLOGLOG_PRECISION_MIN} to "
                             f"{_c.MR_HYPERLOGLOG_PRECISION_MAX}, not {precision}")
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"unknown tokenizer {tokenizer!r}: one of {', '.join(TOKENIZERS)}")
        guard_install()
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.lower = lower
        self.pages, self.room = Pages(<size_t>1 << precision), Pages()
        self.sketch.registers = <uint8_t *>self.pages.address
        self.sketch.precision = precision
        self.sketch.room = NULL
        self.sketch.room_size = 0

    @property
    def precision(self):
        """Binary logarithm of the number of registers."""
        return self.sketch.precision

    @property
    def tokens(self):
        """Tokens that were fed, equal ones each time."""
        return self.sketch.tokens

    @property
    def registers(self):
        """A copy of the registers, ``2**precision`` bytes: what :meth:`merge` takes."""
        return (<const char *>self.sketch.registers)[:1 << self.sketch.precision]

    @property
    def relative_error(self):
        """Standard error of the estimate, as a part of it: 0.0081 at precision 14."""
        return 1.04 / math.sqrt(1 << self.sketch.precision)

    @property
    def memory_bytes(self):
        """Bytes of memory that the sketch has mapped; more than the registers' after a long token with ``lower``."""
        return self.pages.size + self.room.size

    def feed(self, const uint8_t[::1] data not None, size_t start, size_t stop, bint final):
        """Adds the tokens of ``data[start:stop]`` that end inside it.

        With ``final``, a token that reaches ``stop`` is added too. Returns the offset of the
        first byte still to be fed: ``stop``, or the first byte of an unfinished token.

        Cost: 4-11 ns a token of ordinary text on one core, in native calls of up to 8 MiB or of
        one longer token; Ctrl-C is seen between them. With ``lower``, a token longer than
        4 KiB is folded in memory of up to twice its length, which the sketch keeps.

        Raises:
            IndexError: ``start`` and ``stop`` are no window of ``data``.
            TruncatedError: ``data`` is a mapping whose file became shorter; some of its tokens
                may have been added. Feeding a token twice changes nothing.
        """
        cdef feed_call call
        cdef _c.mr_status status
        cdef size_t step = FEED_STEP
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        call.sketch = &self.sketch
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.lower = self.lower
        while start < stop:
            call.text = &data[start]
            call.size = min(step, stop - start)
            call.final = final and call.size == stop - start
            with nogil:
                status = guard_call(run_feed, &call, call.text, call.size)
            if status == _c.MR_FAULT:
                raise TruncatedError
            if status == _c.MR_OK and call.size == stop - start:
                return start + call.consumed
            start += call.consumed
            if status == _c.MR_NEED_ROOM:
                self.grow()
            else:
                step = FEED_STEP if call.consumed else 2 * step
            PyErr_CheckSignals()
        return start

    cdef void grow(self) except *:
        self.sketch.room_size = 0
        # Tokens that are each a little longer than the last would ask again and again.
        self.room.reserve(max(self.sketch.want, 2 * self.room.size))
        self.sketch.room = <uint8_t *>self.room.address
        self.sketch.room_size = self.room.size

    def add(self, bytes key not None):
        """Adds one key, as it is: ``lower`` and the tokenizer are for fed text.

        Cost: one hash, O(len(key)), in one native call.
        """
        cdef const uint8_t *first = <const uint8_t *><const char *>key
        cdef size_t size = len(key)
        with nogil:
            _c.mr_hyperloglog_add(self.sketch.registers, self.sketch.precision, _c.mr_hash_xxh3(first, size, 0))

    def merge(self, bytes registers not None):
        """Adds everything that a sketch of the same precision has seen, by its registers.

        Raises:
            ValueError: these are not the registers of a sketch of this precision: their number
                is not ``2**precision``, or one is above ``64 - precision + 1``. Nothing is
                changed then.
        """
        cdef const uint8_t *others = <const uint8_t *><const char *>registers
        cdef size_t size = len(registers), expected = <size_t>1 << self.sketch.precision
        if size != expected:
            raise ValueError(f"{size} registers: a sketch of precision {self.precision} has {expected}")
        if _c.mr_hyperloglog_merge(self.sketch.registers, others, self.sketch.precision) == _c.MR_CORRUPT:
            largest = _c.mr_hyperloglog_rank_max(self.sketch.precision)
            raise ValueError(f"a register holds {max(registers)}: at precision {self.precision} "
                             f"none is above {largest}")

    def estimate(self):
        """The estimated number of distinct tokens: exactly 0.0 when there was none.

        Infinite when every register holds the largest value, which only made-up registers do.
        Equal registers give equal estimates on every machine.
        """
        cdef uint32_t[_c.MR_HYPERLOGLOG_RANKS] counts
        cdef unsigned q = 64 - self.sketch.precision
        m = 1 << self.sketch.precision
        _c.mr_hyperloglog_count(self.sketch.registers, self.sketch.precision, counts)
        total = m * tau(1 - counts[q + 1] / m)
        for k in range(q, 0, -1):  # Horner's scheme: each step halves what came before
            total = (total + counts[k]) / 2
        total += m * sigma(counts[0] / m)
        return ALPHA * m * m / total if total else math.inf


cdef sigma(x):
    """x + the sum of x**(2**k) * 2**(k - 1) over k >= 1, until a term changes nothing."""
    if x == 1:
        return math.inf
    weight, total, before = 1.0, x, -1.0
    while total != before:
        x, before = x * x, total
        total += x * weight
        weight *= 2
    return total


cdef tau(x):
    """(1 - x - the sum of (1 - x**(2**-k))**2 * 2**-k over k >= 1) / 3, until a term changes nothing."""
    if x in (0, 1):
        return 0.0
    weight, total, before = 1.0, 1 - x, -1.0
    while total != before:
        x, before = math.sqrt(x), total
        weight /= 2
        total -= (1 - x) ** 2 * weight
    return total / 3
