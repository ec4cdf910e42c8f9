#include "mr_record.h"

#define AHEAD 12 /* entries whose keys are prefetched */

mr_status mr_record_encode(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                           size_t *written, size_t *want)
{
    uint8_t *at = out, *end = out + room;
    size_t i = *next;
    mr_status status = MR_OK;
    for (; i < n; i++) {
        const mr_entry *entry = &entries[i];
        if (i + AHEAD < n)
            __builtin_prefetch((const void *)(uintptr_t)(entries[i + AHEAD].ref & 0xFFFFFFFFFFFFull));
        if (mr_word_is_whole(entry->word)) {
            if ((size_t)(end - at) < MR_RECORD_OVERHEAD + 8) {
                *want = MR_RECORD_OVERHEAD + 8;
                status = MR_NEED_FLUSH;
                break;
            }
            size_t len = mr_word_length(entry->word);
            *at++ = (uint8_t)len;
            mr_word_store(entry->word, at);
            at += len;
        } else {
            size_t len;
            const uint8_t *key = mr_ref_key(entry->ref, &len);
            if ((size_t)(end - at) < MR_RECORD_OVERHEAD || (size_t)(end - at) - MR_RECORD_OVERHEAD < len) {
                *want = len + MR_RECORD_OVERHEAD;
                status = MR_NEED_FLUSH;
                break;
            }
            at = mr_varint_put(at, len);
            memcpy(at, key, len);
            at += len;
        }
        at = mr_varint_put(at, mr_zigzag(entry->value));
    }
    *next = i;
    *written = (size_t)(at - out);
    return status;
}

mr_status mr_record_combine(mr_entry *entries, size_t *n)
{
    size_t kept = 0;
    for (size_t i = 1; i < *n; i++) {
        if (!mr_entry_same(&entries[kept], &entries[i]))
            entries[++kept] = entries[i];
        else if (__builtin_add_overflow(entries[kept].value, entries[i].value, &entries[kept].value))
            return MR_OVERFLOW;
    }
    if (*n)
        *n = kept + 1;
    return MR_OK;
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >>= 7)
        size++;
    return size;
}

/* The next posting of entries[*i, end), with the counts of its document added. */
static uint32_t next_posting(const mr_entry *entries, size_t *i, size_t end, uint64_t *count)
{
    uint32_t document = (uint32_t)((uint64_t)entries[*i].value >> 32);
    *count = 0;
    while (*i < end && (uint32_t)((uint64_t)entries[*i].value >> 32) == document)
        *count += (uint64_t)entries[(*i)++].value & 0xFFFFFFFF;
    return document;
}

/* The group of entries[i, end), all of one key; with out == NULL only its size. */
static size_t put_group(const mr_entry *entries, size_t i, size_t end, uint64_t documents, uint8_t *out)
{
    uint64_t count;
    uint32_t last = 0;
    size_t size = varint_size(documents);
    if (out)
        out = mr_varint_put(out, documents);
    while (i < end) {
        uint32_t document = next_posting(entries, &i, end, &count);
        if (out)
            out = mr_varint_put(mr_varint_put(out, document - last), count);
        else
            size += varint_size(document - last) + varint_size(count);
        last = document;
    }
    return size;
}

mr_status mr_record_encode_postings(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                    size_t *written, size_t *want, size_t *records)
{
    uint8_t *at = out;
    *written = *records = 0;
    while (*next < n) {
        size_t i = *next, end = i + 1, len;
        uint64_t documents = 0, count;
        uint8_t scratch[8];
        while (end < n && mr_entry_same(&entries[i], &entries[end]))
            end++;
        for (size_t j = i; j < end; documents++)
            next_posting(entries, &j, end, &count);
        size_t group = put_group(entries, i, end, documents, 0);
        const uint8_t *key = mr_entry_key(&entries[i], scratch, &len);
        *want = MR_RECORD_OVERHEAD + len + group;
        if (room - *written < *want)
            return MR_NEED_FLUSH;
        at = mr_varint_put(at, len);
        memcpy(at, key, len);
        at = mr_varint_put(at + len, group);
        put_group(entries, i, end, documents, at);
        at += group;
        *next = end;
        *written = (size_t)(at - out);
        ++*records;
    }
    return MR_OK;
}

/* The value whose length stands at the address that an entry holds. */
static const uint8_t *value_of(const mr_entry *entry, size_t *len)
{
    const uint8_t *at = (const uint8_t *)(uintptr_t)entry->value;
    uint64_t size = 0;
    for (int shift = 0;; shift += 7) { /* written by mr_radix.c: sound */
        uint8_t byte = *at++;
        size |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    *len = (size_t)size;
    return at;
}

mr_status mr_record_encode_values(const mr_entry *entries, size_t n, size_t *next, uint8_t *out, size_t room,
                                  size_t *written, size_t *want, size_t *records)
{
    uint8_t *at = out;
    *written = *records = 0;
    while (*next < n) {
        size_t i = *next, end = i + 1, len, size, more;
        uint8_t scratch[8];
        value_of(&entries[i], &size);
        for (; end < n && mr_entry_same(&entries[i], &entries[end]); end++) {
            value_of(&entries[end], &more);
            if (size + more > MR_RECORD_VALUES)
                break;
            size += more;
        }
        const uint8_t *key = mr_entry_key(&entries[i], scratch, &len);
        *want = MR_RECORD_OVERHEAD + len + size;
        if (room - *written < *want)
            return MR_NEED_FLUSH;
        at = mr_varint_put(at, len);
        memcpy(at, key, len);
        at = mr_varint_put(at + len, size);
        for (; i < end; i++) {
            const uint8_t *value = value_of(&entries[i], &more);
            memcpy(at, value, more);
            at += more;
        }
        *next = end;
        *written = (size_t)(at - out);
        ++*records;
    }
    return MR_OK;
}
