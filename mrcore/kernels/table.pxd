from mrcore.kernels cimport _c


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
    cdef void start(self) except *
    cdef bint grow(self) except -1
    cdef bint grow_part(self, int part, unsigned bits) except -1
    cdef bint grow_arena(self) except -1
