/* Posting lists: packed, formatted into rooms of every size, and values with bytes changed. */
#include "driver.h"

#include <inttypes.h>

#include "mr_postings.h"

#define DOCUMENTS 40

typedef struct {
    uint8_t *bytes;
    size_t size;
} output;

static void append(output *output, const void *bytes, size_t size)
{
    output->bytes = realloc(output->bytes, output->size + size + 1);
    CHECK(output->bytes);
    if (size)
        memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

static void append_number(output *output, uint64_t number)
{
    uint8_t room[10];
    append(output, room, (size_t)(mr_varint_put(room, number) - room));
}

static void append_part(output *output, const void *bytes, size_t size)
{
    append_number(output, size);
    append(output, bytes, size);
}

/* The documents' paths, of all lengths, with the spare bytes that are promised and no more. */
typedef struct {
    uint8_t *blob;
    uint64_t *offset;
} paths;

static paths make_paths(dice *dice)
{
    paths made = {0, fresh((DOCUMENTS + 1) * sizeof(uint64_t))};
    made.offset[0] = 0;
    for (size_t i = 0; i < DOCUMENTS; i++)
        made.offset[i + 1] = made.offset[i] + roll(dice, roll(dice, 5) ? 70 : 300);
    made.blob = fresh(made.offset[DOCUMENTS] + MR_POSTINGS_SPARE);
    memset(made.blob, '!', made.offset[DOCUMENTS] + MR_POSTINGS_SPARE);
    for (size_t i = 0; i < made.offset[DOCUMENTS]; i++)
        made.blob[i] = (uint8_t)('a' + roll(dice, 26));
    return made;
}

static void paths_free(paths *paths)
{
    free(paths->blob);
    free(paths->offset);
}

/* A value of some groups; what it says goes into `count`, by document. The last document of a
 * group is often the first of the next. */
static output make_value(dice *dice, int64_t count[DOCUMENTS])
{
    output value = {0};
    memset(count, 0, DOCUMENTS * sizeof *count);
    for (uint64_t document = roll(dice, 9); document < DOCUMENTS || !value.size;) {
        uint64_t before = 0, some = 0;
        output group = {0};
        document = document < DOCUMENTS ? document : DOCUMENTS - 1;
        do {
            int64_t number = (int64_t)(1 + roll(dice, roll(dice, 6) ? 12 : (uint64_t)1 << 40));
            append_number(&group, document - before);
            append_number(&group, (uint64_t)number);
            count[document] += number;
            before = document;
            document += 1 + roll(dice, 7);
            some++;
        } while (document < DOCUMENTS && roll(dice, 4));
        append_number(&value, some);
        append(&value, group.bytes, group.size);
        free(group.bytes);
        document = roll(dice, 2) ? before + !roll(dice, 4) : document;
    }
    return value;
}

/* The packed value, from a buffer of exactly the room that is asked for; status when it is none. */
static mr_status pack(const output *value, output *packed)
{
    uint8_t *copy = exact(value->bytes, value->size), *out = fresh(value->size + MR_POSTINGS_HEAD);
    size_t size;
    mr_status status = mr_postings_pack(copy, value->size, out, &size);
    CHECK(status == MR_OK || status == MR_CORRUPT || status == MR_OVERFLOW);
    *packed = (output){0};
    if (!status) {
        CHECK(size <= value->size);
        append(packed, out, size);
    }
    free(out);
    free(copy);
    return status;
}

static void check_packed(const output *value, const int64_t count[DOCUMENTS])
{
    output packed;
    CHECK(pack(value, &packed) == MR_OK);
    mr_postings_cursor cursor = {0};
    const uint8_t *in = packed.bytes, *end = packed.bytes + packed.size;
    for (uint64_t document = 0; document < DOCUMENTS; document++) {
        if (!count[document])
            continue;
        in = mr_postings_next(&cursor, in, end);
        CHECK(in && cursor.document == document && cursor.count == count[document]);
    }
    CHECK(in == end && !cursor.left);
    free(packed.bytes);
}

/* Formats a block into buffers of exactly `room` bytes until it ends or fails. */
static mr_status format(const paths *paths, const output *block, int with_counts, size_t room, output *into)
{
    mr_postings_text text = {
        .paths = paths->blob, .offset = paths->offset, .documents = DOCUMENTS, .with_counts = with_counts};
    uint8_t *copy = exact(block->bytes, block->size);
    mr_status status = MR_NEED_FLUSH;
    while (status == MR_NEED_FLUSH) {
        uint8_t *out = fresh(room);
        size_t written;
        status = mr_postings_format(&text, copy, block->size, out, room, &written);
        CHECK(written <= room && (written == room || status != MR_NEED_FLUSH));
        CHECK(status == MR_OK || status == MR_NEED_FLUSH || status == MR_CORRUPT || status == MR_OVERFLOW);
        CHECK(status != MR_CORRUPT || text.cursor.fault != MR_POSTINGS_SOUND);
        CHECK(text.key_at <= block->size && text.key_len <= block->size - text.key_at);
        append(into, out, written);
        free(out);
    }
    CHECK(text.at <= block->size);
    free(copy);
    return status;
}

static void append_line(output *text, const char *word, const paths *paths, const int64_t *count, int with_counts)
{
    append(text, word, strlen(word));
    char mark = '\t';
    for (size_t i = 0; i < DOCUMENTS; i++) {
        if (!count[i])
            continue;
        char number[32];
        append(text, &mark, 1);
        append(text, paths->blob + paths->offset[i], paths->offset[i + 1] - paths->offset[i]);
        if (with_counts)
            append(text, number, (size_t)snprintf(number, sizeof number, ":%" PRId64, count[i]));
        mark = ',';
    }
    append(text, "\n", 1);
}

static void check_text(dice *dice, const paths *paths, int with_counts)
{
    static const char *const words[] = {"", "the", "wordwordword", "a word that is longer than one store of 32 bytes"};
    output block = {0}, expected = {0};
    int64_t count[DOCUMENTS];
    for (size_t i = 0; i < 4; i++) {
        output value = make_value(dice, count);
        check_packed(&value, count);
        append_part(&block, words[i], strlen(words[i]));
        append_part(&block, value.bytes, value.size);
        append_line(&expected, words[i], paths, count, with_counts);
        free(value.bytes);
    }
    for (size_t room = 1; room < 2 * expected.size; room += 1 + room / 4) {
        output found = {0};
        CHECK(format(paths, &block, with_counts, room, &found) == MR_OK);
        CHECK(found.size == expected.size && !memcmp(found.bytes, expected.bytes, found.size));
        free(found.bytes);
    }
    free(expected.bytes);
    free(block.bytes);
}

/* Changes, cuts and repeats bytes: packing finds it or not, and formatting stays inside. */
static void check_mutated(dice *dice, const paths *paths)
{
    int64_t count[DOCUMENTS];
    output value = make_value(dice, count);
    for (int trial = 0; trial < 200; trial++) {
        output block = {0}, packed, text = {0}, again = {0};
        output changed = {exact(value.bytes, value.size), trial % 3 ? value.size : roll(dice, value.size + 1)};
        for (uint64_t flips = roll(dice, 4); flips && changed.size; flips--)
            changed.bytes[roll(dice, changed.size)] = (uint8_t)(roll(dice, 2) ? roll(dice, 256) : roll(dice, 3));
        mr_status packing = pack(&changed, &packed);
        append_part(&block, "word", 4);
        append_part(&block, changed.bytes, changed.size);
        if (trial % 5 == 0)
            block.bytes[roll(dice, block.size)] ^= (uint8_t)(1 + roll(dice, 255));
        mr_status status = format(paths, &block, 1, 1 + roll(dice, 400), &text);
        CHECK(trial % 5 == 0 || status == packing || status == MR_CORRUPT);
        CHECK(format(paths, &block, 1, 1 + roll(dice, 400), &again) == status);
        CHECK(status || (text.size == again.size && !memcmp(text.bytes, again.bytes, text.size)));
        free(again.bytes);
        free(text.bytes);
        free(packed.bytes);
        free(block.bytes);
        free(changed.bytes);
    }
    free(value.bytes);
}

static void check_ones(void)
{
    static const struct {
        uint32_t document;
        int64_t count;
    } edges[] = {{0, 1}, {1, 127}, {127, 128}, {128, 1}, {UINT32_MAX, 2}, {UINT32_MAX, INT64_MAX - 2}};
    output value = {0}, packed;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint8_t *one = fresh(MR_POSTINGS_ONE_MAX);
        append(&value, one, (size_t)(mr_postings_put_one(one, edges[i].document, edges[i].count) - one));
        free(one);
    }
    CHECK(pack(&value, &packed) == MR_OK && packed.bytes[0] == 5);
    free(packed.bytes);
    append(&value, "\1\xff\xff\xff\xff\x0f\1", 7); /* one more of the last document */
    CHECK(pack(&value, &packed) == MR_OVERFLOW);
    free(value.bytes);
}

void check_postings(void)
{
    dice dice = {17};
    check_ones();
    for (int round = 0; round < 60; round++) {
        paths paths = make_paths(&dice);
        check_text(&dice, &paths, round & 1);
        check_mutated(&dice, &paths);
        paths_free(&paths);
    }
}
