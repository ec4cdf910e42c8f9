/* Walking over the keys of the combiner table (mr_table.h). */
#include "mr_table.h"

#define AHEAD 16 /* slots whose long keys are prefetched */

static const uint8_t *short_key(const mr_slots *part, uint64_t *at, uint8_t *scratch, size_t *len, int64_t *count)
{
    const mr_slot_short *slots = part->slots;
    for (uint64_t i = *at, n = (uint64_t)1 << part->bits; i < n; i++) {
        if (!slots[i].word)
            continue;
        *at = i + 1;
        mr_word_store(slots[i].word, scratch);
        *len = mr_word_length(slots[i].word);
        *count = slots[i].count;
        return scratch;
    }
    return 0;
}

static const uint8_t *middle_key(const mr_slots *part, uint64_t *at, size_t *len, int64_t *count)
{
    const mr_slot_middle *slots = part->slots;
    for (uint64_t i = *at, n = (uint64_t)1 << part->bits; i < n; i++) {
        if (!slots[i].key[15])
            continue;
        *at = i + 1;
        *len = slots[i].key[15];
        *count = slots[i].count;
        return slots[i].key;
    }
    return 0;
}

/* Long keys lie anywhere in the arena: asks for one some slots ahead. */
static const uint8_t *long_key(const mr_slots *part, uint64_t *at, size_t *len, int64_t *count)
{
    const mr_slot_long *slots = part->slots;
    for (uint64_t i = *at, n = (uint64_t)1 << part->bits; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch((const void *)(uintptr_t)(slots[i + AHEAD].ref & 0xFFFFFFFFFFFFull));
        if (!slots[i].ref)
            continue;
        *at = i + 1;
        *count = slots[i].count;
        return mr_ref_key(slots[i].ref, len);
    }
    return 0;
}

const uint8_t *mr_table_next(const mr_table *table, mr_table_cursor *cursor, uint8_t scratch[MR_TABLE_SCRATCH],
                             size_t *len, int64_t *count)
{
    for (; cursor->part <= MR_PART_LONG; cursor->part++, cursor->slot = 0) {
        const mr_slots *part = &table->part[cursor->part];
        const uint8_t *key = 0;
        if (!part->used)
            continue;
        if (cursor->part == MR_PART_SHORT)
            key = short_key(part, &cursor->slot, scratch, len, count);
        else if (cursor->part == MR_PART_MIDDLE)
            key = middle_key(part, &cursor->slot, len, count);
        else
            key = long_key(part, &cursor->slot, len, count);
        if (key)
            return key;
    }
    return 0;
}

size_t mr_table_sample(const mr_table *table, uint64_t *words, size_t n)
{
    uint64_t used = mr_table_used(table);
    uint8_t scratch[MR_TABLE_SCRATCH] = {0};
    size_t written = 0;
    /* Slots stand in hash order, so the first ones are a fair sample of their part. */
    for (uint32_t which = MR_PART_SHORT; which <= MR_PART_LONG; which++) {
        mr_table_cursor cursor = {which, 0};
        uint64_t share = table->part[which].used;
        if (used > n)
            share = (uint64_t)((double)n * (double)share / (double)used);
        for (uint64_t taken = 0; taken < share && written < n; taken++) {
            size_t len;
            int64_t count;
            const uint8_t *key = mr_table_next(table, &cursor, scratch, &len, &count);
            words[written++] = mr_word_at(key, len, 0);
        }
    }
    return written;
}
