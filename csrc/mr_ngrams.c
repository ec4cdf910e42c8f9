#include "mr_ngrams.h"

#include <string.h>

#include "mr_lower.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define STEP 16 /* bytes copied at once: most tokens take one step     */
#define LONG 64 /* from here on memcpy() copies                        */

/* MR_NGRAMS_MAX - 1 tokens that wait, those that end in a block (they are not empty, so at
 * every other byte at most), and the one that the end of the text ends. */
#define QUEUE (MR_NGRAMS_MAX + MR_TOKEN_BLOCK / 2)

typedef struct {
    const uint8_t *text;
    size_t len;
} token;

typedef struct {
    const mr_ngrams_rule *rule;
    const uint8_t *limit; /* end of the text                                    */
    const uint8_t *after; /* byte after the last token, when the queue has any  */
    uint8_t *out;
    size_t room, written, want;
    size_t head, n; /* queue[head, n) are tokens of one line                     */
    int lower;
    token queue[QUEUE];
} expansion;

/* ---- one head -------------------------------------------------------------------------- */

/* Up to STEP - 1 bytes past len are read and written. The two may overlap behind len. */
ALWAYS_INLINE void copy_steps(uint8_t *to, const uint8_t *from, size_t len, int lower)
{
    size_t i = 0;
    do {
        uint64_t words[STEP / 8];
        memcpy(words, from + i, STEP);
        for (int w = 0; lower && w < STEP / 8; w++)
            words[w] = mr_lower8(words[w]);
        memcpy(to + i, words, STEP);
        i += STEP;
    } while (i < len);
}

static void copy_exactly(uint8_t *to, const uint8_t *from, size_t len, int lower)
{
    if (!lower) {
        memcpy(to, from, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = from[i] | ((uint8_t)(from[i] - 'A') < 26 ? 0x20 : 0);
}

ALWAYS_INLINE void copy(uint8_t *to, const uint8_t *from, size_t len, int lower, int slack)
{
    if (slack && (lower || len < LONG))
        copy_steps(to, from, len, lower);
    else
        copy_exactly(to, from, len, lower);
}

/* Writes the n-grams of n_min to n_max tokens from `head` on; `slack`: STEP bytes may be
 * read behind the tokens and written behind the n-grams. */
ALWAYS_INLINE void write_head(uint8_t *out, const token *head, size_t n_min, size_t n_max, int lower, int slack)
{
    uint8_t *gram = out, *to = out;
    for (size_t n = 0; n < n_min; n++) {
        copy(to, head[n].text, head[n].len, lower, slack);
        to += head[n].len;
        *to++ = ' ';
    }
    to[-1] = '\n';
    for (size_t n = n_min; n < n_max; n++) { /* the n-gram before, and one token more */
        size_t size = (size_t)(to - gram);
        copy(to, gram, size, 0, slack);
        gram = to;
        to += size;
        to[-1] = ' ';
        copy(to, head[n].text, head[n].len, lower, slack);
        to += head[n].len;
        *to++ = '\n';
    }
}

static size_t head_size(const token *head, size_t n_min, size_t n_max)
{
    size_t gram = 0, total = 0;
    for (size_t n = 1; n <= n_max; n++) {
        gram += head[n - 1].len + 1;
        total += n < n_min ? 0 : gram;
    }
    return total;
}

/* ---- the queue --------------------------------------------------------------------------- */

/* Writes the heads that are decided: all of them when the line has ended. */
static mr_status write_heads(expansion *to, int ended)
{
    size_t n_min = to->rule->n_min, n_max = to->rule->n_max;
    for (; to->head < to->n; to->head++) {
        const token *head = to->queue + to->head;
        size_t tokens = to->n - to->head;
        if (tokens < n_max && !ended)
            break;
        if (tokens < n_min)
            continue;
        if (tokens > n_max)
            tokens = n_max;
        size_t size = head_size(head, n_min, tokens), left = to->room - to->written;
        if (size > left) {
            to->want = size;
            return MR_NEED_FLUSH;
        }
        uint8_t *out = to->out + to->written;
        const token *last = head + tokens - 1;
        int slack = left - size >= STEP && (size_t)(to->limit - last->text) - last->len >= STEP;
        if (!slack)
            write_head(out, head, n_min, tokens, to->lower, 0);
        else if (to->lower)
            write_head(out, head, n_min, tokens, 1, 1);
        else
            write_head(out, head, n_min, tokens, 0, 1);
        to->written += size;
    }
    to->n -= to->head;
    memmove(to->queue, to->queue + to->head, to->n * sizeof *to->queue);
    to->head = 0;
    return MR_OK;
}

/* Does the line of the queued tokens end before `next`? */
ALWAYS_INLINE int line_ends(const expansion *to, const uint8_t *next)
{
    uint32_t left = to->rule->newlines_break;
    if (!to->n || !left)
        return 0;
    for (const uint8_t *at = to->after; at < next; at++) {
        if (*at == '\n' && !--left)
            return 1;
    }
    return 0;
}

ALWAYS_INLINE mr_status push(expansion *to, const uint8_t *text, const uint8_t *end)
{
    if (text == end)
        return MR_OK;
    mr_status status = line_ends(to, text) ? write_heads(to, 1) : MR_OK;
    if (status == MR_OK)
        to->queue[to->n++] = (token){text, (size_t)(end - text)};
    to->after = end;
    return status;
}

/* ---- the text ---------------------------------------------------------------------------- */

/* Queues the tokens of one block; *open is the token that reaches its last byte, or NULL. */
static mr_status expand_block(expansion *to, const uint8_t *base, const mr_token_block *block, const uint8_t **open)
{
    size_t started = 0;
    for (size_t i = 0; i < block->ends; i++) {
        const uint8_t *text = *open ? *open : base + block->start[started++];
        mr_status status = push(to, text, base + block->end[i]);
        if (status != MR_OK)
            return status;
        *open = 0;
    }
    if (started < block->starts)
        *open = base + block->start[started];
    return write_heads(to, 0);
}

static mr_status expand_end(expansion *to, const uint8_t **open, int final)
{
    mr_status status = MR_OK;
    if (final && *open) {
        status = push(to, *open, to->limit);
        if (status != MR_OK)
            return status;
        *open = 0;
    }
    if (final || line_ends(to, *open ? *open : to->limit))
        status = write_heads(to, 1);
    return status;
}

mr_status mr_ngrams_expand(mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final, int lower,
                           const mr_ngrams_rule *rule, uint8_t *out, size_t room, size_t *consumed, size_t *written,
                           size_t *want)
{
    expansion to; /* the queue is not worth clearing */
    to.rule = rule;
    to.limit = text + len;
    to.after = text;
    to.out = out;
    to.room = room;
    to.written = to.want = to.head = to.n = 0;
    to.lower = lower;

    mr_token_block block;
    const uint8_t *open = 0;
    mr_status status = MR_OK;
    block.inside = 0;
    for (size_t at = 0; at < len && status == MR_OK; at += MR_TOKEN_BLOCK) {
        tokenize(text + at, len - at < MR_TOKEN_BLOCK ? len - at : MR_TOKEN_BLOCK, &block);
        status = expand_block(&to, text + at, &block, &open);
    }
    if (status == MR_OK)
        status = expand_end(&to, &open, final);

    const uint8_t *next = to.head < to.n ? to.queue[to.head].text : open ? open : to.limit;
    *consumed = (size_t)(next - text);
    *written = to.written;
    *want = to.want;
    return status;
}
