/* Sort, and the combiner table: feed, grow, walk and sample, clear and use again. */
#include "driver.h"

/* A key with its length in front, as references to long keys want it; `key` is where it begins. */
typedef struct {
    uint8_t *memory, *key;
    size_t len;
} kept_key;

static kept_key keep(const uint8_t *bytes, uint64_t len)
{
    kept_key kept = {fresh(8 + len), 0, len};
    kept.key = kept.memory + 8;
    memcpy(kept.memory, &len, 8);
    memcpy(kept.key, bytes, len);
    return kept;
}

static mr_entry entry_of(kept_key kept, int64_t value) { return mr_entry_of(kept.key, kept.len, value); }

static int entry_compare(const mr_entry *a, const mr_entry *b)
{
    uint8_t a_scratch[8], b_scratch[8];
    size_t a_len, b_len;
    const uint8_t *a_key = mr_entry_key(a, a_scratch, &a_len), *b_key = mr_entry_key(b, b_scratch, &b_len);
    return mr_bytes_compare(a_key, a_len, b_key, b_len);
}

static void sort_round(dice *dice, size_t n, size_t shared)
{
    uint8_t bytes[600];
    memset(bytes, 'p', sizeof bytes);
    kept_key *keys = fresh(n * sizeof *keys);
    mr_entry *entries = fresh(n * sizeof *entries), *scratch = fresh(n * sizeof *scratch);
    for (size_t i = 0; i < n; i++) {
        size_t len = shared + roll(dice, roll(dice, 3) ? 4 : 40);
        for (size_t at = shared; at < len; at++)
            bytes[at] = (uint8_t)roll(dice, roll(dice, 5) ? 2 : 256);
        keys[i] = keep(bytes, roll(dice, 9) ? len : roll(dice, len + 1));
        entries[i] = entry_of(keys[i], (int64_t)i);
    }
    mr_sort_entries(entries, n, scratch);
    for (size_t i = 0; i < n; i++) {
        mr_entry untouched = entry_of(keys[entries[i].value], entries[i].value);
        int order = i ? entry_compare(&entries[i - 1], &entries[i]) : -1;
        CHECK(!memcmp(&untouched, &entries[i], sizeof untouched));
        CHECK(order < 0 || (!order && entries[i - 1].value < entries[i].value));
    }
    for (size_t i = 0; i < n; i++)
        free(keys[i].memory);
    free(keys);
    free(entries);
    free(scratch);
}

void check_sort(void)
{
    dice dice = {3};
    static const size_t shared[] = {0, 6, 7, 8, MR_SORT_DEPTH_MAX - 1, MR_SORT_DEPTH_MAX, 500};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        for (size_t n = 0; n < 700; n = n < 30 ? n + 1 : n * 2)
            sort_round(&dice, n, shared[i]);
}

static void grow(counter *counter)
{
    mr_table *table = &counter->table;
    if (table->want == MR_PART_ARENA) {
        CHECK(counter->chunks < sizeof counter->chunk / sizeof *counter->chunk);
        table->arena_room = table->want_bytes;
        table->arena = counter->chunk[counter->chunks++] = fresh(table->want_bytes);
        return;
    }
    mr_slots *part = &table->part[table->want];
    void *old = part->slots;
    unsigned bits = part->bits + 1;
    mr_table_rehash(table, table->want, fresh_slots(mr_table_slot_size(table->want) << bits), bits);
    free(old);
}

void counter_start(counter *counter)
{
    memset(counter, 0, sizeof *counter);
    for (mr_table_part part = MR_PART_SHORT; part <= MR_PART_LONG; part++) {
        counter->table.part[part].bits = MR_TABLE_BITS_MIN;
        counter->table.part[part].slots = fresh_slots(mr_table_slot_size(part) << MR_TABLE_BITS_MIN);
    }
}

void counter_clear(counter *counter)
{
    mr_table_clear(&counter->table);
    CHECK(!mr_table_used(&counter->table) && !counter->table.tokens);
    while (counter->chunks)
        free(counter->chunk[--counter->chunks]);
    counter->table.arena_room = 0;
}

