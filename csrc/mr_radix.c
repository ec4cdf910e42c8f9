#include "mr_radix.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define HEADER sizeof(chunk_header)
#define KEY_COPY 16     /* bytes that are copied at once                        */
#define COUNT_ONE 2     /* the zigzag form of 1                                 */
#define WALK_MAX 8      /* ranges with the same first bytes that are looked at one by one */
#define OVERHEAD 40     /* bytes of a record beside its key: two lengths, value */

typedef struct {
    uint32_t next; /* chunk of the same bucket, or MR_RADIX_NONE      */
    uint32_t span; /* adjacent chunks that this one stands for        */
    uint64_t size; /* bytes of records; set when the next one is begun */
} chunk_header;

static chunk_header *header_of(const mr_radix *radix, uint32_t chunk)
{
    return (chunk_header *)(void *)(radix->pool + (size_t)chunk * MR_RADIX_CHUNK);
}

static uint8_t *payload_of(const mr_radix *radix, uint32_t chunk)
{
    return radix->pool + (size_t)chunk * MR_RADIX_CHUNK + HEADER;
}

/* ---- ranges ------------------------------------------------------------------------- */

void mr_radix_index(mr_radix *radix)
{
    uint32_t range = 0;
    for (uint32_t top = 0; top < 65536; top++) {
        while (range + 1 < radix->ranges && radix->splitters[range] <= (uint64_t)top << 48)
            range++;
        radix->first_range[top] = (uint16_t)range;
    }
}

/* The number of splitters that are not above the word: a bucket depends on the key alone. */
ALWAYS_INLINE uint32_t range_of(const mr_radix *radix, uint64_t word)
{
    uint32_t top = (uint32_t)(word >> 48), range = radix->first_range[top];
    uint32_t last = top < 65535 ? radix->first_range[top + 1] : radix->ranges - 1;
    while (last - range > WALK_MAX) { /* keys that begin alike */
        uint32_t middle = range + (last - range) / 2;
        if (radix->splitters[middle] <= word)
            range = middle + 1;
        else
            last = middle;
    }
    while (range < last && radix->splitters[range] <= word)
        range++;
    return range;
}

/* ---- chunks ------------------------------------------------------------------------- */

void mr_radix_clear(mr_radix *radix)
{
    for (uint32_t i = 0; i < radix->hashed * radix->ranges; i++)
        radix->buckets[i] = (mr_bucket){0, 0, MR_RADIX_NONE, MR_RADIX_NONE, 0};
    radix->used = radix->spares = 0;
    radix->spare = MR_RADIX_NONE;
    radix->tokens = 0;
}

void mr_radix_clear_bucket(mr_radix *radix, uint32_t bucket)
{
    for (uint32_t chunk = radix->buckets[bucket].first; chunk != MR_RADIX_NONE;) {
        chunk_header header = *header_of(radix, chunk);
        for (uint32_t i = 0; i < header.span; i++) {
            *header_of(radix, chunk + i) = (chunk_header){radix->spare, 1, 0};
            radix->spare = chunk + i;
            radix->spares++;
        }
        chunk = header.next;
    }
    radix->buckets[bucket] = (mr_bucket){0, 0, MR_RADIX_NONE, MR_RADIX_NONE, 0};
}

static uint32_t chunks_for(size_t size) { return (uint32_t)((size + HEADER + MR_RADIX_CHUNK - 1) / MR_RADIX_CHUNK); }

