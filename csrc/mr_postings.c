#include "mr_postings.h"

#define SHORT_MAX (2 * MR_POSTINGS_SPARE) /* bytes of a piece that two stores of half as many cover */
#define TAIL_MAX 21                       /* colon, 19 digits, and a comma, TAB or LF               */

mr_status mr_postings_pack(const uint8_t *value, size_t len, uint8_t *out, size_t *out_len)
{
    const uint8_t *in = value, *end = value + len;
    uint8_t *at = out + MR_POSTINGS_HEAD, head[10];
    mr_postings_cursor cursor = {0};
    uint64_t documents = 0;
    int64_t count = 0; /* of the document whose delta stands in `out` already; 0 at first */
    do {
        uint64_t before = cursor.document;
        if (!(in = mr_postings_next(&cursor, in, end)))
            return MR_CORRUPT;
        if (count && cursor.document == before) {
            if (__builtin_add_overflow(count, cursor.count, &count))
                return MR_OVERFLOW;
            continue;
        }
        if (count)
            at = mr_varint_put(at, (uint64_t)count);
        at = mr_varint_put(at, cursor.document - before);
        count = cursor.count;
        documents++;
    } while (in < end || cursor.left);
    at = mr_varint_put(at, (uint64_t)count);
    size_t head_size = (size_t)(mr_varint_put(head, documents) - head);
    size_t body = (size_t)(at - (out + MR_POSTINGS_HEAD));
    memcpy(out, head, head_size);
    memmove(out + head_size, out + MR_POSTINGS_HEAD, body);
    *out_len = head_size + body;
    return MR_OK;
}

/* What one call may still do. */
typedef struct {
    uint8_t *at, *end;
    size_t postings;
} sink;

static uint8_t *put_decimal(uint8_t *out, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (uint8_t)('0' + value % 10);
    while (value /= 10);
    memcpy(out, digits + at, sizeof digits - at);
    return out + (sizeof digits - at);
}

/* What follows a piece: its count, unless that is 0, and a mark. */
static inline uint8_t *put_tail(uint8_t *out, int64_t count, uint8_t mark)
{
    if (count) {
        *out++ = ':';
        if (count < 10)
            *out++ = (uint8_t)('0' + count);
        else
            out = put_decimal(out, (uint64_t)count);
    }
    *out++ = mark;
    return out;
}

/* Moves up to *left bytes of `from` into the output. How many. */
static size_t put_some(sink *sink, const uint8_t *from, size_t left)
{
    size_t room = (size_t)(sink->end - sink->at), size = left < room ? left : room;
    if (size) /* else `from` may be NULL */
        memcpy(sink->at, from, size);
    sink->at += size;
    return size;
}

/* Writes what did not fit before. MR_NEED_FLUSH when it still does not. */
static mr_status put_rest(mr_postings_text *text, sink *sink)
{
    size_t size = put_some(sink, text->piece, text->piece_left);
    if (text->piece_left -= size) {
        text->piece += size;
        return MR_NEED_FLUSH;
    }
    text->tail_at += put_some(sink, text->tail + text->tail_at, text->tail_end - text->tail_at);
    return text->tail_at < text->tail_end ? MR_NEED_FLUSH : MR_OK;
}

/* Writes a piece and its tail; from the piece's first byte on `readable` bytes can be read, or
 * `len` if that is more. What does not fit is kept: with MR_NEED_FLUSH, too, it is dealt with. */
static inline mr_status put(mr_postings_text *text, sink *sink, const uint8_t *piece, size_t len, size_t readable,
                            int64_t count, uint8_t mark)
{
    if (len <= SHORT_MAX && readable >= MR_POSTINGS_SPARE && sink->end - sink->at >= SHORT_MAX + TAIL_MAX) {
        size_t second = len > MR_POSTINGS_SPARE ? len - MR_POSTINGS_SPARE : 0;
        memcpy(sink->at, piece, MR_POSTINGS_SPARE);
        memcpy(sink->at + second, piece + second, MR_POSTINGS_SPARE);
        sink->at = put_tail(sink->at + len, count, mark);
        return MR_OK;
    }
    text->piece = piece;
    text->piece_left = len;
    text->tail_at = 0;
    text->tail_end = (size_t)(put_tail(text->tail, count, mark) - text->tail);
    return put_rest(text, sink);
}

