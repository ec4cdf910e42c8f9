/* Posting lists of an inverted index: which documents a word stands in, and how often.
 *
 *   value    := group+
 *   group    := documents first posting*    documents: LEB128 (mr_record.h), at least 1
 *   first    := document count              the document's id, LEB128
 *   posting  := delta count                 delta: to the document before, LEB128, at least 1
 *   count    := LEB128, from 1 to 2^63 - 1
 *
 * Ids are below 2^32. Inside a group they ascend, so small gaps are stored in place of large
 * ids (Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", section 5.3.1).
 * A group stands for itself: joining two runs' lists is joining their bytes, and a merge needs
 * to know nothing of them. The first id of a later group is not below the last id of the
 * earlier one; where the two are equal, a document was cut into two splits, and its counts are
 * added. Ids that descend are MR_CORRUPT, a sum past int64 is MR_OVERFLOW.
 *
 * Packing makes one group of many: first ids become deltas, equal neighbours one posting.
 * The result is never longer than the input. With |n| the bytes of n's shortest form,
 * |a + b| <= max(|a|, |b|) + 1 <= |a| + |b|. So the number of documents takes no more bytes
 * than the groups' numbers together, an added count no more than its parts, and a delta no
 * more than the id that it replaces. While it is made, the body stands behind room for the
 * longest head, which costs MR_POSTINGS_HEAD bytes more and saves a pass that only counts.
 *
 * Formatting makes text of blocks of bytes records: word TAB file , file , ... LF, each file
 * with `:count` behind it if asked. A posting is held until the next is known: it may be added
 * to, and the last of a line ends in LF and not in a comma. So all output is a long piece (a
 * word or a path) and a short tail behind it. Where the room allows, both are written at once,
 * a piece of up to 64 bytes as two stores of 32 that overlap, without a branch on its length;
 * otherwise they are kept in the state and go out as far as they fit, now and in later calls.
 */
#ifndef MR_POSTINGS_H
#define MR_POSTINGS_H

#include "mr_record.h"
#include "mr_status.h"

#define MR_POSTINGS_ONE_MAX 15  /* bytes of a group of one posting                    */
#define MR_POSTINGS_HEAD 5      /* bytes of the largest number of documents, 2^32     */
#define MR_POSTINGS_SPARE 32    /* readable bytes behind the last path                */
#define MR_POSTINGS_A_CALL (1u << 20) /* postings that one call formats: some 10 ms   */

/* What is wrong with a value, beside MR_CORRUPT. */
typedef enum {
    MR_POSTINGS_SOUND = 0,
    MR_POSTINGS_RECORD = 1,   /* a record whose lengths leave its block          */
    MR_POSTINGS_NUMBER = 2,   /* a number that is cut off or too large           */
    MR_POSTINGS_EMPTY = 3,    /* a value without a group, a group of no postings */
    MR_POSTINGS_ORDER = 4,    /* ids that do not ascend                          */
    MR_POSTINGS_DOCUMENT = 5, /* an id that no document has                      */
    MR_POSTINGS_COUNT = 6     /* a count of 0, or past int64                     */
} mr_postings_fault;

/* Walks over the postings of a value; zeroed at its beginning. */
typedef struct {
    uint64_t left;     /* postings of the group that are still to be read */
    uint64_t document; /* the posting that was read last                  */
    int64_t count;
    mr_postings_fault fault;
} mr_postings_cursor;

/* Writes a group of one posting, at most MR_POSTINGS_ONE_MAX bytes; count >= 1. Byte after it. */
static inline uint8_t *mr_postings_put_one(uint8_t *out, uint32_t document, int64_t count)
{
    *out++ = 1;
    return mr_varint_put(mr_varint_put(out, document), (uint64_t)count);
}

/* Most numbers of a list are below 128. */
static inline const uint8_t *mr_postings_number(const uint8_t *in, const uint8_t *end, uint64_t *value)
{
    if (in < end && *in < 0x80) {
        *value = *in;
        return in + 1;
    }
    return mr_varint_get(in, end, value);
}

