"""The combiner table: counts the distinct tokens of text.

A map task feeds a split's text in windows. When the table is full, and at the end, the sort
buffer (:mod:`mrcore.kernels.radix`) takes its keys. One table serves task after task, so that
its memory is touched once.
"""
from libc.string cimport memset

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t, uint64_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.fault cimport guard_call, guard_install
from mrcore.kernels.memory cimport Pages
from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS

cdef enum:
    START_BITS = 13           # 512 KiB of slots: start-up touches little memory
    SMALL_BITS = 11           # 128 KiB: what a text of 10 KiB needs
    ARENA_CHUNK = 1 << 20     # the first chunk; each further one doubles, up to
    ARENA_CHUNK_MAX = 64 << 20
    SKIP_STEP = 32 << 20
    LARGER_MAX = 1 << 20      # bytes of slots that are kept for the next text that needs them

cdef struct feed_call:
    _c.mr_table *table
    _c.mr_tokenize_fn tokenize
    const uint8_t *text
    size_t size
    int final
    int lower
    size_t consumed


cdef _c.mr_status run_feed(void *context) noexcept nogil:
    cdef feed_call *call = <feed_call *>context
    return _c.mr_table_feed(call.table, call.tokenize, call.text, call.size, call.final, call.lower, &call.consumed)


cdef struct skip_call:
    _c.mr_tokenize_fn tokenize
    _c.mr_tokenizer tokenizer
    const uint8_t *text
    size_t start
    size_t stop
    size_t found


cdef _c.mr_status run_skip(void *context) noexcept nogil:
    cdef skip_call *call = <skip_call *>context
    if call.start and not _c.mr_tokenize_is_token(call.tokenizer, call.text[call.start - 1]):
        call.found = call.start
    else:
        call.found = call.start + _c.mr_tokenize_skip(call.tokenize, call.text + call.start, call.stop - call.start)
        if call.tokenizer == _c.MR_TOKENIZER_LINES and call.found < call.stop:
            call.found += 1  # the next line begins behind the separator, not at it
    return _c.MR_OK


