from mrcore.kernels._c cimport int64_t, uint8_t
from mrcore.kernels.codec cimport ValueCodec
from mrcore.kernels.memory cimport Scratch


cdef class Groups:
    cdef object blocks, view
    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef const uint8_t *value
    cdef const uint8_t *last
    cdef const uint8_t *next_key
    cdef size_t next_size
    cdef Scratch key
    cdef bint ahead, over
    cdef bint busy  # a value is being read: its bytes must stay
    cdef readonly int64_t records, count
    cdef int64_t turn  # of next_group(): values of another turn are gone
    cdef bint step(self) except -1
    cdef bint next_group(self) except -1
    cdef const uint8_t *next_value(self, const uint8_t **end) except? NULL


cdef class Values:
    cdef Groups groups
    cdef ValueCodec codec
    cdef int64_t group
    cdef bint ended
    cdef object current
    cdef bint take(self) except -1


cdef class ValuesIterator:
    cdef Values values


cdef Values values_of(Groups groups, ValueCodec codec)
cdef Values single_value(object value)
