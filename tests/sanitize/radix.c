/* The sort buffer: fed and filled from tables, full at every point, emptied whole and bucket by bucket. */
#define _GNU_SOURCE
#include "driver.h"

#include <sys/mman.h>

#include "mr_postings.h"
#include "mr_radix.h"

/* A buffer in memory of exactly its size, and what came out of it, key by key. */
typedef struct {
    mr_radix radix;
    uint64_t *splitters;
    const words *expected;
    int64_t *found; /* for each of the expected words */
    uint32_t document;       /* the newest */
    int64_t repeats;         /* how often each table was taken */
    dice *dice;
} sorter;

static void open_pool(sorter *sorter, uint32_t chunks)
{
    free(sorter->radix.pool);
    sorter->radix.chunks = chunks;
    sorter->radix.pool = fresh((size_t)chunks * MR_RADIX_CHUNK + MR_RADIX_SLACK);
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static sorter start(dice *dice, const words *expected, mr_value_kind kind, uint32_t chunks)
{
    sorter made = {.expected = expected, .repeats = 1, .dice = dice};
    mr_radix *radix = &made.radix;
    radix->kind = kind;
    radix->hashed = 1 + (uint32_t)roll(dice, roll(dice, 2) ? 1 : 6);
    uint32_t most = 1 + (uint32_t)roll(dice, roll(dice, 2) ? 4 : 300), kept = 0;
    uint64_t *some = fresh(most * sizeof *some);
    for (uint32_t i = 0; i + 1 < most && expected->n; i++) {
        const word *word = &expected->words[roll(dice, expected->n)];
        some[i] = mr_word_at(word->text, word->len, 0);
        kept++;
    }
    qsort(some, kept, sizeof *some, compare_numbers);
    radix->ranges = kept + 1; /* equal splitters are allowed: the range between them stays empty */
    radix->splitters = made.splitters = (uint64_t *)(void *)exact(some, kept * sizeof *some);
    free(some);
    radix->buckets = fresh((size_t)radix->hashed * radix->ranges * sizeof *radix->buckets);
    radix->first_range = fresh(65536 * sizeof *radix->first_range);
    made.found = memset(fresh(expected->n * sizeof *made.found), 0, expected->n * sizeof *made.found);
    open_pool(&made, chunks);
    mr_radix_clear(radix);
    mr_radix_index(radix);
    return made;
}

static void end(sorter *sorter)
{
    for (size_t i = 0; i < sorter->expected->n; i++)
        CHECK(sorter->found[i] == sorter->repeats * sorter->expected->words[i].count);
    free(sorter->radix.pool);
    free(sorter->radix.buckets);
    free(sorter->radix.first_range);
    free(sorter->splitters);
    free(sorter->found);
}

static void count(sorter *sorter, const uint8_t *key, size_t len, int64_t value)
{
    size_t low = 0, high = sorter->expected->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const word *word = &sorter->expected->words[middle];
        if (mr_bytes_compare(word->text, word->len, key, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    CHECK(low < sorter->expected->n && sorter->expected->words[low].len == len);
    CHECK(!memcmp(sorter->expected->words[low].text, key, len));
    sorter->found[low] += value;
}

static void check_record_of(sorter *sorter, uint32_t bucket, const mr_entry *entry)
{
    uint8_t scratch[8];
    size_t len;
    const mr_radix *radix = &sorter->radix;
    const uint8_t *key = mr_entry_key(entry, scratch, &len);
    mr_entry same = mr_entry_of(key, len, entry->value);
    CHECK(same.word == entry->word && same.next == entry->next && same.ref == entry->ref);
    uint32_t range = 0;
    while (range + 1 < radix->ranges && radix->splitters[range] <= entry->word)
        range++;
    CHECK(bucket % radix->ranges == range);
    CHECK(bucket / radix->ranges == (radix->hashed == 1 ? 0 : mr_hash_xxh3(key, len, 0) % radix->hashed));
    CHECK(entry->value && (radix->kind == MR_VALUE_POSTING || entry->value > 0));
}

/* Counts the records of one block. */
static size_t count_block(sorter *sorter, const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size, *key, *group;
    size_t records = 0, len, group_len;
    int64_t value = 0;
    for (; at < end; records++) {
        if (sorter->radix.kind == MR_VALUE_SUM) {
            CHECK((at = mr_record_decode(at, end, &key, &len, &value)));
            count(sorter, key, len, value);
            continue;
        }
        CHECK((at = mr_record_decode_bytes(at, end, &key, &len, &group, &group_len)));
        mr_postings_cursor cursor = {0};
        const uint8_t *group_end = group + group_len;
        do {
            CHECK((group = mr_postings_next(&cursor, group, group_end)));
            CHECK(cursor.document <= sorter->document);
            count(sorter, key, len, cursor.count);
        } while (cursor.left);
        CHECK(group == group_end); /* one group a record */
    }
    return records;
}

/* Sorts and encodes entries as a map task does, into blocks of exactly their room, and counts them. */
static void encode(sorter *sorter, mr_entry *entries, size_t n)
{
    int sums = sorter->radix.kind == MR_VALUE_SUM;
    size_t next = 0, written, want = 0, records, all = 0, counted = 0, room = 1 + roll(sorter->dice, 3000);
    mr_entry *scratch = fresh(n * sizeof *scratch);
    mr_sort_entries(entries, n, scratch);
    free(scratch);
    if (sums)
        CHECK(mr_record_combine(entries, &n) == MR_OK);
    for (size_t i = 1; sums && i < n; i++)
        CHECK(!mr_entry_same(&entries[i - 1], &entries[i]));
    for (mr_status status = MR_NEED_FLUSH; status == MR_NEED_FLUSH;) {
        uint8_t *out = fresh(room);
        size_t before = next;
        if (sums) {
            status = mr_record_encode(entries, n, &next, out, room, &written, &want);
            records = next - before;
        } else {
            status = mr_record_encode_postings(entries, n, &next, out, room, &written, &want, &records);
        }
        CHECK(written <= room && (status == MR_OK || written || want > room));
        all += records;
        counted += count_block(sorter, out, written);
        free(out);
        room = status && !written ? want : room;
    }
    CHECK(next == n && all == counted);
}

/* Takes a bucket's records out, in loads of any size. */
static void empty_bucket(sorter *sorter, uint32_t bucket)
{
    mr_radix_cursor cursor = {0};
    size_t room = 1 + roll(sorter->dice, 300), n;
    CHECK((mr_radix_size(&sorter->radix, bucket) == 0) == mr_radix_at_end(&sorter->radix, bucket, &cursor));
    do {
        mr_entry *entries = fresh(room * sizeof *entries);
        n = mr_radix_load(&sorter->radix, bucket, &cursor, entries, room);
        CHECK(n <= room);
        for (size_t i = 0; i < n; i++)
            check_record_of(sorter, bucket, &entries[i]);
        encode(sorter, entries, n);
        free(entries);
    } while (n == room);
    CHECK(mr_radix_at_end(&sorter->radix, bucket, &cursor));
}

/* Makes room: all buckets are emptied, or one that is not empty. */
static void spill(sorter *sorter, int whole)
{
    mr_radix *radix = &sorter->radix;
    uint32_t buckets = radix->hashed * radix->ranges, held = radix->used - radix->spares;
    if (!whole && roll(sorter->dice, 3)) {
        uint32_t bucket = (uint32_t)roll(sorter->dice, buckets);
        while (!mr_radix_size(radix, bucket))
            bucket = (bucket + 1) % buckets;
        uint64_t size = mr_radix_size(radix, bucket);
        empty_bucket(sorter, bucket);
        mr_radix_clear_bucket(radix, bucket);
        CHECK(!mr_radix_size(radix, bucket));
        CHECK((uint64_t)(held - (radix->used - radix->spares)) * MR_RADIX_CHUNK == size);
        return;
    }
    for (uint32_t bucket = 0; bucket < buckets; bucket++)
        empty_bucket(sorter, bucket);
    mr_radix_clear(radix);
    CHECK(!radix->used && !radix->spares && !radix->tokens);
    if (!roll(sorter->dice, 8))
        open_pool(sorter, radix->chunks); /* nothing of the old one is looked at again */
}

static void feed(sorter *sorter, mr_tokenizer tokenizer, mr_tokenize_fn tokenize, const uint8_t *text, size_t len,
                 int lower)
{
    size_t longest = roll(sorter->dice, 2) ? len : 1 + roll(sorter->dice, 9000), size = longest;
    for (size_t at = 0; at < len;) {
        size_t stop = len - at < size ? len : at + size, consumed = 0;
        uint8_t *piece = exact(text + at, stop - at);
        mr_status status = mr_radix_feed(&sorter->radix, tokenize, piece, stop - at, stop == len, lower, &consumed);
        free(piece);
        CHECK(consumed <= stop - at && (status == MR_OK || status == MR_NEED_ROOM));
        size = consumed || status ? longest : 2 * size;
        at += consumed;
        if (status == MR_NEED_ROOM && sorter->radix.long_size) {
            size_t long_size = sorter->radix.long_size;
            CHECK(long_size > MR_RADIX_KEY_MAX && long_size <= stop - at);
            uint8_t *token = exact(text + at, long_size);
            for (size_t i = 0; lower && i < long_size; i++)
                token[i] |= token[i] >= 'A' && token[i] <= 'Z' ? 0x20 : 0;
            count(sorter, token, long_size, 1);
            free(token);
            at += long_size + (tokenizer == MR_TOKENIZER_LINES && at + long_size < len);
        } else if (status == MR_NEED_ROOM) {
            spill(sorter, 0);
        }
    }
}

static void take(sorter *sorter, const mr_table *table)
{
    mr_table_cursor cursor = {0};
    uint32_t want = 0;
    while (mr_radix_take(&sorter->radix, table, sorter->document, &cursor, &want) == MR_NEED_ROOM) {
        CHECK(want);
        if (want > sorter->radix.chunks) {
            spill(sorter, 1);
            open_pool(sorter, want);
        } else {
            spill(sorter, want > 1 && sorter->radix.spares); /* large records want the front */
        }
    }
}

static void radix_round(dice *dice, counter *counter, const mr_dispatch *dispatch, size_t len)
{
    mr_tokenizer tokenizer = (mr_tokenizer)roll(dice, MR_TOKENIZERS);
    int lower = (int)roll(dice, 2), fed = (int)roll(dice, 2);
    uint8_t *text = make_text(dice, len), *folded = exact(text, len);
    for (size_t i = 0; lower && i < len; i++)
        folded[i] |= folded[i] >= 'A' && folded[i] <= 'Z' ? 0x20 : 0;
    static const size_t sizes[] = {MR_RADIX_KEY_MAX - 1, MR_RADIX_KEY_MAX + 1, MR_RADIX_CHUNK - 56, 5000, 70000};
    size_t at = roll(dice, 9000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && at + sizes[i] < len; at += sizes[i++] + roll(dice, 9000))
        memset(text + at, 'q', sizes[i]), memset(folded + at, 'q', sizes[i]);
    words expected = words_of_text(folded, len, tokenizer);
    uint32_t chunks = len > 30000 ? 60 + (uint32_t)roll(dice, 300) : 1 + (uint32_t)roll(dice, roll(dice, 2) ? 4 : 300);
    sorter sorter = start(dice, &expected, fed || roll(dice, 2) ? MR_VALUE_SUM : MR_VALUE_POSTING, chunks);
    if (fed) {
        feed(&sorter, tokenizer, dispatch->tokenize[tokenizer], text, len, lower);
    } else {
        static const uint32_t documents[] = {0, 1, 129, UINT32_MAX, UINT32_MAX};
        counter_feed(counter, dice, dispatch->tokenize[tokenizer], text, len, lower);
        sorter.repeats = (int64_t)roll(dice, 6);
        for (int64_t i = 0; i < sorter.repeats; i++) {
            sorter.document = documents[i];
            take(&sorter, &counter->table);
        }
        counter_clear(counter); /* the buffer holds copies */
    }
    free(text);
    spill(&sorter, 1);
    end(&sorter);
    free(expected.words);
    free(folded);
}

/* Offsets into a pool of more than 4 GiB, of which a few pages are touched. */
static void check_large_pool(dice *dice, const mr_dispatch *dispatch)
{
    size_t len = 100000, chunks = ((size_t)5 << 30) / MR_RADIX_CHUNK, size = chunks * MR_RADIX_CHUNK + MR_RADIX_SLACK;
    uint8_t *text = make_text(dice, len);
    words expected = words_of_text(text, len, MR_TOKENIZER_WHITESPACE);
    sorter sorter = start(dice, &expected, MR_VALUE_SUM, 1);
    uint8_t *small = sorter.radix.pool;
    sorter.radix.pool = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(sorter.radix.pool != MAP_FAILED);
    sorter.radix.chunks = (uint32_t)chunks;
    sorter.radix.used = (uint32_t)chunks - 100000;
    feed(&sorter, MR_TOKENIZER_WHITESPACE, dispatch->tokenize[MR_TOKENIZER_WHITESPACE], text, len, 0);
    CHECK((uint64_t)sorter.radix.used * MR_RADIX_CHUNK > (uint64_t)UINT32_MAX);
    for (uint32_t bucket = 0; bucket < sorter.radix.hashed * sorter.radix.ranges; bucket++)
        empty_bucket(&sorter, bucket);
    munmap(sorter.radix.pool, size);
    sorter.radix.pool = small;
    end(&sorter);
    free(expected.words);
    free(text);
}

void check_radix(void)
{
    for (int level = 0; level < MR_CPU_LEVELS; level++) {
        const mr_dispatch *dispatch = mr_dispatch_at((mr_cpu_level)level);
        dice dice = {17}; /* the same texts on every level */
        if (!dispatch)
            continue;
        counter *one = fresh(sizeof *one);
        counter_start(one);
        for (size_t len = 0; len < 200; len++)
            radix_round(&dice, one, dispatch, len);
        for (size_t round = 0; round < 40; round++)
            radix_round(&dice, one, dispatch, roll(&dice, 30000));
        for (size_t round = 0; round < 8; round++)
            radix_round(&dice, one, dispatch, 110000 + roll(&dice, 100000));
        check_large_pool(&dice, dispatch);
        counter_end(one);
        free(one);
    }
}
