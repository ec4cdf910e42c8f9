from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t


cdef class CountTable:
    cdef _c.mr_table table
    cdef int tokenizer
    cdef bint lower
    cdef list slots  # Pages of the three parts
    cdef list arena  # Pages of long keys, in the order they were filled
    cdef size_t arena_used  # chunks in use
    cdef public size_t bytes_max
    cdef readonly bint full
    cdef readonly size_t token_bytes_wanted
    cdef unsigned start_bits
    cdef bint small
    cdef list first  # slots to begin with, kept when `small`
    cdef dict larger  # (part, bits) -> zeroed slots for a text that needs more
    cdef void shrink(self) except *
    cdef void start(self) except *
    cdef _c.mr_status add(self, const uint8_t *text, const uint32_t *offset, const int64_t *values, size_t n,
                          size_t *next) except *
    cdef bint grow(self) except -1
    cdef bint grow_part(self, int part, unsigned bits) except -1
    cdef bint grow_arena(self) except -1
