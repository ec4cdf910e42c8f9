#include "mr_unicode.h"

#include <string.h>

#include "mr_unicode_tables.h"

#define INLINE static inline __attribute__((always_inline))
#define EACH(byte) (0x0101010101010101ull * (byte)) /* the same byte in all eight */
#define TOP EACH(0x80)
#define WORD 8
/* A byte gives at most two bytes: an LF that ends a token and is a mark. One more is for the LF
 * of the token that is open after the word, one for a store that nothing moves on from. */
#define WORD_ROOM (2 * WORD + 2)

typedef struct {
    const uint8_t *text;
    size_t len;
    size_t at;    /* offset of the next byte to look at        */
    size_t start; /* of the open token, if `inside`            */
    uint8_t *out; /* while `inside`, out has room for an LF    */
    size_t room;
    size_t written;
    unsigned inside; /* 1 when the byte before `at` is in a token */
    int final;
    int fold;
    unsigned mark_lines;
} scan;

/* A code point of the text as it goes out. */
typedef struct {
    unsigned len;   /* bytes in the text; 0: a sequence that the end of the text cuts off */
    unsigned token; /* is it in a token?                                                  */
    unsigned size;  /* if so, bytes to write                                              */
    uint32_t point; /* and the code point to write, folded or not                         */
} glyph;

INLINE int is_token(uint32_t point)
{
    if (point >= MR_UNICODE_TOKEN_END)
        return 0;
    uint64_t bits = mr_unicode_token_bits[mr_unicode_token_index[point >> 8] * 4u + (point >> 6 & 3)];
    return (int)(bits >> (point & 63) & 1);
}

INLINE uint32_t fold_point(uint32_t point)
{
    if (point >= MR_UNICODE_FOLD_END)
        return point;
    uint8_t kind = mr_unicode_fold_kind[mr_unicode_fold_index[point >> 6] * 64u + (point & 63)];
    return point + (uint32_t)mr_unicode_fold_step[kind];
}

int mr_unicode_is_token(uint32_t point) { return is_token(point); }

uint32_t mr_unicode_fold(uint32_t point) { return fold_point(point); }

INLINE unsigned utf8_size(uint32_t point)
{
    return 1u + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000);
}

