/* Folding A-Z to a-z, eight bytes at once; bytes of 0x80 and more are left alone.
 *
 * A byte's low seven bits plus 0x80 - bound have the top bit set when they are >= bound, and
 * nothing carries into the next byte. So the top bits of the sums for 'A' and for 'Z' + 1
 * differ just for letters, and moved down by two they are the 0x20 that a letter lacks.
 */
#ifndef MR_LOWER_H
#define MR_LOWER_H

#include <stdint.h>

static inline __attribute__((always_inline)) uint64_t mr_lower8(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101ull;
    uint64_t seven = bytes & (ones * 0x7F);
    uint64_t from_a = seven + ones * (0x80 - 'A');
    uint64_t past_z = seven + ones * (0x80 - 'Z' - 1);
    uint64_t upper = (from_a ^ past_z) & ~bytes & (ones * 0x80);
    return bytes | upper >> 2;
}

#endif