void counter_end(counter *counter)
{
    counter_clear(counter);
    for (int part = 0; part < 3; part++)
        free(counter->table.part[part].slots);
}

void counter_feed(counter *counter, dice *dice, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int lower)
{
    size_t longest = roll(dice, 2) ? len : 1 + roll(dice, 9000), size = longest;
    for (size_t at = 0; at < len;) {
        size_t stop = len - at < size ? len : at + size, consumed = 0;
        uint8_t *piece = exact(text + at, stop - at);
        for (size_t fed = 0;; grow(counter)) {
            mr_status status = mr_table_feed(&counter->table, tokenize, piece + fed, stop - at - fed, stop == len, lower,
                                             &consumed);
            fed += consumed;
            if (status == MR_OK) {
                consumed = fed;
                break;
            }
            CHECK(status == MR_NEED_ROOM);
        }
        free(piece);
        size = consumed ? longest : 2 * size;
        at += consumed;
    }
}

/* Every key with its count, once; then samples of every size, in a block of exactly that size. */
static void walk(const counter *counter, dice *dice, const words *expected)
{
    mr_table_cursor cursor = {0};
    uint8_t *scratch = memset(fresh(MR_TABLE_SCRATCH), 0, MR_TABLE_SCRATCH);
    const uint8_t *key;
    size_t len, n = 0;
    int64_t count, tokens = 0;
    while ((key = mr_table_next(&counter->table, &cursor, scratch, &len, &count))) {
        uint8_t readable[16];
        memcpy(readable, key, sizeof readable); /* as is promised of keys of any length */
        CHECK(count == words_find(expected, key, len));
        tokens += count;
        n++;
    }
    CHECK(n == expected->n && n == mr_table_used(&counter->table) && tokens == (int64_t)counter->table.tokens);
    CHECK(!mr_table_next(&counter->table, &cursor, scratch, &len, &count));
    for (size_t room = 0; room < 2 * n + 2; room = 2 * room + 1 + roll(dice, 2)) {
        uint64_t *sample = fresh(room * sizeof *sample);
        size_t written = mr_table_sample(&counter->table, sample, room);
        CHECK(written <= room && written <= n && (room < n || written == n));
        for (size_t i = 0; i < written; i++)
            CHECK((sample[i] & 0xFF) >= 1 && (sample[i] & 0xFF) <= MR_WORD_MORE);
        free(sample);
    }
    free(scratch);
}

static void table_round(counter *counter, dice *dice, const mr_dispatch *dispatch, size_t len)
{
    mr_tokenizer tokenizer = (mr_tokenizer)roll(dice, MR_TOKENIZERS);
    int lower = (int)roll(dice, 2);
    uint8_t *text = make_text(dice, len), *folded = exact(text, len);
    for (size_t i = 0; lower && i < len; i++)
        folded[i] |= folded[i] >= 'A' && folded[i] <= 'Z' ? 0x20 : 0;
    if (len > 400000 && roll(dice, 2)) /* one token with a length of more than 16 bits */
        memset(text + 1000, 'q', 150000), memset(folded + 1000, 'q', 150000);
    words expected = words_of_text(folded, len, tokenizer);
    counter_feed(counter, dice, dispatch->tokenize[tokenizer], text, len, lower);
    free(text);
    walk(counter, dice, &expected);
    counter_clear(counter);
    free(expected.words);
    free(folded);
}

#define ADDED 60

/* Keys of all lengths, the first ones of each part's edges, and what was added to each. */
typedef struct {
    uint8_t bytes[ADDED][330];
    size_t len[ADDED];
    int64_t sum[ADDED];
    int present[ADDED];
} sums;