/* Reads the posting at `in`. Byte after it, or NULL and the cursor's fault. The value is at
 * its end when that byte is `end` and nothing is left. A document that was the last of the
 * group before is given again: its counts are the caller's to add. */
static inline const uint8_t *mr_postings_next(mr_postings_cursor *cursor, const uint8_t *in, const uint8_t *end)
{
    uint64_t delta, count, before = cursor->document;
    cursor->fault = MR_POSTINGS_NUMBER;
    if (cursor->left) {
        if (!(in = mr_postings_number(in, end, &delta)))
            return 0;
        cursor->fault = MR_POSTINGS_ORDER;
        if (!delta)
            return 0;
        cursor->fault = MR_POSTINGS_DOCUMENT;
        if (delta > UINT32_MAX - before)
            return 0;
        cursor->document = before + delta;
    } else {
        if (!(in = mr_postings_number(in, end, &cursor->left)))
            return 0;
        cursor->fault = MR_POSTINGS_EMPTY;
        if (!cursor->left)
            return 0;
        cursor->fault = MR_POSTINGS_NUMBER;
        if (!(in = mr_postings_number(in, end, &delta)))
            return 0;
        cursor->fault = delta < before ? MR_POSTINGS_ORDER : MR_POSTINGS_DOCUMENT;
        if (delta < before || delta > UINT32_MAX)
            return 0;
        cursor->document = delta;
    }
    cursor->fault = MR_POSTINGS_NUMBER;
    if (!(in = mr_postings_number(in, end, &count)))
        return 0;
    cursor->fault = MR_POSTINGS_COUNT;
    if (!count || count > INT64_MAX)
        return 0;
    cursor->fault = MR_POSTINGS_SOUND;
    cursor->count = (int64_t)count;
    cursor->left--;
    return in;
}

/* Rewrites a value as one group whose ids ascend, equal neighbours added. `out` has
 * len + MR_POSTINGS_HEAD bytes and does not overlap the value; *out_len is at most len. One
 * pass of a few ns a posting, in one call. MR_CORRUPT, MR_OVERFLOW: `out` holds nonsense. */
mr_status mr_postings_pack(const uint8_t *value, size_t len, uint8_t *out, size_t *out_len);

/* Blocks as text. The caller sets the first four and zeroes the rest; before the first block,
 * after the last, and after an error, zeroing the rest starts anew. */
typedef struct {
    const uint8_t *paths;   /* one behind the other, then MR_POSTINGS_SPARE bytes   */
    const uint64_t *offset; /* path d is paths[offset[d], offset[d + 1])            */
    uint64_t documents;     /* paths; ids are below                                 */
    int with_counts;

    size_t at;              /* in the block: what is still to be read               */
    size_t value_end;       /* of the current record; 0: between records            */
    size_t key_at, key_len; /* its key, in the block                                */
    mr_postings_cursor cursor;
    uint64_t held;          /* the document that was read and not yet written       */
    int64_t held_count;     /* 0: none is held                                      */
    const uint8_t *piece;   /* output that did not fit: a piece of block or paths   */
    size_t piece_left;
    uint8_t tail[24];       /* and what follows it, tail[tail_at, tail_end)         */
    size_t tail_at, tail_end;
} mr_postings_text;

/* Formats the bytes records of a block, which hold whole records, and goes on where it was.
 * Every call writes out[0, *written).
 * MR_OK: the block is used up and all its text is written; the next block may come.
 * MR_NEED_FLUSH: out is full, or MR_POSTINGS_A_CALL postings were read (*written may be 0, when
 * all were added to one); call again with the same block, in the same place.
 * MR_CORRUPT: cursor.fault says what, `at` where in the block, the key whose. MR_OVERFLOW: a
 * count left int64. Text in front of the fault may be written already. */
mr_status mr_postings_format(mr_postings_text *text, const uint8_t *block, size_t len, uint8_t *out, size_t room,
                             size_t *written);

#endif
