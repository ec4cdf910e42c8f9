# Every `cdef extern` of the project stands in this file; the kernels cimport it as `_c`.
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

# What Cython's own declarations lack, or declare with references counted that these give away.
cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1
    object PyObject_CallOneArg(object function, object argument)
    bint PyGen_CheckExact(object item)
    ctypedef PyObject *(*iternextfunc)(PyObject *)
    ctypedef struct PyTypeObject:
        iternextfunc tp_iternext
    PyTypeObject *Py_TYPE(object item)
    PyObject *PyErr_Occurred()
    int PyErr_ExceptionMatches(PyObject *kind)
    void PyErr_Clear()
    PyObject *PyExc_StopIteration

cdef extern from "mr_status.h" nogil:
    ctypedef enum mr_status:
        MR_OK
        MR_NEED_ROOM
        MR_NEED_INPUT
        MR_NEED_FLUSH
        MR_CORRUPT
        MR_OVERFLOW
        MR_FAULT

cdef extern from "mr_accumulate.h" nogil:
    enum:
        MR_ACCUMULATE_LIMBS
        MR_ACCUMULATE_WORDS_MAX
    ctypedef enum mr_accumulator:
        MR_SUM_FLOAT64
    ctypedef struct mr_accumulate_slot:
        uint64_t hash
        uint64_t *entry
    ctypedef struct mr_accumulate_table:
        mr_accumulator kind
        mr_accumulate_slot *slots
        unsigned bits
        uint64_t used
        uint8_t *arena
        size_t arena_room
        size_t want_bytes
    size_t mr_accumulate_words(mr_accumulator kind)
    void mr_accumulate_start(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position)
    void mr_accumulate_add(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position)
    size_t mr_accumulate_refused(mr_accumulator kind, const uint64_t *values, size_t n)
    void mr_accumulate_merge(mr_accumulator kind, uint64_t *state, const uint64_t *other)
    void mr_accumulate_encode(mr_accumulator kind, const uint64_t *state, uint8_t *bytes)
    mr_status mr_accumulate_decode(mr_accumulator kind, const uint8_t *bytes, size_t size, uint64_t *state)
    mr_status mr_accumulate_finish(mr_accumulator kind, const uint64_t *state, uint64_t *value)
    mr_status mr_accumulate_table_add(mr_accumulate_table *table, const uint8_t *const *keys, const size_t *lens,
                                      const uint64_t *values, uint64_t position, size_t n, size_t *next)
    void mr_accumulate_table_rehash(mr_accumulate_table *table, mr_accumulate_slot *slots, unsigned bits)

cdef extern from "mr_cpu.h" nogil:
    ctypedef enum mr_cpu_level:
        MR_CPU_SCALAR
        MR_CPU_NEON
        MR_CPU_AVX2
        MR_CPU_AVX512
    uint32_t mr_cpu_available()

cdef extern from "mr_tokenize.h" nogil:
    const int MR_TOKEN_BLOCK
    ctypedef enum mr_tokenizer:
        MR_TOKENIZER_WHITESPACE
        MR_TOKENIZER_ASCII
        MR_TOKENIZER_LINES
    ctypedef struct mr_token_block:
        uint32_t inside
        uint32_t starts
        uint32_t ends
        uint16_t *start
        uint16_t *end
    ctypedef void (*mr_tokenize_fn)(const uint8_t *text, size_t size, mr_token_block *block) noexcept nogil
    int mr_tokenize_is_token(mr_tokenizer tokenizer, uint8_t byte)
    size_t mr_tokenize_skip(mr_tokenize_fn tokenize, const uint8_t *text, size_t size)

cdef extern from "mr_dispatch.h" nogil:
    ctypedef struct mr_dispatch:
        mr_tokenize_fn *tokenize
    const mr_dispatch *mr_dispatch_at(mr_cpu_level level)

cdef extern from "mr_hash.h" nogil:
    uint64_t mr_hash_xxh3(const uint8_t *data, size_t size, uint64_t seed)

cdef extern from "mr_hyperloglog.h" nogil:
    enum:
        MR_HYPERLOGLOG_PRECISION_MIN
        MR_HYPERLOGLOG_PRECISION_MAX
        MR_HYPERLOGLOG_RANKS
    ctypedef struct mr_hyperloglog:
        uint8_t *registers
        unsigned precision
        uint8_t *room
        size_t room_size
        size_t want
        uint64_t tokens
    unsigned mr_hyperloglog_rank_max(unsigned precision)
    void mr_hyperloglog_add(uint8_t *registers, unsigned precision, uint64_t hash)
    mr_status mr_hyperloglog_feed(mr_hyperloglog *sketch, mr_tokenize_fn tokenize, const uint8_t *text, size_t size,
                                  int final, int lower, size_t *consumed)
    mr_status mr_hyperloglog_merge(uint8_t *registers, const uint8_t *others, unsigned precision)
    void mr_hyperloglog_count(const uint8_t *registers, unsigned precision, uint32_t *counts)