static void sums_start(sums *sums, dice *dice)
{
    static const size_t edges[] = {0, 1, 6, 7, 8, 9, 14, 15, 16, 17, 300};
    memset(sums, 0, sizeof *sums);
    for (size_t i = 0; i < ADDED; i++) {
        sums->len[i] = i < 11 ? edges[i] : 3 + roll(dice, 30);
        for (size_t at = 0; at < sums->len[i]; at++)
            sums->bytes[i][at] = (uint8_t)(i + at / 3);
    }
}

/* Adds a batch whose text ends where the slack does; a sum that would leave int64 is left as it was. */
static void add_batch(counter *counter, dice *dice, sums *sums, size_t n)
{
    size_t *key = fresh(n * sizeof *key), size = 0, next = 0;
    uint32_t *offset = fresh((n + 1) * sizeof *offset);
    int64_t *values = fresh(n * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        key[i] = roll(dice, ADDED);
        offset[i] = (uint32_t)size;
        size += sums->len[key[i]];
        values[i] = roll(dice, 20) ? (int64_t)roll(dice, 100) - 50 : (roll(dice, 2) ? INT64_MAX : INT64_MIN) / 2;
    }
    offset[n] = (uint32_t)size;
    uint8_t *text = memset(fresh(size + MR_TABLE_ADD_SLACK), 0xAA, size + MR_TABLE_ADD_SLACK);
    for (size_t i = 0; i < n; i++)
        memcpy(text + offset[i], sums->bytes[key[i]], sums->len[key[i]]);
    for (mr_status status = MR_NEED_ROOM; status != MR_OK;) {
        size_t before = next;
        status = mr_table_add(&counter->table, text, offset, values, n, &next);
        CHECK(before <= next && next <= n);
        for (size_t i = before; i < next; i++) {
            CHECK(mr_int64_add(sums->sum[key[i]], values[i], &sums->sum[key[i]]));
            sums->present[key[i]] = 1;
        }
        if (status == MR_NEED_ROOM)
            grow(counter);
        else if (status == MR_OVERFLOW) {
            int64_t sum;
            CHECK(!mr_int64_add(sums->sum[key[next]], values[next], &sum));
            next++;
        }
    }
    CHECK(next == n);
    free(text);
    free(values);
    free(offset);
    free(key);
}

static void add_round(counter *counter, dice *dice)
{
    sums *sums = fresh(sizeof *sums);
    mr_table_cursor cursor = {0};
    uint8_t scratch[MR_TABLE_SCRATCH] = {0};
    const uint8_t *key;
    size_t len, found = 0, present = 0;
    int64_t count;
    sums_start(sums, dice);
    for (int batch = 0; batch < 12; batch++)
        add_batch(counter, dice, sums, batch ? roll(dice, MR_TABLE_ADD_MAX + 1) : MR_TABLE_ADD_MAX);
    for (; (key = mr_table_next(&counter->table, &cursor, scratch, &len, &count)); found++) {
        size_t i = 0;
        while (i < ADDED && (sums->len[i] != len || memcmp(sums->bytes[i], key, len)))
            i++;
        CHECK(i < ADDED && sums->present[i] && count == sums->sum[i]);
    }
    for (size_t i = 0; i < ADDED; i++)
        present += (size_t)sums->present[i];
    CHECK(found == present);
    counter_clear(counter);
    free(sums);
}

void check_table(void)
{
    for (int level = 0; level < MR_CPU_LEVELS; level++) {
        const mr_dispatch *dispatch = mr_dispatch_at((mr_cpu_level)level);
        dice dice = {7}; /* the same texts on every level */
        counter *one = fresh(sizeof *one);
        for (int table = 0; dispatch && table < 3; table++) {
            counter_start(one);
            for (int round = 0; round < 8; round++)
                add_round(one, &dice);
            for (size_t len = 0; len < 200; len++)
                table_round(one, &dice, dispatch, len);
            for (size_t round = 0; round < 30; round++)
                table_round(one, &dice, dispatch, roll(&dice, 30000));
            table_round(one, &dice, dispatch, 400001);
            counter_end(one);
        }
        free(one);
    }
}
