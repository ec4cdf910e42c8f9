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