/* Gives the bucket a new chunk with room for `size` bytes; 0 when none is left. */
static int open_chunk(mr_radix *radix, mr_bucket *bucket, size_t size)
{
    uint32_t span = chunks_for(size), chunk;
    if (span == 1 && radix->spares) {
        chunk = radix->spare;
        radix->spare = header_of(radix, chunk)->next;
        radix->spares--;
    } else if (span <= radix->chunks && radix->used <= radix->chunks - span) {
        chunk = radix->used;
        radix->used += span;
    } else {
        return 0;
    }
    if (bucket->first == MR_RADIX_NONE) {
        bucket->first = chunk;
    } else {
        chunk_header *last = header_of(radix, bucket->last);
        last->next = chunk;
        last->size = (uint64_t)(bucket->at - payload_of(radix, bucket->last));
        bucket->bytes += (uint64_t)last->span * MR_RADIX_CHUNK;
    }
    *header_of(radix, chunk) = (chunk_header){MR_RADIX_NONE, span, 0};
    bucket->last = chunk;
    bucket->at = payload_of(radix, chunk);
    bucket->end = bucket->at + (size_t)span * MR_RADIX_CHUNK - HEADER;
    return 1;
}

uint64_t mr_radix_size(const mr_radix *radix, uint32_t bucket)
{
    const mr_bucket *b = &radix->buckets[bucket];
    return b->first == MR_RADIX_NONE ? 0 : b->bytes + (uint64_t)header_of(radix, b->last)->span * MR_RADIX_CHUNK;
}

/* Writes a key where mr_ref finds it; the byte after it. */
static uint8_t *put_key(uint8_t *at, const uint8_t *key, size_t len)
{
    uint64_t size = len;
    at = mr_varint_put(at, len);
    if (len >= MR_REF_LONG) {
        memcpy(at, &size, 8);
        at += 8;
    }
    memcpy(at, key, len);
    return at + len;
}

/* ---- tokens ------------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t word_of(const uint8_t *key, size_t len)
{
    uint64_t bytes = mr_load64_be(key);
    return len < 8 ? mr_word_short(bytes, len) : (bytes & ~(uint64_t)0xFF) | MR_WORD_MORE;
}

/* Adds one token of at most MR_RADIX_KEY_MAX bytes; KEY_COPY bytes can be read at `key`. */
ALWAYS_INLINE int add_token(mr_radix *radix, const uint8_t *key, size_t len)
{
    uint32_t index = range_of(radix, word_of(key, len));
    if (radix->hashed > 1)
        index += (uint32_t)(mr_hash_xxh3(key, len, 0) % radix->hashed) * radix->ranges;
    mr_bucket *bucket = &radix->buckets[index];
    if ((size_t)(bucket->end - bucket->at) < len + KEY_COPY + 3 && !open_chunk(radix, bucket, len + KEY_COPY + 3))
        return 0;
    uint8_t *at = bucket->at;
    if (len <= KEY_COPY) {
        *at++ = (uint8_t)len;
        memcpy(at, key, KEY_COPY);
        at += len;
    } else {
        at = put_key(at, key, len);
    }
    *at++ = COUNT_ONE;
    bucket->at = at;
    return 1;
}

static void fold(uint8_t *out, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = text[i] | ((uint8_t)(text[i] - 'A') < 26 ? 0x20 : 0);
}

/* The token that began in an earlier block, or that stands at the text's end. */
static int add_apart(mr_radix *radix, const uint8_t *key, size_t len, int lower)
{
    uint8_t copy[MR_RADIX_KEY_MAX + KEY_COPY];
    if (lower)
        fold(copy, key, len);
    else
        memcpy(copy, key, len);
    memset(copy + len, 0, KEY_COPY);
    return add_token(radix, copy, len);
}

/* Adds the tokens of one block, of which `readable` bytes can be read; how many were added. */
static size_t add_block(mr_radix *radix, const mr_token_block *block, size_t skip, const uint8_t *base, size_t readable,
                        int lower)
{
    const uint16_t *start = block->start, *end = block->end + skip;
    size_t n = block->ends - skip, i = 0;
    for (; i < n; i++) {
        size_t len = (size_t)end[i] - start[i];
        const uint8_t *key = base + start[i];
        if (len > MR_RADIX_KEY_MAX) {
            radix->long_size = len;
            break;
        }
        int apart = lower || start[i] + (size_t)KEY_COPY > readable;
        if (!(apart ? add_apart(radix, key, len, lower) : add_token(radix, key, len)))
            break;
    }
    radix->tokens += i;
    return i;
}