cdef extern from "mr_key.h" nogil:
    ctypedef struct mr_entry:
        uint64_t word
        uint64_t ref
        int64_t value
    size_t mr_word_length(uint64_t word)
    void mr_word_store(uint64_t word, uint8_t *out)
    mr_entry mr_entry_of(const uint8_t *key, size_t size, int64_t value)

cdef extern from "mr_partition.h" nogil:
    ctypedef struct mr_partitioner:
        uint32_t count
        const mr_entry *splitters
    size_t mr_partition_end(const mr_partitioner *partitioner, uint32_t p, const mr_entry *entries, size_t n)

cdef extern from "mr_table.h" nogil:
    const int MR_TABLE_BITS_MIN
    ctypedef enum mr_table_part:
        MR_PART_SHORT
        MR_PART_MIDDLE
        MR_PART_LONG
        MR_PART_ARENA
    ctypedef struct mr_slots:
        void *slots
        unsigned bits
        uint64_t used
    ctypedef struct mr_table:
        mr_slots *part
        uint8_t *arena
        size_t arena_room
        mr_table_part want
        size_t want_bytes
        uint64_t tokens
    size_t mr_table_slot_size(mr_table_part part)
    uint64_t mr_table_used(const mr_table *table)
    mr_status mr_table_feed(mr_table *table, mr_tokenize_fn tokenize, const uint8_t *text, size_t size, int final,
                            int lower, size_t *consumed)
    const int MR_TABLE_ADD_SLACK
    const int MR_TABLE_ADD_MAX
    mr_status mr_table_add(mr_table *table, const uint8_t *text, const uint32_t *offset, const int64_t *values, size_t n,
                           size_t *next)
    void mr_table_rehash(mr_table *table, mr_table_part part, void *slots, unsigned bits)
    ctypedef struct mr_table_cursor:
        uint32_t part
        uint64_t slot
    const int MR_TABLE_SCRATCH
    const uint8_t *mr_table_next(const mr_table *table, mr_table_cursor *cursor, uint8_t *scratch, size_t *size,
                                 int64_t *count)
    size_t mr_table_sample(const mr_table *table, uint64_t *words, size_t n)
    void mr_table_clear(mr_table *table)

cdef extern from "mr_sort.h" nogil:
    void mr_sort_entries(mr_entry *entries, size_t n, mr_entry *scratch)

cdef extern from "mr_record.h" nogil:
    ctypedef enum mr_value_kind:
        MR_VALUE_SUM
        MR_VALUE_POSTING
        MR_VALUE_BYTES
    const int MR_RECORD_OVERHEAD
    const int MR_RECORD_VALUES
    uint8_t *mr_varint_put(uint8_t *out, uint64_t value)
    const uint8_t *mr_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
    uint64_t mr_zigzag(int64_t value)
    int64_t mr_unzigzag(uint64_t coded)
    int mr_int64_add(int64_t a, int64_t b, int64_t *sum)
    mr_status mr_record_encode(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                               size_t *written, size_t *want)
    mr_status mr_record_encode_postings(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                        size_t *written, size_t *want, size_t *records)
    mr_status mr_record_encode_values(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                      size_t *written, size_t *want, size_t *records)
    mr_status mr_record_combine(mr_entry *entries, size_t *n)
    const uint8_t *mr_record_decode(const uint8_t *next, const uint8_t *end, const uint8_t **key, size_t *size,
                                    int64_t *value)
    const uint8_t *mr_record_decode_bytes(const uint8_t *next, const uint8_t *end, const uint8_t **key, size_t *size,
                                          const uint8_t **value, size_t *value_size)

cdef extern from "mr_radix.h" nogil:
    const int MR_RADIX_CHUNK
    const int MR_RADIX_SLACK
    const int MR_RADIX_RANGES_MAX
    ctypedef struct mr_bucket:
        pass
    ctypedef struct mr_radix:
        uint8_t *pool
        uint32_t chunks
        uint32_t used
        uint32_t spares
        mr_bucket *buckets
        uint32_t hashed
        uint32_t ranges
        const uint64_t *splitters
        uint16_t *first_range
        mr_value_kind kind
        uint8_t tag
        uint64_t tokens
        size_t long_size
    ctypedef struct mr_radix_cursor:
        const uint8_t *at
        const uint8_t *end
        uint32_t chunk
        int begun
    void mr_radix_index(mr_radix *radix)
    void mr_radix_clear(mr_radix *radix)
    void mr_radix_clear_bucket(mr_radix *radix, uint32_t bucket)
    mr_status mr_radix_feed(mr_radix *radix, mr_tokenize_fn tokenize, const uint8_t *text, size_t size, int final,
                            int lower, size_t *consumed)
    mr_status mr_radix_take(mr_radix *radix, const mr_table *table, uint32_t document, mr_table_cursor *cursor,
                            uint32_t *want)
    const int MR_RADIX_ADD_SLACK
    mr_status mr_radix_add(mr_radix *radix, const uint8_t *key, size_t size, const uint8_t *value, size_t value_size,
                           uint32_t *want)
    size_t mr_radix_load(const mr_radix *radix, uint32_t bucket, mr_radix_cursor *cursor, mr_entry *entries,
                         size_t room)
    int mr_radix_at_end(const mr_radix *radix, uint32_t bucket, const mr_radix_cursor *cursor)
    uint64_t mr_radix_size(const mr_radix *radix, uint32_t bucket)