cdef class CountTable:
    """Counts of distinct tokens, exact, in int64.

    Args:
        tokenizer: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`.
        lower: fold ``A-Z`` to ``a-z``.
        bytes_max: memory it may hold, from 2 MiB. Where it would need more, :attr:`full` says so.
        small: for many small texts, between which it is cleared: few slots at first, and few
            again after a larger text.

    Cost: 4-8 ns a token of ordinary text on one core; 16 bytes a slot for keys up to seven
    bytes and 24 for others, filled to two thirds at most.
    """

    def __init__(self, str tokenizer="whitespace", bint lower=False, size_t bytes_max=<size_t>1 << 62, *,
                 bint small=False):
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"unknown tokenizer {tokenizer!r}: one of {', '.join(TOKENIZERS)}")
        guard_install()
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.lower = lower
        self.arena, self.arena_used = [], 0
        self.bytes_max = bytes_max
        self.full = False
        self.token_bytes_wanted = 0
        memset(&self.table, 0, sizeof(_c.mr_table))
        self.small = small
        self.start_bits = SMALL_BITS if small else START_BITS
        self.start()

    cdef void start(self) except *:
        cdef size_t size
        self.slots = []
        for part in range(3):
            size = _c.mr_table_slot_size(<_c.mr_table_part>part) << self.start_bits
            self.slots.append(Pages(size))
            self.table.part[part].slots = (<Pages>self.slots[part]).address
            self.table.part[part].bits = self.start_bits
        self.first, self.larger = list(self.slots), {}

    @property
    def distinct(self):
        """Distinct tokens counted since the table was cleared."""
        return _c.mr_table_used(&self.table)

    @property
    def tokens(self):
        """Tokens counted since the table was cleared."""
        return self.table.tokens

    @property
    def memory_bytes(self):
        """Bytes of memory that the table has mapped."""
        cdef Pages pages
        cdef size_t total = 0
        for pages in self.slots + self.arena + list(self.larger.values()):
            total += pages.size
        for part in range(3):
            if self.small and self.slots[part] is not self.first[part]:
                total += (<Pages>self.first[part]).size
        return total

    def align(self, const uint8_t[::1] data, size_t start):
        """First offset from ``start`` on that no token crosses: where a split really begins or ends.

        Of ``lines``, where a line begins: behind an LF, or the end.
        A split ``[a, b)`` owns ``[align(a), align(b))``, so a token belongs to the split that
        holds its first byte, and to no other.

        Raises:
            TruncatedError: ``data`` is a mapping whose file became shorter.
        """
        cdef skip_call call
        cdef _c.mr_status status
        cdef size_t size = data.shape[0]
        if start == 0 or start >= size:
            return min(start, size)
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.tokenizer = <_c.mr_tokenizer>self.tokenizer
        call.text = &data[0]
        call.start = start
        while call.start < size:  # in steps, so that signals are seen on the way
            call.stop = min(call.start + SKIP_STEP, size)
            with nogil:
                status = guard_call(run_skip, &call, call.text, size)
            if status == _c.MR_FAULT:
                raise TruncatedError
            if call.found < call.stop:
                return call.found
            call.start = call.stop
        return size

    def feed(self, const uint8_t[::1] data, size_t start, size_t stop, bint final):
        """Counts the tokens of ``data[start:stop]`` that end inside it.

        With ``final``, a token that reaches ``stop`` is counted too. Returns the offset of the
        first byte still to be fed: ``stop``, or the first byte of an unfinished token. Earlier
        when the table is :attr:`full`: take its keys, clear it, and feed from there. If it was
        empty then, the token there needs :attr:`token_bytes_wanted` bytes and will never fit.

        Raises:
            TruncatedError: ``data`` is a mapping whose file became shorter.
        """
        cdef feed_call call
        cdef _c.mr_status status
        self.full = False
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        call.table = &self.table
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.final = final
        call.lower = self.lower
        while start < stop:
            call.text = &data[start]
            call.size = stop - start
            with nogil:
                status = guard_call(run_feed, &call, call.text, call.size)
            if status == _c.MR_FAULT:
                raise TruncatedError
            start += call.consumed
            if status == _c.MR_OK:
                break
            if not self.grow():
                self.full = True
                break
        return start

    cdef _c.mr_status add(self, const uint8_t *text, const uint32_t *offset, const int64_t *values, size_t n,
                          size_t *next) except *:
        """Adds ``values[i]`` to the key ``text[offset[i]:offset[i + 1]]`` for ``i`` in ``[*next, n)``; moves ``*next``.

        MR_NEED_ROOM: the table is full. MR_OVERFLOW: the sum at ``*next`` would leave int64.
        MR_TABLE_ADD_SLACK bytes behind the text are read.
        """
        cdef _c.mr_status status
        while True:
            status = _c.mr_table_add(&self.table, text, offset, values, n, next)
            if status != _c.MR_NEED_ROOM or not self.grow():
                return status

    cdef bint grow(self) except -1:
        """More room for what is short; False when that would pass the limit."""
        if self.table.want == _c.MR_PART_ARENA:
            return self.grow_arena()
        cdef int part = self.table.want
        cdef unsigned bits = self.table.part[part].bits
        # Four times as large while small, so that few tokens are moved often; then twice.
        return bits < 20 and self.grow_part(part, bits + 2) or self.grow_part(part, bits + 1)

    cdef bint grow_part(self, int part, unsigned bits) except -1:
        cdef size_t size = _c.mr_table_slot_size(<_c.mr_table_part>part) << bits
        cdef Pages pages
        if self.memory_bytes + size > self.bytes_max:  # the old slots are held until the keys have moved
            return False
        pages = self.larger.pop((part, bits), None) or Pages(size)
        with nogil:
            _c.mr_table_rehash(&self.table, <_c.mr_table_part>part, pages.address, bits)
        self.slots[part] = pages
        return True

    cdef bint grow_arena(self) except -1:
        cdef Pages pages
        cdef size_t held = self.memory_bytes
        cdef size_t chunk = min(ARENA_CHUNK << min(len(self.arena), 16), <size_t>ARENA_CHUNK_MAX)
        self.token_bytes_wanted = self.table.want_bytes
        while self.arena_used < <size_t>len(self.arena):  # kept from before the table was cleared
            pages = self.arena[self.arena_used]
            self.arena_used += 1
            if pages.size >= self.table.want_bytes:
                self.table.arena = <uint8_t *>pages.address
                self.table.arena_room = pages.size
                return True
        if held + chunk > self.bytes_max:
            chunk = ARENA_CHUNK
        # A token longer than the chunks is scanned anew each time, so its room doubles too.
        chunk = max(chunk, 2 * self.table.want_bytes)
        if held + chunk > self.bytes_max:
            return False
        pages = Pages(chunk)
        self.arena.append(pages)
        self.arena_used = len(self.arena)
        self.table.arena = <uint8_t *>pages.address
        self.table.arena_room = pages.size
        return True

    def items(self):
        """The ``(token, count)`` pairs, in no order: for small tables, a Python object each."""
        cdef uint8_t[32] scratch
        cdef _c.mr_table_cursor cursor
        cdef const uint8_t *key
        cdef size_t size
        cdef int64_t count
        memset(&cursor, 0, sizeof(_c.mr_table_cursor))
        memset(scratch, 0, 32)
        pairs = []
        while True:
            key = _c.mr_table_next(&self.table, &cursor, scratch, &size, &count)
            if key == NULL:
                return pairs
            pairs.append(((<const char *>key)[:size], count))

    def sample(self, size_t n):
        """The first seven bytes, or fewer, of up to ``n`` keys, about evenly over all of them."""
        cdef uint8_t[8] head
        cdef Pages words = Pages(max(n, 1) * sizeof(uint64_t))
        cdef uint64_t *word = <uint64_t *>words.address
        cdef size_t found = _c.mr_table_sample(&self.table, word, n), i
        heads = []
        for i in range(found):
            _c.mr_word_store(word[i], head)
            heads.append((<const char *>head)[:min(_c.mr_word_length(word[i]), 7)])
        return heads

    def clear(self):
        """Empties the table; its slots and its arena are kept, but for chunks made for a giant token."""
        cdef Pages pages
        self.full = False
        with nogil:
            _c.mr_table_clear(&self.table)
        self.arena = [pages for pages in self.arena if pages.size <= ARENA_CHUNK_MAX]
        self.arena_used = 0
        self.table.arena = NULL
        self.table.arena_room = 0
        if self.small:
            self.shrink()

    cdef void shrink(self) except *:
        """Goes back to the first slots: to clear, and to walk over, large ones costs more than a small text."""
        cdef Pages pages
        for part in range(3):
            pages = self.first[part]
            if self.slots[part] is pages:
                continue
            if (<Pages>self.slots[part]).size <= LARGER_MAX:
                self.larger[part, self.table.part[part].bits] = self.slots[part]  # zeroed just now
            memset(pages.address, 0, pages.size)
            self.slots[part] = pages
            self.table.part[part].slots = pages.address
            self.table.part[part].bits = self.start_bits
