from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t
from mrcore.kernels.chain cimport Chain, Taker
from mrcore.kernels.codec cimport KeyCodec, ValueCodec
from mrcore.kernels.memory cimport Pages, Scratch
from mrcore.kernels.radix cimport SortBuffer
from mrcore.kernels.table cimport CountTable


cdef class Drain(Taker):
    cdef object owner, place
    cdef readonly KeyCodec keys
    cdef ValueCodec values
    cdef SortBuffer buffer
    cdef CountTable table, samples
    cdef int64_t sampling
    cdef Scratch key, value, past
    cdef Pages pages
    cdef uint8_t *text
    cdef uint32_t *offset
    cdef int64_t *number
    cdef size_t waiting
    cdef bint ones
    cdef uint32_t partitions
    cdef public int64_t direct
    cdef readonly int64_t pairs, added
    cdef bint plain     # keys are bytes that wait as they are
    cdef object last    # an int that was added, and
    cdef int64_t last_number  # what it is
    cdef int wait(self, const uint8_t *key, size_t size, int64_t number) except -1
    cdef int pass_on(self) except -1
    cdef int add_sample(self, const uint8_t *key, size_t size) except -1
    cdef int add(self, const uint8_t *key, size_t size) except -1
    cdef int encode_key(self, object key) except -1
    cdef int add_value(self, object value) except -1
    cdef int add_number(self, const uint8_t *key, size_t size, int64_t number) except -1


cdef class RecordFeed:
    cdef Chain chain
    cdef int tokenizer
    cdef bint lower
    cdef str encoding
    cdef readonly bytes undecoded
    cdef readonly size_t offset
    cdef public size_t base
    cdef readonly int64_t records, skipped
    cdef public object skip
    cdef int64_t[::1] cell
    cdef int run(self, const uint8_t *text, size_t size, size_t at) except -1


cdef class ElementFeed:
    cdef Chain chain
    cdef readonly int64_t offset, skipped
    cdef public object skip
    cdef int64_t[::1] cell
