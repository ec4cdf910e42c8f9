/* What feeding and adding share: how the combiner table (mr_table.h) hashes a key, where its
 * probe begins, and where the bytes of long keys go. Included by its two C files only.
 */
#ifndef MR_TABLE_PROBE_H
#define MR_TABLE_PROBE_H

#include "mr_table.h"

#define PREFETCH(address) __builtin_prefetch((address), 1)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Occupied slots at most. At one half probes are 5 % cheaper and the memory is twice as much. */
#define LOAD_PERCENT 66

/* Multiply and fold (the "mum" of Vladimir Yakovlev's and Wang Yi's hash families): one
 * multiplication, every input bit reaches the upper half that indexes the table. */
ALWAYS_INLINE uint64_t fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t high = (a >> 32) * (b & 0xFFFFFFFF) ^ (a & 0xFFFFFFFF) * (b >> 32);
    return a * b ^ high ^ (a >> 32) * (b >> 32);
#endif
}

ALWAYS_INLINE uint64_t hash_short(uint64_t word) { return fold(word ^ 0x9E3779B97F4A7C15ull, 0xD6E8FEB86659FD93ull); }

ALWAYS_INLINE uint64_t hash_middle(uint64_t first, uint64_t second)
{
    return fold(first ^ 0xA0761D6478BD642Full, second ^ 0xE7037ED1A0B428DBull);
}

ALWAYS_INLINE uint64_t to_big_endian(uint64_t bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(bytes);
#else
    return bytes;
#endif
}

/* Eight bytes at p in memory order, of which at least one lies before `end`. Where all eight
 * do not, the missing ones read as zero. */
ALWAYS_INLINE uint64_t load(const uint8_t *p, const uint8_t *end, int safe)
{
    if (!safe || end - p >= 8)
        return mr_load64(p);
    uint8_t padded[8] = {0};
    for (size_t i = 0; i < (size_t)(end - p); i++)
        padded[i] = p[i];
    return mr_load64(padded);
}

static inline uint64_t load_limit(const mr_table *table, mr_table_part part)
{
    uint64_t slots = (uint64_t)1 << table->part[part].bits;
    return slots * LOAD_PERCENT / 100;
}

static inline uint64_t home(uint64_t hash, unsigned bits) { return hash >> (64 - bits); }

/* Room for `tokens` more keys of every kind and for `bytes` of long ones? */
static inline int has_room(mr_table *table, size_t tokens, size_t bytes)
{
    for (mr_table_part part = MR_PART_SHORT; part <= MR_PART_LONG; part++) {
        if (table->part[part].used + tokens > load_limit(table, part)) {
            table->want = part;
            return 0;
        }
    }
    if (bytes > table->arena_room) {
        table->want = MR_PART_ARENA;
        table->want_bytes = bytes;
        return 0;
    }
    return 1;
}

/* Copies a key of 16 bytes or more into the arena, which has room. */
static inline mr_ref keep(mr_table *table, const uint8_t *key, size_t len)
{
    uint64_t size = len;
    if (len >= MR_REF_LONG) {
        memcpy(table->arena, &size, 8);
        table->arena += 8;
        table->arena_room -= 8;
        size = MR_REF_LONG;
    }
    if (key != table->arena)
        memmove(table->arena, key, len);
    mr_ref ref = size << 48 | (uint64_t)(uintptr_t)table->arena;
    table->arena += len;
    table->arena_room -= len;
    return ref;
}

#endif