static inline mr_status put_file(mr_postings_text *text, sink *sink, uint64_t document, int64_t count, uint8_t mark)
{
    uint64_t from = text->offset[document];
    size_t len = (size_t)(text->offset[document + 1] - from);
    return put(text, sink, text->paths + from, len, MR_POSTINGS_SPARE, text->with_counts ? count : 0, mark);
}

/* Begins the record at `at`: its word and TAB. */
static mr_status format_key(mr_postings_text *text, const uint8_t *block, size_t len, sink *sink)
{
    const uint8_t *key, *value;
    size_t key_len, value_len;
    text->key_at = text->key_len = 0;
    if (!mr_record_decode_bytes(block + text->at, block + len, &key, &key_len, &value, &value_len)) {
        text->cursor.fault = MR_POSTINGS_RECORD;
        return MR_CORRUPT;
    }
    text->key_at = (size_t)(key - block);
    text->key_len = key_len;
    text->at = (size_t)(value - block);
    text->value_end = text->at + value_len;
    text->cursor = (mr_postings_cursor){0};
    text->held_count = 0;
    return put(text, sink, key, key_len, (size_t)(block + len - key), 0, '\t');
}

/* Reads and writes postings of the current value, but not the last one, which stays held. */
static mr_status format_postings(mr_postings_text *text, const uint8_t *block, sink *sink)
{
    const uint8_t *in = block + text->at, *end = block + text->value_end, *after;
    mr_postings_cursor cursor = text->cursor;
    uint64_t held = text->held;
    int64_t held_count = text->held_count;
    mr_status status = MR_OK;
    while (!status && (in < end || cursor.left)) {
        if (!sink->postings) {
            status = MR_NEED_FLUSH;
            break;
        }
        sink->postings--;
        if (!(after = mr_postings_next(&cursor, in, end))) {
            status = MR_CORRUPT;
            break;
        }
        if (cursor.document >= text->documents) {
            cursor.fault = MR_POSTINGS_DOCUMENT;
            status = MR_CORRUPT;
            break;
        }
        in = after;
        if (held_count && cursor.document == held) {
            if (__builtin_add_overflow(held_count, cursor.count, &held_count))
                status = MR_OVERFLOW;
            continue;
        }
        if (held_count)
            status = put_file(text, sink, held, held_count, ',');
        held = cursor.document;
        held_count = cursor.count;
    }
    text->at = (size_t)(in - block);
    text->cursor = cursor;
    text->held = held;
    text->held_count = held_count;
    return status;
}

/* Ends the current record: its last file and LF. */
static mr_status format_last(mr_postings_text *text, sink *sink)
{
    if (!text->held_count) { /* a value of no bytes */
        text->cursor.fault = MR_POSTINGS_EMPTY;
        return MR_CORRUPT;
    }
    text->value_end = 0;
    return put_file(text, sink, text->held, text->held_count, '\n');
}

mr_status mr_postings_format(mr_postings_text *text, const uint8_t *block, size_t len, uint8_t *out, size_t room,
                             size_t *written)
{
    sink sink = {out, out + room, MR_POSTINGS_A_CALL};
    mr_status status = put_rest(text, &sink);
    while (!status && (text->value_end || text->at < len)) {
        if (!text->value_end)
            status = format_key(text, block, len, &sink);
        if (!status)
            status = format_postings(text, block, &sink);
        if (!status)
            status = format_last(text, &sink);
    }
    if (!status)
        text->at = 0;
    *written = (size_t)(sink.at - out);
    return status;
}
