/* AVX2: two registers of 32 bytes a lane, indices by TZCNT and BLSR. */
#include "mr_cpu.h"
#if defined(__x86_64__)
#define MR_TARGET MR_TARGET_AVX2
#include <immintrin.h>

#include "mr_tokenize_impl.h"

MR_INLINE uint64_t lane_join(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

/* A byte is a separator when the table's entry for its low four bits is the byte itself:
 * the six separators differ there. Bytes from 0x80 look up 0, and 0 is nobody's entry
 * at index 0, so nothing else compares equal. */
MR_INLINE __m256i separators(__m256i bytes)
{
    const __m256i table = _mm256_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 11, 12, 13, 0, 0,
                                           ' ', 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 11, 12, 13, 0, 0);
    return _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, bytes), bytes);
}

MR_INLINE uint64_t mask_whitespace(const uint8_t *lane)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)lane);
    __m256i high = _mm256_loadu_si256((const __m256i *)(lane + 32));
    return ~lane_join(separators(low), separators(high));
}

/* Classes by the high four bits: 1 digits (3_), 2 letters (4_ 6_), 4 letters (5_ 7_),
 * 8 underscore (5_). A byte is a token byte when its low four bits allow one of them. */
MR_INLINE __m256i not_ascii(__m256i bytes)
{
    const __m256i by_low = _mm256_setr_epi8(5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10,
                                            5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10);
    const __m256i by_high = _mm256_setr_epi8(0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0,
                                             0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
    __m256i classes = _mm256_and_si256(_mm256_shuffle_epi8(by_low, bytes), _mm256_shuffle_epi8(by_high, high));
    return _mm256_cmpeq_epi8(classes, _mm256_setzero_si256());
}

MR_INLINE uint64_t mask_ascii(const uint8_t *lane)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)lane);
    __m256i high = _mm256_loadu_si256((const __m256i *)(lane + 32));
    return ~lane_join(not_ascii(low), not_ascii(high));
}

MR_INLINE uint64_t mask_lines(const uint8_t *lane)
{
    const __m256i newline = _mm256_set1_epi8('\n');
    __m256i low = _mm256_loadu_si256((const __m256i *)lane);
    __m256i high = _mm256_loadu_si256((const __m256i *)(lane + 32));
    return ~lane_join(_mm256_cmpeq_epi8(low, newline), _mm256_cmpeq_epi8(high, newline));
}

MR_INLINE uint64_t write_eight(uint16_t *out, uint64_t bits, uint32_t base)
{
    for (int i = 0; i < 8; i++, bits = _blsr_u64(bits))
        out[i] = (uint16_t)(base + (uint32_t)_tzcnt_u64(bits));
    return bits;
}

/* Eight at a time whether or not there are as many: one branch that prediction mostly
 * gets right instead of one for each index. */
MR_INLINE uint32_t write_indices(uint16_t *out, uint64_t bits, uint32_t base)
{
    uint32_t count = (uint32_t)_mm_popcnt_u64(bits);
    bits = write_eight(out, bits, base);
    bits = write_eight(out + 8, bits, base);
    if (__builtin_expect(count > 16, 0)) {
        bits = write_eight(out + 16, bits, base);
        write_eight(out + 24, bits, base);
    }
    return count;
}

/* Lines are longer than words, or many of them are empty. */
MR_INLINE uint32_t write_indices_all(uint16_t *out, uint64_t bits, uint32_t base)
{
    uint32_t count = (uint32_t)_mm_popcnt_u64(bits);
    for (uint32_t written = 0; written < count; written += 8)
        bits = write_eight(out + written, bits, base);
    return count;
}

MR_TARGET void mr_tokenize_whitespace_avx2(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_whitespace, write_indices, 0);
}

MR_TARGET void mr_tokenize_ascii_avx2(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_ascii, write_indices, 0);
}

MR_TARGET void mr_tokenize_lines_avx2(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_lines, write_indices_all, 1);
}
#else
typedef int mr_tokenize_avx2_empty; /* ISO C wants one declaration in a file */
#endif
