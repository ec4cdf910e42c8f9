/* Accumulators: the sum, least, largest or first of each key's values, exact in any order.
 *
 * A state is some 64-bit words, the same for the same values in whatever order and grouping
 * they came, so neither splits, spills nor workers can show in a result.
 *
 *   sum of int64    2 words: the sum in 128 bits. Only its end decides whether it overflows
 *                   int64; what it passes on the way does not.
 *   sum of float64  35 words: the sum as one fixed-point number, and which of +inf, -inf and
 *                   NaN were there.
 *   min, max        1 word: the value. NaN has no place in an order and is refused by the
 *                   caller (mr_accumulate_refused); -0.0 is 0.0.
 *   first           2 words: the position of the value, and its bits, whatever they are. Of
 *                   values at one position, the one with the smaller bits.
 *
 * The fixed-point number counts in units of 2^-1074, the smallest double, in two's complement
 * of 34 words, lowest first. The largest double takes 2098 bits; the other 78 are for the sign
 * and for carries, so that it takes 2^77 values to wrap. A double is a 53-bit integer shifted
 * by its exponent: it touches two words, and a carry or borrow goes on from there. Adding is
 * exact, so the order cannot matter, and the end is rounded once, half to even: the double
 * nearest to the true sum, as math.fsum gives. (A superaccumulator after Kulisch; Neal, "Fast
 * exact summation using small and large superaccumulators", arXiv:1505.05571, section 2, has
 * overlapping chunks that put carries off; here they are done at once, which keeps the words
 * of equal sums equal.)
 *
 * The table finds a key's state: open addressing with linear probing over slots of (XXH3,
 * entry); an entry in the arena is the key's length, the state's words, and the key.
 * Memory is the caller's, as in mr_table.h.
 */
#ifndef MR_ACCUMULATE_H
#define MR_ACCUMULATE_H

#include <stddef.h>
#include <stdint.h>

#include "mr_status.h"

typedef enum {
    MR_SUM_INT64 = 0,
    MR_SUM_FLOAT64 = 1,
    MR_MIN_INT64 = 2,
    MR_MAX_INT64 = 3,
    MR_MIN_FLOAT64 = 4,
    MR_MAX_FLOAT64 = 5,
    MR_FIRST_INT64 = 6,
    MR_FIRST_FLOAT64 = 7,
    MR_ACCUMULATORS = 8
} mr_accumulator;

#define MR_ACCUMULATE_LIMBS 34
#define MR_ACCUMULATE_WORDS_MAX (MR_ACCUMULATE_LIMBS + 1)

/* Words of a state. */
size_t mr_accumulate_words(mr_accumulator kind);

/* Index of the first of n values that the kind refuses, or n. A value is the bits of an int64
 * or of a double, as the kind says. */
size_t mr_accumulate_refused(mr_accumulator kind, const uint64_t *values, size_t n);

/* Makes `state` that of one value, or adds one more. Only `first` looks at the position. */
void mr_accumulate_start(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position);
void mr_accumulate_add(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position);

/* Makes `state` that of both states' values. */
void mr_accumulate_merge(mr_accumulator kind, uint64_t *state, const uint64_t *other);

/* A state as bytes, 8 a word, little-endian. MR_CORRUPT: no state of this kind is these bytes. */
void mr_accumulate_encode(mr_accumulator kind, const uint64_t *state, uint8_t *bytes);
mr_status mr_accumulate_decode(mr_accumulator kind, const uint8_t *bytes, size_t size, uint64_t *state);

/* The bits of the result. MR_OVERFLOW: the sum is no int64, or rounds to no finite double.
 * MR_CORRUPT: both infinities were among the values, which have no sum then. */
mr_status mr_accumulate_finish(mr_accumulator kind, const uint64_t *state, uint64_t *value);

typedef struct {
    uint64_t hash;
    uint64_t *entry; /* length of the key, words of the state, key; 0: empty */
} mr_accumulate_slot;

typedef struct {
    mr_accumulator kind;
    mr_accumulate_slot *slots; /* 2^bits, zeroed by the caller at first                     */
    unsigned bits;             /* at least 1                                                */
    uint64_t used;             /* occupied                                                  */
    uint8_t *arena;            /* unused rest of the newest chunk, aligned to a word        */
    size_t arena_room;         /* bytes in it                                               */
    size_t want_bytes;         /* with MR_NEED_ROOM: what the arena must have; 0: more slots */
} mr_accumulate_table;

/* Adds values[i] at position + i to keys[i] of lens[i] bytes, for i in [*next, n), and moves
 * *next on. MR_NEED_ROOM: grow what table->want_bytes says, then call again. */
mr_status mr_accumulate_table_add(mr_accumulate_table *table, const uint8_t *const *keys, const size_t *lens,
                                  const uint64_t *values, uint64_t position, size_t n, size_t *next);

/* Moves the table into `slots` (zeroed, 2^bits, more than now). The old ones are the caller's to free. */
void mr_accumulate_table_rehash(mr_accumulate_table *table, mr_accumulate_slot *slots, unsigned bits);

#endif