INLINE void utf8_put(uint8_t *out, uint32_t point, unsigned size)
{
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (unsigned i = size - 1; i; i--, point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
    out[0] = (uint8_t)(lead[size] | point);
}

/* May this byte follow the lead byte? The third and fourth of a sequence are never bounded further. */
INLINE int second_fits(uint8_t lead, uint8_t second)
{
    if ((second & 0xC0) != 0x80)
        return 0;
    switch (lead) {
    case 0xE0: return second >= 0xA0; /* or it were shorter   */
    case 0xED: return second < 0xA0;  /* or it were surrogate */
    case 0xF0: return second >= 0x90;
    case 0xF4: return second < 0x90; /* up to U+10FFFF       */
    default: return 1;
    }
}

/* The code point at text[0, len), len > 0, above ASCII. A byte that begins no sequence has len 1. */
INLINE glyph decode(const uint8_t *text, size_t len, int final)
{
    const glyph separator = {1, 0, 0, 0}, cut = {0, 0, 0, 0};
    uint8_t lead = text[0];
    if (lead < 0xC2 || lead > 0xF4)
        return separator;
    unsigned size = 2u + (lead >= 0xE0) + (lead >= 0xF0);
    uint32_t point = lead & (0x7Fu >> size);
    for (unsigned i = 1; i < size; i++) {
        if (i >= len)
            return final ? separator : cut;
        if (i == 1 ? !second_fits(lead, text[1]) : (text[i] & 0xC0) != 0x80)
            return separator;
        point = point << 6 | (text[i] & 0x3F);
    }
    return (glyph){size, (unsigned)is_token(point), size, point};
}

INLINE glyph look(const scan *s)
{
    uint8_t first = s->text[s->at];
    if (first < 0x80) {
        uint8_t byte = mr_unicode_ascii[(s->fold ? 128 : 0) + first];
        return (glyph){1, byte != '\n', 1, byte};
    }
    glyph next = decode(s->text + s->at, s->len - s->at, s->final);
    if (s->fold && next.token) {
        next.point = fold_point(next.point);
        next.size = utf8_size(next.point);
    }
    return next;
}

INLINE uint64_t load_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Expands ASCII up to the next byte of something else, while there are whole words of text and room. */
INLINE void expand_ascii(scan *s)
{
    const uint8_t *ascii = mr_unicode_ascii + (s->fold ? 128 : 0);
    unsigned n = WORD;
    while (n == WORD && s->len - s->at >= WORD && s->room - s->written >= WORD_ROOM) {
        const uint8_t *text = s->text + s->at;
        uint64_t high = load_word(text) & TOP;
        n = high ? (unsigned)__builtin_ctzll(high) / 8 : WORD;
        for (unsigned i = 0; i < n; i++) {
            uint8_t byte = ascii[text[i]];
            unsigned token = byte != '\n';
            s->start = s->inside ? s->start : s->at + i;
            s->out[s->written] = byte;
            s->written += token | s->inside;
            s->out[s->written] = '\n';
            s->written += (text[i] == '\n') & s->mark_lines;
            s->inside = token;
        }
        s->at += n;
    }
}

/* Expands one code point; 0 when it was not: there is no room, or (glyph->len == 0) no more text. */
INLINE int expand_one(scan *s, glyph *next)
{
    *next = look(s);
    if (!next->len)
        return 0;
    if (next->token) {
        if (s->room - s->written < next->size + 1u) /* an LF must fit behind it */
            return 0;
        utf8_put(s->out + s->written, next->point, next->size);
        s->written += next->size;
        s->start = s->inside ? s->start : s->at;
        s->inside = 1;
    } else {
        if (s->inside)
            s->out[s->written++] = '\n';
        s->inside = 0; /* whatever comes: the token is out */
        if (s->mark_lines && s->text[s->at] == '\n') {
            if (s->written == s->room)
                return 0;
            s->out[s->written++] = '\n';
        }
    }
    s->at += next->len;
    return 1;
}

/* Takes the open token back out of the output. A token holds no LF, so the last one is before it. */
static void take_back(scan *s)
{
    if (!s->inside)
        return;
    while (s->written && s->out[s->written - 1] != '\n')
        s->written--;
    s->at = s->start;
    s->inside = 0;
}

/* Room that the token at s->at needs, of which `done` bytes are counted; 0 when it does not end in the text. */
static size_t measure(scan s, size_t done)
{
    while (s.at < s.len) {
        glyph next = look(&s);
        if (!next.len)
            return 0;
        if (!next.token)
            return done + 1;
        done += next.size;
        s.at += next.len;
    }
    return s.final ? done + 1 : 0;
}

/* What to say when out is full: s->at did not fit. */
static mr_status flush(scan *s, const glyph *next, size_t *want)
{
    scan rest = *s;
    take_back(s);
    if (s->written)
        return MR_NEED_FLUSH;
    *want = next->token ? measure(rest, rest.written) : 1; /* 1: a mark */
    return *want ? MR_NEED_FLUSH : MR_OK;
}

mr_status mr_unicode_expand(const uint8_t *text, size_t len, int final, int fold, int mark_lines, uint8_t *out,
                            size_t room, size_t *consumed, size_t *written, size_t *want)
{
    scan s = {text, len, 0, 0, out, room, 0, 0, final, fold, mark_lines != 0};
    glyph next = {0, 0, 0, 0};
    mr_status status = MR_OK;
    *want = 0;
    while (s.at < len) {
        expand_ascii(&s);
        if (s.at < len && !expand_one(&s, &next)) {
            if (next.len)
                status = flush(&s, &next, want);
            break;
        }
    }
    if (s.at == len && final && s.inside)
        out[s.written++] = '\n';
    else
        take_back(&s);
    *consumed = s.at;
    *written = s.written;
    return status;
}