cdef extern from "mr_merge.h" nogil:
    ctypedef enum mr_emit:
        MR_EMIT_LINES
        MR_EMIT_RECORDS
        MR_EMIT_NOTHING
    ctypedef struct mr_run:
        pass
    ctypedef struct mr_loser:
        pass
    ctypedef struct mr_merge:
        mr_run *runs
        mr_loser *loser
        uint32_t k
        uint32_t dry
        mr_emit emit
        mr_value_kind kind
        int64_t value_min
        uint8_t *out
        size_t room
        size_t done
        size_t want
        uint64_t records_in
        uint64_t records_out
    void mr_merge_start(mr_merge *merge)
    void mr_merge_refill(mr_merge *merge, uint32_t run, const uint8_t *block, size_t size)
    void mr_merge_flushed(mr_merge *merge, uint8_t *out, size_t room)
    size_t mr_merge_pending(const mr_merge *merge)
    mr_status mr_merge_run(mr_merge *merge, uint64_t records)

cdef extern from "mr_postings.h" nogil:
    const int MR_POSTINGS_ONE_MAX
    const int MR_POSTINGS_HEAD
    const int MR_POSTINGS_SPARE
    ctypedef enum mr_postings_fault:
        MR_POSTINGS_SOUND
    ctypedef struct mr_postings_cursor:
        uint64_t left
        uint64_t document
        int64_t count
        mr_postings_fault fault
    ctypedef struct mr_postings_text:
        const uint8_t *paths
        const uint64_t *offset
        uint64_t documents
        int with_counts
        size_t at
        size_t key_at
        size_t key_len
        mr_postings_cursor cursor
    const uint8_t *mr_postings_next(mr_postings_cursor *cursor, const uint8_t *next, const uint8_t *end)
    mr_status mr_postings_pack(const uint8_t *value, size_t size, uint8_t *out, size_t *out_size)
    mr_status mr_postings_format(mr_postings_text *text, const uint8_t *block, size_t size, uint8_t *out, size_t room,
                                 size_t *written)

cdef extern from "mr_ngrams.h" nogil:
    const int MR_NGRAMS_MAX
    ctypedef struct mr_ngrams_rule:
        uint32_t n_min
        uint32_t n_max
        uint32_t newlines_break
    mr_status mr_ngrams_expand(mr_tokenize_fn tokenize, const uint8_t *text, size_t size, int final, int lower,
                               const mr_ngrams_rule *rule, uint8_t *out, size_t room, size_t *consumed,
                               size_t *written, size_t *want)

cdef extern from "mr_fault.h" nogil:
    int mr_fault_install()
    mr_status mr_fault_call(mr_status (*kernel)(void *) noexcept nogil, void *context, const void *base, size_t size)

cdef extern from "mr_shared.h" nogil:
    int64_t mr_shared_add(int64_t *counter, int64_t delta)
    void mr_shared_max(int64_t *counter, int64_t value)

cdef extern from "<stdatomic.h>" nogil:
    const int memory_order_seq_cst
    void atomic_signal_fence(int order)

cdef extern from "mr_unicode.h" nogil:
    int mr_unicode_is_token(uint32_t point)
    uint32_t mr_unicode_fold(uint32_t point)
    mr_status mr_unicode_expand(const uint8_t *text, size_t size, int final, int fold, int mark_lines, uint8_t *out,
                                size_t room, size_t *consumed, size_t *written, size_t *want)

cdef extern from "sys/mman.h" nogil:
    const int PROT_READ
    const int PROT_WRITE
    const int MAP_PRIVATE
    const int MAP_ANONYMOUS
    const int MADV_DONTNEED
    const int MADV_HUGEPAGE
    void *MAP_FAILED
    void *mmap(void *address, size_t size, int protection, int flags, int fd, int64_t offset)
    int munmap(void *address, size_t size)
    int madvise(void *address, size_t size, int advice)

cdef extern from "fcntl.h" nogil:
    const unsigned int SYNC_FILE_RANGE_WRITE
    int sync_file_range(int fd, int64_t offset, int64_t size, unsigned int flags)

cdef extern from "sys/prctl.h" nogil:
    const int PR_SET_PDEATHSIG
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
