/* Accumulators: a table that grows, states that travel as bytes, sums that must come back to nothing. */
#include "driver.h"
#include "mr_accumulate.h"

typedef struct {
    mr_accumulate_table table;
    void *chunk[4096]; /* of the arena */
    size_t chunks;
} accumulators;

static void grow(accumulators *all)
{
    mr_accumulate_table *table = &all->table;
    if (table->want_bytes) { /* not a byte more than is asked for */
        CHECK(all->chunks < sizeof all->chunk / sizeof *all->chunk);
        table->arena_room = table->want_bytes;
        table->arena = all->chunk[all->chunks++] = fresh(table->want_bytes);
        return;
    }
    void *old = table->slots;
    unsigned bits = table->bits + 1;
    mr_accumulate_table_rehash(table, fresh_slots(sizeof(mr_accumulate_slot) << bits), bits);
    free(old);
}

static uint64_t random_value(dice *dice, mr_accumulator kind)
{
    uint64_t bits = (uint64_t)roll(dice, UINT64_MAX);
    if (kind == MR_SUM_INT64 || kind == MR_SUM_FLOAT64) { /* small whole numbers: their sums are easily known */
        int64_t whole = (int64_t)roll(dice, 2001) - 1000;
        double number = (double)whole;
        memcpy(&bits, kind == MR_SUM_INT64 ? (void *)&whole : (void *)&number, 8);
    } else if (mr_accumulate_refused(kind, &bits, 1) == 0) {
        bits = 0;
    }
    return bits;
}

/* The result of one key's rows, found by looking at each. */
static uint64_t expected(mr_accumulator kind, const uint64_t *values, size_t n, size_t keys, size_t key)
{
    uint64_t state[2] = {0}, result = 0;
    int64_t whole = 0;
    double total = 0, number;
    for (size_t i = key; i < n; i += keys) {
        memcpy(&number, &values[i], 8);
        whole += kind == MR_SUM_INT64 ? (int64_t)values[i] : 0;
        total += kind == MR_SUM_FLOAT64 ? number : 0;
        if (kind > MR_SUM_FLOAT64 && i == key)
            mr_accumulate_start(kind, state, values[i], i);
        else if (kind > MR_SUM_FLOAT64)
            mr_accumulate_add(kind, state, values[i], i);
    }
    if (kind > MR_SUM_FLOAT64)
        CHECK(mr_accumulate_finish(kind, state, &result) == MR_OK);
    else
        memcpy(&result, kind == MR_SUM_INT64 ? (void *)&whole : (void *)&total, 8);
    return result;
}

/* Row i has key i % keys, which is a number in a block of exactly its size. */
static void check_rows(dice *dice, mr_accumulator kind, size_t n, size_t keys)
{
    accumulators *all = fresh(sizeof *all);
    *all = (accumulators){.table = {.kind = kind, .bits = 6, .slots = fresh_slots(sizeof(mr_accumulate_slot) << 6)}};
    const uint8_t **text = fresh(n * sizeof *text);
    size_t *len = fresh(n * sizeof *len), next = 0;
    uint64_t *values = fresh(n * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        char number[400];
        len[i] = (size_t)snprintf(number, sizeof number, "%0*zu", 1 + (int)(i % keys % 30) * 10, i % keys);
        text[i] = exact(number, len[i]);
        values[i] = random_value(dice, kind);
    }
    while (mr_accumulate_table_add(&all->table, text, len, values, 0, n, &next) == MR_NEED_ROOM)
        grow(all);
    CHECK(next == n && all->table.used == (n < keys ? n : keys));
    for (size_t slot = 0; slot < (size_t)1 << all->table.bits; slot++) {
        const uint64_t *entry = all->table.slots[slot].entry;
        if (!entry)
            continue;
        size_t size = mr_accumulate_words(kind) * 8, key = 0;
        const uint8_t *digit = (const uint8_t *)(entry + 1) + size;
        for (uint64_t i = 0; i < entry[0]; i++)
            key = key * 10 + digit[i] - '0';
        uint64_t state[MR_ACCUMULATE_WORDS_MAX], found;
        uint8_t *bytes = fresh(size);
        mr_accumulate_encode(kind, entry + 1, bytes);
        CHECK(mr_accumulate_decode(kind, bytes, size - 1, state) == MR_CORRUPT);
        CHECK(mr_accumulate_decode(kind, bytes, size, state) == MR_OK && !memcmp(state, entry + 1, size));
        CHECK(mr_accumulate_finish(kind, state, &found) == MR_OK && found == expected(kind, values, n, keys, key));
        free(bytes);
    }
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)text[i]);
    while (all->chunks)
        free(all->chunk[--all->chunks]);
    free(all->table.slots);
    free(all);
    free(values);
    free(len);
    free(text);
}

