#include "mr_hash.h"
#include "mr_lower.h"
#include "mr_table_probe.h"

#define BLOCK_TOKENS_MAX MR_TOKEN_BLOCK           /* empty lines, one a byte                */
#define BLOCK_LONGER_MAX (MR_TOKEN_BLOCK / 9 + 1) /* eight bytes or more, and a separator   */

typedef struct {
    const uint8_t *text;
    size_t len;
    uint64_t hash;
} long_token;

/* ---- probing: find the key's slot, or take an empty one ---------------------------- */

ALWAYS_INLINE void count_short(mr_slots *part, uint64_t word, uint64_t hash)
{
    mr_slot_short *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1;
    for (uint64_t i = home(hash, part->bits);; i = (i + 1) & mask) {
        if (__builtin_expect(slots[i].word == word, 1)) {
            slots[i].count++;
            return;
        }
        if (!slots[i].word) {
            slots[i].word = word;
            slots[i].count = 1;
            part->used++;
            return;
        }
    }
}

ALWAYS_INLINE void count_middle(mr_slots *part, uint64_t first, uint64_t second, uint64_t hash)
{
    mr_slot_middle *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1;
    for (uint64_t i = home(hash, part->bits);; i = (i + 1) & mask) {
        uint64_t differs = (mr_load64(slots[i].key) ^ first) | (mr_load64(slots[i].key + 8) ^ second);
        if (__builtin_expect(!differs, 1)) {
            slots[i].count++;
            return;
        }
        if (!slots[i].key[15]) {
            memcpy(slots[i].key, &first, 8);
            memcpy(slots[i].key + 8, &second, 8);
            slots[i].count = 1;
            part->used++;
            return;
        }
    }
}

static void count_long(mr_table *table, const long_token *token)
{
    mr_slots *part = &table->part[MR_PART_LONG];
    mr_slot_long *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1;
    for (uint64_t i = home(token->hash, part->bits);; i = (i + 1) & mask) {
        if (!slots[i].ref) {
            slots[i].hash = token->hash;
            slots[i].ref = keep(table, token->text, token->len);
            slots[i].count = 1;
            part->used++;
            return;
        }
        if (slots[i].hash == token->hash) {
            size_t len;
            const uint8_t *key = mr_ref_key(slots[i].ref, &len);
            if (len == token->len && !memcmp(key, token->text, len)) {
                slots[i].count++;
                return;
            }
        }
    }
}

/* ---- one block: hash and prefetch, then probe --------------------------------------- */

typedef struct {
    uint64_t word[BLOCK_TOKENS_MAX + 1], hash[BLOCK_TOKENS_MAX + 1];
    uint64_t first[BLOCK_LONGER_MAX + 1], second[BLOCK_LONGER_MAX + 1];
    long_token tail[MR_TOKEN_BLOCK / 16 + 2];
    uint16_t longer[BLOCK_LONGER_MAX + 1];
} queues;

