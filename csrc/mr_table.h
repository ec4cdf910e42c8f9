/* The combiner table: counts of distinct tokens.
 *
 * Three open-addressing tables with linear probing, by key length, because the cheapest
 * comparison differs:
 *   short  0..7 bytes   16-byte slot: prefix word (mr_key.h), count
 *   middle 8..15 bytes  24-byte slot: the key's bytes, its length as the 16th, count
 *   long   16 and more  24-byte slot: XXH3, reference into the arena, count
 * The length is part of every key, so "a", "a\0" and "a\0\0" are three keys.
 *
 * Tokens of a block are hashed and their slots prefetched first, and only then probed:
 * a probe that misses the cache costs a dozen tokens' time, a prefetched one none.
 *
 * Memory is the caller's. A feed stops before the block that might not fit and says what
 * is short (`want`); the caller grows that part, or drains the table and clears it.
 */
#ifndef MR_TABLE_H
#define MR_TABLE_H

#include "mr_key.h"
#include "mr_status.h"
#include "mr_tokenize.h"

typedef struct {
    uint64_t word; /* 0: empty */
    int64_t count;
} mr_slot_short;

typedef struct {
    uint8_t key[16]; /* zero-padded; key[15] is the length, 0: empty */
    int64_t count;
} mr_slot_middle;

typedef struct {
    uint64_t hash;
    mr_ref ref; /* 0: empty */
    int64_t count;
} mr_slot_long;

typedef enum { MR_PART_SHORT = 0, MR_PART_MIDDLE = 1, MR_PART_LONG = 2, MR_PART_ARENA = 3, MR_PARTS = 4 } mr_table_part;

typedef struct {
    void *slots;    /* zeroed by the caller at first; aligned to a cache line */
    unsigned bits;  /* 2^bits slots                                           */
    uint64_t used;  /* occupied                                               */
} mr_slots;

typedef struct {
    mr_slots part[3];   /* by mr_table_part                                          */
    uint8_t *arena;     /* unused rest of the arena's newest chunk                   */
    size_t arena_room;  /* bytes in it                                               */
    mr_table_part want; /* set with MR_NEED_ROOM                                     */
    size_t want_bytes;  /* for the arena: what the next block may need at most       */
    uint64_t tokens;    /* counted since the table was cleared                       */
} mr_table;

#define MR_TABLE_BITS_MIN 13 /* a part holds at least one block's tokens under its load limit */

static inline size_t mr_table_slot_size(mr_table_part part)
{
    return part == MR_PART_SHORT    ? sizeof(mr_slot_short)
           : part == MR_PART_MIDDLE ? sizeof(mr_slot_middle)
                                    : sizeof(mr_slot_long);
}

/* Distinct keys of all lengths. */
static inline uint64_t mr_table_used(const mr_table *table)
{
    return table->part[0].used + table->part[1].used + table->part[2].used;
}

/* Counts the tokens of text[0, len) that end inside it; with `final`, a token that reaches
 * the end too. *consumed is the offset of the first byte that is still to be fed: the end,
 * or the first byte of an unfinished token. `lower` folds A-Z. Reads nothing past len.
 * MR_NEED_ROOM: grow the part named by table->want, then feed from *consumed on. */
mr_status mr_table_feed(mr_table *table, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final,
                        int lower, size_t *consumed);

#define MR_TABLE_ADD_SLACK 16 /* bytes that must be readable behind the keys that are added */
#define MR_TABLE_ADD_MAX 1024 /* keys a call                                               */

/* Adds values[i] to the key text[offset[i], offset[i + 1]) for i in [*next, n), and moves *next on.
 * MR_NEED_ROOM: as of mr_table_feed(). MR_OVERFLOW: that of *next would leave int64; it was not added. */
mr_status mr_table_add(mr_table *table, const uint8_t *text, const uint32_t *offset, const int64_t *values, size_t n,
                       size_t *next);

/* Moves a part into `slots` (zeroed, 2^bits slots, more than now). The old slots are the
 * caller's to free. */
void mr_table_rehash(mr_table *table, mr_table_part part, void *slots, unsigned bits);

/* Where a walk over the keys has come to; zeroed: the begin. */
typedef struct {
    uint32_t part;
    uint64_t slot;
} mr_table_cursor;

#define MR_TABLE_SCRATCH 24 /* bytes that mr_table_next() needs for a short key */

/* The next key, its length and its count, in the order of the slots; NULL at the end. At least
 * 16 bytes can be read where it stands, which is in `scratch` or in the table. */
const uint8_t *mr_table_next(const mr_table *table, mr_table_cursor *cursor, uint8_t scratch[MR_TABLE_SCRATCH],
                             size_t *len, int64_t *count);

/* Up to n prefix words of the keys, from all parts by their sizes; how many were written. */
size_t mr_table_sample(const mr_table *table, uint64_t *words, size_t n);

/* Empties the table for the next split; its slots stay. The arena is the caller's to reset. */
void mr_table_clear(mr_table *table);

#endif