/* Adds a token that crosses blocks. */
static int add_open(mr_radix *radix, const uint8_t *token, size_t len, int lower)
{
    if (len > MR_RADIX_KEY_MAX) {
        radix->long_size = len;
        return 0;
    }
    if (!add_apart(radix, token, len, lower))
        return 0;
    radix->tokens++;
    return 1;
}

mr_status mr_radix_feed(mr_radix *radix, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final,
                        int lower, size_t *consumed)
{
    mr_token_block block;
    const uint8_t *open = 0; /* first byte of the token that the last block left open */
    block.inside = 0;
    radix->long_size = 0;
    for (size_t at = 0; at < len;) {
        size_t size = len - at < MR_TOKEN_BLOCK ? len - at : MR_TOKEN_BLOCK, skip = 0;
        const uint8_t *base = text + at;
        tokenize(base, size, &block);
        if (open && block.ends) {
            if (!add_open(radix, open, (size_t)(base + block.end[0] - open), lower)) {
                *consumed = (size_t)(open - text);
                return MR_NEED_ROOM;
            }
            open = 0;
            skip = 1;
        }
        size_t added = add_block(radix, &block, skip, base, len - at, lower);
        if (added < block.ends - skip) {
            *consumed = at + block.start[added];
            return MR_NEED_ROOM;
        }
        if (block.starts > block.ends - skip && !open)
            open = base + block.start[block.ends - skip];
        at += size;
    }
    *consumed = open ? (size_t)(open - text) : len;
    if (open && final) {
        if (!add_open(radix, open, (size_t)(text + len - open), lower))
            return MR_NEED_ROOM;
        *consumed = len;
    }
    return MR_OK;
}

/* ---- a table's keys ----------------------------------------------------------------- */

/* The bucket of a key, opened for `size` bytes; NULL and *want when no chunk is left. */
ALWAYS_INLINE mr_bucket *bucket_for(mr_radix *radix, const uint8_t *key, size_t len, size_t size, uint32_t *want)
{
    uint32_t index = range_of(radix, word_of(key, len));
    if (radix->hashed > 1)
        index += (uint32_t)(mr_hash_xxh3(key, len, 0) % radix->hashed) * radix->ranges;
    mr_bucket *bucket = &radix->buckets[index];
    if ((size_t)(bucket->end - bucket->at) < size && !open_chunk(radix, bucket, size)) {
        *want = chunks_for(size);
        return 0;
    }
    return bucket;
}

/* Adds a key and its count; 0 and *want when no chunk is left. */
static int add_count(mr_radix *radix, const uint8_t *key, size_t len, int64_t count, uint32_t document, uint32_t *want)
{
    mr_bucket *bucket = bucket_for(radix, key, len, len + OVERHEAD, want);
    if (!bucket)
        return 0;
    uint8_t *at = put_key(bucket->at, key, len), coded[10];
    if (radix->kind == MR_VALUE_POSTING) {
        at = mr_varint_put(at, document);
        at = mr_varint_put(at, (uint64_t)count);
    } else if (radix->kind == MR_VALUE_BYTES) {
        size_t size = (size_t)(mr_varint_put(coded, mr_zigzag(count)) - coded);
        *at++ = (uint8_t)(1 + size);
        *at++ = radix->tag;
        memcpy(at, coded, size);
        at += size;
    } else {
        at = mr_varint_put(at, mr_zigzag(count));
    }
    bucket->at = at;
    return 1;
}

mr_status mr_radix_add(mr_radix *radix, const uint8_t *key, size_t len, const uint8_t *value, size_t value_len,
                       uint32_t *want)
{
    mr_bucket *bucket = bucket_for(radix, key, len, len + value_len + OVERHEAD, want);
    if (!bucket)
        return MR_NEED_ROOM;
    uint8_t *at = mr_varint_put(put_key(bucket->at, key, len), value_len);
    memcpy(at, value, value_len);
    bucket->at = at + value_len;
    return MR_OK;
}

