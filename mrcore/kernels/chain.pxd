cdef class Taker:
    cdef int take(self, object element) except -1


cdef class Chain:
    cdef list kinds, functions
    cdef object ctx, array, expand
    cdef Taker taker
    cdef size_t steps
    cdef int run(self, object element, size_t step) except -1
    cdef int drain(self, object made, size_t step, str name) except -1
    cdef int loop(self, object items, size_t step) except -1