/* Doubles of any bits: added and taken away again in another order, nothing is left, in any grouping. */
static void check_any_doubles(dice *dice, size_t n)
{
    uint64_t *values = fresh(n * 8), parts[3][MR_ACCUMULATE_WORDS_MAX], result;
    for (int part = 0; part < 3; part++)
        mr_accumulate_start(MR_SUM_FLOAT64, parts[part], 0, 0);
    for (size_t i = 0; i < n; i++) {
        values[i] = roll(dice, UINT64_MAX);
        values[i] &= (values[i] >> 52 & 0x7FF) == 0x7FF ? ~((uint64_t)1 << 52) : UINT64_MAX; /* finite */
        mr_accumulate_add(MR_SUM_FLOAT64, parts[roll(dice, 3)], values[i], 0);
    }
    for (size_t i = n; i-- > 0;)
        mr_accumulate_add(MR_SUM_FLOAT64, parts[roll(dice, 3)], values[i] ^ (uint64_t)1 << 63, 0);
    for (int part = 0; part < 3; part++) {
        mr_status status = mr_accumulate_finish(MR_SUM_FLOAT64, parts[part], &result);
        CHECK(status == MR_OK || status == MR_OVERFLOW);
    }
    mr_accumulate_merge(MR_SUM_FLOAT64, parts[2], parts[0]);
    mr_accumulate_merge(MR_SUM_FLOAT64, parts[1], parts[2]);
    for (size_t i = 0; i < MR_ACCUMULATE_WORDS_MAX; i++)
        CHECK(!parts[1][i]);
    free(values);
}

/* States of any bits finish without a shift or index out of range. */
static void check_any_states(dice *dice)
{
    uint64_t state[MR_ACCUMULATE_WORDS_MAX], result;
    for (int round = 0; round < 3000; round++) {
        size_t zeros = roll(dice, MR_ACCUMULATE_LIMBS + 1);
        for (size_t i = 0; i < MR_ACCUMULATE_LIMBS; i++)
            state[i] = i < zeros ? 0 : roll(dice, 3) ? roll(dice, UINT64_MAX) : roll(dice, 2) ? UINT64_MAX : 0;
        for (size_t i = roll(dice, MR_ACCUMULATE_LIMBS); i < MR_ACCUMULATE_LIMBS && round % 3; i++)
            state[i] = round % 3 == 1 ? 0 : UINT64_MAX;
        state[MR_ACCUMULATE_LIMBS] = roll(dice, 20) ? 0 : roll(dice, 8);
        mr_accumulate_finish(MR_SUM_FLOAT64, state, &result);
    }
}

void check_accumulate(void)
{
    dice dice = {11};
    static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 1000};
    for (mr_accumulator kind = MR_SUM_INT64; kind < MR_ACCUMULATORS; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t keys = 1; keys <= 500; keys = keys * 7 + 3)
                check_rows(&dice, kind, sizes[i], keys);
    for (size_t n = 0; n < 300; n++)
        check_any_doubles(&dice, n);
    check_any_states(&dice);
}
