/* Keys: how a kernel holds a byte string so that most comparisons are one instruction.
 *
 * The prefix word of a key is its first seven bytes, big-endian and zero-padded, in the
 * upper 56 bits, and min(length, 8) + 1 in the lowest byte. So
 *   - comparing two words as integers orders keys of different words as memcmp would,
 *     a key before its own extensions ("a" < "a\0" < "a\0\0": the lengths differ);
 *   - a word that ends in less than MR_WORD_MORE is the whole key, and equal words mean
 *     equal keys; two words that end in MR_WORD_MORE and are equal say only that the first
 *     seven bytes agree;
 *   - no key has the word 0, which marks an empty slot.
 * The same word taken at depth d (the bytes from d on) carries a comparison further: the
 * super-alphabet of Andersson and Nilsson, "A new efficient radix sort", FOCS 1994.
 *
 * A reference (mr_ref) points to the bytes of a key longer than seven: the address in the
 * lower 48 bits, the length above, or 0xFFFF there and the length as eight bytes before
 * the key.
 */
#ifndef MR_KEY_H
#define MR_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MR_WORD_BYTES 7  /* key bytes that a prefix word holds                  */
#define MR_WORD_MORE 9   /* lowest byte of the word of a key of 8 bytes or more  */
#define MR_REF_LONG 0xFFFFu

typedef uint64_t mr_ref;

/* One record on its way from a table into a run. `next` is the word at depth 7, and `ref`
 * is meaningful, when `word` ends in MR_WORD_MORE. The two words settle most orders without
 * a look at the key, which would miss the cache. */
typedef struct {
    uint64_t word, next;
    mr_ref ref;
    int64_t value;
} mr_entry;

static inline uint64_t mr_load64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint64_t mr_load64_be(const uint8_t *p)
{
    uint64_t word = mr_load64(p);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The word of a short key (len <= 7) of which eight bytes were loaded big-endian. */
static inline uint64_t mr_word_short(uint64_t loaded, size_t len)
{
    /* Two shifts: one by 64 - 8 * len would be undefined for an empty key. */
    return ((loaded >> 8 >> (8 * (MR_WORD_BYTES - len))) << (8 * (MR_WORD_BYTES - len)) << 8) | (len + 1);
}

/* The word of key[depth, len); reads only those bytes. */
static inline uint64_t mr_word_at(const uint8_t *key, size_t len, size_t depth)
{
    size_t left = len - depth;
    if (left >= 8)
        return (mr_load64_be(key + depth) & ~(uint64_t)0xFF) | MR_WORD_MORE;
    uint8_t padded[8] = {0};
    for (size_t i = 0; i < left; i++)
        padded[i] = key[depth + i];
    return mr_load64_be(padded) | (left + 1);
}

static inline int mr_word_is_whole(uint64_t word) { return (word & 0xFF) < MR_WORD_MORE; }

static inline size_t mr_word_length(uint64_t word) { return (word & 0xFF) - 1; }

/* Writes the bytes of a whole word (eight are stored, mr_word_length() of them count). */
static inline void mr_word_store(uint64_t word, uint8_t out[8])
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(out, &word, 8);
}

static inline const uint8_t *mr_ref_key(mr_ref ref, size_t *len)
{
    const uint8_t *key = (const uint8_t *)(uintptr_t)(ref & 0xFFFFFFFFFFFFull);
    uint64_t size = ref >> 48;
    if (size == MR_REF_LONG)
        memcpy(&size, key - 8, 8);
    *len = (size_t)size;
    return key;
}

/* Key bytes of an entry; `scratch` holds those of a short one. */
static inline const uint8_t *mr_entry_key(const mr_entry *entry, uint8_t scratch[8], size_t *len)
{
    if (mr_word_is_whole(entry->word)) {
        mr_word_store(entry->word, scratch);
        *len = mr_word_length(entry->word);
        return scratch;
    }
    return mr_ref_key(entry->ref, len);
}

/* The entry of a key whose bytes stay where they are. One of MR_REF_LONG bytes or more has its
 * length in the eight bytes before it. */
static inline mr_entry mr_entry_of(const uint8_t *key, size_t len, int64_t value)
{
    mr_entry entry = {mr_word_at(key, len, 0), 0, 0, value};
    if (len > MR_WORD_BYTES) {
        entry.next = mr_word_at(key, len, MR_WORD_BYTES);
        entry.ref = (uint64_t)(len < MR_REF_LONG ? len : MR_REF_LONG) << 48 | (uint64_t)(uintptr_t)key;
    }
    return entry;
}

/* Do two entries have the same key? */
static inline int mr_entry_same(const mr_entry *a, const mr_entry *b)
{
    if (a->word != b->word)
        return 0;
    if (mr_word_is_whole(a->word))
        return 1;
    if (a->next != b->next)
        return 0;
    if (mr_word_is_whole(a->next))
        return 1;
    size_t a_len, b_len;
    const uint8_t *a_key = mr_ref_key(a->ref, &a_len), *b_key = mr_ref_key(b->ref, &b_len);
    return a_len == b_len && !memcmp(a_key, b_key, a_len);
}

/* memcmp order of two byte strings, the shorter first when one begins the other. */
static inline int mr_bytes_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

#endif
