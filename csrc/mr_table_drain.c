/* Draining the combiner table (mr_table.h): its slots as entries, grouped by partition. */
#include "mr_table.h"

#define DRAIN_AHEAD 16 /* slots whose keys are prefetched */

/* Visits the occupied slots of one part, always in the same order. */
#define FOR_SLOTS(type, slot, table, which)                                                        \
    for (const type *slot = (table)->part[which].slots,                                            \
                    *slots_end = slot + ((uint64_t)1 << (table)->part[which].bits);                \
         slot < slots_end; slot++)

static inline mr_entry entry_of_middle(const mr_slot_middle *slot)
{
    size_t len = slot->key[15], left = len - MR_WORD_BYTES;
    uint64_t next = mr_load64_be(slot->key + MR_WORD_BYTES); /* the zeros after the key pad it */
    next = (next & ~(uint64_t)0xFF) | (left < 8 ? left + 1 : MR_WORD_MORE);
    return (mr_entry){(mr_load64_be(slot->key) & ~(uint64_t)0xFF) | MR_WORD_MORE, next,
                      (uint64_t)len << 48 | (uint64_t)(uintptr_t)slot->key, slot->count};
}

static inline mr_entry entry_of_long(const mr_slot_long *slot)
{
    const uint8_t *key = (const uint8_t *)(uintptr_t)(slot->ref & 0xFFFFFFFFFFFFull);
    uint64_t next = (mr_load64_be(key + MR_WORD_BYTES) & ~(uint64_t)0xFF) | MR_WORD_MORE;
    return (mr_entry){(mr_load64_be(key) & ~(uint64_t)0xFF) | MR_WORD_MORE, next, slot->ref, slot->count};
}

/* Long keys lie anywhere in the arena: asks for one some slots ahead. */
static inline void prefetch_long(const mr_slot_long *slot, const mr_slot_long *end)
{
    if (slot + DRAIN_AHEAD < end)
        __builtin_prefetch((const void *)(uintptr_t)(slot[DRAIN_AHEAD].ref & 0xFFFFFFFFFFFFull));
}

static void find_partitions_by_hash(const mr_table *table, const mr_partitioner *by, uint32_t *partition_of)
{
    FOR_SLOTS(mr_slot_short, slot, table, MR_PART_SHORT) {
        if (slot->word) {
            uint8_t key[8];
            mr_word_store(slot->word, key);
            *partition_of++ = mr_partition_hash(by, mr_hash_xxh3(key, mr_word_length(slot->word), 0));
        }
    }
    FOR_SLOTS(mr_slot_middle, slot, table, MR_PART_MIDDLE)
        if (slot->key[15])
            *partition_of++ = mr_partition_hash(by, mr_hash_xxh3(slot->key, slot->key[15], 0));
    FOR_SLOTS(mr_slot_long, slot, table, MR_PART_LONG)
        if (slot->ref)
            *partition_of++ = mr_partition_hash(by, slot->hash);
}

static void find_partitions_by_range(const mr_table *table, const mr_partitioner *by, uint32_t *partition_of)
{
    FOR_SLOTS(mr_slot_short, slot, table, MR_PART_SHORT)
        if (slot->word)
            *partition_of++ = mr_partition_range(by, &(mr_entry){slot->word, 0, 0, 0});
    FOR_SLOTS(mr_slot_middle, slot, table, MR_PART_MIDDLE) {
        if (slot->key[15]) {
            mr_entry entry = entry_of_middle(slot);
            *partition_of++ = mr_partition_range(by, &entry);
        }
    }
    FOR_SLOTS(mr_slot_long, slot, table, MR_PART_LONG) {
        prefetch_long(slot, slots_end);
        if (slot->ref) {
            mr_entry entry = entry_of_long(slot);
            *partition_of++ = mr_partition_range(by, &entry);
        }
    }
}

void mr_table_drain(const mr_table *table, const mr_partitioner *partitioner, mr_entry *entries,
                    uint32_t *partition_of, uint64_t *offset)
{
    uint64_t n = mr_table_used(table);
    memset(offset, 0, ((size_t)partitioner->count + 1) * sizeof *offset);
    if (!n)
        return; /* then the buffers may be NULL, which memset() must not get even for no bytes */
    if (partitioner->count == 1)
        memset(partition_of, 0, n * sizeof *partition_of);
    else if (partitioner->splitters)
        find_partitions_by_range(table, partitioner, partition_of);
    else
        find_partitions_by_hash(table, partitioner, partition_of);

    for (uint64_t i = 0; i < n; i++)
        offset[partition_of[i] + 1]++;
    for (uint32_t p = 0; p < partitioner->count; p++)
        offset[p + 1] += offset[p];

    FOR_SLOTS(mr_slot_short, slot, table, MR_PART_SHORT)
        if (slot->word)
            entries[offset[*partition_of++]++] = (mr_entry){slot->word, 0, 0, slot->count};
    FOR_SLOTS(mr_slot_middle, slot, table, MR_PART_MIDDLE)
        if (slot->key[15])
            entries[offset[*partition_of++]++] = entry_of_middle(slot);
    FOR_SLOTS(mr_slot_long, slot, table, MR_PART_LONG) {
        prefetch_long(slot, slots_end);
        if (slot->ref)
            entries[offset[*partition_of++]++] = entry_of_long(slot);
    }

    /* Each offset now stands at its partition's end: it is the next one's begin. */
    memmove(offset + 1, offset, partitioner->count * sizeof *offset);
    offset[0] = 0;
}
