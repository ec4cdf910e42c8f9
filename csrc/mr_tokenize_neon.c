/* NEON: four registers of 16 bytes a lane, indices by RBIT and CLZ. */
#include "mr_cpu.h"
#if defined(__aarch64__)
#define MR_TARGET
#include <arm_neon.h>

#include "mr_tokenize_impl.h"

/* Registers whose bytes are 0 or 0xFF, to a bit for each byte: every byte keeps the bit of
 * its place among eight, and three rounds of adding neighbours bring eight bytes into one. */
MR_INLINE uint64_t lane_join(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t place = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t low = vpaddq_u8(vandq_u8(a, place), vandq_u8(b, place));
    uint8x16_t high = vpaddq_u8(vandq_u8(c, place), vandq_u8(d, place));
    uint8x16_t both = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(both, both)), 0);
}

/* The two classifications are those of mr_tokenize_avx2.c, except that a lookup here wants
 * its index below 16: bytes from 0x80 then find an entry too, but never their own value,
 * and no class for their high four bits. */
MR_INLINE uint8x16_t separators(uint8x16_t bytes)
{
    const uint8x16_t table = {' ', 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 11, 12, 13, 0, 0};
    return vceqq_u8(vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(15))), bytes);
}

MR_INLINE uint64_t mask_whitespace(const uint8_t *lane)
{
    return ~lane_join(separators(vld1q_u8(lane)), separators(vld1q_u8(lane + 16)),
                      separators(vld1q_u8(lane + 32)), separators(vld1q_u8(lane + 48)));
}

MR_INLINE uint8x16_t tokens_ascii(uint8x16_t bytes)
{
    const uint8x16_t by_low = {5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 2, 2, 2, 10};
    const uint8x16_t by_high = {0, 0, 0, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8x16_t low = vqtbl1q_u8(by_low, vandq_u8(bytes, vdupq_n_u8(15)));
    return vtstq_u8(low, vqtbl1q_u8(by_high, vshrq_n_u8(bytes, 4)));
}

MR_INLINE uint64_t mask_ascii(const uint8_t *lane)
{
    return lane_join(tokens_ascii(vld1q_u8(lane)), tokens_ascii(vld1q_u8(lane + 16)),
                     tokens_ascii(vld1q_u8(lane + 32)), tokens_ascii(vld1q_u8(lane + 48)));
}

MR_INLINE uint64_t mask_lines(const uint8_t *lane)
{
    const uint8x16_t newline = vdupq_n_u8('\n');
    return ~lane_join(vceqq_u8(vld1q_u8(lane), newline), vceqq_u8(vld1q_u8(lane + 16), newline),
                      vceqq_u8(vld1q_u8(lane + 32), newline), vceqq_u8(vld1q_u8(lane + 48), newline));
}

MR_INLINE uint64_t write_eight(uint16_t *out, uint64_t bits, uint32_t base)
{
    for (int i = 0; i < 8; i++, bits &= bits - 1) /* the top bit: CTZ of 0 is undefined in C */
        out[i] = (uint16_t)(base + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63));
    return bits;
}

/* Eight at a time, as in mr_tokenize_avx2.c. */
MR_INLINE uint32_t write_indices(uint16_t *out, uint64_t bits, uint32_t base)
{
    uint32_t count = (uint32_t)__builtin_popcountll(bits);
    bits = write_eight(out, bits, base);
    bits = write_eight(out + 8, bits, base);
    if (__builtin_expect(count > 16, 0)) {
        bits = write_eight(out + 16, bits, base);
        write_eight(out + 24, bits, base);
    }
    return count;
}

MR_INLINE uint32_t write_indices_all(uint16_t *out, uint64_t bits, uint32_t base)
{
    uint32_t count = (uint32_t)__builtin_popcountll(bits);
    for (uint32_t written = 0; written < count; written += 8)
        bits = write_eight(out + written, bits, base);
    return count;
}

void mr_tokenize_whitespace_neon(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_whitespace, write_indices, 0);
}

void mr_tokenize_ascii_neon(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_ascii, write_indices, 0);
}

void mr_tokenize_lines_neon(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_lines, write_indices_all, 1);
}
#else
typedef int mr_tokenize_neon_empty; /* ISO C wants one declaration in a file */
#endif
