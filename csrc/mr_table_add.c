/* Adding values to keys that were cut out already (mr_table.h): hash and prefetch all, then probe. */
#include "mr_hash.h"
#include "mr_table_probe.h"

typedef struct {
    uint64_t first, second, hash; /* of a short key the word is `first` */
} probe;

/* Where the key's probe begins. Reads up to 16 bytes, whatever the length. */
static probe prepare(const mr_table *table, const uint8_t *key, size_t len)
{
    probe p = {mr_load64(key), 0, 0};
    if (len <= MR_WORD_BYTES) {
        p.first = mr_word_short(to_big_endian(p.first), len);
        p.hash = hash_short(p.first);
        PREFETCH((const mr_slot_short *)table->part[MR_PART_SHORT].slots +
                 home(p.hash, table->part[MR_PART_SHORT].bits));
    } else if (len <= 15) {
        if (len > 8)
            p.second = mr_load64(key + 8) & (~(uint64_t)0 >> (8 * (15 - len)) >> 8);
        p.second |= (uint64_t)len << 56;
        p.hash = hash_middle(p.first, p.second);
        PREFETCH((const mr_slot_middle *)table->part[MR_PART_MIDDLE].slots +
                 home(p.hash, table->part[MR_PART_MIDDLE].bits));
    } else {
        p.hash = mr_hash_xxh3(key, len, 0);
        PREFETCH((const mr_slot_long *)table->part[MR_PART_LONG].slots +
                 home(p.hash, table->part[MR_PART_LONG].bits));
    }
    return p;
}

/* 0, and the count as it was, when it would leave int64. */
static int add_value(int64_t *count, int64_t value)
{
    int64_t sum;
    if (__builtin_add_overflow(*count, value, &sum))
        return 0;
    *count = sum;
    return 1;
}

static int add_short(mr_slots *part, const probe *p, int64_t value)
{
    mr_slot_short *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1, i = home(p->hash, part->bits);
    for (; slots[i].word; i = (i + 1) & mask)
        if (slots[i].word == p->first)
            return add_value(&slots[i].count, value);
    slots[i].word = p->first;
    slots[i].count = value;
    part->used++;
    return 1;
}

static int add_middle(mr_slots *part, const probe *p, int64_t value)
{
    mr_slot_middle *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1, i = home(p->hash, part->bits);
    for (; slots[i].key[15]; i = (i + 1) & mask)
        if (mr_load64(slots[i].key) == p->first && mr_load64(slots[i].key + 8) == p->second)
            return add_value(&slots[i].count, value);
    memcpy(slots[i].key, &p->first, 8);
    memcpy(slots[i].key + 8, &p->second, 8);
    slots[i].count = value;
    part->used++;
    return 1;
}

static int add_long(mr_table *table, const uint8_t *key, size_t len, uint64_t hash, int64_t value)
{
    mr_slots *part = &table->part[MR_PART_LONG];
    mr_slot_long *slots = part->slots;
    uint64_t mask = ((uint64_t)1 << part->bits) - 1, i = home(hash, part->bits);
    for (; slots[i].ref; i = (i + 1) & mask) {
        size_t kept;
        const uint8_t *bytes = mr_ref_key(slots[i].ref, &kept);
        if (slots[i].hash == hash && kept == len && !memcmp(bytes, key, len))
            return add_value(&slots[i].count, value);
    }
    slots[i].hash = hash;
    slots[i].ref = keep(table, key, len);
    slots[i].count = value;
    part->used++;
    return 1;
}

mr_status mr_table_add(mr_table *table, const uint8_t *text, const uint32_t *offset, const int64_t *values, size_t n,
                       size_t *next)
{
    probe probes[MR_TABLE_ADD_MAX];
    size_t first = *next, count = n - first;
    size_t bytes = 0; /* of long keys: others need no arena */
    for (size_t i = first; i < n; i++) {
        size_t len = offset[i + 1] - offset[i];
        bytes += len > 15 ? len + 8 : 0;
    }
    if (!has_room(table, count, bytes))
        return MR_NEED_ROOM;
    for (size_t i = 0; i < count; i++)
        probes[i] = prepare(table, text + offset[first + i], offset[first + i + 1] - offset[first + i]);
    for (size_t i = 0; i < count; i++) {
        size_t at = first + i, len = offset[at + 1] - offset[at];
        int added = len <= MR_WORD_BYTES ? add_short(&table->part[MR_PART_SHORT], &probes[i], values[at])
                    : len <= 15          ? add_middle(&table->part[MR_PART_MIDDLE], &probes[i], values[at])
                                         : add_long(table, text + offset[at], len, probes[i].hash, values[at]);
        if (!added) {
            *next = at;
            return MR_OVERFLOW;
        }
        table->tokens++;
    }
    *next = n;
    return MR_OK;
}
