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

/* Where partition p ends among sorted entries that begin in it or after it. */
static inline size_t mr_partition_end(const mr_partitioner *partitioner, uint32_t p, const mr_entry *entries, size_t n)
{
    size_t low = 0, high = n;
    if (!partitioner->splitters || p + 1 >= partitioner->count)
        return n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mr_entry_before(&entries[middle], &partitioner->splitters[p]))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
