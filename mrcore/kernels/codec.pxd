from mrcore.kernels._c cimport uint8_t
from mrcore.kernels.memory cimport Scratch


cdef class KeyCodec:
    cdef str kinds  # the type, one letter an element; empty: no key was seen
    cdef size_t at  # in kinds, while a key is encoded or decoded
    cdef int encode(self, object key, Scratch out) except -1
    cdef int put(self, object key, Scratch out, bint inner) except -1
    cdef int put_text(self, const uint8_t *text, size_t size, Scratch out, bint inner) except -1
    cdef int mismatch(self) except -1
    cdef object decode(self, const uint8_t *key, size_t size)
    cdef object get(self, const uint8_t **at, const uint8_t *end, bint inner)


cdef class ValueCodec:
    cdef object dumps, loads
    cdef int depth
    cdef int encode(self, object value, Scratch out) except -1
    cdef object decode(self, const uint8_t **at, const uint8_t *end)
    cdef tuple elements(self, Py_ssize_t count, const uint8_t **at, const uint8_t *end)


cdef const uint8_t *value_end(const uint8_t *at, const uint8_t *end) noexcept
