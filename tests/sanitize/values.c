/* The sort buffer with values of bytes: added, full, sorted and encoded; each key's come back in their order. */
#include "driver.h"

#include "mr_radix.h"

static mr_radix *open_radix(dice *dice)
{
    mr_radix *radix = memset(fresh(sizeof *radix), 0, sizeof *radix);
    radix->kind = MR_VALUE_BYTES;
    radix->hashed = 1 + (uint32_t)roll(dice, 6);
    radix->ranges = 1;
    radix->chunks = 20 + (uint32_t)roll(dice, 100);
    radix->pool = fresh((size_t)radix->chunks * MR_RADIX_CHUNK + MR_RADIX_SLACK);
    radix->buckets = fresh(radix->hashed * sizeof *radix->buckets);
    radix->first_range = fresh(65536 * sizeof *radix->first_range);
    mr_radix_clear(radix);
    mr_radix_index(radix);
    return radix;
}

#define VALUED 20

/* Values say which of its key's they are, as a byte of length, a number, and filler; all come back, in order. */
typedef struct {
    uint8_t *key[VALUED];
    size_t len[VALUED];
    uint32_t added[VALUED], found[VALUED];
} valued;

static void check_found(valued *valued, const uint8_t *key, size_t len, const uint8_t *at, size_t size)
{
    size_t i = 0;
    while (i < VALUED && (valued->len[i] != len || memcmp(valued->key[i], key, len)))
        i++;
    CHECK(i < VALUED && size);
    for (const uint8_t *end = at + size; at < end; at += 5 + at[0]) {
        uint32_t number;
        CHECK(end - at >= 5 && (size_t)(end - at) >= 5 + (size_t)at[0]);
        memcpy(&number, at + 1, 4);
        CHECK(number == valued->found[i]++);
    }
}

static void encode_valued(dice *dice, valued *valued, mr_entry *entries, size_t n)
{
    size_t next = 0, written, want = 0, records, room = 1 + roll(dice, 3000);
    mr_entry *scratch = fresh(n * sizeof *scratch);
    mr_sort_entries(entries, n, scratch);
    free(scratch);
    for (mr_status status = MR_NEED_FLUSH; status == MR_NEED_FLUSH;) {
        uint8_t *out = fresh(room);
        status = mr_record_encode_values(entries, n, &next, out, room, &written, &want, &records);
        CHECK(written <= room && (status == MR_OK || written || want > room));
        for (const uint8_t *at = out; at < out + written; records--) {
            const uint8_t *key, *value;
            size_t len, size;
            at = mr_record_decode_bytes(at, out + written, &key, &len, &value, &size);
            CHECK(at);
            check_found(valued, key, len, value, size);
        }
        CHECK(!records);
        free(out);
        room = status && !written ? want : room;
    }
    CHECK(next == n);
}

static void empty_valued(mr_radix *radix, dice *dice, valued *valued)
{
    for (uint32_t bucket = 0; bucket < radix->hashed; bucket++) {
        mr_radix_cursor cursor = {0};
        size_t room = 1 + roll(dice, 300), n;
        do {
            mr_entry *entries = fresh(room * sizeof *entries);
            n = mr_radix_load(radix, bucket, &cursor, entries, room);
            encode_valued(dice, valued, entries, n);
            free(entries);
        } while (n == room);
    }
    mr_radix_clear(radix);
}

static void values_round(dice *dice)
{
    static const size_t lens[VALUED] = {0, 1, 6, 7, 8, 9, 15, 16, 17, 2048, 2049, 4090, 4096, 65534, 65535, 65536, 70000};
    mr_radix *radix = open_radix(dice);
    valued valued = {0};
    for (size_t i = 0; i < VALUED; i++) {
        valued.len[i] = i < 17 ? lens[i] : 20 + i;
        size_t readable = valued.len[i] < MR_RADIX_ADD_SLACK ? MR_RADIX_ADD_SLACK : valued.len[i];
        valued.key[i] = memset(fresh(readable), (int)('a' + i % 3), readable);
    }
    for (int round = 0; round < 3000; round++) {
        size_t i = roll(dice, roll(dice, 9) ? 9 : VALUED);
        uint32_t want = 0;
        uint8_t value[260], size = (uint8_t)roll(dice, roll(dice, 5) ? 9 : 256);
        memset(value, 0x5A, sizeof value);
        value[0] = size;
        memcpy(value + 1, &valued.added[i], 4);
        uint8_t *exactly = exact(value, 5 + (size_t)size);
        mr_status status = mr_radix_add(radix, valued.key[i], valued.len[i], exactly, 5 + (size_t)size, &want);
        if (status == MR_NEED_ROOM) {
            CHECK(want);
            empty_valued(radix, dice, &valued);
            status = mr_radix_add(radix, valued.key[i], valued.len[i], exactly, 5 + (size_t)size, &want);
        }
        CHECK(status == MR_OK);
        valued.added[i]++;
        free(exactly);
    }
    empty_valued(radix, dice, &valued);
    for (size_t i = 0; i < VALUED; i++) {
        CHECK(valued.added[i] == valued.found[i]);
        free(valued.key[i]);
    }
    free(radix->pool);
    free(radix->buckets);
    free(radix->first_range);
    free(radix);
}

void check_values(void)
{
    dice dice = {19};
    for (int round = 0; round < 20; round++)
        values_round(&dice);
}
