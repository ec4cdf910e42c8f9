/* Records and merges of sums and of posting lists, sound and corrupt. */
#include "driver.h"

#include <inttypes.h>

static const int64_t EDGES[] = {0, 1, -1, 63, 64, -64, -65, INT32_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1};

static void check_numbers(void)
{
    for (size_t i = 0; i < sizeof EDGES / sizeof *EDGES; i++) {
        uint8_t longest[10];
        uint64_t coded = mr_zigzag(EDGES[i]), back;
        CHECK(mr_unzigzag(coded) == EDGES[i]);
        size_t size = (size_t)(mr_varint_put(longest, coded) - longest);
        for (size_t cut = 0; cut <= size; cut++) {
            uint8_t *bytes = exact(longest, cut);
            const uint8_t *after = mr_varint_get(bytes, bytes + cut, &back);
            CHECK(cut == size ? after == bytes + size && back == coded : !after);
            free(bytes);
        }
    }
    uint64_t value;
    uint8_t *much = memset(fresh(11), 0xFF, 11);
    CHECK(!mr_varint_get(much, much + 11, &value)); /* no end within 64 bits */
    much[9] = 2;
    CHECK(!mr_varint_get(much, much + 10, &value)); /* one bit too many */
    much[9] = 1;
    CHECK(mr_varint_get(much, much + 10, &value) == much + 10 && value == UINT64_MAX);
    free(much);
}

/* Decodes whatever is there; the number of records before the end or the first bad one. */
static size_t decode_all(const uint8_t *bytes, size_t size, int *sound)
{
    const uint8_t *at = bytes, *end = bytes + size, *key;
    size_t records = 0, len;
    int64_t value;
    for (; at < end && (at = mr_record_decode(at, end, &key, &len, &value)); records++)
        CHECK(key >= bytes && key <= end && len <= (size_t)(end - key));
    *sound = at == end;
    return records;
}

/* Sorted runs over words of a text. Each word is in some of the runs; values add up to `total`. */
typedef struct {
    uint8_t *text;
    words all;
    int64_t *total; /* 0: in no run */
    run *runs;
    uint32_t k;
} sample;

static run make_run(dice *dice, const sample *sample)
{
    mr_entry *entries = fresh(sample->all.n * sizeof *entries);
    uint8_t **keys = fresh(sample->all.n * sizeof *keys);
    size_t n = 0;
    for (size_t i = 0; i < sample->all.n; i++) {
        if (roll(dice, 3) == 0)
            continue;
        const word *word = &sample->all.words[i];
        CHECK(word->len < MR_REF_LONG);
        int64_t value = roll(dice, 20) ? 1 + (int64_t)roll(dice, 300) : (int64_t)1 << roll(dice, 50);
        keys[n] = exact(word->text, word->len);
        entries[n] = mr_entry_of(keys[n], word->len, value);
        sample->total[i] += value;
        n++;
    }
    run made = run_of_entries(entries, n, 1 + roll(dice, 2000));
    for (size_t i = 0; i < n; i++)
        free(keys[i]);
    free(keys);
    free(entries);
    return made;
}

static sample make_sample(dice *dice, size_t len, uint32_t k)
{
    sample made = {.text = make_text(dice, len), .k = k};
    made.all = words_of_text(made.text, len, MR_TOKENIZER_WHITESPACE);
    made.total = memset(fresh(made.all.n * sizeof *made.total), 0, made.all.n * sizeof *made.total);
    made.runs = fresh(k * sizeof *made.runs);
    for (uint32_t i = 0; i < k; i++)
        made.runs[i] = make_run(dice, &made);
    return made;
}

static void sample_free(sample *sample)
{
    for (uint32_t i = 0; i < sample->k; i++)
        run_free(&sample->runs[i]);
    free(sample->runs);
    free(sample->total);
    free(sample->all.words);
    free(sample->text);
}

typedef struct {
    uint8_t *bytes;
    size_t size;
    uint64_t records;
} output;

