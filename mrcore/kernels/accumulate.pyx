# cython: language_level=3
"""Typed aggregates by key: sum, min, max and first of int64 or float64 values.

A task adds batches of keys and values to an :class:`AccumulatorTable` and drains it into
states, which are bytes that can be spilled and merged in any order and grouping:
:func:`merge_states` of the parts' states is, byte for byte, the state of the whole.
:func:`finish` turns a state into the value. The states are described in
``csrc/mr_accumulate.h``. A table is for one thread at a time.
"""
from array import array

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy, memset

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, mr_accumulate_slot, uint8_t, uint64_t
from mrcore.kernels.memory cimport Pages

KINDS = ("sum_int64", "sum_float64", "min_int64", "max_int64", "min_float64", "max_float64",
         "first_int64", "first_float64")  # in the order of the C enumeration

cdef enum:
    START_BITS = 12           # 64 KiB of slots
    ARENA_CHUNK = 1 << 18     # the first chunk; each further one doubles, up to
    ARENA_CHUNK_MAX = 64 << 20
    ADD_STEP = 1 << 16        # rows between two looks for Ctrl-C: some ms, unless keys are huge
    STATE_BYTES_MAX = 8 * 35  # MR_ACCUMULATE_WORDS_MAX


cdef _c.mr_accumulator kind_of(str name) except *:
    if name not in KINDS:
        raise ValueError(f"unknown kind {name!r}: one of {', '.join(KINDS)}")
    return <_c.mr_accumulator><int>KINDS.index(name)


cdef bint is_float(_c.mr_accumulator kind):
    return KINDS[<int>kind].endswith("float64")


cdef class AccumulatorTable:
    """The states of distinct keys. ``len()`` is the number of keys.

    Args:
        kind: one of :data:`KINDS`.

    Cost: 16 bytes a slot, filled to two thirds at most, and for each key 8 bytes, its own
    rounded up to 8, and its state: 8 bytes for min and max, 16 for first and sum_int64,
    280 for sum_float64.
    """

    cdef _c.mr_accumulate_table table
    cdef Pages slots, batch
    cdef list arena  # Pages in the order they were filled

    def __cinit__(self, str kind not None):
        self.table.kind = kind_of(kind)
        self.table.bits = START_BITS
        self.slots, self.batch = Pages(sizeof(mr_accumulate_slot) << START_BITS), Pages()
        self.table.slots = <mr_accumulate_slot *>self.slots.address
        self.arena = []

    def __len__(self):
        return self.table.used

    @property
    def kind(self):
        """What is accumulated, one of :data:`KINDS`."""
        return KINDS[<int>self.table.kind]

    @property
    def memory_bytes(self):
        """Bytes of memory that the table has mapped."""
        return self.slots.size + self.batch.size + sum((<Pages>pages).size for pages in self.arena)

    def add(self, list keys not None, values, uint64_t position=0):
        """Adds ``values[i]`` to the key ``keys[i]``; errors and ``position`` as :meth:`add_array`.

        Raises:
            TypeError: a value is no number, or for an int64 kind no integer.
            OverflowError: an integer is outside of int64, or too large for a float.
        """
        # list(): array() would take the items of bytes and of other arrays as raw memory.
        self.add_array(keys, array("d" if is_float(self.table.kind) else "q", list(values)), position)

    def add_array(self, list keys not None, values not None, uint64_t position=0):
        """Adds ``values[i]`` to the key ``keys[i]``, without the GIL.

        Args:
            keys: any bytes.
            values: a contiguous buffer of int64 (``"q"``) or float64 (``"d"``), as the kind says.
                NaN and infinities are summed as ``math.fsum`` does.
            position: of the first row; the others follow it. Only the first kinds look at it.

        Raises:
            ValueError: there are more keys than values or fewer, the buffer has items of another
                type, the last position would be above ``2**64 - 1``, or a minimum or maximum is
                given a NaN.
            TypeError: a key is not bytes, or ``values`` no buffer.

        After one of these nothing was added. MemoryError and KeyboardInterrupt may come in
        the middle: the table is to be thrown away then.
        """
        cdef const int64_t[::1] integers
        cdef const double[::1] floats
        cdef const uint64_t *bits = NULL
        cdef size_t n, i, refused
        cdef bytes key
        cdef tuple kept = tuple(keys)  # another thread may change the list meanwhile
        if is_float(self.table.kind):
            floats = values
            n = floats.shape[0]
            bits = <const uint64_t *>&floats[0] if n else NULL
        else:
            integers = values
            n = integers.shape[0]
            bits = <const uint64_t *>&integers[0] if n else NULL
        if n != <size_t>len(kept):
            raise ValueError(f"{len(kept)} keys and {n} values")
        if n and n - 1 > 0xFFFFFFFFFFFFFFFFu - position:
            raise ValueError(f"{n} rows from position {position} on go beyond 2**64 - 1")
        refused = _c.mr_accumulate_refused(self.table.kind, bits, n)
        if refused < n:
            raise ValueError(f"value {refused} is NaN, which has no place in the order of {self.kind}")
        self.batch.reserve(n * 16)
        cdef const uint8_t **texts = <const uint8_t **>self.batch.address
        cdef size_t *lens = <size_t *>self.batch.address + n
        for i in range(n):
            if type(kept[i]) is not bytes:
                raise TypeError(f"key {i} is {type(kept[i]).__name__}, not bytes")
            key = kept[i]
            texts[i] = <const uint8_t *><const char *>key
            lens[i] = len(key)
        self.add_rows(texts, lens, bits, position, n)

    cdef void add_rows(self, const uint8_t **keys, size_t *lens, const uint64_t *values, uint64_t position,
                       size_t n) except *:
        cdef size_t row = 0, stop
        cdef _c.mr_status status
        while row < n:
            stop = min(n, row + ADD_STEP)
            with nogil:
                status = _c.mr_accumulate_table_add(&self.table, keys, lens, values, position, stop, &row)
            if status == _c.MR_NEED_ROOM:
                self.grow()
            PyErr_CheckSignals()

    cdef void grow(self) except *:
        cdef Pages pages
        cdef size_t chunk
        if self.table.want_bytes:
            chunk = min(ARENA_CHUNK << min(len(self.arena), 16), <size_t>ARENA_CHUNK_MAX)
            pages = Pages(max(chunk, self.table.want_bytes))
            self.arena.append(pages)
            self.table.arena = <uint8_t *>pages.address
            self.table.arena_room = pages.size
            return
        cdef unsigned bits = self.table.bits + 1
        pages = Pages(sizeof(mr_accumulate_slot) << bits)
        with nogil:
            _c.mr_accumulate_table_rehash(&self.table, <mr_accumulate_slot *>pages.address, bits)
        self.slots = pages

    def drain(self):
        """Empties the table; its slots stay.

        Returns:
            ``(key, state)`` of every key, ascending by key.
        """
        cdef list found = []
        cdef size_t i, words = _c.mr_accumulate_words(self.table.kind)
        cdef uint64_t *entry
        cdef uint8_t[STATE_BYTES_MAX] state
        for i in range(<size_t>1 << self.table.bits):
            entry = self.table.slots[i].entry
            if entry != NULL:
                _c.mr_accumulate_encode(self.table.kind, entry + 1, state)
                found.append((PyBytes_FromStringAndSize(<const char *>(entry + 1 + words), entry[0]),
                              PyBytes_FromStringAndSize(<const char *>state, words * 8)))
        found.sort()
        memset(self.table.slots, 0, sizeof(mr_accumulate_slot) << self.table.bits)
        self.table.used = 0
        self.table.arena_room = 0
        self.arena.clear()
        return found


