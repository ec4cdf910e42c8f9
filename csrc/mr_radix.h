/* The sort buffer: records scattered by partition and key range, to be sorted in the cache.
 *
 * A record goes to one of many buckets: its partition (mr_partition.h) and, inside that, a
 * range of prefix words (mr_key.h) between two splitters, which are quantiles of a sample.
 * Since the ranges ascend, sorting the buckets one after the other sorts the whole, and a
 * bucket of some ten thousand records is sorted inside the L2 cache, where a table of as many
 * distinct keys as the text has tokens would miss it with every one (the partitioning of a
 * radix join: Boncz, Manegold and Kersten, "Database architecture optimized for the new
 * bottleneck", VLDB 1999; of aggregation: Mueller et al., SIGMOD 2015).
 *
 * A bucket is a chain of chunks of one pool, so that no bucket's size has to be known; the
 * chunks of a bucket that was written alone are used again. A range is found with one look at
 * a table indexed by the word's first two bytes and a short walk from there; where many ranges
 * begin with the same two bytes, by halving.
 *
 *   record := length:LEB128 [length:u64 when >= MR_REF_LONG] key value
 *   value  := LEB128 of the zigzag count                      (MR_VALUE_SUM)
 *           | LEB128 of the document, LEB128 of the count     (MR_VALUE_POSTING)
 *           | length:LEB128 bytes                             (MR_VALUE_BYTES)
 *
 * The key stands in the pool as mr_ref wants it, so entries point straight at it.
 * A record larger than a chunk takes several that are adjacent.
 */
#ifndef MR_RADIX_H
#define MR_RADIX_H

#include "mr_key.h"
#include "mr_partition.h"
#include "mr_record.h"
#include "mr_status.h"
#include "mr_table.h"
#include "mr_tokenize.h"

#define MR_RADIX_CHUNK 4096    /* bytes, with its header                                   */
#define MR_RADIX_SLACK 64      /* bytes behind the pool that may be read and written       */
#define MR_RADIX_KEY_MAX 2048  /* longer tokens are left to the table, which takes any     */
#define MR_RADIX_NONE 0xFFFFFFFFu

typedef struct {
    uint8_t *at, *end;    /* room in the newest chunk                  */
    uint32_t first, last; /* chunks; MR_RADIX_NONE: the bucket is empty */
    uint64_t bytes;       /* in the chunks before the newest           */
} mr_bucket;

typedef struct {
    uint8_t *pool;               /* chunks of MR_RADIX_CHUNK, and MR_RADIX_SLACK bytes more     */
    uint32_t chunks;             /* that may be used now; the pool may hold more                */
    uint32_t used;               /* chunks that were handed out from the pool's front           */
    uint32_t spare;              /* chain of chunks given back                                  */
    uint32_t spares;             /* how many                                                    */
    mr_bucket *buckets;          /* hashed * ranges of them                                     */
    uint32_t hashed;             /* partitions by hash; 1: none                                 */
    uint32_t ranges;             /* key ranges of each                                          */
    const uint64_t *splitters;   /* ranges - 1 words, ascending                                 */
    uint16_t *first_range;       /* 65536 of them: the first range of words with these two bytes */
    mr_value_kind kind;
    uint8_t tag;                 /* of bytes: stands before a table's count                     */
    uint64_t tokens;             /* fed since mr_radix_clear()                                  */
    size_t long_size;            /* with MR_NEED_ROOM of a feed: of the token for the table, or 0 */
} mr_radix;

/* Where a walk through a bucket has come to; zeroed: the begin. */
typedef struct {
    const uint8_t *at, *end;
    uint32_t chunk; /* the next one            */
    int begun;
} mr_radix_cursor;

#define MR_RADIX_RANGES_MAX 4096

/* Fills first_range from splitters. All buckets must be empty. */
void mr_radix_index(mr_radix *radix);

/* Empties all buckets and gives every chunk back. */
void mr_radix_clear(mr_radix *radix);

/* Empties one bucket and gives its chunks back. */
void mr_radix_clear_bucket(mr_radix *radix, uint32_t bucket);

/* Adds each token of text[0, len) with the value 1; as mr_table_feed(). MR_NEED_ROOM, with
 * *consumed at the token that is next: no chunk is left, or the token of long_size bytes there
 * is the table's. */
mr_status mr_radix_feed(mr_radix *radix, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final,
                        int lower, size_t *consumed);

/* Adds the keys of a table from *cursor on, with their counts; for postings with `document`
 * too, for bytes as `tag` and the LEB128 of the zigzag count. MR_NEED_ROOM: no chunk is left; the
 * cursor stands at the key that is next, and *want is the chunks that it needs. Returns MR_OK at
 * the table's end. */
mr_status mr_radix_take(mr_radix *radix, const mr_table *table, uint32_t document, mr_table_cursor *cursor,
                        uint32_t *want);

#define MR_RADIX_ADD_SLACK 16 /* bytes that must be readable from a key on, however short it is */

/* Adds a record of bytes. MR_NEED_ROOM: no chunk is left, and *want is the chunks that it needs. */
mr_status mr_radix_add(mr_radix *radix, const uint8_t *key, size_t len, const uint8_t *value, size_t value_len,
                       uint32_t *want);

/* The next up to `room` records of a bucket as entries that point into the pool, in the order
 * they were added; how many. A posting's value is document << 32 | count,
 * one of bytes the address of its length. */
size_t mr_radix_load(const mr_radix *radix, uint32_t bucket, mr_radix_cursor *cursor, mr_entry *entries, size_t room);

/* Has the walk come to the bucket's end? */
int mr_radix_at_end(const mr_radix *radix, uint32_t bucket, const mr_radix_cursor *cursor);

/* Bytes of the pool that a bucket takes. */
uint64_t mr_radix_size(const mr_radix *radix, uint32_t bucket);

#endif