mr_status mr_radix_take(mr_radix *radix, const mr_table *table, uint32_t document, mr_table_cursor *cursor,
                        uint32_t *want)
{
    uint8_t scratch[MR_TABLE_SCRATCH] = {0};
    for (;;) {
        size_t len;
        int64_t count;
        mr_table_cursor before = *cursor;
        const uint8_t *key = mr_table_next(table, cursor, scratch, &len, &count);
        if (!key)
            return MR_OK;
        if (!add_count(radix, key, len, count, document, want)) {
            *cursor = before;
            return MR_NEED_ROOM;
        }
    }
}

/* ---- back from a bucket ------------------------------------------------------------- */

/* The entry of a key in the pool, behind which at least MR_RADIX_SLACK bytes can be read. */
ALWAYS_INLINE mr_entry entry_at(const uint8_t *key, size_t len)
{
    mr_entry entry = {word_of(key, len), 0, 0, 0};
    if (len > MR_WORD_BYTES) {
        size_t left = len - MR_WORD_BYTES;
        uint64_t bytes = mr_load64_be(key + MR_WORD_BYTES);
        entry.next = left < 8 ? mr_word_short(bytes, left) : (bytes & ~(uint64_t)0xFF) | MR_WORD_MORE;
        entry.ref = (uint64_t)(len < MR_REF_LONG ? len : MR_REF_LONG) << 48 | (uint64_t)(uintptr_t)key;
    }
    return entry;
}

/* Reads one number of a record that this file wrote. */
ALWAYS_INLINE uint64_t get(const uint8_t **at)
{
    uint64_t value = *(*at)++;
    if (value < 0x80)
        return value;
    value &= 0x7F;
    for (int shift = 7;; shift += 7) {
        uint64_t byte = *(*at)++;
        value |= (byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
}

static int next_chunk(const mr_radix *radix, const mr_bucket *bucket, mr_radix_cursor *cursor)
{
    if (!cursor->begun) {
        cursor->begun = 1;
        cursor->chunk = bucket->first;
    }
    if (cursor->chunk == MR_RADIX_NONE)
        return 0;
    const chunk_header *header = header_of(radix, cursor->chunk);
    cursor->at = payload_of(radix, cursor->chunk);
    cursor->end = cursor->chunk == bucket->last ? bucket->at : cursor->at + header->size;
    cursor->chunk = header->next;
    return 1;
}

size_t mr_radix_load(const mr_radix *radix, uint32_t bucket, mr_radix_cursor *cursor, mr_entry *entries, size_t room)
{
    const mr_bucket *from = &radix->buckets[bucket];
    size_t n = 0;
    while (n < room) {
        if (cursor->at == cursor->end) {
            if (!next_chunk(radix, from, cursor))
                break;
            continue;
        }
        size_t len = (size_t)get(&cursor->at);
        if (len >= MR_REF_LONG)
            cursor->at += 8;
        mr_entry entry = entry_at(cursor->at, len);
        cursor->at += len;
        const uint8_t *value = cursor->at;
        uint64_t first = get(&cursor->at);
        if (radix->kind == MR_VALUE_SUM) {
            entry.value = mr_unzigzag(first);
        } else if (radix->kind == MR_VALUE_POSTING) {
            entry.value = (int64_t)(first << 32 | get(&cursor->at));
        } else {
            entry.value = (int64_t)(uintptr_t)value;
            cursor->at += first;
        }
        entries[n++] = entry;
    }
    return n;
}

int mr_radix_at_end(const mr_radix *radix, uint32_t bucket, const mr_radix_cursor *cursor)
{
    if (!cursor->begun)
        return radix->buckets[bucket].first == MR_RADIX_NONE;
    return cursor->at == cursor->end && cursor->chunk == MR_RADIX_NONE;
}
