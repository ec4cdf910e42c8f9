/* The Unicode tokenizer: text in UTF-8 becomes its tokens, one a line.
 *
 * A token is a maximal run of code points of general category L*, M* or N* (letters, marks,
 * numbers) of Unicode 16.0. Folded, each code point of it becomes its simple case folding:
 * CaseFolding.txt, statuses C and S, one code point for one, whatever the language. Its UTF-8 may
 * take more or fewer bytes then: U+023A has two and folds to three, U+212A has three and folds to
 * one. No code point takes more than half as many bytes again.
 *
 * Sequences are those of table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences".
 * A byte that begins none of them separates tokens, by itself; the byte after it is looked at
 * afresh. That gives the tokens of the standard's "U+FFFD Substitution of Maximal Subparts"
 * (section 3.9): what follows the first byte of a maximal subpart are continuation bytes, which
 * begin no sequence and so separate too, and whatever comes next is kept.
 *
 * Of ASCII, eight bytes at a time are mapped by a table: to themselves (or folded), or to LF in
 * no token. Each is stored, and the place for the next moves on if the byte, or the one
 * before it, is in a token: so of a run of separators one LF stays, after a token, and there is
 * no branch on the text. Other code points are decoded, and looked up in two-stage tables.
 */
#ifndef MR_UNICODE_H
#define MR_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "mr_status.h"

/* Is this code point (of any value) in a token? */
int mr_unicode_is_token(uint32_t point);

/* Its simple case folding. */
uint32_t mr_unicode_fold(uint32_t point);

/* Writes every token that ends inside text[0, len), followed by LF, to out[0, room); with `final`
 * also a token that reaches the end. With `mark_lines` each LF of the text is written too, after
 * the tokens before it: an empty line of the output is an end of line of the text.
 *
 * *consumed: offset of the first byte to be given again, first of an unfinished token or of an
 * unfinished sequence at the end. *written: bytes in out; what lies after them is undefined.
 *
 * MR_OK: text was expanded as far as its end allows. MR_NEED_FLUSH: the next token or mark did not
 * fit into out; what was before it is in out and consumed. If nothing was (*written == 0), the token
 * needs *want bytes of room; otherwise *want is 0, and the token may turn out to be unfinished.
 * One call takes time in proportion to len, however long the tokens are. */
mr_status mr_unicode_expand(const uint8_t *text, size_t len, int final, int fold, int mark_lines, uint8_t *out,
                            size_t room, size_t *consumed, size_t *written, size_t *want);

#endif