static void append(output *output, const uint8_t *bytes, size_t size)
{
    output->bytes = realloc(output->bytes, output->size + size + 1);
    CHECK(output->bytes);
    if (size)
        memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

/* Gives run `dry` a copy of its next block and frees the one that it has used up. */
static void refill(mr_merge *merge, const run *runs, size_t *next, uint8_t **held)
{
    uint32_t dry = merge->dry;
    free(held[dry]);
    held[dry] = 0;
    if (next[dry] == runs[dry].n) {
        mr_merge_refill(merge, dry, 0, 0);
        return;
    }
    size_t size = runs[dry].size[next[dry]];
    held[dry] = exact(runs[dry].block[next[dry]++], size);
    mr_merge_refill(merge, dry, held[dry], size);
}

/* Takes the finished output and moves on to a new buffer that is as small as is allowed. */
static void flush(mr_merge *merge, output *into)
{
    append(into, merge->out, merge->done);
    uint8_t *old = merge->out;
    size_t room = merge->want > merge->room ? merge->want : merge->room;
    mr_merge_flushed(merge, fresh(room), room);
    free(old);
}

static mr_status merge_runs(const run *runs, uint32_t k, mr_value_kind kind, mr_emit emit, int64_t value_min,
                            size_t room, output *into)
{
    mr_merge merge = {.runs = fresh(k * sizeof(mr_run)), .loser = fresh(k * sizeof(mr_loser)), .k = k};
    merge.kind = kind;
    merge.emit = emit;
    merge.value_min = value_min;
    merge.out = fresh(room);
    merge.room = room;
    mr_merge_start(&merge);
    size_t *next = memset(fresh(k * sizeof *next), 0, k * sizeof *next);
    uint8_t **held = memset(fresh(k * sizeof *held), 0, k * sizeof *held);
    mr_status status;
    for (;;) {
        status = mr_merge_run(&merge, 50);
        if (status == MR_NEED_INPUT)
            refill(&merge, runs, next, held);
        else if (status == MR_NEED_FLUSH)
            flush(&merge, into);
        else if (status != MR_NEED_ROOM)
            break;
    }
    append(into, merge.out, merge.done);
    into->records = merge.records_out;
    for (uint32_t i = 0; i < k; i++)
        free(held[i]);
    free(held);
    free(next);
    free(merge.out);
    free(merge.loser);
    free(merge.runs);
    return status;
}

static output expected_output(const sample *sample, mr_emit emit, int64_t value_min)
{
    output expected = {0};
    for (size_t i = 0; i < sample->all.n; i++) {
        const word *word = &sample->all.words[i];
        if (!sample->total[i] || sample->total[i] < value_min)
            continue;
        uint8_t number[32];
        size_t digits;
        if (emit == MR_EMIT_RECORDS)
            append(&expected, number, (size_t)(mr_varint_put(number, word->len) - number));
        append(&expected, word->text, word->len);
        if (emit == MR_EMIT_RECORDS)
            digits = (size_t)(mr_varint_put(number, mr_zigzag(sample->total[i])) - number);
        else
            digits = (size_t)snprintf((char *)number, sizeof number, "\t%" PRId64 "\n", sample->total[i]);
        append(&expected, number, digits);
        expected.records++;
    }
    return expected;
}

static void check_sample(dice *dice, const sample *sample, mr_emit emit)
{
    int64_t value_min = roll(dice, 2) ? INT64_MIN : (int64_t)roll(dice, 500);
    output found = {0}, expected = expected_output(sample, emit, value_min);
    CHECK(merge_runs(sample->runs, sample->k, MR_VALUE_SUM, emit, value_min, 1 + roll(dice, 3000), &found) == MR_OK);
    CHECK(found.size == (emit == MR_EMIT_NOTHING ? 0 : expected.size) && found.records == expected.records);
    CHECK(!found.size || !memcmp(found.bytes, expected.bytes, found.size));
    free(found.bytes);
    free(expected.bytes);
}

/* Flips, cuts or repeats something in a run; the merge may find it or not, but stays inside. */
static void check_damaged(dice *dice, run *runs, uint32_t k, mr_value_kind kind)
{
    run *run = &runs[roll(dice, k)];
    if (!run->n)
        return;
    size_t hit = roll(dice, run->n), size = run->size[hit];
    uint8_t *whole = exact(run->block[hit], size);
    for (int trial = 0; trial < 60; trial++) {
        free(run->block[hit]);
        run->size[hit] = trial % 3 ? size : 1 + roll(dice, size);
        run->block[hit] = exact(whole, run->size[hit]);
        for (uint64_t flips = roll(dice, 4) + (trial % 3 > 0); flips; flips--)
            run->block[hit][roll(dice, run->size[hit])] ^= (uint8_t)(1 + roll(dice, 255));
        output into = {0};
        mr_emit emit = kind == MR_VALUE_SUM ? (mr_emit)(trial % 3) : trial % 4 ? MR_EMIT_RECORDS : MR_EMIT_NOTHING;
        mr_status status = merge_runs(runs, k, kind, emit, INT64_MIN, 1 + roll(dice, 500), &into);
        CHECK(status == MR_OK || status == MR_CORRUPT || status == MR_OVERFLOW);
        free(into.bytes);
        int sound;
        decode_all(run->block[hit], run->size[hit], &sound);
    }
    free(whole);
}

static mr_status merge_of_two(const mr_entry *first, const mr_entry *second, size_t n)
{
    run runs[2] = {run_of_entries(first, n, 100), run_of_entries(second, n, 100)};
    output into = {0};
    mr_status status = merge_runs(runs, 2, MR_VALUE_SUM, MR_EMIT_LINES, INT64_MIN, 100, &into);
    free(into.bytes);
    run_free(&runs[0]);
    run_free(&runs[1]);
    return status;
}

static void append_part(output *output, const uint8_t *bytes, size_t size)
{
    uint8_t number[10];
    append(output, number, (size_t)(mr_varint_put(number, size) - number));
    append(output, bytes, size);
}

#define KEYS 30

/* Runs of bytes records over few keys, and what they join to. */
typedef struct {
    run *runs;
    uint32_t k;
    output joined[KEYS]; /* the values of each key */
    output apart[KEYS];  /* its records, in the order of the runs */
    int present[KEYS];
    uint8_t *key[KEYS];  /* ascending; many share a word */
    size_t len[KEYS];
} lists;

static run make_list_run(dice *dice, lists *lists)
{
    run made = {0};
    output block = {0};
    uint8_t value[400];
    for (size_t i = 0; i < KEYS; i++) {
        for (uint64_t repeat = roll(dice, 8) ? roll(dice, 2) : 5; repeat; repeat--) {
            size_t size = roll(dice, roll(dice, 5) ? 9 : sizeof value);
            for (size_t at = 0; at < size; at++)
                value[at] = (uint8_t)roll(dice, 256);
            append_part(&block, lists->key[i], lists->len[i]);
            append_part(&block, value, size);
            append(&lists->joined[i], value, size);
            append_part(&lists->apart[i], lists->key[i], lists->len[i]);
            append_part(&lists->apart[i], value, size);
            lists->apart[i].records++;
            lists->present[i] = 1;
            if (!roll(dice, 4)) {
                run_add(&made, block.bytes, block.size);
                block.size = 0;
            }
        }
    }
    if (block.size)
        run_add(&made, block.bytes, block.size);
    free(block.bytes);
    return made;
}

static lists make_lists(dice *dice, uint32_t k)
{
    lists made = {.k = k};
    uint8_t bytes[200];
    memset(bytes, 'k', sizeof bytes);
    for (size_t i = 0; i < KEYS; i++) { /* "", k, kk, ... kkkkkkkk0, kkkkkkkk1, ... of 150 bytes and more */
        made.len[i] = i < 9 ? i : i < 20 ? 9 : 140 + i;
        if (i >= 9)
            bytes[i < 20 ? 8 : 130] = (uint8_t)('0' + i);
        made.key[i] = exact(bytes, made.len[i]);
        if (i == 19)
            bytes[8] = 'k';
    }
    made.runs = fresh(k * sizeof *made.runs);
    for (uint32_t i = 0; i < k; i++)
        made.runs[i] = make_list_run(dice, &made);
    return made;
}

static void lists_end(lists *lists)
{
    for (uint32_t i = 0; i < lists->k; i++)
        run_free(&lists->runs[i]);
    for (size_t i = 0; i < KEYS; i++) {
        free(lists->joined[i].bytes);
        free(lists->apart[i].bytes);
        free(lists->key[i]);
    }
    free(lists->runs);
}

static void check_lists(const lists *lists, mr_value_kind kind, size_t room, output *expected)
{
    output found = {0}, none = {0};
    CHECK(merge_runs(lists->runs, lists->k, kind, MR_EMIT_RECORDS, 7, room, &found) == MR_OK);
    CHECK(found.size == expected->size && found.records == expected->records);
    CHECK(!found.size || !memcmp(found.bytes, expected->bytes, found.size));
    CHECK(merge_runs(lists->runs, lists->k, kind, MR_EMIT_NOTHING, 7, room, &none) == MR_OK);
    CHECK(!none.size && none.records == expected->records);
    free(expected->bytes);
    free(found.bytes);
    free(none.bytes);
}

static void lists_round(dice *dice, uint32_t k)
{
    lists lists = make_lists(dice, k);
    output joined = {0}, apart = {0};
    size_t room = 1 + roll(dice, roll(dice, 2) ? 100 : 5000);
    for (size_t i = 0; i < KEYS; i++) {
        if (!lists.present[i])
            continue;
        append_part(&joined, lists.key[i], lists.len[i]);
        append_part(&joined, lists.joined[i].bytes, lists.joined[i].size);
        joined.records++;
        append(&apart, lists.apart[i].bytes, lists.apart[i].size);
        apart.records += lists.apart[i].records;
    }
    check_lists(&lists, MR_VALUE_POSTING, room, &joined);
    check_lists(&lists, MR_VALUE_BYTES, room, &apart);
    check_damaged(dice, lists.runs, k, MR_VALUE_POSTING);
    check_damaged(dice, lists.runs, k, MR_VALUE_BYTES);
    lists_end(&lists);
}

void check_record(void)
{
    dice dice = {11};
    check_numbers();
    for (size_t len = 1; len < 4000; len += 1 + len / 3) {
        sample sample = make_sample(&dice, len, 1);
        for (size_t i = 0; i < sample.runs[0].n; i++) {
            uint8_t *block = sample.runs[0].block[i];
            size_t size = sample.runs[0].size[i];
            int sound;
            size_t records = decode_all(block, size, &sound);
            CHECK(sound && records);
            for (size_t cut = 0; cut < size; cut++) {
                uint8_t *part = exact(block, cut);
                CHECK(decode_all(part, cut, &sound) < records);
                free(part);
            }
        }
        sample_free(&sample);
    }
}

void check_merge(void)
{
    dice dice = {13};
    for (uint32_t k = 1; k < 40; k += 1 + k / 8) {
        for (size_t len = 0; len < 20000; len = len * 3 + 1) {
            sample sample = make_sample(&dice, len, k);
            check_sample(&dice, &sample, MR_EMIT_LINES);
            check_sample(&dice, &sample, MR_EMIT_RECORDS);
            check_sample(&dice, &sample, MR_EMIT_NOTHING);
            check_damaged(&dice, sample.runs, k, MR_VALUE_SUM);
            sample_free(&sample);
        }
    }
    for (uint32_t k = 1; k < 90; k += 1 + k / 4)
        for (int round = 0; round < 6; round++)
            lists_round(&dice, k);
    mr_entry a = mr_entry_of((const uint8_t *)"a", 1, INT64_MAX), b = mr_entry_of((const uint8_t *)"b", 1, INT64_MAX);
    CHECK(merge_of_two((mr_entry[]){a, b}, (mr_entry[]){b, b}, 1) == MR_OK);
    CHECK(merge_of_two((mr_entry[]){a, b}, (mr_entry[]){a, b}, 2) == MR_OVERFLOW);
    b.value = a.value = 1;
    CHECK(merge_of_two((mr_entry[]){b, a}, (mr_entry[]){b, b}, 2) == MR_CORRUPT); /* out of order */
}
