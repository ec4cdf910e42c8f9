/* The loop that every tokenizer variant shares: lanes of 64 bytes into token borders.
 *
 * Included once by each csrc/mr_tokenize*.c, after it has defined MR_TARGET, the function
 * attribute of its instruction set (empty for the baseline). A variant brings
 *   a lane_mask_fn  for each tokenizer: which of 64 bytes are token bytes, and
 *   a lane_write_fn: the positions of a mask's bits as 16-bit indices,
 * and lanes_scan() is inlined with both, so that no pointer is called in the loop.
 */
#ifndef MR_TOKENIZE_IMPL_H
#define MR_TOKENIZE_IMPL_H

#include <string.h>

#include "mr_tokenize.h"

#define MR_LANE 64 /* bytes, one for each bit of a mask */
#define MR_INLINE static inline __attribute__((always_inline)) MR_TARGET

/* Bit i is set when lane[i] is a token byte; reads 64 bytes. */
typedef uint64_t (*lane_mask_fn)(const uint8_t *lane);

/* Writes base + i for every set bit i, ascending, and returns how many. Two borders of one
 * kind are adjacent only where there are empty lines, so a variant may have two of these: one
 * for 32 set bits at most, one for 64. That many entries may be written, whatever the number
 * returned, which MR_TOKEN_SLACK makes room for. */
typedef uint32_t (*lane_write_fn)(uint16_t *out, uint64_t bits, uint32_t base);

/* A run's first byte is a token byte after a separator, the byte after its last is a
 * separator after a token byte. With `empty` tokens every byte after a separator is a first
 * one, and every separator ends a token: then write must take 64 bits. */
MR_INLINE void lanes_scan(const uint8_t *text, size_t len, mr_token_block *into, lane_mask_fn mask, lane_write_fn write,
                          int empty)
{
    const uint64_t any = empty ? ~(uint64_t)0 : 0;
    /* The counters live in registers: a store through `into` would reload them. */
    size_t at = 0;
    uint32_t starts = 0, ends = 0;
    uint64_t inside = into->inside & 1;
    for (; len - at >= MR_LANE; at += MR_LANE) {
        uint64_t token = mask(text + at);
        uint64_t before = token << 1 | inside;
        starts += write(into->start + starts, ~before & (token | any), (uint32_t)at);
        ends += write(into->end + ends, ~token & (before | any), (uint32_t)at);
        inside = token >> 63;
    }
    if (at < len) {
        /* The page after the text may not exist, so the rest is scanned as a padded copy;
         * the padding has no borders. */
        size_t rest = len - at;
        uint8_t lane[MR_LANE];
        memset(lane, ' ', sizeof lane);
        memcpy(lane, text + at, rest);
        uint64_t token = mask(lane), real = ((uint64_t)1 << rest) - 1;
        uint64_t before = token << 1 | inside;
        starts += write(into->start + starts, ~before & (token | any) & real, (uint32_t)at);
        ends += write(into->end + ends, ~token & (before | any) & real, (uint32_t)at);
        inside = token >> (rest - 1) & 1;
    }
    into->inside = (uint32_t)inside;
    into->starts = starts;
    into->ends = ends;
}
#endif
