/* N-grams: every n tokens that follow one another in a line, as lines of text.
 *
 * An n-gram is n tokens (mr_tokenize.h) with no line end between them; it is written as the
 * tokens joined by one blank each, then LF. Its first token is its head. Heads come in the
 * order of the text, and the n-grams of one head in ascending n.
 *
 * What ends a line between two tokens is the number of LF bytes in the gap between them:
 *   newlines_break 1   text as people write it: one LF or more
 *   newlines_break 2   tokens with an LF behind each (tokenizer `lines`): an empty line
 *   newlines_break 0   nothing: n-grams cross lines
 * Empty tokens, which only `lines` has, are no tokens here.
 *
 * Text is cut into tokens a block at a time. The tokens of the current line, from the first
 * whose n-grams are not written yet, stand in a queue. Where a line ends, the n-grams of all
 * of them are written and the queue is emptied. Where a block ends, those of the tokens that
 * are the first of n_max are written; the other tokens, n_max - 1 at most, move to the queue's
 * front. So the queue holds these and one block's tokens, however long tokens, gaps and lines
 * are. To find tokens every byte is looked at once, and once more if it is in a gap.
 *
 * Tokens are copied 16 bytes at a time, up to 15 too many, where text and output go on that
 * far; the next bytes written cover what was too many. An n-gram of one token more is the one
 * before it, copied from the output, and the token.
 *
 * Nothing is kept between calls. A call stops before the first head that the text or the
 * output does not suffice for, and the next one begins there. The other way would be two passes
 * over a window, borders first and n-grams after: the borders of a window that is worth a
 * pass leave the L1 cache, and those of a block are what the queue has.
 */
#ifndef MR_NGRAMS_H
#define MR_NGRAMS_H

#include "mr_status.h"
#include "mr_tokenize.h"

#define MR_NGRAMS_MAX 64 /* tokens of one n-gram */

typedef struct {
    uint32_t n_min, n_max;   /* 1 <= n_min <= n_max <= MR_NGRAMS_MAX              */
    uint32_t newlines_break; /* LF bytes in a gap that end the line; 0: none does */
} mr_ngrams_rule;

/* Writes the n-grams of text[0, len) to out[0, room), heads whole: all n of a head or none.
 * No token may be open where the text begins. A head is decided when n_max tokens from it on
 * have ended, or the line has; with `final`, the end of the text ends token and line. `lower`
 * folds A-Z. Reads nothing past len; may write anywhere below room.
 *
 * *consumed is where the next call begins, with more text behind it or, after MR_NEED_FLUSH, an
 * empty output: the first byte of the first head that is not written and decided, or of the
 * unfinished token, or len. The first *written bytes of out count. MR_NEED_FLUSH: the next head
 * needs *want bytes, more than were left; with *written == 0 it needs a larger output. */
mr_status mr_ngrams_expand(mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int final, int lower,
                           const mr_ngrams_rule *rule, uint8_t *out, size_t room, size_t *consumed, size_t *written,
                           size_t *want);

#endif
