/* Records: the bytes of one (key, value) pair inside a block of a run file.
 *
 *   record := length key value
 *   length := LEB128, the key's size in bytes
 *   value  := LEB128 of the zigzag form of an int64 ((v << 1) ^ (v >> 63))     (MR_VALUE_SUM)
 *           | LEB128 of the groups' size in bytes, posting groups      (MR_VALUE_POSTING)
 *           | LEB128 of the values' size in bytes, values            (MR_VALUE_BYTES)
 *
 * Posting groups are those of mr_postings.h. Values are byte strings that know their own end; a
 * record holds some of its key's, and a key may have several records, whose order is the values'.
 * All records of a file are of one kind.
 *
 * LEB128 is DWARF 5's unsigned form (section 7.6): seven bits a byte, the lowest first, the
 * top bit set on all but the last; at most ten bytes, and no more than 64 bits.
 *
 * Where values are byte strings, a block holds bytes records instead:
 *
 *   bytes record := length key length value
 */
#ifndef MR_RECORD_H
#define MR_RECORD_H

#include "mr_key.h"
#include "mr_status.h"

typedef enum { MR_VALUE_SUM = 0, MR_VALUE_POSTING = 1, MR_VALUE_BYTES = 2 } mr_value_kind;

#define MR_RECORD_OVERHEAD 20 /* bytes that a record takes at most beside its key */

static inline uint8_t *mr_varint_put(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* Byte after the number, or NULL when it is cut off by `end` or too large. */
static inline const uint8_t *mr_varint_get(const uint8_t *in, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (int shift = 0; in < end && shift < 64; shift += 7) {
        uint8_t byte = *in++;
        if (shift == 63 && byte > 1)
            return 0;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            return in;
        }
    }
    return 0;
}

static inline uint64_t mr_zigzag(int64_t value) { return ((uint64_t)value << 1) ^ (value < 0 ? ~(uint64_t)0 : 0); }

static inline int64_t mr_unzigzag(uint64_t coded) { return (int64_t)(coded >> 1) ^ -(int64_t)(coded & 1); }

/* a + b in *sum, and 1; 0, and *sum as it was, when that would leave int64. */
static inline int mr_int64_add(int64_t a, int64_t b, int64_t *sum)
{
    int64_t added;
    if (__builtin_add_overflow(a, b, &added))
        return 0;
    *sum = added;
    return 1;
}

/* Encodes entries[*next, n) until `out` is full. MR_NEED_FLUSH: take out[0, *written) away
 * and call again; with *written == 0 the next record alone needs *want bytes. */
mr_status mr_record_encode(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                           size_t *written, size_t *want);

/* The same for postings, whose entries' values are document << 32 | count: entries of one key
 * become one record with one group, counts of the same document added. Entries of a key stand
 * with their documents ascending. *records: how many were written. */
mr_status mr_record_encode_postings(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                    size_t *written, size_t *want, size_t *records);

#define MR_RECORD_VALUES 16384 /* bytes of values up to which those of one key share a record */

/* The same for bytes, whose entries' values are the addresses of LEB128 lengths, each before its
 * value: entries of one key share a record as long as its values stay below MR_RECORD_VALUES. */
mr_status mr_record_encode_values(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                  size_t *written, size_t *want, size_t *records);

/* Adds the values of neighbours with the same key. MR_OVERFLOW: a sum left int64. */
mr_status mr_record_combine(mr_entry *entries, size_t *n);

/* Decodes the record at `in`; *key points into the input. Byte after it, or NULL. */
static inline const uint8_t *mr_record_decode(const uint8_t *in, const uint8_t *end, const uint8_t **key, size_t *len,
                                              int64_t *value)
{
    uint64_t size, coded;
    in = mr_varint_get(in, end, &size);
    if (!in || size > (uint64_t)(end - in))
        return 0;
    *key = in;
    *len = (size_t)size;
    in = mr_varint_get(in + size, end, &coded);
    if (in)
        *value = mr_unzigzag(coded);
    return in;
}

/* The same of a record whose value is bytes; *value points into the input too. */
static inline const uint8_t *mr_record_decode_bytes(const uint8_t *in, const uint8_t *end, const uint8_t **key,
                                                    size_t *len, const uint8_t **value, size_t *value_len)
{
    uint64_t size, value_size;
    in = mr_varint_get(in, end, &size);
    if (!in || size > (uint64_t)(end - in))
        return 0;
    *key = in;
    *len = (size_t)size;
    in = mr_varint_get(in + size, end, &value_size);
    if (!in || value_size > (uint64_t)(end - in))
        return 0;
    *value = in;
    *value_len = (size_t)value_size;
    return in + value_size;
}

#endif
