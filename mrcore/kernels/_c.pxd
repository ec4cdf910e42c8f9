# Every `cdef extern` of the project stands in this file; the kernels cimport it as `_c`.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "mr_status.h" nogil:
    ctypedef enum mr_status:
        MR_OK
        MR_NEED_ROOM
        MR_NEED_INPUT
        MR_NEED_FLUSH
        MR_CORRUPT
        MR_OVERFLOW
        MR_FAULT

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
