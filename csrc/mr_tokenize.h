/* Tokenizers: where tokens begin and end in a block of bytes.
 *
 * A tokenizer is a set of token bytes; every other byte is a separator.
 *   whitespace: every byte outside 0x09-0x0D and 0x20
 *   ascii:      [A-Za-z0-9_]
 *   lines:      every byte but LF
 * A token is a maximal run of token bytes. Of `lines` it is what stands between two
 * separators, be it empty: "a\n\nb" has the lines "a", "" and "b", "a\n" has one, "" none.
 * Text is scanned in blocks of at most MR_TOKEN_BLOCK bytes, and `inside` carries the
 * open token from one block to the next, so a token may be of any length. A kernel
 * turns 64 bytes at a time into a bit mask of token bytes. With `before`, the mask moved up
 * by one byte and `inside` in its lowest bit, runs start at mask & ~before and end at
 * ~mask & before; lines start at ~before and end at ~mask. Both are written as indices
 * (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019, section 3.1). No
 * byte at or past text + len is read.
 */
#ifndef MR_TOKENIZE_H
#define MR_TOKENIZE_H

#include <stddef.h>
#include <stdint.h>

#define MR_TOKEN_BLOCK 4096 /* bytes; the index arrays of one block stay in the L1 cache */
#define MR_TOKEN_SLACK 64   /* a kernel may write this many entries past the last one    */

typedef enum {
    MR_TOKENIZER_WHITESPACE = 0,
    MR_TOKENIZER_ASCII = 1,
    MR_TOKENIZER_LINES = 2,
    MR_TOKENIZERS = 3
} mr_tokenizer;

typedef struct {
    uint32_t inside; /* in and out: 1 when the byte before the block is a token byte */
    uint32_t starts; /* out: tokens that begin in this block                         */
    uint32_t ends;   /* out: tokens that end in this block, before its last byte     */
    /* Empty lines can begin and end at every byte; of the others the first half is used. */
    uint16_t start[MR_TOKEN_BLOCK + MR_TOKEN_SLACK]; /* index of a first byte         */
    uint16_t end[MR_TOKEN_BLOCK + MR_TOKEN_SLACK];   /* index after a last byte       */
} mr_token_block;

/* Finds the token borders of text[0, len), len <= MR_TOKEN_BLOCK. A token that reaches
 * the block's last byte has no end here: it ends at index 0 of the next block if that
 * begins with a separator, or where the caller says the text ends. If `inside` was 1 on
 * entry, the first end closes the token that began earlier. Indices ascend. A line begins
 * at the byte after an LF: where that is the block's last byte, in the next block. */
typedef void (*mr_tokenize_fn)(const uint8_t *text, size_t len, mr_token_block *block);

void mr_tokenize_whitespace_scalar(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_scalar(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_lines_scalar(const uint8_t *text, size_t len, mr_token_block *block);
#if defined(__aarch64__)
void mr_tokenize_whitespace_neon(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_neon(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_lines_neon(const uint8_t *text, size_t len, mr_token_block *block);
#elif defined(__x86_64__)
void mr_tokenize_whitespace_avx2(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_avx2(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_lines_avx2(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_whitespace_avx512(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_avx512(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_lines_avx512(const uint8_t *text, size_t len, mr_token_block *block);
#endif

/* Is this byte part of a token? */
int mr_tokenize_is_token(mr_tokenizer tokenizer, uint8_t byte);

/* Index of the first separator in text[0, len), or len. A line's separator is its own: the
 * next line begins behind it. */
size_t mr_tokenize_skip(mr_tokenize_fn tokenize, const uint8_t *text, size_t len);

#endif
