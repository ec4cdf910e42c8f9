/* Which partition a key belongs to.
 *
 * By hash, xxh3_64(key) % count: what a reducer of a part file sees. Or by range, with
 * count - 1 ascending splitters: partition p holds the keys k with splitter[p - 1] <= k <
 * splitter[p], so that the partitions one after the other are the whole in order.
 */
#ifndef MR_PARTITION_H
#define MR_PARTITION_H

#include "mr_hash.h"
#include "mr_key.h"

typedef struct {
    uint32_t count;            /* partitions, at least 1                          */
    const mr_entry *splitters; /* count - 1 of them, ascending; NULL: by hash     */
} mr_partitioner;

static inline int mr_entry_before(const mr_entry *a, const mr_entry *b)
{
    if (a->word != b->word)
        return a->word < b->word;
    if (mr_word_is_whole(a->word))
        return 0;
    if (a->next != b->next)
        return a->next < b->next;
    if (mr_word_is_whole(a->next))
        return 0;
    size_t a_len, b_len;
    const uint8_t *a_key = mr_ref_key(a->ref, &a_len), *b_key = mr_ref_key(b->ref, &b_len);
    return mr_bytes_compare(a_key + 2 * MR_WORD_BYTES, a_len - 2 * MR_WORD_BYTES, b_key + 2 * MR_WORD_BYTES,
                            b_len - 2 * MR_WORD_BYTES) < 0;
}

/* Partition of an entry by range: the number of splitters that are not above it. */
static inline uint32_t mr_partition_range(const mr_partitioner *partitioner, const mr_entry *entry)
{
    uint32_t low = 0, high = partitioner->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mr_entry_before(entry, &partitioner->splitters[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static inline uint32_t mr_partition_hash(const mr_partitioner *partitioner, uint64_t hash)
{
    return (uint32_t)(hash % partitioner->count);
}

#endif
