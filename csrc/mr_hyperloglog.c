#include "mr_hyperloglog.h"

#include <string.h>

/* Copies bytes with A-Z folded; compilers make vectors of it. */
static void fold(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = from[i] | ((uint8_t)(from[i] - 'A') < 26 ? 0x20 : 0);
}

static void add_token(const mr_hyperloglog *sketch, const uint8_t *token, size_t len)
{
    mr_hyperloglog_add(sketch->registers, sketch->precision, mr_hash_xxh3(token, len, 0));
}

/* Adds the n tokens text[start[i], end[i]). Telling them apart by length first, so that the
 * hash's branches are foretold, takes 1 ns a token from mixed words and adds 2 to ids of one
 * length (measured on AVX-512). */
static void add_tokens(const mr_hyperloglog *sketch, const uint8_t *text, const uint16_t *start, const uint16_t *end,
                       size_t n)
{
    uint8_t *registers = sketch->registers;
    unsigned precision = sketch->precision;
    for (size_t i = 0; i < n; i++)
        mr_hyperloglog_add(registers, precision, mr_hash_xxh3(text + start[i], (size_t)end[i] - start[i], 0));
}

/* One token of any length. XXH3 takes the whole length into account, so a folded token is
 * hashed as one piece: in `shorts` (of a block's size) if it fits, else in the room. */
static mr_status add_one(mr_hyperloglog *sketch, uint8_t *shorts, const uint8_t *token, size_t len, int lower)
{
    if (!lower) {
        add_token(sketch, token, len);
        return MR_OK;
    }
    uint8_t *copy = len <= MR_TOKEN_BLOCK ? shorts : sketch->room;
    if (len > MR_TOKEN_BLOCK && len > sketch->room_size) {
        sketch->want = len;
        return MR_NEED_ROOM;
    }
    fold(copy, token, len);
    add_token(sketch, copy, len);
    return MR_OK;
}

mr_status mr_hyperloglog_feed(mr_hyperloglog *sketch, mr_tokenize_fn tokenize, const uint8_t *text, size_t len,
                              int final, int lower, size_t *consumed)
{
    mr_token_block block;
    uint8_t folded[MR_TOKEN_BLOCK];
    const uint8_t *open = 0; /* first byte of the token that the last block left open */
    block.inside = 0;

    for (size_t at = 0; at < len;) {
        size_t size = len - at < MR_TOKEN_BLOCK ? len - at : MR_TOKEN_BLOCK;
        const uint8_t *base = text + at;
        tokenize(base, size, &block);

        const uint16_t *end = block.end;
        size_t ends = block.ends;
        if (open && ends) {
            if (add_one(sketch, folded, open, (size_t)(base + *end - open), lower)) {
                *consumed = (size_t)(open - text);
                return MR_NEED_ROOM;
            }
            open = 0;
            end++;
            ends--;
            sketch->tokens++;
        }
        if (lower && ends) { /* the block as a whole: one loop over bytes, not one a token */
            fold(folded, base, size);
            add_tokens(sketch, folded, block.start, end, ends);
        } else {
            add_tokens(sketch, base, block.start, end, ends);
        }
        sketch->tokens += ends;
        if (block.starts > ends && !open)
            open = base + block.start[ends];
        at += size;
    }
    *consumed = open ? (size_t)(open - text) : len;
    if (open && final) {
        if (add_one(sketch, folded, open, (size_t)(text + len - open), lower))
            return MR_NEED_ROOM;
        sketch->tokens++;
        *consumed = len;
    }
    return MR_OK;
}

mr_status mr_hyperloglog_merge(uint8_t *registers, const uint8_t *others, unsigned precision)
{
    size_t n = (size_t)1 << precision;
    uint8_t largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = others[i] > largest ? others[i] : largest;
    if (largest > mr_hyperloglog_rank_max(precision))
        return MR_CORRUPT;
    for (size_t i = 0; i < n; i++)
        registers[i] = others[i] > registers[i] ? others[i] : registers[i];
    return MR_OK;
}

void mr_hyperloglog_count(const uint8_t *registers, unsigned precision, uint32_t counts[MR_HYPERLOGLOG_RANKS])
{
    size_t n = (size_t)1 << precision;
    memset(counts, 0, MR_HYPERLOGLOG_RANKS * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[registers[i]]++;
}
