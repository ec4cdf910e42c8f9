/* Which code points are letters, marks or numbers, and how they fold: Unicode 16.0.0.
 *
 * Written by csrc/generate_unicode_tables.py, which says from what: change that, not this.
 * A code point's block is its upper bits; an index names the contents of each block, for
 * equal ones are kept once. Code points from an _END on are in no token, or fold to themselves.
 */
#ifndef MR_UNICODE_TABLES_H
#define MR_UNICODE_TABLES_H

#include <stdint.h>

#define MR_UNICODE_TOKEN_END 0xe0200
#define MR_UNICODE_FOLD_END 0x1e940

/* At c, and folded at 128 + c: the byte of ASCII c in a token, or LF when c is in none. */
extern const uint8_t mr_unicode_ascii[256];

/* Bit `point % 64` of bits[index[point / 256] * 4 + point / 64 % 4]: is it L*, M* or N*? */
extern const uint8_t mr_unicode_token_index[];
extern const uint64_t mr_unicode_token_bits[];

/* What to add to a code point, of the steps: step[kind[index[point / 64] * 64 + point % 64]]. */
extern const uint8_t mr_unicode_fold_index[];
extern const uint8_t mr_unicode_fold_kind[];
extern const int32_t mr_unicode_fold_step[];

#endif