static void feed_long(mr_table *table, long_token *tokens, size_t n, int lower)
{
    const mr_slots *part = &table->part[MR_PART_LONG];
    const mr_slot_long *slots = part->slots;
    if (lower) { /* the folded copy stands where the arena would keep it */
        for (size_t i = 0; i < n; i++) {
            uint8_t *copy = table->arena + (tokens[i].len >= MR_REF_LONG ? 8 : 0);
            for (size_t j = 0; j < tokens[i].len; j++)
                copy[j] = tokens[i].text[j] | ((uint8_t)(tokens[i].text[j] - 'A') < 26 ? 0x20 : 0);
            long_token folded = {copy, tokens[i].len, mr_hash_xxh3(copy, tokens[i].len, 0)};
            count_long(table, &folded);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        tokens[i].hash = mr_hash_xxh3(tokens[i].text, tokens[i].len, 0);
        PREFETCH(slots + home(tokens[i].hash, part->bits));
    }
    for (size_t i = 0; i < n; i++) { /* the key that is likely to be compared */
        const mr_slot_long *slot = slots + home(tokens[i].hash, part->bits);
        if (slot->hash == tokens[i].hash)
            __builtin_prefetch((const void *)(uintptr_t)(slot->ref & 0xFFFFFFFFFFFFull));
    }
    for (size_t i = 0; i < n; i++)
        count_long(table, &tokens[i]);
}

/* Counts the n tokens text[start[i], end[i]). Loads may pass a token's end by up to 15
 * bytes; `safe` keeps them before `limit`. */
ALWAYS_INLINE void feed_tokens(mr_table *table, queues *q, const uint8_t *text, const uint8_t *limit,
                               const uint16_t *start, const uint16_t *end, size_t n, int lower, int safe)
{
    mr_slots *shorts = &table->part[MR_PART_SHORT], *middles = &table->part[MR_PART_MIDDLE];
    const mr_slot_short *short_slots = shorts->slots;
    const mr_slot_middle *middle_slots = middles->slots;
    size_t n_short = 0, n_longer = 0, n_middle = 0, n_long = 0;
    unsigned bits = shorts->bits;

    for (size_t i = 0; i < n; i++) { /* no branch on the length: it is the data's, and unpredictable */
        size_t len = (size_t)end[i] - start[i];
        uint64_t bytes = load(text + start[i], limit, safe);
        if (lower)
            bytes = mr_lower8(bytes);
        size_t kept = len < MR_WORD_BYTES ? len : MR_WORD_BYTES;
        uint64_t word = mr_word_short(to_big_endian(bytes), kept);
        uint64_t hash = hash_short(word);
        PREFETCH(short_slots + home(hash, bits));
        q->word[n_short] = word;
        q->hash[n_short] = hash;
        n_short += len <= MR_WORD_BYTES;
        q->longer[n_longer] = (uint16_t)i;
        n_longer += len > MR_WORD_BYTES;
    }
    for (size_t i = 0; i < n_short; i++)
        count_short(shorts, q->word[i], q->hash[i]);

    bits = middles->bits;
    for (size_t i = 0; i < n_longer; i++) {
        const uint8_t *token = text + start[q->longer[i]];
        size_t len = (size_t)end[q->longer[i]] - start[q->longer[i]];
        if (len > 15) {
            q->tail[n_long++] = (long_token){token, len, 0};
            continue;
        }
        uint64_t first = load(token, limit, safe);
        uint64_t second = 0;
        if (!safe || len > 8) /* two shifts: one by 64 would be undefined for a length of 8 */
            second = load(token + 8, limit, safe) & (~(uint64_t)0 >> (8 * (15 - len)) >> 8);
        if (lower) {
            first = mr_lower8(first);
            second = mr_lower8(second);
        }
        second |= (uint64_t)len << 56;
        uint64_t hash = hash_middle(first, second);
        PREFETCH(middle_slots + home(hash, bits));
        q->first[n_middle] = first;
        q->second[n_middle] = second;
        q->hash[n_middle++] = hash;
    }
    for (size_t i = 0; i < n_middle; i++)
        count_middle(middles, q->first[i], q->second[i], q->hash[i]);

    if (n_long)
        feed_long(table, q->tail, n_long, lower);
    table->tokens += n;
}

static void feed_block(mr_table *table, queues *q, const uint8_t *text, const uint8_t *limit, const uint16_t *start,
                       const uint16_t *end, size_t n, size_t len, int lower)
{
    int safe = (size_t)(limit - text) < len + 16;
    if (safe)
        feed_tokens(table, q, text, limit, start, end, n, lower, 1);
    else if (lower)
        feed_tokens(table, q, text, limit, start, end, n, 1, 0);
    else
        feed_tokens(table, q, text, limit, start, end, n, 0, 0);
}

/* One token of any length, where it may cross block borders. */
static void feed_one(mr_table *table, queues *q, const uint8_t *token, size_t len, int lower)
{
    if (len > 15) {
        long_token one = {token, len, 0};
        feed_long(table, &one, 1, lower);
        table->tokens++;
        return;
    }
    uint16_t start = 0, end = (uint16_t)len;
    feed_tokens(table, q, token, token + len, &start, &end, 1, lower, 1);
}

mr_status mr_table_feed(mr_table *table, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final,
                        int lower, size_t *consumed)
{
    mr_token_block block;
    queues q;
    const uint8_t *limit = text + len;
    const uint8_t *open = 0; /* first byte of the token that the last block left open */
    block.inside = 0;

    for (size_t at = 0; at < len;) {
        size_t size = len - at < MR_TOKEN_BLOCK ? len - at : MR_TOKEN_BLOCK;
        const uint8_t *base = text + at;
        tokenize(base, size, &block);

        size_t tail = open ? (size_t)(base - open) : 0; /* bytes of the open token so far */
        if (!has_room(table, block.ends + 1, tail + size + 16)) {
            *consumed = open ? (size_t)(open - text) : at;
            return MR_NEED_ROOM;
        }
        const uint16_t *end = block.end;
        size_t ends = block.ends;
        if (open && ends) {
            feed_one(table, &q, open, (size_t)(base + *end - open), lower);
            open = 0;
            end++;
            ends--;
        }
        feed_block(table, &q, base, limit, block.start, end, ends, size, lower);
        if (block.starts > ends && !open)
            open = base + block.start[ends];
        at += size;
    }
    *consumed = open ? (size_t)(open - text) : len;
    if (open && final) {
        size_t rest = (size_t)(limit - open);
        if (!has_room(table, 1, rest + 16))
            return MR_NEED_ROOM;
        feed_one(table, &q, open, rest, lower);
        *consumed = len;
    }
    return MR_OK;
}

void mr_table_rehash(mr_table *table, mr_table_part part, void *slots, unsigned bits)
{
    mr_slots *old = &table->part[part];
    uint64_t n = (uint64_t)1 << old->bits, mask = ((uint64_t)1 << bits) - 1;
    if (part == MR_PART_SHORT) {
        const mr_slot_short *from = old->slots;
        mr_slot_short *to = slots;
        for (uint64_t i = 0; i < n; i++) {
            if (!from[i].word)
                continue;
            uint64_t j = home(hash_short(from[i].word), bits);
            while (to[j].word)
                j = (j + 1) & mask;
            to[j] = from[i];
        }
    } else if (part == MR_PART_MIDDLE) {
        const mr_slot_middle *from = old->slots;
        mr_slot_middle *to = slots;
        for (uint64_t i = 0; i < n; i++) {
            if (!from[i].key[15])
                continue;
            uint64_t j = home(hash_middle(mr_load64(from[i].key), mr_load64(from[i].key + 8)), bits);
            while (to[j].key[15])
                j = (j + 1) & mask;
            to[j] = from[i];
        }
    } else {
        const mr_slot_long *from = old->slots;
        mr_slot_long *to = slots;
        for (uint64_t i = 0; i < n; i++) {
            if (!from[i].ref)
                continue;
            uint64_t j = home(from[i].hash, bits);
            while (to[j].ref)
                j = (j + 1) & mask;
            to[j] = from[i];
        }
    }
    old->slots = slots;
    old->bits = bits;
}

void mr_table_clear(mr_table *table)
{
    for (mr_table_part part = MR_PART_SHORT; part <= MR_PART_LONG; part++) {
        if (table->part[part].used)
            memset(table->part[part].slots, 0, mr_table_slot_size(part) << table->part[part].bits);
        table->part[part].used = 0;
    }
    table->tokens = 0;
}
