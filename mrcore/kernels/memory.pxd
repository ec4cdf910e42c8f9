from mrcore.kernels._c cimport uint8_t


cdef class Pages:
    cdef void *address
    cdef readonly size_t size
    cdef void reserve(self, size_t size) except *
    cdef void release(self) noexcept


cdef class Scratch:
    cdef uint8_t *bytes
    cdef size_t used, room
    cdef int reserve(self, size_t more) except -1
    cdef int put(self, const uint8_t *data, size_t size) except -1
