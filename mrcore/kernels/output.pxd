from mrcore.kernels._c cimport int64_t
from mrcore.kernels.chain cimport Taker
from mrcore.kernels.codec cimport ValueCodec
from mrcore.kernels.memory cimport Scratch


cdef class Output(Taker):
    cdef object write, literal, enough
    cdef int64_t limit
    cdef ValueCodec codec
    cdef bint text, keyed
    cdef int columns
    cdef list kinds
    cdef Scratch key, payload, block
    cdef readonly int64_t records, blocks
    cdef int put_line(self, object element) except -1
    cdef int put_column(self, object value, int column) except -1
    cdef int put_plain(self, object value, str kind) except -1
    cdef int put_literal(self, object value, bint marked) except -1
    cdef bint put_sequence(self, object value) except -1
    cdef int begin(self, const unsigned char *key, size_t size) except -1
    cdef int close_record(self) except -1
    cdef int flush(self) except -1