cdef void decode(_c.mr_accumulator kind, bytes state, uint64_t *words) except *:
    if _c.mr_accumulate_decode(kind, <const uint8_t *><const char *>state, len(state), words) == _c.MR_CORRUPT:
        raise ValueError(f"{len(state)} bytes that are no state of {KINDS[<int>kind]}")


def merge_states(str kind not None, bytes a not None, bytes b not None):
    """The state of the values of both states.

    Raises:
        ValueError: ``kind`` is not one of :data:`KINDS`, or ``a`` or ``b`` no state of it.
    """
    cdef uint64_t[_c.MR_ACCUMULATE_WORDS_MAX] merged, other
    cdef uint8_t[STATE_BYTES_MAX] state
    cdef _c.mr_accumulator which = kind_of(kind)
    decode(which, a, merged)
    decode(which, b, other)
    _c.mr_accumulate_merge(which, merged, other)
    _c.mr_accumulate_encode(which, merged, state)
    return PyBytes_FromStringAndSize(<const char *>state, _c.mr_accumulate_words(which) * 8)


def finish(str kind not None, bytes state not None):
    """The value of a state: an int, or a float for a float64 kind.

    Raises:
        OverflowError: the sum is outside of int64, or larger than any double. Whatever the
            order, only the end counts: ``1e308 + 1e308 - 1e308`` is a sum here, where
            ``math.fsum`` gives up on the way.
        ValueError: ``inf`` and ``-inf`` were both added, as of ``math.fsum``; ``kind`` is not
            one of :data:`KINDS`, or ``state`` no state of it.
    """
    cdef uint64_t[_c.MR_ACCUMULATE_WORDS_MAX] words
    cdef uint64_t bits = 0
    cdef double number
    cdef _c.mr_accumulator which = kind_of(kind)
    decode(which, state, words)
    cdef _c.mr_status status = _c.mr_accumulate_finish(which, words, &bits)
    if status == _c.MR_OVERFLOW:
        raise OverflowError(f"{kind}: the sum is out of range")
    if status == _c.MR_CORRUPT:
        raise ValueError(f"{kind}: inf and -inf have no sum")
    if not is_float(which):
        return <int64_t>bits
    memcpy(&number, &bits, sizeof(number))
    return number
