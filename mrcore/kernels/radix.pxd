from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t, uint32_t
from mrcore.kernels.memory cimport Pages


cdef class SortBuffer:
    cdef _c.mr_radix radix
    cdef _c.mr_partitioner by
    cdef readonly bint full          # the last feed or take found no room
    cdef readonly size_t long_size   # of the token, at the offset that feed() returned, that is the table's to count
    cdef readonly size_t records     # of the partition whose blocks were taken last
    cdef int tokenizer
    cdef bint lower
    cdef size_t pool_bytes, sort_records
    cdef uint32_t buckets_max, high  # the most chunks that were in use
    cdef Pages pool, buckets, entries, scratch, cursors, splitter_entries, splitter_words, first_range
    cdef list splitter_keys
    cdef _c.mr_table_cursor taken    # where take() goes on in the table that did not fit
    cdef bytearray out
    cdef uint32_t only               # the bucket of a run of its own, or all
    cdef uint32_t bucket             # that is loaded next
    cdef size_t at, end              # entries that were loaded and not written
    cdef bint writing                # the blocks of a partition were begun and not all taken
    cdef void set_splitters(self, list splitters) except *
    cdef void divide(self, size_t bytes_max) except *
    cdef bint add(self, const uint8_t *key, size_t size, const uint8_t *value, size_t value_size) except -1
    cdef void load(self) except *
    cdef void check_taken(self) except *
    cdef _c.mr_status encode(self, size_t stop, uint8_t *out, size_t room, size_t *written, size_t *want) noexcept
