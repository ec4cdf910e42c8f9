/* The Unicode tokenizer: text cut anywhere and any room, against one code point after the other. */
#include "driver.h"
#include "mr_unicode.h"

typedef struct {
    int fold, mark_lines;
    uint8_t *bytes;
    size_t size;
} lines;

/* Value of the one well-formed sequence of exactly this size at text, or UINT32_MAX. */
static uint32_t value_of(const uint8_t *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    if (size == 1)
        return *text < 0x80 ? *text : UINT32_MAX;
    if (*text < lead[size] || *text - lead[size] >= 1 << (7 - size))
        return UINT32_MAX;
    uint32_t value = *text - lead[size];
    for (size_t i = 1; i < size; i++) {
        if (text[i] < 0x80 || text[i] > 0xBF)
            return UINT32_MAX;
        value = value * 64 + text[i] - 0x80;
    }
    int surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value < least[size] || value > 0x10FFFF || surrogate ? UINT32_MAX : value;
}

static size_t encode(uint8_t *out, uint32_t value)
{
    if (value < 0x80)
        return *out = (uint8_t)value, 1;
    size_t size = value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; value /= 64)
        out[i] = (uint8_t)(0x80 + value % 64);
    *out = (uint8_t)((0xF00 >> size) + value);
    return size;
}

static lines naive(const uint8_t *text, size_t len, int fold, int mark_lines)
{
    lines made = {fold, mark_lines, fresh(2 * len + 2), 0};
    int inside = 0;
    for (size_t at = 0, size; at < len; at += size) {
        uint32_t value = UINT32_MAX;
        for (size = 1; size <= 4 && size <= len - at; size++)
            if ((value = value_of(text + at, size)) != UINT32_MAX)
                break;
        size = value == UINT32_MAX ? 1 : size;
        if (value != UINT32_MAX && mr_unicode_is_token(value)) {
            made.size += encode(made.bytes + made.size, fold ? mr_unicode_fold(value) : value);
            inside = 1;
            continue;
        }
        if (inside)
            made.bytes[made.size++] = '\n';
        if (mark_lines && value == '\n')
            made.bytes[made.size++] = '\n';
        inside = 0;
    }
    if (inside)
        made.bytes[made.size++] = '\n';
    return made;
}

/* Pieces of up to `step` bytes, each in a block of its own, into `room` bytes. */
static void check_pieces(const uint8_t *text, size_t len, const lines *want, size_t step, size_t room)
{
    size_t at = 0, stop = 0, done = 0, need = room;
    while (at < len) {
        stop = stop < at + 1 ? at + 1 : stop;
        stop = stop < len ? stop : len;
        uint8_t *piece = exact(text + at, stop - at), *out = fresh(need);
        size_t consumed, written, more;
        mr_status status = mr_unicode_expand(piece, stop - at, stop == len, want->fold, want->mark_lines, out, need,
                                             &consumed, &written, &more);
        CHECK(status == MR_OK || status == MR_NEED_FLUSH);
        CHECK(written <= need && written <= want->size - done && !memcmp(out, want->bytes + done, written));
        CHECK(need == room || written == need);
        CHECK(!more == !(status == MR_NEED_FLUSH && !written) && (!more || more > need));
        done += written;
        at += consumed;
        need = more ? more : room;
        if (status == MR_OK) {
            CHECK(stop < len || at == len);
            stop += step;
        }
        free(piece);
        free(out);
    }
    CHECK(done == want->size);
}

/* Words of many scripts, lines, and sequences that are broken or begin and do not go on. */
static uint8_t *make_unicode(dice *dice, size_t size)
{
    static const uint32_t from[] = {'a', 'A', 0xC0, 0x230, 0x300, 0x3A0, 0x2120, 0x4E00, 0xD7F8, 0xFFF8, 0x10400, 0x1F600};
    uint8_t *text = fresh(size), bytes[4];
    for (size_t at = 0; at < size;) {
        size_t n = 1;
        if (!roll(dice, 5))
            *bytes = roll(dice, 3) ? ' ' : '\n';
        else if (!roll(dice, 12))
            *bytes = (uint8_t)roll(dice, 256);
        else
            n = encode(bytes, from[roll(dice, sizeof from / sizeof *from)] + (uint32_t)roll(dice, 20));
        n -= roll(dice, 30) ? 0 : roll(dice, n);
        n = n < size - at ? n : size - at;
        memcpy(text + at, bytes, n);
        at += n;
    }
    return text;
}

void check_unicode(void)
{
    dice dice = {16};
    for (uint32_t value = 0; value < 0x120000; value++) /* the tables are read to their ends */
        CHECK(mr_unicode_is_token(value) + 1 && mr_unicode_fold(value) < 0x120000);
    CHECK(!mr_unicode_is_token(UINT32_MAX) && mr_unicode_fold(UINT32_MAX) == UINT32_MAX);
    for (size_t round = 0; round < 1500; round++) {
        size_t len = round < 300 ? round / 2 : roll(&dice, 3000);
        uint8_t *text = round % 4 ? make_unicode(&dice, len) : make_text(&dice, len);
        lines want = naive(text, len, (int)(round & 1), (int)(round >> 1 & 1));
        check_pieces(text, len, &want, len, 2 * len + 32);
        check_pieces(text, len, &want, 1 + roll(&dice, 60), roll(&dice, 60));
        check_pieces(text, len, &want, 1 + roll(&dice, 600), roll(&dice, 600));
        free(want.bytes);
        free(text);
    }
}
