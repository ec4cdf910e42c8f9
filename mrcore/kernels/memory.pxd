cdef class Pages:
    cdef void *address
    cdef readonly size_t size
    cdef void reserve(self, size_t size) except *
    cdef void release(self) noexcept
