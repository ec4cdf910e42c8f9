from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint64_t
from mrcore.kernels.codec cimport ValueCodec
from mrcore.kernels.memory cimport Scratch
from mrcore.kernels.groups cimport Groups


cdef class Total:
    cdef int64_t whole
    cdef bint any_float
    cdef list large
    cdef double special
    cdef uint64_t[_c.MR_ACCUMULATE_WORDS_MAX] state
    cdef int64_t count
    cdef int clear(self) except -1
    cdef int add(self, const uint8_t *at, const uint8_t *end, ValueCodec codec, str name) except -1
    cdef int add_int(self, int64_t number) except -1
    cdef int add_object(self, object number) except -1
    cdef int add_large(self, object number) except -1
    cdef int add_float(self, double number) except -1
    cdef list floats(self)
    cdef list parts(self)
    cdef object result(self)
    cdef object mean(self)
    cdef object ratio(self, int64_t by)


cdef class Folder:
    cdef readonly str kind
    cdef ValueCodec codec
    cdef Total total
    cdef int put_states(self, Groups groups, Scratch out) except -1
    cdef int add_all(self, Groups groups) except -1
    cdef object best(self, Groups groups, Scratch out)
    cdef object result(self, Groups groups)
