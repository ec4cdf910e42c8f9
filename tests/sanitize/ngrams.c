/* N-grams, fed in pieces that are gone before the next, into outputs of any size. */
#include "driver.h"
#include "mr_ngrams.h"

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} output;

static void append(output *output, const void *bytes, size_t size)
{
    if (output->size + size > output->room) {
        output->room = 2 * (output->size + size);
        output->bytes = realloc(output->bytes, output->room);
        CHECK(output->bytes);
    }
    if (size)
        memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

/* The n-grams of the tokens line[0, n), in text whose case is folded already. */
static void append_line(output *output, const word *line, size_t n, const mr_ngrams_rule *rule)
{
    for (size_t head = 0; head < n; head++)
        for (size_t size = rule->n_min; size <= rule->n_max && head + size <= n; size++)
            for (size_t i = 0; i < size; i++) {
                append(output, line[head + i].text, line[head + i].len);
                append(output, i + 1 < size ? " " : "\n", 1);
            }
}

static output expected_output(const uint8_t *text, size_t len, mr_tokenizer tokenizer, const mr_ngrams_rule *rule)
{
    output expected = {0};
    word *line = fresh((len / 2 + 1) * sizeof *line);
    size_t n = 0, newlines = 0;
    for (size_t at = 0; at < len;) {
        size_t start = at;
        while (at < len && mr_tokenize_is_token(tokenizer, text[at]))
            at++;
        if (at > start) {
            if (rule->newlines_break && newlines >= rule->newlines_break) {
                append_line(&expected, line, n, rule);
                n = 0;
            }
            line[n++] = (word){text + start, at - start, 1};
            newlines = 0;
        } else {
            newlines += text[at++] == '\n';
        }
    }
    append_line(&expected, line, n, rule);
    free(line);
    return expected;
}

/* Expands one piece whole; the bytes of it that are done with. */
static size_t expand_piece(mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final, int lower,
                           const mr_ngrams_rule *rule, size_t room, output *into)
{
    size_t done = 0, consumed, written, want;
    for (mr_status status = MR_NEED_FLUSH; status == MR_NEED_FLUSH;) {
        uint8_t *piece = exact(text + done, len - done), *out = fresh(room);
        status = mr_ngrams_expand(tokenize, piece, len - done, final, lower, rule, out, room, &consumed, &written,
                                  &want);
        CHECK(consumed <= len - done && written <= room);
        CHECK(status == MR_OK ? !want : status == MR_NEED_FLUSH && want > room - written);
        append(into, out, written);
        if (!written && status == MR_NEED_FLUSH)
            room = want;
        free(piece);
        free(out);
        done += consumed;
    }
    return done;
}

static void ngrams_round(dice *dice, const mr_dispatch *dispatch, size_t len)
{
    mr_tokenizer tokenizer = (mr_tokenizer)roll(dice, MR_TOKENIZERS);
    int lower = (int)roll(dice, 2);
    mr_ngrams_rule rule = {1 + (uint32_t)roll(dice, 3), 0, (uint32_t)roll(dice, 4)};
    rule.n_max = rule.n_min + (uint32_t)roll(dice, 3);
    if (!roll(dice, 20)) {
        rule.n_max = MR_NGRAMS_MAX;
        len = len < 400 ? len : 400;
    }
    uint8_t *text = make_text(dice, len), *folded;
    for (size_t i = 0, blanks = roll(dice, 5); i < len; i++) /* longer lines, or as many tokens as can be */
        text[i] = blanks == 0 ? (uint8_t)(i & 1 ? ' ' : 'X') : blanks < 3 && text[i] == '\n' ? ' ' : text[i];
    folded = exact(text, len);
    for (size_t i = 0; lower && i < len; i++)
        folded[i] |= folded[i] >= 'A' && folded[i] <= 'Z' ? 0x20 : 0;

    output found = {0}, expected = expected_output(folded, len, tokenizer, &rule);
    size_t longest = roll(dice, 2) ? len : 1 + roll(dice, 6000), size = longest;
    size_t room = roll(dice, 3) ? 70000 : roll(dice, 900);
    for (size_t at = 0; at < len;) {
        size_t stop = len - at < size ? len : at + size;
        size_t done = expand_piece(dispatch->tokenize[tokenizer], text + at, stop - at, stop == len, lower, &rule, room,
                                   &found);
        size = done ? longest : 2 * size;
        at += done;
    }
    CHECK(found.size == expected.size && (!found.size || !memcmp(found.bytes, expected.bytes, found.size)));
    free(found.bytes);
    free(expected.bytes);
    free(folded);
    free(text);
}

/* Most tokens that can wait, and then a block of as many as there can be. */
static void check_full_queue(const mr_dispatch *dispatch)
{
    mr_ngrams_rule rule = {MR_NGRAMS_MAX, MR_NGRAMS_MAX, 1};
    size_t len = 3 * MR_TOKEN_BLOCK;
    for (size_t waiting = MR_NGRAMS_MAX - 3; waiting <= MR_NGRAMS_MAX; waiting++) {
        uint8_t *text = fresh(len);
        for (size_t i = 0; i < len; i++) /* `waiting` tokens, one to the end of the block, and the rest */
            text[i] = i < 2 * waiting && i & 1 ? ' ' : i < MR_TOKEN_BLOCK || i & 1 ? 'x' : ' ';
        output found = {0}, expected = expected_output(text, len, MR_TOKENIZER_ASCII, &rule);
        CHECK(expand_piece(dispatch->tokenize[MR_TOKENIZER_ASCII], text, len, 1, 0, &rule, 1 << 20, &found) == len);
        CHECK(found.size == expected.size && !memcmp(found.bytes, expected.bytes, found.size));
        free(found.bytes);
        free(expected.bytes);
        free(text);
    }
}

void check_ngrams(void)
{
    for (int level = 0; level < MR_CPU_LEVELS; level++) {
        const mr_dispatch *dispatch = mr_dispatch_at((mr_cpu_level)level);
        dice dice = {9}; /* the same texts on every level */
        for (size_t len = 0; dispatch && len < 600; len++)
            ngrams_round(&dice, dispatch, len < 300 ? len : roll(&dice, 10000));
        if (dispatch)
            check_full_queue(dispatch);
    }
}
